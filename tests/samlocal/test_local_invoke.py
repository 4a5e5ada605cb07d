"""``sam local invoke``: each function with each of its sample events, in the Lambda base image, against the stack.

Needs a container engine. Where there is none these tests skip and say so; with BACKBONE_REQUIRE_CONTAINER=1 they fail.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from local.process import PROJECT, EngineProcess
from tests.samlocal.containers import BASE_IMAGE, bridge_address, docker
from tests.stack.deployed import Stack, sam

LOGICAL_IDS = {"score_transactions": "ScoreTransactionsFunction", "notify_customer": "NotifyCustomerFunction"}
EVENTS = sorted((PROJECT / "events").glob("*/*.json"))


@pytest.fixture(scope="module", autouse=True)
def container_engine() -> None:
    """Skips without a container engine whose containers can reach this machine, unless one is required."""
    if bridge_address() is not None:
        return
    reason = "no container engine that shares a network with this machine: `sam local invoke` cannot run here"
    if os.environ.get("BACKBONE_REQUIRE_CONTAINER"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def variables(stack: Stack, engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the deployed functions have in their environment, as ``--env-vars`` takes it."""
    here = engine.endpoint.replace("127.0.0.1", bridge_address() or "127.0.0.1")
    functions = stack.client("lambda")
    said = {
        logical: functions.get_function_configuration(FunctionName=stack.resource(logical))["Environment"]["Variables"]
        for logical in LOGICAL_IDS.values()
    }
    for function in said.values():
        function["AWS_ENDPOINT_URL"] = here
    path = tmp_path_factory.mktemp("samlocal") / "variables.json"
    path.write_text(json.dumps(said))
    return path


def test_every_function_of_the_template_has_a_name_here_and_sample_events() -> None:
    folders = {path.name for path in (PROJECT / "functions").iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert folders == LOGICAL_IDS.keys()
    assert all(len([event for event in EVENTS if event.parent.name == folder]) >= 3 for folder in folders)


@pytest.mark.parametrize("event", EVENTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_function_answers_its_sample_event_in_the_lambda_image(
    engine: EngineProcess, variables: Path, event: Path
) -> None:
    answer = invoke(engine, variables, event)
    failures = answer["batchItemFailures"]
    if event.parent.name == "notify_customer" and event.stem == "bad":
        assert failures  # what cannot be read is given back, and ends in the dead-letter queue
    else:
        assert failures == []


def invoke(engine: EngineProcess, variables: Path, event: Path) -> dict[str, Any]:
    """The function's answer: a line of its own among what the container logged. AssertionError where there is none."""
    image = ["--skip-pull-image"] if docker("image", "inspect", BASE_IMAGE) is not None else []
    printed = sam(
        engine,
        "local",
        "invoke",
        LOGICAL_IDS[event.parent.name],
        "--event",
        str(event),
        "--env-vars",
        str(variables),
        *image,
    )
    answers = [line for line in printed.splitlines() if line.startswith('{"batchItemFailures"')]
    assert len(answers) == 1, printed
    answer: dict[str, Any] = json.loads(answers[0])
    return answer
