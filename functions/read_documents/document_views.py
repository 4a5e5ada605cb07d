"""What a person may see of documents: customers their own, analysts all.

Knows no AWS: where rows and objects are kept are arguments.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backbone.documents import ModelUse, Passage, index_key, summary_key
from backbone.identity import Caller
from backbone.json_objects import encode
from backbone.rest import RefusedError

LISTED_AT_MOST = 50
_DOCUMENT_ID = re.compile("[A-Za-z0-9-]{1,64}")
_CUSTOMER_ID = re.compile("[A-Za-z0-9_.:-]{1,64}")
_SUMMARIZED = ("summarized", "needs_review")

type View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document as the table has it. ``customer_id`` is None where it was put in the bucket by nobody we know."""

    document_id: str
    customer_id: str | None
    file_name: str
    status: str
    created_at: str
    updated_at: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """A sentence of a stored summary, the ids of the passages behind it, and whether the check found it supported."""

    text: str
    passages: tuple[str, ...]
    supported: bool


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """The part of summaries/<documentId>.json that people are shown."""

    title: str | None
    pages: int | None
    sentences: tuple[SummarySentence, ...]
    support_rate: float
    model: ModelUse


@dataclass(frozen=True, slots=True)
class IndexedPassages:
    """The part of index/<documentId>.json that people are shown; it lives as long as the summary, work/ does not."""

    passages: tuple[Passage, ...]


class Rows(Protocol):
    """Reads documents' rows. Raises Retryable where it cannot now."""

    def get(self, document_id: str) -> DocumentRow | None: ...

    def newest(self, customer_id: str, at_most: int) -> list[DocumentRow]: ...


class Bucket(Protocol):
    """Reads JSON objects. Raises Retryable where it cannot now, Rejected where the object is not what it should be."""

    def read[T](self, kind: type[T], key: str) -> T: ...


def view_document(caller: Caller, document_id: str, *, rows: Rows, bucket: Bucket) -> View:
    """The document's state and, once there is one, its summary; RefusedError (404) where ``caller`` may not see it."""
    row = rows.get(document_id) if _DOCUMENT_ID.fullmatch(document_id) else None
    if row is None or not _may_see(caller, row):
        raise RefusedError(404, "There is no such document of yours. GET /documents lists those that there are.")
    view = _row_view(row)
    if row.status in _SUMMARIZED:
        view["summary"] = _summary_view(
            bucket.read(StoredSummary, summary_key(document_id)),
            bucket.read(IndexedPassages, index_key(document_id)),
        )
    return view


def view_list(caller: Caller, customer_id: str | None, *, rows: Rows) -> View:
    """The newest documents of one customer: the caller, or the one that an analyst names.

    Raises RefusedError: 400 where an analyst names none, 403 where anybody else names another than themselves.
    """
    if customer_id is None and caller.customer_id is None and caller.is_analyst:
        raise RefusedError(400, "Say whose documents: GET /documents?customerId=...")
    wanted = customer_id or caller.customer_id
    if wanted is None or not (caller.is_analyst or wanted == caller.customer_id):
        raise RefusedError(403, "You can list your own documents only: GET /documents.")
    if not _CUSTOMER_ID.fullmatch(wanted):
        raise RefusedError(400, "customerId is 1 to 64 letters, digits or any of _ . : -")
    return {"documents": [_row_view(row) for row in rows.newest(wanted, LISTED_AT_MOST)]}


def _may_see(caller: Caller, row: DocumentRow) -> bool:
    return caller.is_analyst or (caller.customer_id is not None and caller.customer_id == row.customer_id)


def _row_view(row: DocumentRow) -> View:
    """What the row says; what it does not say is left out."""
    return {name: value for name, value in encode(row).items() if value is not None}


def _summary_view(summary: StoredSummary, index: IndexedPassages) -> View:
    passages = {passage.id: passage for passage in index.passages}
    return {
        "title": summary.title,
        "pages": summary.pages,
        "supportRate": summary.support_rate,
        "sentences": [_sentence_view(sentence, passages) for sentence in summary.sentences],
        # What wrote this is said wherever it is shown: locally it is another model than on AWS.
        "model": {"modelId": summary.model.model_id, "profile": summary.model.profile},
    }


def _sentence_view(sentence: SummarySentence, passages: Mapping[str, Passage]) -> View:
    return {
        "text": sentence.text,
        "supported": sentence.supported,
        "passages": [encode(passages[identity]) for identity in sentence.passages],
    }
