"""Traces of the local cluster: received, kept for a while, and shown at the terminal.

receiver.py    an OTLP/HTTP endpoint on loopback, a process beside the cluster's
  decode.py    OTLP's messages → spans
  store.py     the newest traces, bounded
archive.py     what the commands ask the receiver
hops.py        from spans to the hops of a message, and their times
waterfall.py   one trace as lines of a terminal
"""
