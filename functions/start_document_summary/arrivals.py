"""An object that arrived in the bucket: which document it is, whose, and what the execution for it is called.

Two deliveries of one arrival give the same names, so the second one starts nothing. Knows no AWS but the shape of its
event: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html (keys are as they are there, not
URL-encoded as in S3's older notifications).
"""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from backbone.errors import Rejected

PREFIX = "incoming/"
UNASSIGNED = "unassigned"
_OWNED_KEY = re.compile(
    r"incoming/(?P<customer>[A-Za-z0-9_.:-]{1,64})/(?P<document>[A-Za-z0-9-]{1,64})/(?P<file>[^/]+)", re.DOTALL
)
_NAMESPACE = uuid.UUID("f1d1c7f4-3d0f-5b0a-8f43-0b8a1f6b7c11")
_HASH_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Arrival:
    """One version of an object below incoming/. ``execution_name`` is its own alone (at most 77 characters)."""

    document_id: str
    customer_id: str
    file_name: str
    key: str
    version_id: str
    execution_name: str
    correlation_id: str
    causation_id: str


@dataclass(frozen=True, slots=True)
class SummaryInput:
    """The state machine's input."""

    document_id: str
    customer_id: str
    file_name: str
    key: str
    version_id: str
    correlation_id: str
    causation_id: str


class Rows(Protocol):
    """Documents' rows. Raises Retryable where it cannot now."""

    def begin(self, arrival: Arrival, now: float) -> None:
        """Notes that ``arrival`` is being worked on; nothing where that was noted before.

        Raises Rejected where the row is another customer's.
        """


class Summaries(Protocol):
    """Starts summaries. Raises Retryable where it cannot now."""

    def start(self, name: str, summary_input: SummaryInput) -> bool:
        """Starts the execution ``name``; False where there was one of that name already."""


def arrival_of(envelope: object) -> Arrival | None:
    """The arrival in an EventBridge envelope; None for a folder that the console made.

    Raises Rejected where it is no "Object Created" of S3 for an object below incoming/.
    """
    detail = envelope.get("detail") if isinstance(envelope, Mapping) else None
    if not isinstance(envelope, Mapping) or not isinstance(detail, Mapping):
        raise Rejected("expected Object Created, got no envelope")
    if (envelope.get("source"), envelope.get("detail-type")) != ("aws.s3", "Object Created"):
        raise Rejected(f"expected Object Created, got {envelope.get('source')!r} {envelope.get('detail-type')!r}")
    bucket = _text(detail.get("bucket"), "name")
    key, version = _text(detail.get("object"), "key"), _text(detail.get("object"), "version-id")
    if not key.startswith(PREFIX):
        raise Rejected(f"{key!r} does not lie below {PREFIX}")
    if key.endswith("/"):
        return None
    return _arrival(bucket, key, version, _text(envelope, "id"))


def begin(arrival: Arrival, *, rows: Rows, summaries: Summaries, now: float) -> bool:
    """Notes the arrival and starts its summary; False where that was done before.

    Raises Retryable where either could not be done; both can be done again.
    """
    rows.begin(arrival, now)
    return summaries.start(
        arrival.execution_name,
        SummaryInput(
            arrival.document_id,
            arrival.customer_id,
            arrival.file_name,
            arrival.key,
            arrival.version_id,
            arrival.correlation_id,
            arrival.causation_id,
        ),
    )


def _arrival(bucket: str, key: str, version: str, event_id: str) -> Arrival:
    owned = _OWNED_KEY.fullmatch(key)
    document = owned["document"] if owned else str(uuid.uuid5(_NAMESPACE, f"{bucket}/{key}"))
    digest = hashlib.sha256("\0".join((bucket, key, version)).encode()).hexdigest()[:_HASH_CHARACTERS]
    return Arrival(
        document_id=document,
        customer_id=owned["customer"] if owned else UNASSIGNED,
        file_name=key.rpartition("/")[2],
        key=key,
        version_id=version,
        execution_name=f"{document}-{digest}",
        # Whoever asked for the upload knows the document's id: under it they can follow all that comes of it.
        correlation_id=document,
        causation_id=event_id,
    )


def _text(said: object, name: str) -> str:
    value = said.get(name) if isinstance(said, Mapping) else None
    if not isinstance(value, str) or not value:
        raise Rejected(f"Object Created without {name} (the bucket must be versioned)")
    return value
