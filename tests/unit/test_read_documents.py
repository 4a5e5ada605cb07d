"""The read_documents handler: a customer's own documents and nobody else's, each sentence with its passages."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from backbone.errors import Rejected
from tests.unit.api_events import a_get, a_list, answer_of, claims_of
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

OWNER = claims_of("customer", "CUST-000042")
STRANGER = claims_of("customer", "CUST-000043")
ANALYST = claims_of("analyst")
NOT_THERE = {"message": "There is no such document of yours. GET /documents lists those that there are."}
INDEX = {
    "documentId": "D-1",
    "customerId": "CUST-000042",
    "fileName": "contract.pdf",
    "dimensions": 1,
    "model": "amazon.titan-embed-text-v2:0",
    "vectors": "AACAPwAAgD8AAIA/",
    "passages": [
        {"id": "p1", "page": 1, "text": "The loan is EUR 12,000."},
        {"id": "p2", "page": 2, "text": "It is repaid in 24 months."},
        {"id": "p3", "page": 2, "text": "Something else."},
    ],
}
SUMMARY = {
    "documentId": "D-1",
    "customerId": "CUST-000042",
    "fileName": "contract.pdf",
    "title": "Contract",
    "pages": 2,
    "status": "summarized",
    "sentences": [
        {"text": "EUR 12,000 are lent for 24 months.", "passages": ["p2", "p1"], "pages": [2, 1], "supported": True}
    ],
    "supportRate": 1.0,
    "model": {"modelId": "amazon.nova-lite-v1:0", "profile": "light", "inputTokens": 10, "outputTokens": 5},
    "createdAt": "2026-01-01T12:01:00.000Z",
}


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("read_documents")


def invoke(module: Any, event: dict[str, Any]) -> tuple[int, Any]:
    return answer_of(module.handler(event, Context()))


def a_document(
    resources: Resources,
    document_id: str = "D-1",
    *,
    customer_id: str | None = "CUST-000042",
    status: str = "uploading",
    created_at: str = "2026-01-01T12:00:00.000Z",
    **more: str,
) -> None:
    """A document's row; ``customer_id`` None for one that was put in the bucket by nobody we know."""
    row = {"documentId": document_id, "fileName": "contract.pdf", "status": status, "createdAt": created_at} | more
    row |= {"updatedAt": created_at} | ({} if customer_id is None else {"customerId": customer_id})
    item = {name: {"S": value} for name, value in row.items()} | {"expiresAt": {"N": "1"}, "supportRate": {"N": "1"}}
    resources.client("dynamodb").put_item(TableName="documents", Item=item)


def with_summary(resources: Resources) -> None:
    """The objects that the document flow leaves behind for D-1."""
    for key, content in (("summaries/D-1.json", SUMMARY), ("index/D-1.json", INDEX)):
        resources.client("s3").put_object(Bucket="documents", Key=key, Body=json.dumps(content).encode())


@pytest.mark.parametrize("status", ["summarized", "needs_review"])
@pytest.mark.parametrize("claims", [OWNER, ANALYST], ids=["owner", "analyst"])
def test_summary_is_shown_with_the_passages_behind_each_sentence(
    module: Any, resources: Resources, claims: dict[str, str], status: str
) -> None:
    a_document(resources, status=status)
    with_summary(resources)
    assert invoke(module, a_get(claims, "D-1")) == (
        200,
        {
            "documentId": "D-1",
            "customerId": "CUST-000042",
            "fileName": "contract.pdf",
            "status": status,
            "createdAt": "2026-01-01T12:00:00.000Z",
            "updatedAt": "2026-01-01T12:00:00.000Z",
            "summary": {
                "title": "Contract",
                "pages": 2,
                "supportRate": 1.0,
                "sentences": [
                    {
                        "text": "EUR 12,000 are lent for 24 months.",
                        "supported": True,
                        "passages": [
                            {"id": "p2", "page": 2, "text": "It is repaid in 24 months."},
                            {"id": "p1", "page": 1, "text": "The loan is EUR 12,000."},
                        ],
                    }
                ],
                "model": {"modelId": "amazon.nova-lite-v1:0", "profile": "light"},
            },
        },
    )


@pytest.mark.parametrize("status", ["uploading", "processing"])
def test_document_on_its_way_is_shown_without_a_summary(module: Any, resources: Resources, status: str) -> None:
    a_document(resources, status=status)
    answered, view = invoke(module, a_get(OWNER, "D-1"))
    assert (answered, view["status"], "summary" in view) == (200, status, False)


def test_rejected_document_is_shown_with_its_reason(module: Any, resources: Resources) -> None:
    a_document(resources, status="rejected", reason="PASSWORD_PROTECTED: Remove the password and upload it again.")
    _, view = invoke(module, a_get(OWNER, "D-1"))
    assert view["reason"] == "PASSWORD_PROTECTED: Remove the password and upload it again."


def test_anothers_document_looks_like_one_that_is_not_there(module: Any, resources: Resources) -> None:
    a_document(resources, status="summarized")
    with_summary(resources)
    assert invoke(module, a_get(STRANGER, "D-1")) == (404, NOT_THERE)
    assert invoke(module, a_get(STRANGER, "D-2")) == (404, NOT_THERE)


