"""The passages of documents in a Bedrock knowledge base: put in, and found by meaning - only ever one customer's.

Each passage is a document of its own of a custom data source that is not chunked, so that what is found is a passage
and can be cited as one. Whose it is, and until when it may be shown, are attributes that every search filters by.

Protocol: IngestKnowledgeBaseDocuments, which answers before it is done; GetKnowledgeBaseDocuments; Retrieve.
https://docs.aws.amazon.com/bedrock/latest/userguide/kb-direct-ingestion-add.html
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_Retrieve.html
"""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.documents import Passage
from backbone.errors import Rejected, Retryable
from backbone.model import judged

# The API's own bound on documents in one call, and calls of ours that are under way at once: an account has few.
_DOCUMENTS_IN_A_CALL = 10
_CALLS_AT_ONCE = 4
_SECONDS_BETWEEN_LOOKS = 2.0
# A passage's attributes must fit into 1 KB with S3 Vectors: the only long one is the file's name.
_NAME_CHARACTERS = 100
_NOT_YET = frozenset({"STARTING", "PENDING", "IN_PROGRESS", "NOT_FOUND"})


@dataclass(frozen=True, slots=True)
class PassageOrigin:
    """What passages come from and whose they are; from ``expires_at`` (epoch seconds) on nobody is shown them."""

    document_id: str
    customer_id: str
    file_name: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that was found, and the document that it stands in."""

    document_id: str
    file_name: str
    passage: Passage


@dataclass(frozen=True, slots=True)
class PassageWriter:
    """The data source behind ``client`` (boto3 "bedrock-agent")."""

    client: Any
    knowledge_base_id: str
    data_source_id: str
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def put(self, passages: Sequence[Passage], origin: PassageOrigin, *, seconds: float) -> None:
        """Puts ``passages`` in and waits until they can be found, at most ``seconds`` in all; twice is as once.

        Raises Retryable where the knowledge base is throttled, away or not done, or failed with one of them; Rejected
        where it refuses.
        """
        deadline = self.clock() + seconds
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as calls:
            waiting = _waiting(calls.map(self._ingest, _batches([_document(one, origin) for one in passages])))
            while waiting:
                if self.clock() > deadline:
                    raise Retryable(f"{self.knowledge_base_id} has not indexed {len(waiting)} passages yet")
                self.sleep(_SECONDS_BETWEEN_LOOKS)
                waiting = _waiting(calls.map(self._look, _batches(waiting)))

    def _ingest(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._asked("ingest_knowledge_base_documents", documents=list(documents))

    def _look(self, identities: Sequence[str]) -> list[dict[str, Any]]:
        named = [{"dataSourceType": "CUSTOM", "custom": {"id": one}} for one in identities]
        return self._asked("get_knowledge_base_documents", documentIdentifiers=named)

    def _asked(self, operation: str, **asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        try:
            answer = getattr(self.client, operation)(
                knowledgeBaseId=self.knowledge_base_id, dataSourceId=self.data_source_id, **asked
            )
        except (ClientError, BotoCoreError) as failed:
            raise judged(operation, self.knowledge_base_id, failed) from failed
        details: list[dict[str, Any]] = answer["documentDetails"]
        (named,) = asked.values()
        if len(details) != len(named):
            raise Retryable(f"{operation} {self.knowledge_base_id}: {len(details)} answers to {len(named)} documents")
        return details


@dataclass(frozen=True, slots=True)
class PassageReader:
    """The knowledge base behind ``client`` (boto3 "bedrock-agent-runtime")."""

    client: Any
    knowledge_base_id: str

    def nearest(self, question: str, *, customer_id: str, now: float, at_most: int) -> list[FoundPassage]:
        """The customer's passages that are nearest in meaning to ``question``, nearest first; ``now`` in epoch seconds.

        Raises Retryable where the knowledge base is throttled or away; Rejected where it refuses, or answers what is no
        passage of this customer's.
        """
        only = [
            {"equals": {"key": "customerId", "value": customer_id}},
            {"greaterThan": {"key": "expiresAt", "value": int(now)}},
        ]
        try:
            answer = self.client.retrieve(
                knowledgeBaseId=self.knowledge_base_id,
                retrievalQuery={"text": question},
                retrievalConfiguration={
                    "vectorSearchConfiguration": {"numberOfResults": at_most, "filter": {"andAll": only}}
                },
            )
        except (ClientError, BotoCoreError) as failed:
            raise judged("retrieve", self.knowledge_base_id, failed) from failed
        return [_found(result, customer_id) for result in answer["retrievalResults"]]


def _batches[T](items: Sequence[T]) -> Iterable[tuple[T, ...]]:
    return itertools.batched(items, _DOCUMENTS_IN_A_CALL, strict=False)


def _document(passage: Passage, origin: PassageOrigin) -> dict[str, Any]:
    words = {
        "customerId": origin.customer_id,
        "documentId": origin.document_id,
        "fileName": origin.file_name[:_NAME_CHARACTERS],
        "passage": passage.id,
    }
    numbers = {"expiresAt": origin.expires_at} | ({} if passage.page is None else {"page": passage.page})
    attributes = [{"key": key, "value": {"type": "STRING", "stringValue": value}} for key, value in words.items()]
    attributes += [{"key": key, "value": {"type": "NUMBER", "numberValue": value}} for key, value in numbers.items()]
    return {
        "content": {
            "dataSourceType": "CUSTOM",
            "custom": {
                "customDocumentIdentifier": {"id": f"{origin.document_id}/{passage.id}"},
                "sourceType": "IN_LINE",
                "inlineContent": {"type": "TEXT", "textContent": {"data": passage.text}},
            },
        },
        "metadata": {"type": "IN_LINE_ATTRIBUTE", "inlineAttributes": attributes},
    }


def _waiting(answers: Iterable[Sequence[Mapping[str, Any]]]) -> list[str]:
    """The ids of the documents that are not indexed yet; raises Retryable where one was not taken."""
    waiting = []
    for detail in itertools.chain.from_iterable(answers):
        if detail["status"] == "INDEXED":
            continue
        identity: str = detail["identifier"]["custom"]["id"]
        if detail["status"] not in _NOT_YET:
            raise Retryable(
                f"{identity} was not indexed: {detail['status']}, {detail.get('statusReason', 'no reason')}"
            )
        waiting.append(identity)
    return waiting


def _found(result: Mapping[str, Any], customer_id: str) -> FoundPassage:
    attributes = result.get("metadata") or {}
    if attributes.get("customerId") != customer_id:
        raise Rejected("INTERNAL: the knowledge base answered a passage that is not this customer's")
    try:
        page = attributes.get("page")
        passage = Passage(attributes["passage"], None if page is None else int(page), result["content"]["text"])
        return FoundPassage(attributes["documentId"], attributes["fileName"], passage)
    except (KeyError, TypeError, ValueError) as malformed:
        raise Rejected(f"INTERNAL: the knowledge base answered what is no passage: {malformed!r}") from malformed
