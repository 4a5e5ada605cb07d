"""The document workflow state by state, through TestState with mocks: what each answers, retries and falls to."""

import json
from typing import Any

import pytest

from local.process import PROJECT
from tests.engine.stacks import Client

DEFINITION: dict[str, Any] = json.loads((PROJECT / "statemachines" / "summarize_document.asl.json").read_text())
ROLE = "arn:aws:iam::000000000000:role/test"
DOCUMENT = {
    "documentId": "doc-1",
    "customerId": "CUST-000001",
    "key": "incoming/CUST-000001/doc-1/terms.pdf",
    "versionId": "v1",
    "correlationId": "correlation",
    "causationId": "causation",
}
CHUNKS = ["work/doc-1/chunks/0001.json", "work/doc-1/chunks/0002.json"]
TASKS = {
    "ExtractText": (DOCUMENT, {"documentId": "doc-1", "chunks": CHUNKS}, "SummarizeChunks"),
    "CombineSummaries": ({"chunks": 2}, {"key": "work/doc-1/draft-1.json", "sentences": 5}, "CheckGrounding"),
    "CheckGrounding": ({"key": "work/doc-1/draft-1.json"}, {"grounded": True}, "DecideOnGrounding"),
    "StoreSummary": ({"grounded": True}, {"summaryKey": "summaries/doc-1.json"}, None),
}
VARIABLES = {"document": DOCUMENT, "attempt": 1, "status": "summarized"}


def state(aws: Client, name: str, given: Any, **options: Any) -> dict[str, Any]:
    """What TestState says of one state of the definition."""
    definition = {"QueryLanguage": "JSONata", **DEFINITION["States"][name]}
    answer: dict[str, Any] = aws("stepfunctions").test_state(
        definition=json.dumps(definition),
        roleArn=ROLE,
        input=json.dumps(given),
        variables=json.dumps(options.pop("variables", VARIABLES)),
        **options,
    )
    return answer


def answered(payload: Any) -> dict[str, str]:
    return {"result": json.dumps({"StatusCode": 200, "Payload": payload})}


@pytest.mark.parametrize("name", TASKS)
def test_task_hands_its_functions_answer_to_the_next_state(aws: Client, name: str) -> None:
    given, payload, following = TASKS[name]
    said = state(aws, name, given, mock=answered(payload))
    assert said["status"] == "SUCCEEDED", said
    assert json.loads(said["output"]) == payload
    assert said.get("nextState") == following


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("error", ["Rejected", "States.Timeout", "KeyError"])
def test_task_that_can_never_succeed_leads_to_the_rejection(aws: Client, name: str, error: str) -> None:
    said = state(aws, name, TASKS[name][0], mock={"errorOutput": {"error": error, "cause": "because"}})
    assert said["status"] == "CAUGHT_ERROR", said
    assert said["nextState"] == "RejectDocument"
    assert json.loads(said["output"])["Error"] == error


@pytest.mark.parametrize("name", TASKS)
def test_task_is_retried_where_the_function_says_so(aws: Client, name: str) -> None:
    said = state(aws, name, TASKS[name][0], mock={"errorOutput": {"error": "Retryable", "cause": "throttled"}})
    assert said["status"] == "RETRIABLE", said


@pytest.mark.parametrize(
    ("grounded", "attempt", "following", "output"),
    [
        (True, 1, "StoreSummary", {"grounded": True}),
        (True, 2, "StoreSummary", {"grounded": True}),
        (False, 1, "CombineSummaries", {"attempt": 2}),
        (False, 2, "AskForReview", {"grounded": False}),
    ],
)
def test_summary_that_is_not_supported_is_made_once_more_and_then_reviewed(
    aws: Client, grounded: bool, attempt: int, following: str, output: dict[str, Any]
) -> None:
    said = state(aws, "DecideOnGrounding", {"grounded": grounded}, variables={**VARIABLES, "attempt": attempt})
    assert said["nextState"] == following
    assert json.loads(said["output"]) == output


def test_review_is_stored_as_what_it_is(aws: Client) -> None:
    assert state(aws, "AskForReview", {"grounded": False})["nextState"] == "StoreSummary"
    assert DEFINITION["States"]["AskForReview"]["Assign"] == {"status": "needs_review"}


def test_rejection_keeps_the_error_and_the_reason_and_ends_the_execution_as_failed(aws: Client) -> None:
    given = {"Error": "Rejected", "Cause": '{"errorMessage": "EMPTY: there is no text"}'}
    said = state(aws, "RejectDocument", given, mock=answered({"reason": "there is no text"}))
    assert said["nextState"] == "DocumentWasRejected"
    failure = json.loads(said["output"])
    assert failure == {"error": "Rejected", "reason": "there is no text"}
    ended = state(aws, "DocumentWasRejected", failure)
    assert ended["status"] == "FAILED"
    assert (ended["error"], ended["cause"]) == ("Rejected", "there is no text")


def test_every_task_names_what_it_retries_and_catches_everything_else() -> None:
    states = DEFINITION["States"]
    inner = states["SummarizeChunks"]["ItemProcessor"]["States"]
    for name, task in {**states, **inner}.items():
        if task["Type"] == "Task":
            assert task["Retry"], name
            assert all({"MaxAttempts", "MaxDelaySeconds", "JitterStrategy"} <= retry.keys() for retry in task["Retry"])
            assert "Comment" in task, name
        if task["Type"] in {"Task", "Map"} and name not in {"RejectDocument", "SummarizeChunk"}:
            assert [catch["ErrorEquals"] for catch in task["Catch"]] == [["States.ALL"]], name
