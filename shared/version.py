"""The version of the services, as they tell it."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("videosite-realtime-cluster")
except PackageNotFoundError:  # run from a plain checkout, never installed
    VERSION = "0.0.0"
