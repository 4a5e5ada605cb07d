"""The store_summary handler: summary, index, row and event; the status is the check's, whatever the caller says."""

from collections.abc import Callable
from typing import Any

import pytest

from backbone import contracts
from backbone.documents import index_key, summary_key
from backbone.errors import Rejected, Retryable
from backbone.retrieval import Index, search
from stored_summary import Summary, SummarySentence
from tests.unit.aws_faults import failing
from tests.unit.document_builder import (
    DOCUMENT,
    TEXTS,
    FakeModel,
    Workplace,
    a_document,
    cited,
    judged,
    word_vector,
    workplace,
)
from tests.unit.lambda_events import Context, sample, samples
from tests.unit.resources import Resources

SUPPORTED = (judged(TEXTS[0], "p1"), judged("Interest is 4.5% a year.", "p1", passage="p2"))
UNSUPPORTED = (judged(TEXTS[0], "p1"), judged("Interest is 5.4% a year.", "p2", "p3", supported=False))


@pytest.fixture
def module(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    handler = handler_module("store_summary")
    monkeypatch.setattr(handler, "model", FakeModel())
    return handler


@pytest.fixture
def work(resources: Resources) -> Workplace:
    """A document with a first draft that is supported and a second one that is not."""
    place = workplace(resources.client)
    place.extracted(a_document())
    for attempt, verdicts in ((1, SUPPORTED), (2, UNSUPPORTED)):
        place.drafted(*(cited(one.text, *one.passages) for one in verdicts), attempt=attempt)
        place.checked(*verdicts, attempt=attempt)
    return place


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def told(resources: Resources) -> list[dict[str, Any]]:
    return [contracts.parse("DocumentSummarized", envelope).data for envelope in resources.published()]


def test_every_sample_event_has_a_test() -> None:
    assert samples("store_summary") == ["bad", "edge", "good"]


def test_the_good_sample_becomes_summary_index_row_and_event(
    module: Any, work: Workplace, resources: Resources
) -> None:
    answer = invoke(module, sample("store_summary", "good"))
    assert answer == {"summaryKey": summary_key(DOCUMENT), "passagesIndexed": 3}
    summary = work.bucket.read(Summary, summary_key(DOCUMENT))
    assert (summary.status, summary.support_rate, summary.file_name) == ("summarized", 1.0, "contract.pdf")
    assert (summary.model.model_id, summary.model.input_tokens) == ("amazon.nova-lite-v1:0", 500)
    (row,) = resources.rows("documents")
    assert {
        name: next(iter(value.values()))
        for name, value in row.items()
        if name not in ("createdAt", "updatedAt", "expiresAt")
    } == {
        "documentId": DOCUMENT,
        "customerId": "CUST-000042",
        "fileName": "contract.pdf",
        "key": sample("store_summary", "good")["key"],
        "status": "summarized",
        "sentences": "2",
        "supportRate": "1.0000",
        "summaryKey": summary_key(DOCUMENT),
        "pages": "2",
    }
    assert told(resources) == [
        {
            "documentId": DOCUMENT,
            "customerId": "CUST-000042",
            "status": "summarized",
            "sentences": 2,
            "supportRate": 1.0,
            "summaryKey": summary_key(DOCUMENT),
            "modelId": "amazon.nova-lite-v1:0",
            "pages": 2,
        }
    ]


def test_a_sentence_names_the_passage_that_supports_it_and_its_page(module: Any, work: Workplace) -> None:
    invoke(module, sample("store_summary", "good"))
    assert work.bucket.read(Summary, summary_key(DOCUMENT)).sentences == (
        SummarySentence(TEXTS[0], ("p1",), (1,), True),
        SummarySentence("Interest is 4.5% a year.", ("p2",), (1,), True),
    )


def test_the_index_finds_the_passages(module: Any, work: Workplace) -> None:
    invoke(module, sample("store_summary", "good"))
    index = work.bucket.read(Index, index_key(DOCUMENT))
    (hit,) = search(word_vector("who signed the contract in Stennick"), [index], top=1)
    assert (hit.passage.id, hit.file_name, index.model) == ("p3", "contract.pdf", "amazon.titan-embed-text-v2:0")


def test_the_edge_sample_says_that_a_person_must_look(module: Any, work: Workplace, resources: Resources) -> None:
    invoke(module, sample("store_summary", "edge"))
    summary = work.bucket.read(Summary, summary_key(DOCUMENT))
    assert (summary.status, summary.support_rate, summary.file_name) == (
        "needs_review",
        0.5,
        "Öffentliche Bedingungen.pdf",
    )
    assert summary.sentences[1] == SummarySentence("Interest is 5.4% a year.", ("p2", "p3"), (1, 2), False)
    assert resources.rows("documents")[0]["status"] == {"S": "needs_review"}
    assert [event["status"] for event in told(resources)] == ["needs_review"]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    "change", [{"status": "approved"}, {"attempt": 2, "status": "summarized"}], ids=["the bad sample", "not supported"]
)
def test_a_verdict_that_is_not_the_checks_stores_nothing(
    module: Any, resources: Resources, change: dict[str, Any]
) -> None:
    with pytest.raises(Rejected, match="INTERNAL: Status"):
        invoke(module, sample("store_summary", "good") | change)
    assert sample("store_summary", "bad") == sample("store_summary", "good") | {"status": "approved"}
    assert (resources.rows("documents"), told(resources)) == ([], [])


@pytest.mark.usefixtures("work")
def test_the_same_summary_twice_is_one_row_and_one_event_id(module: Any, resources: Resources) -> None:
    for _ in range(2):
        invoke(module, sample("store_summary", "good"))
    events = [contracts.parse("DocumentSummarized", envelope).metadata for envelope in resources.published()]
    assert len(resources.rows("documents")) == 1
    assert {event.event_id for event in events} == {
        contracts.event_id("DocumentSummarized", f"{DOCUMENT}:17793124-05d4-b198-2fde-7ededc63b103")
    }
    assert (events[0].correlation_id, events[0].causation_id) == (DOCUMENT, "17793124-05d4-b198-2fde-7ededc63b103")


@pytest.mark.usefixtures("work")
def test_the_row_of_the_upload_keeps_its_owner_and_name_and_loses_an_old_reason(
    module: Any, resources: Resources
) -> None:
    said = {
        "documentId": DOCUMENT,
        "customerId": "CUST-000042",
        "fileName": "Mein Vertrag.pdf",
        "createdAt": "2026-01-01T12:00:00.000Z",
    }
    item = {
        name: {"S": value} for name, value in (said | {"status": "rejected", "reason": "x", "code": "NO_TEXT"}).items()
    }
    resources.client("dynamodb").put_item(TableName="documents", Item=item)
    invoke(module, sample("store_summary", "good"))
    (row,) = resources.rows("documents")
    assert {name: row[name]["S"] for name in said} == said
    assert row["status"] == {"S": "summarized"}
    assert not {"reason", "code"} & row.keys()


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(
    ("operation", "code"),
    [("PutObject", "SlowDown"), ("UpdateItem", "ThrottlingException"), ("PutEvents", "InternalException")],
)
def test_a_busy_service_is_retryable_and_the_second_try_tells(
    module: Any, resources: Resources, operation: str, code: str
) -> None:
    with failing(operation, code), pytest.raises(Retryable):
        invoke(module, sample("store_summary", "good"))
    assert told(resources) == []
    invoke(module, sample("store_summary", "good"))
    assert len(told(resources)) == 1
