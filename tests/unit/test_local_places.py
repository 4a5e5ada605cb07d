"""Places: who holds one is known from a lock, and a damaged record is no record."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.places import Place, RunningEngine, current, passing
from local.process import EngineError, free_port
from tests.engine.waiting import wait_until

ENGINE = RunningEngine(pid=123, port=4566, started=1.5, backfilled="profiles")


def test_claim_is_refused_while_another_holds_the_place(tmp_path: Path) -> None:
    place = Place(tmp_path)
    first = place.claim()
    assert first is not None

    assert place.claim() is None
    assert place.is_taken()
    os.close(first)

    assert not place.is_taken()


def test_place_is_taken_until_the_process_that_inherited_its_lock_is_killed(tmp_path: Path) -> None:
    place = Place(tmp_path)
    lock = place.claim()
    assert lock is not None
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[lock]) as holder:
        os.close(lock)
        assert place.is_taken()
        holder.kill()
    assert not place.is_taken()


def test_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    Place(tmp_path).record(ENGINE)

    assert Place(tmp_path).recorded() == ENGINE
    assert ENGINE.endpoint == "http://127.0.0.1:4566"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "port": 1, "started": 1}'])
def test_damaged_record_is_no_record(tmp_path: Path, content: str) -> None:
    (tmp_path / "engine.json").write_text(content)

    assert Place(tmp_path).recorded() is None


def test_recorded_engine_does_not_run_when_nobody_holds_the_lock(tmp_path: Path) -> None:
    Place(tmp_path).record(ENGINE)

    assert Place(tmp_path).running() is None
    with pytest.raises(EngineError, match="make up"):
        current(tmp_path)


def test_passing_place_removes_dead_ones_and_spares_live_ones(tmp_path: Path) -> None:
    dead, live = passing("demo", tmp_path), passing("run", tmp_path)
    lock = live.claim()
    assert lock is not None

    passing("demo", tmp_path)

    assert not dead.folder.exists()
    assert live.folder.exists()
    os.close(lock)


def test_free_port_is_another_when_the_preferred_one_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        preferred = taken.getsockname()[1]

        assert free_port(preferred) != preferred


def test_owned_module_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    child = tmp_path / "child"
    (tmp_path / "endless.py").write_text(
        f"import os, pathlib, time\npathlib.Path({str(child)!r}).write_text(str(os.getpid()))\ntime.sleep(60)\n"
    )
    owner = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-m', 'local.owned', 'endless'], stdin=subprocess.PIPE,"
        " start_new_session=True)\n"
        "time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", owner], env=environment) as process:
        pid = int(wait_until(lambda: child.exists() and child.read_text(), 20, "the owned module runs"))
        process.kill()
    wait_until(lambda: not alive(pid), 5, "the owned module ends with its owner")


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or ") Z " not in status.read_text()
