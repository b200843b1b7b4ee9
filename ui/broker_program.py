"""Becomes the broker's server, which ends when the process that started it ends, however that ends."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h; survives exec


def main() -> None:
    """`python -m ui.broker_program PARENT_PID SERVER ARGUMENT...`."""
    parent_pid, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        # Asked for here, in a process with one thread, and not between fork and exec of one with many.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before the signal was arranged
        sys.exit("The process that started the broker is gone.")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
