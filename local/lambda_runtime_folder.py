"""The folder that stands for /var/runtime: what AWS's python3.13 image brings, and nothing else.

It holds the packages of requirements/lambda-runtime.txt (AWS's Runtime Interface Client, boto3 and what they need),
installed from that lock with its hashes. A function sees them, its own code and its layers; it does not see the
packages of the project's virtual environment.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

_LOCK = Path("requirements/lambda-runtime.txt")
_FOLDER = Path(".local/lambda-runtime")
_STAMP = ".made-from"

# The Python that the virtual environment was made from: itself, without the environment's packages.
BASE_PYTHON: str = getattr(sys, "_base_executable", sys.executable)


class LambdaRuntimeError(Exception):
    """The runtime folder could not be made; the message holds the installer's own words."""


def ensure_lambda_runtime(project: Path) -> Path:
    """``<project>/.local/lambda-runtime``, made or made anew where the lock has changed since; else returned at once.

    Needs the package index only when it has something to install. Two callers at the same time do each other no harm:
    the folder is filled beside its place and renamed into it. Raises LambdaRuntimeError where the installer fails.
    """
    lock, folder = project / _LOCK, project / _FOLDER
    wanted = _stamp_of(lock)
    if _is_made_from(folder, wanted):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lambda-runtime-", dir=folder.parent) as scratch:
        filled = Path(scratch) / "new"
        _install(lock, filled)
        (filled / _STAMP).write_text(wanted)
        _put_in_place(filled, folder, Path(scratch) / "old", wanted)
    return folder


def _stamp_of(lock: Path) -> str:
    """The lock's hash and the machine's kind: a folder that was made elsewhere may hold another system's binaries."""
    return (
        f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.implementation.cache_tag} {sysconfig.get_platform()}\n"
    )


def _is_made_from(folder: Path, stamp: str) -> bool:
    made_from = folder / _STAMP
    return made_from.is_file() and made_from.read_text() == stamp


def _install(lock: Path, target: Path) -> None:
    command = [*_installer(), "--target", str(target), "--require-hashes", "--no-deps", "-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode != 0:
        raise LambdaRuntimeError(f"Could not install {lock} ({' '.join(command[:4])} ...):\n{done.stderr[-2000:]}")


def _installer() -> list[str]:
    """uv where it is at hand (a second), else pip (ten). Both compile, so that cold starts do not have to.

    An environment that uv made holds no pip; then the pip of the Python that it was made from serves as well.
    """
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", sys.executable]
    python = sys.executable if find_spec("pip") else BASE_PYTHON
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _put_in_place(filled: Path, folder: Path, aside: Path, stamp: str) -> None:
    if folder.exists():
        folder.rename(aside)
    try:
        os.rename(filled, folder)  # noqa: PTH104 - os.rename refuses a folder that another process has put there
    except OSError:
        if not _is_made_from(folder, stamp):
            raise
