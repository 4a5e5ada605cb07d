"""Starting, watching and stopping the engine's process, with no orphan left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_PORT = 4566
_START_DEADLINE_SECONDS = 60.0  # a second or two; a busy machine may take its time
_STOP_DEADLINE_SECONDS = 10.0
_GROUP_END_SECONDS = 5.0
_BETWEEN_LOOKS_SECONDS = 0.01


class EngineError(Exception):
    """The engine did not start, or is not running; the message says what to do."""


def free_port(preferred: int = 0) -> int:
    """``preferred`` where nothing listens on it, else a port that the system picks."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_healthy(endpoint: str) -> bool:
    """Whether an engine answers at ``endpoint``."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=1) as response:  # noqa: S310 - loopback
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@dataclass
class EngineProcess:
    """A running engine. As a context manager it stops the engine, and whatever the engine started, on the way out."""

    process: subprocess.Popen[bytes]
    endpoint: str
    home: Path
    log: Path

    @classmethod
    def start(cls, *, home: Path, region: str, port: int = 0, also_listen: Sequence[str] = ()) -> Self:
        """Starts an owned engine below ``home`` and returns when it answers; EngineError has the log's tail if not."""
        engine = cls.spawn(home=home, region=region, port=port, also_listen=also_listen)
        engine.await_health()
        return engine

    @classmethod
    def spawn(
        cls,
        *,
        home: Path,
        region: str,
        port: int = 0,
        owned: bool = True,
        inherited: Sequence[int] = (),
        also_listen: Sequence[str] = (),
    ) -> Self:
        """Starts an engine below ``home`` and returns at once.

        ``port`` 0 lets the system choose. An ``owned`` engine ends with this process, however this process ends
        (``local.owned``); another one stays. It listens on loopback and on the addresses in ``also_listen``.
        ``inherited`` file descriptors stay open for as long as the engine lives. The engine leads a process group of
        its own, so that one signal reaches its workers too, and Ctrl-C in a terminal reaches only the command that
        owns it.
        """
        home.mkdir(parents=True, exist_ok=True)
        chosen = port or free_port()
        log = home / "engine.log"
        arguments = ["local.engine", "--port", str(chosen), "--home", str(home), "--region", region]
        arguments += [f"--also-listen={address}" for address in also_listen]
        with log.open("ab") as sink:
            process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
                [sys.executable, "-m", *(["local.owned"] if owned else []), *arguments],
                cwd=PROJECT,
                env=with_bytecode(os.environ),
                stdout=sink,
                stderr=subprocess.STDOUT,
                stdin=subprocess.PIPE if owned else subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=inherited,
            )
        return cls(process, f"http://127.0.0.1:{chosen}", home, log)

    def await_health(self) -> None:
        """Returns when the engine answers; stops it and raises EngineError with the log's tail where it does not."""
        deadline = time.monotonic() + _START_DEADLINE_SECONDS
        try:
            while not is_healthy(self.endpoint):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise EngineError(f"The engine did not start. The end of {self.log}:\n{tail(self.log)}")
                time.sleep(0.05)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Asks the engine to end, then makes sure that its whole process group is gone."""
        signal_group(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(_STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            signal_group(self.process.pid, signal.SIGKILL)
            self.process.wait()
        signal_group(self.process.pid, signal.SIGKILL)
        _await_group_end(self.process.pid)
        _close(self.process.stdin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def with_bytecode(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without the switch that keeps Python from writing bytecode: it doubles what each start takes."""
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


def tail(log: Path, lines: int = 20) -> str:
    """The last ``lines`` lines of ``log``, or a word that it is empty."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"


def signal_group(leader: int, which: signal.Signals) -> None:
    """Signals the process group of ``leader``; does nothing where it is gone already."""
    try:
        os.killpg(leader, which)
    except ProcessLookupError:
        return


def _await_group_end(leader: int) -> None:
    """Waits until the last of a group that was killed is gone: that takes a killed process a moment, too."""
    deadline = time.monotonic() + _GROUP_END_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(leader, 0)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of those that only wait to be noticed
            return
        time.sleep(_BETWEEN_LOOKS_SECONDS)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()
