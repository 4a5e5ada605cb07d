"""Running the product's own commands as a person would, in a folder of the test's own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local.places import Place
from local.process import PROJECT

DEADLINE_SECONDS = 120


def local(home: Path, *arguments: str, seconds: float = DEADLINE_SECONDS) -> subprocess.CompletedProcess[str]:
    """``python -m local`` until it ends; what it printed is one text."""
    return subprocess.run(
        command(home, arguments),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )


def command(home: Path, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "local", "--home", str(home), *arguments]


def group_is_gone(leader: int) -> bool:
    """Whether no process is left of the group that ``leader`` led."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False


def only_place(home: Path, kind: str) -> Place | None:
    """The place of the one ``run`` or ``demo`` below ``home``, once its engine is recorded."""
    places = [Place(folder) for folder in home.glob(f"{kind}-*/")]
    return next((place for place in places if place.recorded()), None)
