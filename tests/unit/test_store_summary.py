"""The store_summary handler: summary, index, row and event; the status is the check's, whatever the caller says."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from backbone import contracts
from backbone.documents import Passage, index_key, summary_key
from backbone.errors import Rejected, Retryable
from backbone.knowledge_base import PassageOrigin
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


# ---- Retrieval=knowledge-base


@dataclass
class FakeWriter:
    """Stands for the knowledge base's writer; raises ``failure`` where there is one."""

    failure: Exception | None = None
    put_in: list[tuple[tuple[Passage, ...], PassageOrigin]] = field(default_factory=list)

    def __call__(self, _client: object, base_id: str, source_id: str) -> "FakeWriter":
        assert (base_id, source_id) == ("KB12345678", "DS12345678")
        return self

    def put(self, passages: Sequence[Passage], origin: PassageOrigin, *, seconds: float) -> None:
        assert seconds < 240, "longer than the function has"
        if self.failure:
            raise self.failure
        self.put_in.append((tuple(passages), origin))


def with_knowledge_base(module: Any, monkeypatch: pytest.MonkeyPatch, writer: FakeWriter) -> FakeWriter:
    told_of_it = replace(module.settings, knowledge_base_id="KB12345678", data_source_id="DS12345678")
    monkeypatch.setattr(module, "settings", told_of_it)
    monkeypatch.setattr(module, "PassageWriter", writer)
    return writer


def test_passages_go_into_the_knowledge_base_where_there_is_one_and_no_index_is_written(
    module: Any, work: Workplace, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = with_knowledge_base(module, monkeypatch, FakeWriter())
    assert invoke(module, sample("store_summary", "good"))["passagesIndexed"] == 3
    ((passages, origin),) = writer.put_in
    assert passages == a_document().passages
    assert (origin.document_id, origin.customer_id, origin.file_name) == (DOCUMENT, "CUST-000042", "contract.pdf")
    assert origin.expires_at == pytest.approx(time.time() + 90 * 86_400, abs=60)
    assert str(origin.expires_at) == resources.rows("documents")[0]["expiresAt"]["N"]
    with pytest.raises(Rejected, match="NoSuchKey"):
        work.bucket.read(Index, index_key(DOCUMENT))


@pytest.mark.usefixtures("work")
def test_summary_is_told_to_nobody_before_its_passages_can_be_found(
    module: Any, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_knowledge_base(module, monkeypatch, FakeWriter(Retryable("not indexed yet")))
    with pytest.raises(Retryable):
        invoke(module, sample("store_summary", "good"))
    assert (resources.rows("documents"), told(resources)) == ([], [])
