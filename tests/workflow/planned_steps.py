"""A workflow's definition as real executions, over functions that do as a plan says.

A plan says by step what its calls do, one entry a call: the name of an error to raise, "die", "wait" (for ever, where
the state waits for a token), or the answer to give; after the plan a step answers as it should. The plan travels in an
id that every step is handed; the calls are counted in a file, which outlives a process that dies.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.engine.functions import a_function, a_role
from tests.engine.stacks import Client
from tests.engine.waiting import wait_until

_STEP = """
import hashlib, json, os, pathlib
class Retryable(Exception): pass
class Rejected(Exception): pass
def handler(event, context):
    told = {plan_of}
    plan = json.loads(told).get("{step}", [])
    calls = pathlib.Path({folder!r}, "{step}-" + hashlib.sha256(told.encode()).hexdigest())
    with calls.open("a") as file:
        file.write(".")
        call = file.tell()
    todo = plan[call - 1] if call <= len(plan) else json.loads({answer!r})
    if todo == "die":
        os._exit(1)
    if todo == "wait":
        return None
    if not isinstance(todo, dict):
        raise {{"Retryable": Retryable, "Rejected": Rejected}}.get(todo, KeyError)("CODE: " + todo)
    if "error" in todo:
        raise Rejected(todo["error"])
    if "taskToken" in event:
        import boto3
        boto3.client("stepfunctions").send_task_success(taskToken=event["taskToken"], output=json.dumps(todo))
    return todo
"""


@dataclass(frozen=True)
class Ended:
    """How an execution ended, and the names of the states that it entered, in order."""

    status: str
    error: str | None
    cause: str | None
    entered: tuple[str, ...]


@contextmanager
def a_machine(
    aws: Client,
    definition: str,
    folder: Path,
    *,
    answers: Mapping[str, Any],
    plan_of: str,
    substitutions: Mapping[str, str] | None = None,
    grants: tuple[dict[str, Any], ...] = (),
) -> Iterator[str]:
    """The ARN of ``definition`` as it is deployed, each ``${...Function}`` a function that answers as ``answers`` say.

    ``plan_of`` is the Python expression of the plan in a step's ``event``; ``grants`` are the machine's, beside that to
    invoke.
    """
    with ExitStack() as resources:
        for name, value in (substitutions or {}).items():
            definition = definition.replace(f"${{{name}}}", value)
        for name in sorted(set(re.findall(r"\$\{(\w+)\}", definition))):
            step = name.removesuffix("Function")
            code = _STEP.format(step=step, folder=str(folder), answer=json.dumps(answers[name]), plan_of=plan_of)
            function = resources.enter_context(a_function(aws, code, timeout=10))
            definition = definition.replace(f"${{{name}}}", function)
        invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
        role = resources.enter_context(a_role(aws, invoke, *grants, service="states.amazonaws.com"))
        machines = aws("stepfunctions")
        arn = machines.create_state_machine(name=f"machine-{uuid4().hex[:8]}", definition=definition, roleArn=role)[
            "stateMachineArn"
        ]
        yield arn
        machines.delete_state_machine(stateMachineArn=arn)


def execution_of(aws: Client, machine: str, given: Mapping[str, Any], seconds: float = 60) -> Ended:
    """Starts an execution on the input ``given`` and waits for its end."""
    machines = aws("stepfunctions")
    arn = machines.start_execution(stateMachineArn=machine, input=json.dumps(given))["executionArn"]

    def ended() -> dict[str, Any] | None:
        said: dict[str, Any] = machines.describe_execution(executionArn=arn)
        return None if said["status"] == "RUNNING" else said

    said = wait_until(ended, seconds, "the execution ends")
    assert said
    events = machines.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    entered = tuple(
        event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event
    )
    return Ended(said["status"], said.get("error"), said.get("cause"), entered)
