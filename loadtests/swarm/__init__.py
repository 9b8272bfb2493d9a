"""The users of a load test, and how it is known that each was shown everything. See ``loadtests/README.md``."""
