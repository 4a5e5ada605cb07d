"""The objects that the steps of the document flow leave in the bucket for one another.

A state machine's state holds 256 KB, a document holds more: states carry ids and keys, and what belongs to them lies
here, one JSON object for each step's result. A step that is run again writes the same object again.

    work/<documentId>/passages.json             SourceDocument
    work/<documentId>/chunks/0001.json          Chunk
    work/<documentId>/chunk_summaries/0001.json ChunkSummary
    work/<documentId>/draft-1.json              Draft, one for each attempt
    work/<documentId>/grounding-1.json          Grounding, one for each attempt
    summaries/<documentId>.json                 the summary (written by store_summary)
    index/<documentId>.json                     the passages' vectors (backbone.retrieval)
"""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Rejected, Retryable
from backbone.json_objects import MalformedObjectError, decode, encode

# A document of 500 pages is some 2 MB of passages and 6 MB of vectors; what is larger was not made by these steps.
MAXIMUM_OBJECT_BYTES = 32 * 1024 * 1024
# What S3 says when it is asked again with success later ("Error responses", Amazon S3 API Reference).
_PASSING_ERRORS = {
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "503",
    "500",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph or so of a document, 200 to 1,200 characters; ``page`` counts from 1 where there are pages."""

    id: str
    page: int | None
    text: str


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """All that was read from an upload: its passages in order, p1 to pN."""

    document_id: str
    file_name: str
    media_type: str
    title: str | None
    pages: int | None
    passages: tuple[Passage, ...]
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """As many passages as are summarised at once (at most 12,000 characters); ``chunk`` counts from 1."""

    document_id: str
    chunk: int
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence of a summary and the ids of the passages that it says it comes from."""

    text: str
    passages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Which model wrote something (``profile``: which local one, null on AWS) and how many tokens that took."""

    model_id: str
    profile: str | None
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class ChunkSummary:
    """What a chunk's passages say, in a few sentences."""

    document_id: str
    chunk: int
    sentences: tuple[CitedSentence, ...]
    model: ModelUse


@dataclass(frozen=True, slots=True)
class Draft:
    """A summary of the whole document that nobody has checked yet; ``model`` counts all tokens spent on it so far."""

    document_id: str
    attempt: int
    sentences: tuple[CitedSentence, ...]
    model: ModelUse


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A sentence with its best passage, how near the two are (0..1) and, in words, what speaks against it."""

    text: str
    passages: tuple[str, ...]
    supported: bool
    passage: str
    similarity: float
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grounding:
    """The check of a draft; ``support_rate`` is the share of its sentences that are supported."""

    document_id: str
    attempt: int
    support_rate: float
    sentences: tuple[JudgedSentence, ...]


def passages_key(document_id: str) -> str:
    return f"work/{document_id}/passages.json"


def chunk_key(document_id: str, chunk: int) -> str:
    return f"work/{document_id}/chunks/{chunk:04}.json"


def chunk_summary_key(document_id: str, chunk: int) -> str:
    return f"work/{document_id}/chunk_summaries/{chunk:04}.json"


def draft_key(document_id: str, attempt: int) -> str:
    return f"work/{document_id}/draft-{attempt}.json"


def grounding_key(document_id: str, attempt: int) -> str:
    return f"work/{document_id}/grounding-{attempt}.json"


def summary_key(document_id: str) -> str:
    return f"summaries/{document_id}.json"


def index_key(document_id: str) -> str:
    return f"index/{document_id}.json"


@dataclass(frozen=True, slots=True)
class DocumentBucket:
    """The bucket ``name`` behind ``client`` (boto3 "s3"). A 5xx or a throttled call is Retryable, the rest Rejected."""

    client: Any
    name: str

    def read[T](self, kind: type[T], key: str) -> T:
        """The object ``key`` as the dataclass ``kind``.

        Raises Retryable where S3 cannot now; Rejected (INTERNAL) where the object is absent, too large or malformed.
        """
        try:
            return decode(kind, json.loads(self._read_bytes(key)))
        except (MalformedObjectError, ValueError) as malformed:
            raise Rejected(f"INTERNAL: {key} is not what it should be: {malformed}") from malformed

    def write(self, key: str, value: object) -> None:
        """Writes the dataclass ``value`` as the object ``key``. Raises as ``read`` does."""
        body = json.dumps(encode(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if len(body) > MAXIMUM_OBJECT_BYTES:
            raise Rejected(f"TOO_LARGE: {key} would have {len(body):,} bytes; at most {MAXIMUM_OBJECT_BYTES:,}.")
        try:
            self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType="application/json")
        except (ClientError, BotoCoreError) as failed:
            raise _as_ours(failed, f"put_object {key}") from failed

    def _read_bytes(self, key: str) -> bytes:
        try:
            answer = self.client.get_object(Bucket=self.name, Key=key)
            if answer["ContentLength"] > MAXIMUM_OBJECT_BYTES:
                raise Rejected(f"TOO_LARGE: {key} has {answer['ContentLength']:,} bytes.")
            content: bytes = answer["Body"].read()
        except (ClientError, BotoCoreError) as failed:
            raise _as_ours(failed, f"get_object {key}") from failed
        return content


def _as_ours(failed: ClientError | BotoCoreError, call: str) -> Retryable | Rejected:
    """A connection that broke or a service that was busy may do better; a missing object or grant will not."""
    if not isinstance(failed, ClientError) or failed.response["Error"]["Code"] in _PASSING_ERRORS:
        return Retryable(f"{call}: {failed}")
    return Rejected(f"INTERNAL: {call}: {failed}")