@pytest.mark.parametrize("claims", [claims_of("", "CUST-000042"), claims_of("customer"), claims_of("")])
def test_who_is_neither_customer_nor_analyst_sees_nothing(
    module: Any, resources: Resources, claims: dict[str, str]
) -> None:
    a_document(resources)
    a_document(resources, "D-2", customer_id=None)
    assert invoke(module, a_get(claims, "D-1")) == (404, NOT_THERE)
    assert invoke(module, a_get(claims, "D-2")) == (404, NOT_THERE)
    assert invoke(module, a_list(claims))[0] == 403


@pytest.mark.parametrize("customer_id", [None, "unassigned"])
def test_document_of_nobody_is_seen_by_analysts_only(
    module: Any, resources: Resources, customer_id: str | None
) -> None:
    a_document(resources, customer_id=customer_id)
    for claims in (OWNER, claims_of("customer", "unassigned")):
        assert invoke(module, a_get(claims, "D-1")) == (404, NOT_THERE)
    assert invoke(module, a_get(ANALYST, "D-1"))[0] == 200


def test_nobody_is_told_to_sign_in(module: Any, resources: Resources) -> None:
    a_document(resources)
    assert invoke(module, a_get(None, "D-1"))[0] == 401
    assert invoke(module, a_list(None))[0] == 401


@pytest.mark.parametrize("document_id", ["", "../D-1", "D-1/x", "x" * 65, "D_1", "D-1\n"])
def test_id_that_is_none_is_not_looked_up(module: Any, document_id: str) -> None:
    assert invoke(module, a_get(ANALYST, document_id)) == (404, NOT_THERE)


# ---- the list


def test_list_shows_the_callers_own_newest_first(module: Any, resources: Resources) -> None:
    for day in (1, 3, 2):
        a_document(resources, f"D-{day}", created_at=f"2026-01-0{day}T12:00:00.000Z")
    a_document(resources, "D-9", customer_id="CUST-000043")
    _, view = invoke(module, a_list(OWNER))
    assert [document["documentId"] for document in view["documents"]] == ["D-3", "D-2", "D-1"]


def test_list_is_bounded(module: Any, resources: Resources) -> None:
    for number in range(52):
        a_document(resources, f"D-{number}", created_at=f"2026-01-01T12:00:{number:02}.000Z")
    _, view = invoke(module, a_list(OWNER))
    assert [document["documentId"] for document in view["documents"]] == [f"D-{number}" for number in range(51, 1, -1)]


def test_analyst_lists_the_customer_that_they_name(module: Any, resources: Resources) -> None:
    a_document(resources)
    _, view = invoke(module, a_list(ANALYST, customerId="CUST-000042"))
    assert [document["documentId"] for document in view["documents"]] == ["D-1"]
    assert invoke(module, a_list(ANALYST)) == (400, {"message": "Say whose documents: GET /documents?customerId=..."})
    assert invoke(module, a_list(ANALYST, customerId="a b"))[0] == 400


def test_customer_lists_no_other_customer(module: Any, resources: Resources) -> None:
    a_document(resources)
    assert invoke(module, a_list(STRANGER, customerId="CUST-000042"))[0] == 403
    assert invoke(module, a_list(OWNER, customerId="CUST-000042"))[0] == 200


# ---- what fails


@pytest.mark.parametrize("operation", ["GetItem", "GetObject"])
def test_throttled_service_is_answered_503_without_its_name(module: Any, resources: Resources, operation: str) -> None:
    a_document(resources, status="summarized")
    with_summary(resources)
    code = "ThrottlingException" if operation == "GetItem" else "SlowDown"
    with failing(operation, code):
        answer = invoke(module, a_get(OWNER, "D-1"))
    assert answer == (503, {"message": "This cannot be done just now. Try again in a moment."})
    assert invoke(module, a_get(OWNER, "D-1"))[0] == 200


def test_summary_that_is_missing_is_a_defect_that_shows(module: Any, resources: Resources) -> None:
    a_document(resources, status="summarized")
    with pytest.raises(Rejected, match="INTERNAL"):
        invoke(module, a_get(OWNER, "D-1"))


def test_log_and_metrics_name_neither_the_file_nor_the_customer(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    a_document(resources, status="summarized")
    with_summary(resources)
    capsys.readouterr()
    with failing("GetObject", "SlowDown"):
        invoke(module, a_get(OWNER, "D-1"))
    printed, logged = capsys.readouterr().out, " ".join(str(vars(record)) for record in caplog.records)
    assert metrics_in(printed) == {"DocumentReads": 1}
    assert "SlowDown" in logged
    for kept_quiet in ("contract", "CUST-000042", "loan"):
        assert kept_quiet not in printed + logged


# ---- the sample events


def test_every_sample_event_has_a_test() -> None:
    assert samples("read_documents") == ["bad", "edge", "good"]


def test_the_good_sample_shows_the_document(module: Any, resources: Resources) -> None:
    event = sample("read_documents", "good")
    assert invoke(module, event) == (404, NOT_THERE)
    a_document(resources, event["pathParameters"]["documentId"])
    assert invoke(module, event)[0] == 200


def test_the_bad_sample_is_not_looked_up(module: Any) -> None:
    assert invoke(module, sample("read_documents", "bad")) == (404, NOT_THERE)


def test_the_edge_sample_lists_a_customers_documents_for_an_analyst(module: Any, resources: Resources) -> None:
    a_document(resources)
    _, view = invoke(module, sample("read_documents", "edge"))
    assert [document["documentId"] for document in view["documents"]] == ["D-1"]
