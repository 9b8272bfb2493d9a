"""The router: the HTTP service that producers call."""
