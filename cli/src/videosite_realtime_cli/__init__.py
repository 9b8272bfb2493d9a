"""`videosite-realtime`: a local cluster, tokens, messages and a live view, on the command line.

__main__.py    loads the program; what Ctrl-C does meanwhile
main.py        the command itself; how an error becomes one line
commands/      one file per command: up, token, send, tail, stats, trace, plan
cluster/       what `up` needs: plans, starts and watches the processes of a local cluster
traces/        what `trace` needs: receives, keeps and shows the local cluster's traces
capacity/      what `plan` needs: measured unit costs, and the arithmetic on them
settings.py    addresses and credentials: options, environment, then what `up` left (`local_file.py`)
identity.py    claims and development tokens
client.py      the rules of a client of the node, without I/O; `listen.py` puts them on a socket
render.py      messages as lines of a terminal
"""
