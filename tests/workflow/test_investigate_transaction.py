"""The investigation state by state, through TestState with mocks: what executions cannot easily be led to."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.process import PROJECT
from tests.engine.stacks import Client
from tests.workflow import test_investigate_transaction_executions as executions

TEXT = (PROJECT / "statemachines" / "investigate_transaction.asl.json").read_text()
ROLE = "arn:aws:iam::000000000000:role/test"
VARIABLES = {
    "investigation": {"caseId": "c"},
    "step": 1,
    "tokens": 0,
    "costMicroDollars": 0,
    "waitedMilliseconds": 0,
    "reason": "asked",
}
SWITCHES = ("ReadSwitch", "ReadSwitchAgain")


def definition() -> dict[str, Any]:
    """The definition with its bounds put in."""
    text = TEXT
    for name, value in executions.BOUNDS.items():
        text = text.replace(f"${{{name}}}", value)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


STATES = definition()["States"]


def state(aws: Client, name: str, given: Any, **options: Any) -> dict[str, Any]:
    """What TestState says of one state of the definition."""
    answer: dict[str, Any] = aws("stepfunctions").test_state(
        definition=json.dumps({"QueryLanguage": "JSONata", **STATES[name]}),
        roleArn=ROLE,
        input=json.dumps(given),
        variables=json.dumps(options.pop("variables", VARIABLES)),
        **options,
    )
    return answer


@pytest.mark.parametrize("name", SWITCHES)
def test_switch_that_cannot_be_read_stops_the_agent(aws: Client, name: str) -> None:
    failed = {"errorOutput": {"error": "Ssm.InternalServerErrorException", "cause": "away"}}
    again = state(aws, name, {"kind": "act"}, mock=failed, inspectionLevel="DEBUG")
    assert again["status"] == "RETRIABLE", again
    tried = {"retrierRetryCount": 4}
    said = state(aws, name, {"kind": "act"}, mock=failed, inspectionLevel="DEBUG", stateConfiguration=tried)
    assert (said["status"], said["nextState"]) == ("CAUGHT_ERROR", "Escalate"), said


@pytest.mark.parametrize("kind", ["act", "conclude"])
@pytest.mark.parametrize("value", ["paused", "off", "ON", ""])
def test_anything_but_on_pauses_agents_just_before_they_do_something(aws: Client, kind: str, value: str) -> None:
    read = state(aws, "ReadSwitchAgain", {"kind": kind}, mock={"result": json.dumps({"Parameter": {"Value": value}})})
    assert json.loads(read["output"]) == {"switch": value, "kind": kind}
    assert state(aws, "MayItAct", json.loads(read["output"]))["nextState"] == "Escalate"


@pytest.mark.parametrize(("kind", "following"), [("act", "RequestAction"), ("conclude", "Conclude")])
def test_agent_that_may_go_on_does_what_was_planned(aws: Client, kind: str, following: str) -> None:
    assert state(aws, "MayItAct", {"switch": "on", "kind": kind})["nextState"] == following


def begun(minutes_ago: float) -> str:
    """The context of an execution that began so many minutes ago."""
    began = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return json.dumps({"Execution": {"StartTime": began.isoformat(timespec="milliseconds").replace("+00:00", "Z")}})


@pytest.mark.parametrize(
    ("minutes_ago", "waited_minutes", "following"),
    [(14, 0, "Plan"), (16, 0, "Escalate"), (1_500, 1_490, "Plan"), (1_500, 1_480, "Escalate")],
)
def test_time_of_work_is_bounded_and_time_waited_for_people_is_none(
    aws: Client, minutes_ago: float, waited_minutes: int, following: str
) -> None:
    variables = VARIABLES | {"waitedMilliseconds": waited_minutes * 60_000}
    said = state(aws, "CheckBounds", {"switch": "on"}, variables=variables, context=begun(minutes_ago))
    assert said["nextState"] == following


def test_every_task_is_retried_within_bounds_and_catches_everything_else() -> None:
    for name, task in STATES.items():
        assert "Comment" in task, name
        if task["Type"] != "Task":
            continue
        assert all({"MaxAttempts", "MaxDelaySeconds", "JitterStrategy"} <= retry.keys() for retry in task["Retry"]), (
            name
        )
        if name != "Escalate":
            assert task["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert task["Catch"][-1]["Next"] == "Escalate", name


def test_no_state_keeps_more_than_ids_counts_and_small_verdicts() -> None:
    kept = {name for one in STATES.values() for name in one.get("Assign", {})}
    assert kept == {"investigation", "step", "tokens", "costMicroDollars", "waitedMilliseconds"}
