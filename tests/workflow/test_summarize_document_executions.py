"""The document workflow as real executions whose steps do as a plan says: through every state and every Catch."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from local.process import PROJECT
from tests.engine.stacks import Client
from tests.workflow.planned_steps import Ended, a_machine, execution_of

DEFINITION = (PROJECT / "statemachines" / "summarize_document.asl.json").read_text()
ANSWERS: dict[str, Any] = {
    "ExtractTextFunction": {"documentId": "d", "chunks": ["work/d/chunks/0001.json", "work/d/chunks/0002.json"]},
    "SummarizeChunkFunction": {"key": "work/d/chunk_summaries/0001.json"},
    "CombineSummariesFunction": {"key": "work/d/draft-1.json"},
    "CheckGroundingFunction": {"grounded": True},
    "StoreSummaryFunction": {"summaryKey": "summaries/d.json"},
    "RejectDocumentFunction": {"reason": "the reason that people are told"},
}


@pytest.fixture(scope="module")
def machine(aws: Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The definition as it is deployed, over functions that do as they are told."""
    folder = tmp_path_factory.mktemp("calls")
    with a_machine(aws, DEFINITION, folder, answers=ANSWERS, plan_of='event["documentId"]') as arn:
        yield arn


def executed(aws: Client, machine: str, **plan: list[Any]) -> Ended:
    """Runs one document through the workflow; ``plan`` says by step what its calls do."""
    told = json.dumps(plan | {"id": uuid4().hex})
    document = {"documentId": told, "customerId": "CUST-1", "key": told, "versionId": "v"}
    return execution_of(aws, machine, document | {"correlationId": "correlation", "causationId": "causation"})


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
