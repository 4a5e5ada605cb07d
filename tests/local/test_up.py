"""`make up`, `status` and `down`: a stack that stays, found again, brought up to date, and ended without a trace."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.places import Place, RunningEngine, lasting
from local.process import PROJECT
from local.stack import client
from tests.engine.waiting import wait_until
from tests.local.commands import group_is_gone, local

SAM = Path(sys.executable).parent / "sam"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which `up` has been run; whatever runs there at the end is ended."""
    folder = tmp_path_factory.mktemp("up")
    done = local(folder, "up")
    assert done.returncode == 0, done.stdout
    yield folder
    assert local(folder, "down").returncode == 0


def engine_of(home: Path) -> RunningEngine:
    engine = lasting(home).running()
    assert engine
    return engine


def test_env_file_points_any_tool_at_the_stack_when_sourced(home: Path) -> None:
    script = f". {home}/env && echo $AWS_ENDPOINT_URL && {SAM} list stack-outputs --stack-name backbone --output json"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "SAM_CLI_TELEMETRY": "0", "AWS_PROFILE": "nobody"}
    done = subprocess.run(
        ["sh", "-c", script], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )

    address, _, listed = done.stdout.partition("\n")
    assert address == engine_of(home).endpoint
    outputs = {output["OutputKey"]: output["OutputValue"] for output in json.loads(listed)}
    written = json.loads((home / "outputs.json").read_text())
    assert outputs.keys() == written.keys()
    assert outputs["TransactionsTableName"] == written["TransactionsTableName"]


def test_outputs_hold_addresses_that_work_here(home: Path) -> None:
    outputs = json.loads((home / "outputs.json").read_text())

    sqs = client("sqs", engine_of(home).endpoint)
    assert sqs.get_queue_attributes(QueueUrl=outputs["InvestigationsQueueUrl"], AttributeNames=["QueueArn"])
    assert "amazonaws.com" not in json.dumps(outputs)


def test_up_loads_a_past_when_the_stack_is_new(home: Path) -> None:
    table = json.loads((home / "outputs.json").read_text())["ProfilesTableName"]

    found = client("dynamodb", engine_of(home).endpoint).scan(TableName=table, Select="COUNT")["Count"]

    assert found > 500


def test_status_says_what_runs(home: Path) -> None:
    said = local(home, "status").stdout

    assert engine_of(home).endpoint in said
    assert f"pid {engine_of(home).pid}" in said
    assert re.search(r"stack backbone: \w+_COMPLETE", said)
    assert re.search(r"InvestigationsQueue\W+0", said)
    assert "0 flagged" in said


def test_up_keeps_the_engine_when_it_runs_already(home: Path) -> None:
    before = engine_of(home)

    done = local(home, "up")

    assert done.returncode == 0, done.stdout
    assert engine_of(home) == before


def test_invoke_says_what_is_missing_when_nothing_runs(tmp_path: Path) -> None:
    done = local(tmp_path, "invoke", "notify_customer", "event.json")

    assert done.returncode == 1
    assert "make up" in done.stdout


def test_up_starts_anew_when_the_engine_was_killed(home: Path) -> None:
    before = engine_of(home)
    os.kill(before.pid, signal.SIGKILL)
    wait_until(lambda: not lasting(home).is_taken(), 5, "the system lets go of the killed engine's lock")
    assert "ended by itself" in local(home, "status").stdout

    done = local(home, "up")

    assert done.returncode == 0, done.stdout
    assert engine_of(home).pid != before.pid
    wait_until(lambda: group_is_gone(before.pid), 5, "what the killed engine left is gone")


def test_down_leaves_nothing_and_can_be_said_twice(home: Path) -> None:
    engine = engine_of(home)

    assert local(home, "down").returncode == 0
    wait_until(lambda: group_is_gone(engine.pid), 5, "the system clears the engine away")
    assert not (home / "env").exists()
    assert "Nothing runs" in local(home, "status").stdout
    assert local(home, "down").returncode == 0


def test_down_spares_a_stranger_when_a_stale_record_names_its_pid(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        Place(tmp_path).record(RunningEngine(stranger.pid, 1, 0.0))

        done = local(tmp_path, "down")

        assert done.returncode == 0
        assert stranger.poll() is None
        assert lasting(tmp_path).recorded() is None
        stranger.kill()
