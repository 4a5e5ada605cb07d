"""Tasks of state machines: how long a retry waits, and whose permission a function is invoked with."""

import inspect
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.services import stepfunctions

from local.overlay.step_functions import retry_delay
from local.stack import REGION
from tests.engine.functions import a_function, a_role
from tests.engine.stacks import Client
from tests.engine.waiting import wait_until

FAILING = """
class Busy(Exception):
    pass

def handler(event, context):
    raise Busy("not now")
"""
ECHO = """
def handler(event, context):
    return event
"""


@contextmanager
def a_state_machine(aws: Client, role: str, task: dict[str, Any]) -> Iterator[str]:
    """The ARN of a machine of one JSONata task."""
    definition = {"QueryLanguage": "JSONata", "StartAt": "Work", "States": {"Work": {**task, "End": True}}}
    machines = aws("stepfunctions")
    arn = machines.create_state_machine(
        name=f"machine-{uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    yield arn
    machines.delete_state_machine(stateMachineArn=arn)


def run(aws: Client, machine: str) -> dict[str, Any]:
    """The description of one execution, once it has ended."""
    machines = aws("stepfunctions")
    execution = machines.start_execution(stateMachineArn=machine, input="{}")["executionArn"]

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = machines.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    found = wait_until(ended, 20, "the execution's end")
    assert found
    return found


def invoking(function: str, **more: Any) -> dict[str, Any]:
    arguments = {"FunctionName": function, "Payload": {"said": "{% 'hello' %}"}}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, **more}


def may_invoke(function: str) -> dict[str, Any]:
    resource = f"arn:aws:lambda:*:*:function:{function}"
    return {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": resource}


def test_task_invokes_the_function_its_role_may_invoke(aws: Client) -> None:
    with (
        a_function(aws, ECHO) as function,
        a_role(aws, may_invoke(function), service="states.amazonaws.com") as role,
        a_state_machine(aws, role, invoking(function, Output="{% $states.result.Payload %}")) as machine,
    ):
        assert json.loads(run(aws, machine)["output"]) == {"said": "hello"}


@pytest.mark.parametrize("timeout", [{}, {"TimeoutSeconds": 5}], ids=["without time-out", "with time-out"])
def test_task_fails_where_its_role_may_not_invoke_the_function(aws: Client, timeout: dict[str, int]) -> None:
    with (
        a_function(aws, ECHO) as function,
        a_role(aws, may_invoke("another"), service="states.amazonaws.com") as role,
        a_state_machine(aws, role, invoking(function, **timeout)) as machine,
    ):
        ended = run(aws, machine)
    assert ended["status"] == "FAILED"
    assert ended["error"] == "Lambda.AWSLambdaException"
    assert "lambda:InvokeFunction" in ended["cause"]


def test_task_fails_where_its_role_does_not_trust_step_functions(aws: Client) -> None:
    with (
        a_function(aws, ECHO) as function,
        a_role(aws, may_invoke(function), service="events.amazonaws.com") as role,
        a_state_machine(aws, role, invoking(function)) as machine,
    ):
        assert "does not trust" in run(aws, machine)["cause"]


# ---- tables and parameters: by the machine's role too


@pytest.fixture(scope="module")
def table(aws: Client) -> Iterator[str]:
    dynamodb, name = aws("dynamodb"), f"table-{uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "caseId", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "caseId", "KeyType": "HASH"}],
    )
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture(scope="module")
def parameter(aws: Client) -> Iterator[str]:
    ssm, name = aws("ssm"), f"/switches/{uuid4().hex[:8]}"
    ssm.put_parameter(Name=name, Value="on", Type="String")
    yield name
    ssm.delete_parameter(Name=name)


