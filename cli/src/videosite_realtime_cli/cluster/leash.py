"""Runs in the child before its program: ties its life to ours, then becomes the program.

    python -IS leash.py PARENT_PID PROGRAM ARGUMENT…

On Linux the kernel kills a leashed process when its parent dies, even of SIGKILL. This cannot be asked for from
outside, and ``preexec_fn`` is unsafe beside threads; so it is asked for here and kept over ``exec``.
Elsewhere the program simply runs. Imports nothing of ours: it is started by its path.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the request: then nobody would ever pull.
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
