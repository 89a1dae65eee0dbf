"""Runs a program that gets SIGTERM when the process that started it dies (Linux); elsewhere just runs it.

``python -m schnet_calc.ipi.with_parent PID PROGRAM ARGUMENTS``: PID is the starting process.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of ``prctl(2)``; it outlives ``execve``."""


def main() -> None:
    """Ask the kernel for the signal, then become the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(f"process {parent} is gone already")
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
