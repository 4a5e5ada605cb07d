"""Tasks that wait for a callback: one token an attempt, one answer a token, and who may give it."""

import inspect
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from ministack.core import iam_actions
from ministack.services import stepfunctions

from tests.engine.callers import a_user
from tests.engine.functions import a_function, a_role
from tests.engine.queues import Queue, a_queue
from tests.engine.stacks import Client
from tests.engine.waiting import wait_until

TELLING = """
import boto3, json, os
def handler(event, context):
    queue = event.pop("queue")
    boto3.client("sqs", endpoint_url=os.environ.get("AWS_ENDPOINT_URL")).send_message(
        QueueUrl=queue, MessageBody=json.dumps(event))
    if event.get("answer"):
        boto3.client("stepfunctions", endpoint_url=os.environ.get("AWS_ENDPOINT_URL")).send_task_success(
            taskToken=event["token"], output='"answered at once"')
    if event.get("fails") and event["attempt"] == 0:
        raise RuntimeError("after the token was told")
"""
ITS_TOKEN = "{% $states.context.Task.Token %}"  # noqa: S105 - an expression
ATTEMPT = "{% $states.context.State.RetryCount %}"


@pytest.fixture(scope="module")
def function(aws: Client) -> Iterator[str]:
    """Tells the queue in its event everything else that is in it."""
    with a_function(aws, TELLING) as name:
        yield name


@pytest.fixture(scope="module")
def role(aws: Client) -> Iterator[str]:
    with a_role(
        aws, {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}, service="states.amazonaws.com"
    ) as arn:
        yield arn


@pytest.fixture
def queue(aws: Client) -> Queue:
    return a_queue(aws)


