"""The light server's process: started when it is first needed, started again where it ended, gone with its owner."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from local.models.openai_client import AwayError
from local.process import PROJECT, tail

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    address: str


class LightProcess:
    """One light server for as long as this process lives.

    A process of its own, because a summary takes a processor for a while, and the engine's event loop must not wait.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "light-model.log"
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def address(self) -> str:
        """Where it listens, started if need be; raises AwayError with the end of its log where it does not start."""
        with self._lock:
            if self._running is None or self._running.process.poll() is not None:
                _close_pipes(self._running)
                self._running = self._start()
            return self._running.address

    def process_id(self) -> int | None:
        """The process's id, or None where nothing runs now."""
        running = self._running
        return running.process.pid if running and running.process.poll() is None else None

    def _start(self) -> _Running:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "local.models.light_server"],
                cwd=PROJECT,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                stdin=subprocess.PIPE,  # never written to: its end tells the server that its owner is gone
                stdout=subprocess.PIPE,
                stderr=sink,
            )
        greeting = process.stdout.readline().decode() if process.stdout else ""
        if not greeting.startswith("listening on "):
            process.kill()
            process.wait()
            raise AwayError(f"The light model server does not start. The end of {self._log}:\n{tail(self._log)}")
        return _Running(process, f"http://127.0.0.1:{greeting.rpartition(' ')[2].strip()}")


def _close_pipes(ended: _Running | None) -> None:
    for pipe in (ended.process.stdin, ended.process.stdout) if ended else ():
        if pipe:
            pipe.close()
