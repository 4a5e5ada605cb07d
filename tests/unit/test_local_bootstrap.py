"""The bootstrap: needs Python 3.13 and says so, and does nothing where nothing changed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from local.process import PROJECT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the bootstrap and a lock in it, and a PATH on which every Python is of another version."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "requirements").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(PROJECT / "scripts" / "bootstrap.sh", tmp_path / "scripts")
    (tmp_path / "requirements" / "run.txt").write_text("nothing==1\n")
    for name in ("python3.13", "python3", "python"):
        an_executable(tmp_path / "bin" / name, "exit 1")
    return tmp_path


def an_executable(file: Path, line: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


def bootstrap(clone: Path, name: str = "run") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{clone / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin", "HOME": str(clone)}
    return subprocess.run(
        [clone / "scripts" / "bootstrap.sh", name], env=environment, capture_output=True, text=True, check=False
    )


def test_bootstrap_says_what_to_do_when_there_is_no_python_313(clone: Path) -> None:
    done = bootstrap(clone)

    assert done.returncode == 1
    assert "Python 3.13 was not found" in done.stderr
    assert "PYTHON=" in done.stderr
    assert not (clone / ".venv").exists()


def test_bootstrap_does_nothing_when_the_lock_is_installed(clone: Path) -> None:
    an_executable(clone / ".venv" / "bin" / "python", "exit 0")
    an_executable(clone / ".venv" / "bin" / "uv", "echo uv ran; exit 1")
    (clone / ".venv" / ".bootstrapped").touch()
    lock = clone / "requirements" / "run.txt"
    with lock.open("rb") as content:
        checksum = subprocess.run(["cksum"], stdin=content, capture_output=True, text=True, check=True).stdout
    (clone / ".venv" / ".installed-run").write_text(f"run {checksum}")

    done = bootstrap(clone)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bootstrap_installs_again_when_the_lock_has_changed(clone: Path) -> None:
    an_executable(clone / ".venv" / "bin" / "python", "exit 0")
    an_executable(clone / ".venv" / "bin" / "uv", 'echo "uv $*"')
    (clone / ".venv" / ".bootstrapped").touch()
    (clone / ".venv" / ".installed-run").write_text("run of another lock\n")

    done = bootstrap(clone)

    assert done.returncode == 0
    assert "--require-hashes --no-deps -r requirements/run.txt" in done.stdout
    assert bootstrap(clone).stdout == ""
