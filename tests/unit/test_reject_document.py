"""The reject_document handler: whatever a step ended with becomes a reason that its owner can read."""

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone import contracts
from backbone.errors import Rejected, Retryable
from rejection import INTERNAL, rejection_of
from tests.unit.aws_faults import failing
from tests.unit.document_builder import DOCUMENT
from tests.unit.lambda_events import Context, sample, samples
from tests.unit.resources import Resources


@pytest.fixture
def module(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
) -> Any:
    return handler_module("reject_document")


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def told(resources: Resources) -> list[dict[str, Any]]:
    return [contracts.parse("DocumentRejected", envelope).data for envelope in resources.published()]


def a_cause(message: str) -> str:
    """What Lambda says of an exception."""
    return json.dumps({"errorMessage": message, "errorType": "Rejected", "stackTrace": ['  File "/var/task/a.py"']})


def test_every_sample_event_has_a_test() -> None:
    assert samples("reject_document") == ["bad", "edge", "good"]


def test_the_good_sample_tells_the_steps_own_reason(module: Any, resources: Resources) -> None:
    reason = "The file holds pictures of pages and no text. Upload it with text in it."
    assert invoke(module, sample("reject_document", "good")) == {"reason": reason}
    (row,) = resources.rows("documents")
    assert (row["status"], row["code"], row["reason"]) == ({"S": "rejected"}, {"S": "NO_TEXT"}, {"S": reason})
    assert (row["fileName"], row["customerId"]) == ({"S": "terms-and-conditions.pdf"}, {"S": "CUST-000042"})
    assert told(resources) == [
        {"documentId": DOCUMENT, "customerId": "CUST-000042", "code": "NO_TEXT", "reason": reason}
    ]


def test_the_bad_sample_is_rejected(module: Any) -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: .*error is no str"):
        invoke(module, sample("reject_document", "bad"))


def test_the_edge_sample_tells_nothing_of_the_inside_but_logs_it(module: Any, resources: Resources) -> None:
    with patch.object(module.logger, "warning") as log:
        invoke(module, sample("reject_document", "edge"))
    (event,) = told(resources)
    assert event["code"] == INTERNAL
    assert not any(word in json.dumps(event) for word in ("KeyError", "secret-table", "/var/task", "chunk.py"))
    assert "secret-table" in log.call_args.kwargs["cause"]


def test_a_second_try_is_the_same_event_and_one_row(module: Any, resources: Resources) -> None:
    for _ in range(2):
        invoke(module, sample("reject_document", "good"))
    ids = {contracts.parse("DocumentRejected", one).metadata.event_id for one in resources.published()}
    assert (len(ids), len(resources.rows("documents"))) == (1, 1)


@pytest.mark.parametrize(
    ("operation", "code"), [("UpdateItem", "ThrottlingException"), ("PutEvents", "InternalException")]
)
def test_a_busy_service_is_retryable(module: Any, resources: Resources, operation: str, code: str) -> None:
    with failing(operation, code), pytest.raises(Retryable):
        invoke(module, sample("reject_document", "good"))
    assert told(resources) == []


def test_what_an_earlier_summary_said_is_gone_from_the_row(module: Any, resources: Resources) -> None:
    item = {
        "documentId": {"S": DOCUMENT},
        "customerId": {"S": "CUST-000042"},
        "summaryKey": {"S": "x"},
        "sentences": {"N": "3"},
    }
    resources.client("dynamodb").put_item(TableName="documents", Item=item)
    invoke(module, sample("reject_document", "good"))
    assert not {"summaryKey", "sentences"} & resources.rows("documents")[0].keys()


@pytest.mark.parametrize(
    ("error", "cause", "code", "words"),
    [
        ("Rejected", a_cause("CORRUPT: The file is damaged."), "CORRUPT", "The file is damaged."),
        ("Rejected", "TOO_LARGE: It is too large.", "TOO_LARGE", "It is too large."),
        ("Rejected", a_cause("MODEL_FAILED: one\ntwo\x07 three"), "MODEL_FAILED", "one two three"),
        ("Rejected", a_cause("INTERNAL: get_object work/x: AccessDenied"), INTERNAL, "our side"),
        ("Rejected", a_cause("no code at all"), INTERNAL, "our side"),
        ("Rejected", "", INTERNAL, "our side"),
        ("Rejected", "[1]", INTERNAL, "our side"),
        ("Retryable", a_cause("get_object: SlowDown"), INTERNAL, "away or too busy"),
        ("Lambda.TooManyRequestsException", "Rate Exceeded.", INTERNAL, "away or too busy"),
        ("States.Timeout", "", INTERNAL, "took too long"),
        ("Sandbox.Timedout", "Task timed out after 120.00 seconds", INTERNAL, "took too long"),
        ("Runtime.ExitError", "RequestId: 1 Error: signal: killed", INTERNAL, "our side"),
        ("States.ALL", "?", INTERNAL, "our side"),
    ],
)
def test_an_error_becomes_a_code_and_a_sentence(error: str, cause: str, code: str, words: str) -> None:
    rejection = rejection_of(error, cause)
    assert rejection.code == code
    assert words in rejection.reason


@given(
    st.sampled_from(["Rejected", "Retryable", "KeyError"]), st.text() | st.text().map(lambda t: a_cause(f"EMPTY: {t}"))
)
def test_any_error_fits_the_events_schema(error: str, cause: str) -> None:
    rejection = rejection_of(error, cause)
    data = {"documentId": "D", "customerId": "C", "code": rejection.code, "reason": rejection.reason}
    metadata = contracts.Metadata("0" * 8 + "-0000-0000-0000-" + "0" * 12, 1, "D", "C", "2026-01-01T00:00:00Z", "test")
    assert contracts.build("DocumentRejected", data, metadata).data == data