def waiting(function: str, queue: Queue, payload: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A JSONata task that hands its token to the function, and waits."""
    said = {"token": ITS_TOKEN, "attempt": ATTEMPT, "queue": queue.url} | (payload or {})
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": function, "Payload": said},
    } | more


@contextmanager
def an_execution(aws: Client, role: str, task: dict[str, Any]) -> Iterator[str]:
    """The ARN of an execution of a machine of one task, stopped at the end where it still waits."""
    definition = {"QueryLanguage": "JSONata", "StartAt": "Wait", "States": {"Wait": {**task, "End": True}}}
    machines = aws("stepfunctions")
    machine = machines.create_state_machine(
        name=f"machine-{uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    execution = machines.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    try:
        yield execution
    finally:
        if machines.describe_execution(executionArn=execution)["status"] == "RUNNING":
            machines.stop_execution(executionArn=execution)
        machines.delete_state_machine(stateMachineArn=machine)


def told(queue: Queue) -> dict[str, Any]:
    """What the function told next."""
    said: dict[str, Any] = json.loads(queue.receive()[0]["Body"])
    return said


def ended(aws: Client, execution: str) -> dict[str, Any]:
    """The description of the execution, once it has ended."""

    def described() -> dict[str, Any] | None:
        said: dict[str, Any] = aws("stepfunctions").describe_execution(executionArn=execution)
        return said if said["status"] != "RUNNING" else None

    found = wait_until(described, 15, "the execution's end")
    assert found
    return found


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


def test_success_brings_the_tasks_result(aws: Client, role: str, function: str, queue: Queue) -> None:
    task = waiting(function, queue, Output={"said": "{% $states.result.outcome %}"})
    with an_execution(aws, role, task) as execution:
        token = told(queue)["token"]
        assert 1 <= len(token) <= 2048
        assert aws("stepfunctions").describe_execution(executionArn=execution)["status"] == "RUNNING"
        aws("stepfunctions").send_task_success(taskToken=token, output='{"outcome": "approved"}')
        assert json.loads(ended(aws, execution)["output"]) == {"said": "approved"}


def test_failure_brings_its_error_by_name(aws: Client, role: str, function: str, queue: Queue) -> None:
    with an_execution(aws, role, waiting(function, queue)) as execution:
        aws("stepfunctions").send_task_failure(taskToken=told(queue)["token"], error="TooLate", cause="nobody came")
        described = ended(aws, execution)
    assert (described["error"], described["cause"]) == ("TooLate", "nobody came")


def test_function_may_answer_while_it_runs(aws: Client, role: str, function: str, queue: Queue) -> None:
    with an_execution(aws, role, waiting(function, queue, {"answer": True})) as execution:
        assert json.loads(ended(aws, execution)["output"]) == "answered at once"


def test_second_answer_is_refused_and_changes_nothing(aws: Client, role: str, function: str, queue: Queue) -> None:
    machines = aws("stepfunctions")
    with an_execution(aws, role, waiting(function, queue)) as execution:
        token = told(queue)["token"]
        machines.send_task_success(taskToken=token, output='"first"')
        with pytest.raises(ClientError) as refused:
            machines.send_task_success(taskToken=token, output='"second"')
        assert code_of(refused) == "TaskTimedOut"
        with pytest.raises(ClientError) as refused:
            machines.send_task_failure(taskToken=token)
        assert code_of(refused) == "TaskTimedOut"
        assert json.loads(ended(aws, execution)["output"]) == "first"


def test_what_is_no_token_and_what_is_no_json_are_refused(aws: Client, role: str, function: str, queue: Queue) -> None:
    machines = aws("stepfunctions")
    with pytest.raises(ClientError) as refused:
        machines.send_task_success(taskToken="made-up", output="{}")
    assert code_of(refused) == "InvalidToken"
    with an_execution(aws, role, waiting(function, queue)) as execution:
        token = told(queue)["token"]
        with pytest.raises(ClientError) as refused:
            machines.send_task_success(taskToken=token, output="approved")
        assert code_of(refused) == "InvalidOutput"
        machines.send_task_success(taskToken=token, output="{}")
        assert ended(aws, execution)["status"] == "SUCCEEDED"


def test_nobody_answers_in_time_and_the_token_is_closed(aws: Client, role: str, function: str, queue: Queue) -> None:
    with an_execution(aws, role, waiting(function, queue, TimeoutSeconds=1)) as execution:
        token = told(queue)["token"]
        assert ended(aws, execution)["error"] == "States.Timeout"
    with pytest.raises(ClientError) as refused:
        aws("stepfunctions").send_task_success(taskToken=token, output="{}")
    assert code_of(refused) == "TaskTimedOut"


def test_time_out_can_be_caught(aws: Client, role: str, function: str, queue: Queue) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Output": "late", "Next": "Late"}]
    task = waiting(function, queue, TimeoutSeconds=1, Catch=catch)
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Wait",
        "States": {"Wait": {**task, "End": True}, "Late": {"Type": "Pass", "End": True}},
    }
    machines = aws("stepfunctions")
    machine = machines.create_state_machine(
        name=f"machine-{uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    execution = machines.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    assert json.loads(ended(aws, execution)["output"]) == "late"
    machines.delete_state_machine(stateMachineArn=machine)


def test_heartbeats_keep_a_task_waiting_and_their_absence_ends_it(
    aws: Client, role: str, function: str, queue: Queue
) -> None:
    with an_execution(aws, role, waiting(function, queue, HeartbeatSeconds=2)) as execution:
        token = told(queue)["token"]
        for _ in range(3):
            time.sleep(1)
            aws("stepfunctions").send_task_heartbeat(taskToken=token)
        assert ended(aws, execution)["error"] == "States.HeartbeatTimeout"


def test_failed_function_is_tried_again_with_a_new_token_and_the_old_one_is_closed(
    aws: Client, role: str, function: str, queue: Queue
) -> None:
    machines = aws("stepfunctions")
    retry = [{"ErrorEquals": ["RuntimeError"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    with an_execution(aws, role, waiting(function, queue, {"fails": True}, Retry=retry)) as execution:
        first, second = told(queue)["token"], told(queue)["token"]
        assert first != second
        with pytest.raises(ClientError) as refused:
            machines.send_task_success(taskToken=first, output='"first"')
        assert code_of(refused) == "TaskTimedOut"
        machines.send_task_success(taskToken=second, output='"second"')
        assert json.loads(ended(aws, execution)["output"]) == "second"


def test_failed_function_fails_the_task_where_nothing_tries_it_again(
    aws: Client, role: str, function: str, queue: Queue
) -> None:
    with an_execution(aws, role, waiting(function, queue, {"fails": True})) as execution:
        assert ended(aws, execution)["error"] == "RuntimeError"


def test_answer_stands_though_the_function_fails_after_it(aws: Client, role: str, function: str, queue: Queue) -> None:
    with an_execution(aws, role, waiting(function, queue, {"answer": True, "fails": True})) as execution:
        assert json.loads(ended(aws, execution)["output"]) == "answered at once"


def test_token_of_a_stopped_execution_is_closed(aws: Client, role: str, function: str, queue: Queue) -> None:
    machines = aws("stepfunctions")
    with an_execution(aws, role, waiting(function, queue)) as execution:
        token = told(queue)["token"]
        machines.stop_execution(executionArn=execution)
        with pytest.raises(ClientError) as refused:
            machines.send_task_success(taskToken=token, output="{}")
    assert code_of(refused) == "TaskTimedOut"


def test_task_fails_where_the_machines_role_may_not_invoke_the_function(
    aws: Client, function: str, queue: Queue
) -> None:
    with (
        a_role(aws, service="states.amazonaws.com") as powerless,
        an_execution(aws, powerless, waiting(function, queue)) as execution,
    ):
        described = ended(aws, execution)
    assert described["error"] == "Lambda.AWSLambdaException"
    assert "lambda:InvokeFunction" in described["cause"]


def test_answer_needs_a_grant_on_the_state_machine(aws: Client, role: str, function: str, queue: Queue) -> None:
    with an_execution(aws, role, waiting(function, queue)) as execution:
        token = told(queue)["token"]
        machine = execution.rpartition(":")[0].replace(":execution:", ":stateMachine:")
        grant = {"Effect": "Allow", "Action": "states:SendTaskSuccess"}
        with a_user(aws, grant | {"Resource": f"{machine}-another"}) as stranger:
            with pytest.raises(ClientError) as refused:
                stranger("stepfunctions").send_task_success(taskToken=token, output="{}")
            assert code_of(refused) == "AccessDeniedException"
            with pytest.raises(ClientError) as refused:
                stranger("stepfunctions").send_task_failure(taskToken=token)
            assert code_of(refused) == "AccessDeniedException"
        with a_user(aws, grant | {"Resource": machine}) as granted:
            granted("stepfunctions").send_task_success(taskToken=token, output='"granted"')
        assert json.loads(ended(aws, execution)["output"]) == "granted"


def test_context_tells_when_execution_and_state_began(aws: Client, role: str) -> None:
    task = {
        "Type": "Pass",
        "Output": "{% $toMillis($states.context.State.EnteredTime) - $toMillis($states.context.Execution.StartTime) %}",
    }
    with an_execution(aws, role, task) as execution:
        assert 0 <= json.loads(ended(aws, execution)["output"]) < 10_000


def test_engine_still_keeps_one_token_for_all_attempts_and_passes_over_what_failed() -> None:
    engines = inspect.getsource(stepfunctions)
    assert engines.count('ctx["Task"] = {"Token": new_uuid()}') == 1
    assert "HeartbeatSeconds" not in engines
    assert "InvalidToken" not in inspect.getsource(stepfunctions._send_task_success)
    assert "TaskTimedOut" not in engines
    assert "except _ExecutionError:\n            pass" in engines
    assert "taskToken" not in inspect.getsource(iam_actions)
