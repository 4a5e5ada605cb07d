"""`make demo` and `make run`: what they show, what they write, and that nothing of them stays, however they end."""

import json
import os
import pty
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from local.places import Place
from local.process import PROJECT
from tests.engine.waiting import wait_until
from tests.local.commands import DEADLINE_SECONDS, command, group_is_gone, local, only_place


def test_demo_writes_its_report_and_leaves_nothing(tmp_path: Path) -> None:
    done = local(tmp_path, "demo")

    assert done.returncode == 0, done.stdout
    report = json.loads((tmp_path / "demo.json").read_text())
    assert report.keys() == {"started", "ready_s", "flows", "lost", "dead_letters"}
    assert (report["lost"], report["dead_letters"]) == (0, 0)
    assert 0 < report["ready_s"] < DEADLINE_SECONDS
    flow, document, chat, investigation = report["flows"]
    assert flow.keys() == document.keys() == chat.keys() == investigation.keys()
    assert flow.keys() == {"name", "ok", "correlation_id", "total_ms", "events", "result"}
    assert flow["name"] == "transaction"
    assert flow["ok"] is True
    kinds = {event["detail_type"]: event["source"] for event in flow["events"]}
    assert next(iter(kinds)) == "TransactionFlagged"
    assert kinds == {
        "TransactionFlagged": "backbone.payments",
        "CaseOpened": "backbone.cases",
        "CustomerNotified": "backbone.payments",
    }
    assert 0 < flow["events"][0]["at_ms"] <= flow["events"][1]["at_ms"] <= flow["total_ms"]
    assert flow["result"]["reasons"]
    assert flow["result"]["hops_ms"].keys() == {"row", "notice", *kinds}
    assert not list(tmp_path.glob("demo-*/"))
    assert (document["name"], document["ok"]) == ("document", True)
    assert [event["detail_type"] for event in document["events"]] == ["DocumentSummarized"] * 3
    summarized = document["result"]["documents"]
    assert {one["file_name"].rpartition(".")[2] for one in summarized} == {"pdf", "docx", "html"}
    assert all(sentence["passages"] for one in summarized for sentence in one["summary"]["sentences"])
    assert "Profile light" in done.stdout
    assert (chat["name"], chat["ok"]) == ("chat", True)
    said = chat["result"]["exchanges"]
    assert [event["detail_type"] for event in chat["events"]].count("ChatAnswered") == len(said) == 5
    assert said[2]["citations"]
    assert said[3]["asks_to"]["tool"] == "block_card"
    assert (investigation["name"], investigation["ok"]) == ("investigation", True)
    cases = investigation["result"]["cases"]
    assert {"approval", "release"} <= {case["ended_by"] for case in cases}
    told = [event["detail_type"] for event in investigation["events"]]
    assert told.index("ActionProposed") < told.index("ActionApproved") < told.index("CaseClosed")
    assert all(step["reasoning"] for case in cases for step in case["steps"])


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_demo_leaves_no_process_when_it_is_ended(tmp_path: Path, ending: signal.Signals) -> None:
    with started(tmp_path, "demo") as demo:
        place = wait_for_engine(tmp_path, "demo")
        engine = place.recorded()
        assert engine
        children = children_of(demo.pid)  # the engine, and the build beside it
        demo.send_signal(ending)
        demo.wait(DEADLINE_SECONDS)
    wait_until(lambda: group_is_gone(engine.pid), 20, "the engine's process group ends with its owner")
    wait_until(lambda: not any(map(is_alive, children)), 20, "what the command started ends with it")


def test_next_demo_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    left = tmp_path / "demo-killed"
    (left / "engine").mkdir(parents=True)

    assert local(tmp_path, "status").returncode == 0
    with started(tmp_path, "demo") as demo:
        wait_for_engine(tmp_path, "demo")
        assert not left.exists()
        demo.terminate()
        demo.wait(DEADLINE_SECONDS)


def test_run_stays_up_in_a_terminal_and_ends_cleanly_on_ctrl_c(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    said: list[bytes] = []
    with subprocess.Popen(command(tmp_path, ["run"]), cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        reader = threading.Thread(target=read_all, args=(ours, said))
        reader.start()
        wait_until(lambda: b"stays up at" in b"".join(said), DEADLINE_SECONDS, "run stays up after its play")
        place = only_place(tmp_path, "run")
        assert place
        engine = place.recorded()
        assert engine
        assert run.poll() is None
        assert json.loads(place.outputs_file.read_text())["TransactionsStreamName"]
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 0
        reader.join()
    os.close(ours)
    text = b"".join(said).decode()
    assert "fraud model: embedded, version" in text
    assert "Traceback" not in text
    wait_until(lambda: group_is_gone(engine.pid), 20, "the engine's process group is gone")


def started(home: Path, verb: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(home, [verb]),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )


def wait_for_engine(home: Path, kind: str) -> Place:
    place = wait_until(lambda: only_place(home, kind), DEADLINE_SECONDS, f"{kind} starts an engine")
    assert place
    return place


def children_of(parent: int) -> list[int]:
    """The processes that ``parent`` started, where the system lists them (Linux does)."""
    return [pid for pid, (state, ppid) in processes().items() if ppid == parent and state != "Z"]


def processes() -> dict[int, tuple[str, int]]:
    """State and parent of every process, from /proc/<pid>/stat: "pid (name) state ppid ..."."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it has just ended
        found[int(file.parent.name)] = (state, int(parent))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be noticed does not."""
    return processes().get(pid, ("Z", 0))[0] != "Z"


def read_all(terminal: int, into: list[bytes]) -> None:
    """Reads what is written to a terminal until nobody has it open any more (Linux then answers EIO)."""
    try:
        while chunk := os.read(terminal, 65536):
            into.append(chunk)
    except OSError:
        return
