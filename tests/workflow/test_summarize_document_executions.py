"""The document workflow as real executions whose steps do as a plan says: through every state and every Catch."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from local.process import PROJECT
from tests.engine.functions import a_function, a_role
from tests.engine.stacks import Client
from tests.engine.waiting import wait_until

DEFINITION = (PROJECT / "statemachines" / "summarize_document.asl.json").read_text()
SUBSTITUTIONS = sorted(set(re.findall(r"\$\{(\w+)\}", DEFINITION)))
ANSWERS: dict[str, Any] = {
    "ExtractTextFunction": {"documentId": "d", "chunks": ["work/d/chunks/0001.json", "work/d/chunks/0002.json"]},
    "SummarizeChunkFunction": {"key": "work/d/chunk_summaries/0001.json"},
    "CombineSummariesFunction": {"key": "work/d/draft-1.json"},
    "CheckGroundingFunction": {"grounded": True},
    "StoreSummaryFunction": {"summaryKey": "summaries/d.json"},
    "RejectDocumentFunction": {"reason": "the reason that people are told"},
}
# Raises, answers or dies as the plan for its step says, one entry a call; after the plan it answers as it should. The
# plan travels in the document's id; the calls are counted in a file, which outlives a process that dies.
STEP = """
import hashlib, json, os, pathlib
class Retryable(Exception): pass
class Rejected(Exception): pass
def handler(event, context):
    plan = json.loads(event["documentId"]).get("{step}", [])
    calls = pathlib.Path("{folder}", "{step}-" + hashlib.sha256(event["documentId"].encode()).hexdigest())
    with calls.open("a") as file:
        file.write(".")
        call = file.tell()
    todo = plan[call - 1] if call <= len(plan) else None
    if isinstance(todo, dict):
        return todo
    if todo == "die":
        os._exit(1)
    if todo:
        raise {{"Retryable": Retryable, "Rejected": Rejected}}.get(todo, KeyError)("CODE: " + todo)
    return json.loads({answer!r})
"""


@dataclass(frozen=True)
class Ended:
    """How an execution ended, and the names of the states that it entered, in order."""

    status: str
    error: str | None
    cause: str | None
    entered: tuple[str, ...]


@pytest.fixture(scope="module")
def machine(aws: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The definition as it is deployed, over functions that do as they are told."""
    with ExitStack() as resources:
        definition, folder = DEFINITION, tmp_path_factory.mktemp("calls")
        for name in SUBSTITUTIONS:
            step = name.removesuffix("Function")
            code = STEP.format(step=step, folder=folder, answer=json.dumps(ANSWERS[name]))
            function = resources.enter_context(a_function(aws, code, timeout=10))
            definition = definition.replace(f"${{{name}}}", function)
        invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
        role = resources.enter_context(a_role(aws, invoke, service="states.amazonaws.com"))
        machines = aws("stepfunctions")
        arn = machines.create_state_machine(name=f"documents-{uuid4().hex[:8]}", definition=definition, roleArn=role)[
            "stateMachineArn"
        ]
        yield arn
        machines.delete_state_machine(stateMachineArn=arn)


def executed(aws: Client, machine: str, **plan: list[Any]) -> Ended:
    """Runs one document through the workflow; ``plan`` says by step what its calls do."""
    machines = aws("stepfunctions")
    told = json.dumps(plan | {"id": uuid4().hex})
    document = {"documentId": told, "customerId": "CUST-1", "key": told, "versionId": "v"}
    document |= {"correlationId": "correlation", "causationId": "causation"}
    arn = machines.start_execution(stateMachineArn=machine, input=json.dumps(document))["executionArn"]

    def ended() -> dict[str, Any] | None:
        said: dict[str, Any] = machines.describe_execution(executionArn=arn)
        return None if said["status"] == "RUNNING" else said

    said = wait_until(ended, 60, "the execution ends")
    assert said
    events = machines.get_execution_history(executionArn=arn, maxResults=1000)["events"]
    entered = tuple(
        event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event
    )
    return Ended(said["status"], said.get("error"), said.get("cause"), entered)


def test_document_goes_through_every_step_once_when_nothing_fails(aws: Client, machine: str) -> None:
    ended = executed(aws, machine)
    assert ended.status == "SUCCEEDED"
    assert ended.entered == (
        "TakeUpDocument",
        "ExtractText",
        "SummarizeChunks",
        "CombineSummaries",
        "CheckGrounding",
        "DecideOnGrounding",
        "StoreSummary",
    )


@pytest.mark.parametrize("error", ["Rejected", "KeyError"])
@pytest.mark.parametrize(
    ("step", "caught_in"),
    [
        ("ExtractText", "ExtractText"),
        ("SummarizeChunk", "SummarizeChunks"),
        ("CombineSummaries", "CombineSummaries"),
        ("CheckGrounding", "CheckGrounding"),
        ("StoreSummary", "StoreSummary"),
    ],
)
def test_step_that_can_never_succeed_is_caught_and_the_document_rejected(
    aws: Client, machine: str, step: str, caught_in: str, error: str
) -> None:
    ended = executed(aws, machine, **{step: [error] * 9})
    assert (ended.status, ended.error, ended.cause) == ("FAILED", error, "the reason that people are told")
    assert caught_in in ended.entered
    assert ended.entered[-2:] == ("RejectDocument", "DocumentWasRejected")


@pytest.mark.parametrize(
    "step", ["ExtractText", "SummarizeChunk", "CombineSummaries", "CheckGrounding", "StoreSummary"]
)
@pytest.mark.parametrize("failure", ["Retryable", "die"])
def test_step_that_fails_once_or_is_killed_is_made_again_and_no_other(
    aws: Client, machine: str, step: str, failure: str
) -> None:
    ended = executed(aws, machine, **{step: [failure]})
    assert ended.status == "SUCCEEDED", ended
    assert ended.entered[-1] == "StoreSummary"
    assert ended.entered.count("CombineSummaries") == 1


def test_summary_that_is_not_supported_at_first_is_written_again_and_stored(aws: Client, machine: str) -> None:
    ended = executed(aws, machine, CheckGrounding=[{"grounded": False}])
    assert ended.status == "SUCCEEDED"
    assert ended.entered.count("CombineSummaries") == ended.entered.count("CheckGrounding") == 2
    assert "AskForReview" not in ended.entered


def test_summary_that_is_never_supported_goes_to_a_person(aws: Client, machine: str) -> None:
    ended = executed(aws, machine, CheckGrounding=[{"grounded": False}] * 9)
    assert ended.status == "SUCCEEDED"
    assert ended.entered.count("CombineSummaries") == 2
    assert ended.entered[-2:] == ("AskForReview", "StoreSummary")


def test_rejection_that_cannot_be_told_at_once_is_told_later(aws: Client, machine: str) -> None:
    ended = executed(aws, machine, ExtractText=["Rejected"], RejectDocument=["Retryable", "die"])
    assert (ended.status, ended.error) == ("FAILED", "Rejected")
    assert ended.entered[-1] == "DocumentWasRejected"


def test_these_executions_go_through_every_state_of_the_definition(aws: Client, machine: str) -> None:
    # The engine's history leaves out the states inside of a Map; that SummarizeChunk ran, its failures show above.
    reviewed = executed(aws, machine, CheckGrounding=[{"grounded": False}] * 2)
    rejected = executed(aws, machine, ExtractText=["Rejected"])
    assert {*reviewed.entered, *rejected.entered} == json.loads(DEFINITION)["States"].keys()
