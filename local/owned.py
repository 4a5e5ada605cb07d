"""Runs a Python module that ends with its owner, however the owner ends.

``python -m local.owned <module> <arguments>``: the owner holds the other end of this process's standard input and
never writes to it. Where the owner is gone - a crash, ``kill -9`` - the system closes that end, and this process ends
itself and its process group: politely first, then for certain. It works the same on Linux and macOS, asks nobody
for process ids, and cannot mistake another process for the owner.

To be started with a session of its own: the group that it ends is the one that it leads.
"""

import os
import runpy
import signal
import sys
import threading
import time

_POLITE_SECONDS = 10.0


def end_with_owner() -> None:
    """Waits until standard input is closed, then ends the process group that this process leads."""
    os.read(0, 1)
    os.killpg(os.getpid(), signal.SIGTERM)
    time.sleep(_POLITE_SECONDS)
    os.killpg(os.getpid(), signal.SIGKILL)


def main() -> None:
    module = sys.argv[1]
    threading.Thread(target=end_with_owner, name="end-with-owner", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
