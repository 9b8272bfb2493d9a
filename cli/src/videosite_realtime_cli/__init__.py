"""`videosite-realtime`: a local cluster, tokens, messages and a live view, on the command line.

main.py        the command itself; how an error becomes one line
commands/      one file per command: up, token, send, tail, stats
cluster/       what `up` needs: a plan, parts on a leash, the crew that watches them
settings.py    where the cluster is and what opens it: options, environment, then `local_file.py`
identity.py    claims and development tokens
client.py      the rules of a client of the node, without I/O; `listen.py` puts them on a socket
render.py      messages as lines of a terminal
"""
