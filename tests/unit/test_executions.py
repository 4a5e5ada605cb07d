"""Executions: a name starts one, once, whatever it is asked for again."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from backbone.errors import Retryable
from backbone.executions import Executions
from tests.unit.aws_faults import failing

GIVEN = {"caseId": "c-1", "text": "Straße ✓"}


@pytest.fixture
def executions(memory_aws: Callable[[str], Any]) -> Executions:
    states = memory_aws("stepfunctions")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/states"
    machine = states.create_state_machine(name="machine", definition=definition, roleArn=role)
    return Executions(states, machine["stateMachineArn"])


def started(executions: Executions) -> dict[str, Any]:
    """The inputs of all executions by their names."""
    found = executions.client.list_executions(stateMachineArn=executions.state_machine)["executions"]
    return {
        one["name"]: json.loads(executions.client.describe_execution(executionArn=one["executionArn"])["input"])
        for one in found
    }


def end(executions: Executions) -> None:
    for one in executions.client.list_executions(stateMachineArn=executions.state_machine)["executions"]:
        executions.client.stop_execution(executionArn=one["executionArn"])


def test_execution_is_started_under_its_name_on_what_it_is_given(executions: Executions) -> None:
    assert executions.start("flag-1", GIVEN)
    assert started(executions) == {"flag-1": GIVEN}


def test_execution_that_is_at_work_is_not_started_again(executions: Executions) -> None:
    executions.start("flag-1", GIVEN)
    assert executions.start("flag-1", GIVEN)
    assert len(started(executions)) == 1


def test_execution_that_has_ended_is_not_started_again_and_that_is_said(executions: Executions) -> None:
    executions.start("flag-1", GIVEN)
    end(executions)
    assert not executions.start("flag-1", GIVEN)
    assert len(started(executions)) == 1


def test_name_that_was_given_something_else_keeps_what_it_was_given(executions: Executions) -> None:
    executions.start("flag-1", GIVEN)
    assert not executions.start("flag-1", {"caseId": "c-2"})
    assert started(executions) == {"flag-1": GIVEN}


@pytest.mark.parametrize("code", ["ThrottlingException", "ExecutionLimitExceeded", "StateMachineDoesNotExist"])
def test_start_that_failed_is_retryable_and_names_the_execution(executions: Executions, code: str) -> None:
    with failing("StartExecution", code), pytest.raises(Retryable, match=f"flag-1: .*{code}"):
        executions.start("flag-1", GIVEN)
    assert started(executions) == {}


def test_service_that_cannot_be_reached_is_retryable() -> None:
    class Unreachable:
        def start_execution(self, **_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="https://states")

    with pytest.raises(Retryable, match="flag-1"):
        Executions(Unreachable(), "arn").start("flag-1", GIVEN)
