"""The first thing that runs in a worker's process: it stands for /var/runtime/bootstrap of AWS's Python image.

``python -I -S start.py`` (isolated: no site-packages of this Python, no PYTHON* variables, no current folder) sets
``sys.path`` to what a function sees on AWS and hands over to AWS's Runtime Interface Client. It must import as little
as it can: all of it is part of every cold start.

Arguments: the folder that stands for /opt (or "-"), and the file descriptor of the lifeline.
"""

import fcntl
import importlib
import os
import select
import signal
import site
import sys


def main() -> None:
    opt, lifeline = sys.argv[1], int(sys.argv[2])
    end_with_the_engine(lifeline)
    import_runtime_client()
    site_folders = importable_folders(os.environ["LAMBDA_TASK_ROOT"], opt)
    sys.path[:0] = site_folders
    sys.path.append(os.environ["LAMBDA_RUNTIME_DIR"])
    for folder in site_folders:
        site.addsitedir(folder)  # so that .pth files of a function or a layer work, as they do on AWS

    sys.argv = ["awslambdaric", os.environ["_HANDLER"]]
    importlib.import_module("awslambdaric.__main__").main(sys.argv)


def end_with_the_engine(lifeline: int) -> None:
    """Has the kernel end this process when the engine's process ends, however that ends.

    ``lifeline`` is the reading end of a pipe whose only writing end the engine holds. With O_ASYNC the kernel sends
    SIGIO once that end is closed, and SIGIO's default on Linux is to end the process, busy or not, without a thread.
    Other systems ignore SIGIO by default, so there a handler does it.
    """
    if sys.platform != "linux":
        signal.signal(signal.SIGIO, lambda _number, _frame: os._exit(1))
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    gone_already, _, _ = select.select([lifeline], [], [], 0)
    if gone_already:
        os._exit(1)


def import_runtime_client() -> None:
    """Loads the module beside this one first, so that awslambdaric finds it rather than its own extension."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs 10 ms of a cold start
    sys.path.insert(0, here)
    importlib.import_module("runtime_client")
    sys.path.remove(here)


def importable_folders(task_root: str, opt: str) -> list[str]:
    """The function's code, then its layers' packages: the order of AWS's search path."""
    if opt == "-":
        return [task_root]
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return [task_root, f"{opt}/python/lib/{version}/site-packages", f"{opt}/python"]


if __name__ == "__main__":
    main()
