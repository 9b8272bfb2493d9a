"""``python -m videosite_realtime_cli``: the same as ``videosite-realtime``."""

from videosite_realtime_cli.main import app

app(prog_name="videosite-realtime")
