"""The command's entry: ``videosite-realtime``, or ``python -m videosite_realtime_cli``."""

from __future__ import annotations

import signal


def run() -> None:
    """Load the program and run it."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        # Loading takes most of a second, and nothing is to be undone yet: Ctrl-C just ends it, without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from videosite_realtime_cli.main import app

    signal.signal(signal.SIGINT, before)
    app(prog_name="videosite-realtime")


if __name__ == "__main__":
    run()
