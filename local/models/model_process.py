"""A model server's process: started when it is first needed, started again where it ended, gone with its owner."""

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.models.openai_client import AwayError
from local.process import PROJECT, tail

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has greeted, and where it listens."""

    process: subprocess.Popen[bytes]
    address: str


class ModelProcess:
    """One model server for as long as this process lives.

    A process of its own, because an answer takes a processor for a while, and the engine's event loop must not wait.
    The module that it runs prints ``listening on PORT`` when it does, serves on the loopback, and ends when its
    standard input closes: so it ends with its owner, even where that was killed.
    """

    def __init__(self, module: str, log: Path, arguments: Sequence[str] = ()) -> None:
        """``python -m module arguments``, what it says of itself appended to ``log``."""
        self._command = (sys.executable, "-m", module, *arguments)
        self._log = log
        self._lock = threading.Lock()
        self._running: Running | None = None

    def address(self) -> str:
        """Where it listens, started if need be; raises AwayError with the end of its log where it does not start."""
        with self._lock:
            if self._running is None or self._running.process.poll() is not None:
                _close_pipes(self._running)
                self._running = self.start()
            return self._running.address

    def process_id(self) -> int | None:
        """The process's id, or None where nothing runs now."""
        running = self._running
        return running.process.pid if running and running.process.poll() is None else None

    def stop(self) -> None:
        """Ends it where it runs, and waits until it has."""
        with self._lock:
            if self._running:
                self._running.process.kill()
                self._running.process.wait()
            _close_pipes(self._running)
            self._running = None

    def start(self) -> Running:
        """Starts one more, and returns when it listens; for ``address`` to call. Raises AwayError."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as sink:
            process = subprocess.Popen(  # noqa: S603 - our own modules
                self._command,
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
            _close_pipes(Running(process, ""))
            raise AwayError(f"The model server does not start. The end of {self._log}:\n{tail(self._log)}")
        return Running(process, f"http://127.0.0.1:{greeting.rpartition(' ')[2].strip()}")


def _close_pipes(ended: Running | None) -> None:
    for pipe in (ended.process.stdin, ended.process.stdout) if ended else ():
        if pipe:
            pipe.close()
