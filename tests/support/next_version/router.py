"""A router of the next version: ``python -m tests.support.next_version.router``."""

from __future__ import annotations

import sys

from tests.support.next_version import changes

if __name__ == "__main__":
    changes.apply()
    from router.__main__ import main

    sys.exit(main())
