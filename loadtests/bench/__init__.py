"""Saturation: what the servers' core can do at most, and what one of everything costs. See ``loadtests/README.md``."""
