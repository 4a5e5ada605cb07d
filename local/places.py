"""Where an engine and all that belongs to it live: one folder each, below .local/.

    .local/                 what `make up` started
    .local/run-*, demo-*    what a `make run` or `make demo` started, for as long as that lasts

Whether an engine runs in a place is not asked of process ids, which are used again, but of a lock: the engine inherits
the open file, and the system lets go of it however the engine ends.
"""

import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from local.process import PROJECT, EngineError, signal_group

LOCAL = PROJECT / ".local"
_STOP_DEADLINE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """What is remembered of an engine: ``started`` in seconds since the epoch; ``backfilled`` names the table that
    holds the made-up history, empty before."""

    pid: int
    port: int
    started: float
    backfilled: str = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder for one engine."""

    folder: Path

    @property
    def engine_home(self) -> Path:
        return self.folder / "engine"

    @property
    def environment_file(self) -> Path:
        return self.folder / "env"

    @property
    def outputs_file(self) -> Path:
        return self.folder / "outputs.json"

    @property
    def _record_file(self) -> Path:
        return self.folder / "engine.json"

    @property
    def _lock_file(self) -> Path:
        return self.folder / "engine.lock"

    def claim(self) -> int | None:
        """The file descriptor that holds this place's lock, to be inherited by its engine; None where it is taken."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def is_taken(self) -> bool:
        """Whether an engine runs here, or is being started."""
        descriptor = self.claim() if self._lock_file.exists() else None
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None and self._lock_file.exists()

    def record(self, engine: RunningEngine) -> None:
        """Remembers ``engine``; a reader sees the old record or the new one, never half of it."""
        scratch = self._record_file.with_suffix(".new")
        scratch.write_text(json.dumps(asdict(engine)))
        scratch.replace(self._record_file)

    def recorded(self) -> RunningEngine | None:
        """What was last remembered, whether it still runs or not; None where nothing was, or it cannot be read."""
        try:
            said: dict[str, Any] = json.loads(self._record_file.read_text())
            return RunningEngine(int(said["pid"]), int(said["port"]), float(said["started"]), str(said["backfilled"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def running(self) -> RunningEngine | None:
        """The engine that runs here; None where none does."""
        return self.recorded() if self.is_taken() else None

    def stop(self) -> RunningEngine | None:
        """Ends the engine here and forgets it; returns what ran, None where nothing did.

        A record that an engine left behind when it crashed is only removed: its process id may be somebody else's by
        now. Raises EngineError where an engine runs that no record tells of.
        """
        engine = self.recorded()
        if not self.is_taken():
            self._forget()
            return None
        if engine is None:
            raise EngineError(
                f"An engine runs in {self.folder}, but its record is lost. "
                f"End it by hand: look for `local.engine` and {self.engine_home} in the list of processes."
            )
        signal_group(engine.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_DEADLINE_SECONDS
        while self.is_taken() and time.monotonic() < deadline:
            time.sleep(0.05)
        signal_group(engine.pid, signal.SIGKILL)
        self._forget()
        return engine

    def _forget(self) -> None:
        for file in (self._record_file, self.environment_file, self.outputs_file):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.engine_home / "tmp", ignore_errors=True)


def lasting(home: Path = LOCAL) -> Place:
    """The place of `make up`."""
    return Place(home)


def passing(kind: str, home: Path = LOCAL) -> Place:
    """A new place for one ``run`` or ``demo``; those that an earlier, killed one left are removed."""
    for left in passing_places(home):
        if not left.is_taken():
            shutil.rmtree(left.folder, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    return Place(Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=home)))


def passing_places(home: Path = LOCAL) -> list[Place]:
    """Every place of a ``run`` or ``demo``, the newest last."""
    folders = [folder for kind in ("run", "demo") for folder in home.glob(f"{kind}-*/")]
    return [Place(folder) for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime)]


def current(home: Path = LOCAL) -> Place:
    """The place that commands without an engine of their own speak to: `make up`'s, else the newest `make run`'s.

    Raises EngineError where nothing runs.
    """
    for place in (lasting(home), *reversed(passing_places(home))):
        if place.running():
            return place
    raise EngineError("Nothing runs here. Start it with `make up`, or `make run` to see something happen.")
