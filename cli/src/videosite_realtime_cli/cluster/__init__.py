"""A cluster of processes on this machine, for `videosite-realtime up`.

plan      what runs where, with which environment: pure
ports     are they free?
valkey    the embedded server, or the one that REDIS_URL names
part      one child process: leashed, logged, stopped within bounds
leash     the few lines that run in the child before its program
crew      all parts: started, watched, stopped in order
follow    their logs, mixed into the terminal
welcome   what runs where, told
"""
