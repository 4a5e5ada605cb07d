"""The summary as people get it: the checked sentences, each with passages that are there and the pages they are on.

Knows no AWS: where things are kept and how events are published are arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.documents import Grounding, JudgedSentence, ModelUse, Passage, SourceDocument
from backbone.errors import Rejected, Retryable

PRODUCER = "store_summary"
SUMMARIZED = "DocumentSummarized"
STATUSES = ("summarized", "needs_review")


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """What the state machine says; ``status`` is one of STATUSES, ``key`` the uploaded object."""

    document_id: str
    customer_id: str
    key: str
    attempt: int
    status: str
    correlation_id: str
    causation_id: str
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """A sentence with the passages behind it and their pages, in order; unsupported ones say so."""

    text: str
    passages: tuple[str, ...]
    pages: tuple[int, ...]
    supported: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The object summaries/<documentId>.json; ``created_at`` is RFC 3339 in UTC."""

    document_id: str
    customer_id: str
    file_name: str
    title: str | None
    pages: int | None
    status: str
    sentences: tuple[SummarySentence, ...]
    support_rate: float
    model: ModelUse
    created_at: str


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: list[Event]) -> dict[str, str]: ...


def build_summary(
    asked: StoreRequest, document: SourceDocument, grounding: Grounding, model: ModelUse, now: float
) -> Summary:
    """The summary to store; ``now`` in epoch seconds.

    Raises Rejected (INTERNAL) where the verdict is not the check's: what is not supported is never stored as if it
    were.
    """
    unsupported = [sentence for sentence in grounding.sentences if not sentence.supported]
    if asked.status not in STATUSES or (asked.status == "summarized" and unsupported):
        raise Rejected(f"INTERNAL: Status {asked.status} for a summary with {len(unsupported)} unsupported sentences.")
    passages = {passage.id: passage for passage in document.passages}
    return Summary(
        asked.document_id,
        asked.customer_id,
        asked.file_name or document.file_name,
        document.title,
        document.pages,
        asked.status,
        tuple(_sentence(judged, passages) for judged in grounding.sentences),
        grounding.support_rate,
        model,
        contracts.timestamp(now),
    )


def summarized_event(asked: StoreRequest, summary: Summary, summary_key: str, traceparent: str | None) -> Event:
    """DocumentSummarized, under an id made from the document and the upload that led to it."""
    data = {
        "documentId": summary.document_id,
        "customerId": summary.customer_id,
        "status": summary.status,
        "sentences": len(summary.sentences),
        "supportRate": summary.support_rate,
        "summaryKey": summary_key,
        "modelId": summary.model.model_id,
    }
    if summary.pages is not None:
        data["pages"] = summary.pages
    metadata = Metadata(
        event_id=contracts.event_id(SUMMARIZED, f"{asked.document_id}:{asked.causation_id}"),
        event_version=1,
        correlation_id=asked.correlation_id,
        causation_id=asked.causation_id,
        occurred_at=summary.created_at,
        producer=PRODUCER,
        traceparent=traceparent,
    )
    return contracts.build(SUMMARIZED, data, metadata)


def publish(event: Event, bus: Bus) -> None:
    """Publishes the one event; raises Retryable where it was not taken."""
    refused = bus.publish([event])
    if refused:
        raise Retryable(f"{event.detail_type} was not taken: {refused[event.metadata.event_id]}")


def _sentence(judged: JudgedSentence, passages: Mapping[str, Passage]) -> SummarySentence:
    behind = _behind(judged, passages)
    pages = {page for one in behind if (page := passages[one].page) is not None}
    return SummarySentence(judged.text, behind, tuple(sorted(pages)), judged.supported)


def _behind(judged: JudgedSentence, passages: Mapping[str, Passage]) -> tuple[str, ...]:
    """The passages that the sentence cites; the one that supports it where it cites another."""
    cited = tuple(one for one in judged.passages if one in passages)
    if judged.passage in cited:
        return cited
    return (judged.passage,) if judged.supported else cited