def updating(table: str) -> dict[str, Any]:
    arguments = {
        "TableName": table,
        "Key": {"caseId": {"S": "case-1"}},
        "UpdateExpression": "SET goal = :goal",
        "ExpressionAttributeValues": {":goal": {"S": "{% 'Decide' & '.' %}"}},
    }
    return {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:updateItem", "Arguments": arguments}


def reading(parameter: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:ssm:getParameter",
        "Arguments": {"Name": parameter},
        "Output": "{% $states.result.Parameter.Value %}",
    }


def may(action: str, resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def test_task_updates_the_item_that_its_role_may_update(aws: Client, table: str) -> None:
    grant = may("dynamodb:UpdateItem", f"arn:aws:dynamodb:*:*:table/{table}")
    with (
        a_role(aws, grant, service="states.amazonaws.com") as role,
        a_state_machine(aws, role, updating(table)) as machine,
    ):
        assert run(aws, machine)["status"] == "SUCCEEDED"
    item = aws("dynamodb").get_item(TableName=table, Key={"caseId": {"S": "case-1"}})["Item"]
    assert item["goal"] == {"S": "Decide."}


@pytest.mark.parametrize("granted", [("dynamodb:PutItem", ""), ("dynamodb:UpdateItem", "-another")])
def test_task_fails_where_its_role_may_not_update_the_item(aws: Client, table: str, granted: tuple[str, str]) -> None:
    action, suffix = granted
    with (
        a_role(aws, may(action, f"arn:aws:dynamodb:*:*:table/{table}{suffix}"), service="states.amazonaws.com") as role,
        a_state_machine(aws, role, updating(table)) as machine,
    ):
        ended = run(aws, machine)
    assert ended["error"] == "DynamoDB.AmazonDynamoDBException"
    assert f"not authorized to perform: dynamodb:UpdateItem on resource: arn:aws:dynamodb:{REGION}" in ended["cause"]


def test_task_reads_the_parameter_that_its_role_may_read(aws: Client, parameter: str) -> None:
    grant = may("ssm:GetParameter", f"arn:aws:ssm:*:*:parameter{parameter}")
    with (
        a_role(aws, grant, service="states.amazonaws.com") as role,
        a_state_machine(aws, role, reading(parameter)) as machine,
    ):
        assert json.loads(run(aws, machine)["output"]) == "on"


def test_task_fails_where_its_role_may_not_read_the_parameter(aws: Client, parameter: str) -> None:
    grant = may("ssm:GetParameter", f"arn:aws:ssm:*:*:parameter{parameter}-another")
    with (
        a_role(aws, grant, service="states.amazonaws.com") as role,
        a_state_machine(aws, role, reading(parameter)) as machine,
    ):
        ended = run(aws, machine)
    assert ended["error"] == "Ssm.SsmException"
    assert "not authorized to perform: ssm:GetParameter" in ended["cause"]


def test_task_that_reads_no_parameter_says_so_by_name(aws: Client) -> None:
    with (
        a_role(aws, may("ssm:GetParameter", "*"), service="states.amazonaws.com") as role,
        a_state_machine(aws, role, reading("/nowhere")) as machine,
    ):
        assert run(aws, machine)["error"] == "Ssm.ParameterNotFoundException"


def test_retries_wait_no_longer_than_max_delay_and_the_error_keeps_its_name(aws: Client) -> None:
    retry = {"ErrorEquals": ["Busy"], "IntervalSeconds": 5, "MaxAttempts": 3, "BackoffRate": 4, "MaxDelaySeconds": 1}
    with (
        a_function(aws, FAILING) as function,
        a_role(aws, may_invoke(function), service="states.amazonaws.com") as role,
        a_state_machine(aws, role, invoking(function, Retry=[retry])) as machine,
    ):
        began = time.monotonic()
        ended = run(aws, machine)
    assert ended["error"] == "Busy"
    assert 3 <= time.monotonic() - began < 8


@given(
    interval=st.integers(1, 100),
    rate=st.floats(1, 5),
    cap=st.integers(1, 200),
    retries=st.integers(0, 20),
    draw=st.floats(0, 1),
)
def test_delay_is_never_above_the_cap_and_jitter_never_above_the_delay(
    interval: int, rate: float, cap: int, retries: int, draw: float
) -> None:
    retrier = {"IntervalSeconds": interval, "BackoffRate": rate, "MaxDelaySeconds": cap}
    plain = retry_delay(retrier, retries, draw)
    assert plain <= cap
    assert retry_delay({**retrier, "JitterStrategy": "FULL"}, retries, draw) == pytest.approx(plain * draw)


def test_engine_still_names_errors_of_ssm_as_the_service_does() -> None:
    assert "ssm" not in stepfunctions._AWS_SDK_ERROR_CODE_OVERRIDES


def test_engine_still_ignores_the_delays_bound_and_the_machines_role() -> None:
    source = inspect.getsource(stepfunctions)
    assert '"MaxDelaySeconds"' not in source
    assert "JitterStrategy" not in source
    assert "refusal" not in inspect.getsource(stepfunctions._invoke_resource)
