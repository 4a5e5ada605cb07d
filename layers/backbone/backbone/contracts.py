"""The event contract: the one place that knows names, builds events and reads them.

An event on the bus is a fact in the past tense. Its EventBridge envelope carries ``source`` (``backbone.<domain>``)
and ``detail-type``; its ``detail`` is ``{"metadata": {...}, "data": {...}}``. Each version of each event has one JSON
Schema in schemas/<source>/<Event>.v<version>.json: what is built here is checked against it before it leaves, what is
read here is checked before it is used, and the schema registry and the docs are made from the same files.

Pure: no AWS, no clock but the one that is passed in.
"""

import functools
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastjsonschema

from backbone.errors import Rejected

SOURCES = {
    "TransactionFlagged": "backbone.payments",
    "CustomerNotified": "backbone.payments",
    "DocumentSummarized": "backbone.documents",
    "DocumentRejected": "backbone.documents",
    "CardBlocked": "backbone.payments",
    "CardUnblocked": "backbone.payments",
    "TransactionReleased": "backbone.payments",
    "TransactionReleaseWithdrawn": "backbone.payments",
    "TransactionRefunded": "backbone.payments",
    "RefundReversed": "backbone.payments",
    "ChatMessageReceived": "backbone.chat",
    "ChatAnswered": "backbone.chat",
    "ActionProposed": "backbone.agent",
    "ActionApproved": "backbone.agent",
    "ActionRejected": "backbone.agent",
    "CaseOpened": "backbone.cases",
    "CaseClosed": "backbone.cases",
    "CaseEscalated": "backbone.cases",
}
# The schemas' bound; a chain as long as that is refused by whoever bounds chains, long before.
MAXIMUM_DEPTH = 1000
_XRAY_ROOT = re.compile("1-([0-9a-f]{8})-([0-9a-f]{24})")
_XRAY_PARENT = re.compile("[0-9a-f]{16}")
_NAMESPACE = uuid.UUID("5a8f6d0e-5d1c-5f0e-9a53-7c1d2f0b6b11")
_SCHEMAS = next(
    folder
    for folder in (Path(__file__).parent.parent / "schemas", Path(__file__).parents[3] / "schemas")
    if folder.is_dir()
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What every event says of itself, whatever it is about.

    ``event_id`` is the key of idempotency: the same fact published twice carries the same id. ``correlation_id`` is
    shared by all that one input led to; ``causation_id`` names the event or record that led to this one.
    ``occurred_at`` is RFC 3339 in UTC; ``traceparent`` is W3C Trace Context, so that a trace crosses the bus.
    ``causation_depth`` counts the events on the way from the outside to this one: 0 for one that the outside led to,
    one more than its cause's for any other. A consumer that sets off new work refuses what lies too deep, so that no
    chain of events goes round for ever.
    """

    event_id: str
    event_version: int
    correlation_id: str
    causation_id: str
    occurred_at: str
    producer: str
    traceparent: str | None = None
    causation_depth: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """An event that has passed its schema. ``data`` is as the schema of ``detail_type`` says."""

    detail_type: str
    source: str
    metadata: Metadata
    data: dict[str, Any]

    def detail(self) -> dict[str, Any]:
        """The ``detail`` of the EventBridge envelope."""
        metadata = self.metadata
        said = {
            "eventId": metadata.event_id,
            "eventVersion": metadata.event_version,
            "correlationId": metadata.correlation_id,
            "causationId": metadata.causation_id,
            "occurredAt": metadata.occurred_at,
            "producer": metadata.producer,
        }
        if metadata.traceparent is not None:
            said["traceparent"] = metadata.traceparent
        if metadata.causation_depth:
            said["causationDepth"] = metadata.causation_depth
        return {"metadata": said, "data": self.data}


@dataclass(frozen=True, slots=True)
class Cause:
    """What events come of: the chain that they belong to, what led to them, by whom and when they become facts.

    ``causation_depth`` is theirs, not that of what led to them; ``now`` in epoch seconds.
    """

    correlation_id: str
    causation_id: str
    causation_depth: int
    now: float
    producer: str
    traceparent: str | None = None

    def event(self, detail_type: str, key: str, data: dict[str, Any], version: int = 1) -> Event:
        """The one ``detail_type`` about ``key``, without the fields of ``data`` that are None."""
        metadata = Metadata(
            event_id=event_id(detail_type, key),
            event_version=version,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            occurred_at=timestamp(self.now),
            producer=self.producer,
            traceparent=self.traceparent,
            causation_depth=self.causation_depth,
        )
        return build(detail_type, {name: value for name, value in data.items() if value is not None}, metadata)


def caused_by(event: Event, now: float, producer: str, traceparent: str | None = None) -> Cause:
    """``event`` as the cause of what ``producer`` tells ``now``; its trace goes on where there is none of its own."""
    said = event.metadata
    depth = depth_after(said.causation_depth)
    return Cause(said.correlation_id, said.event_id, depth, now, producer, traceparent or said.traceparent)


def depth_after(depth: int) -> int:
    """The depth of an event whose cause has ``depth``; no deeper than the schemas go."""
    return min(depth + 1, MAXIMUM_DEPTH)


def event_id(detail_type: str, key: str) -> str:
    """The id of the one ``detail_type`` event about ``key``: the same on every retry and on every machine."""
    return str(uuid.uuid5(_NAMESPACE, f"{detail_type}:{key}"))


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds, from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def build(detail_type: str, data: dict[str, Any], metadata: Metadata) -> Event:
    """An event that is fit to be published.

    Raises ValueError where it breaks its own schema: that is a defect of the producer, not of its input.
    """
    event = Event(detail_type, SOURCES[detail_type], metadata, data)
    problem = violation(f"{event.source}/{detail_type}.v{metadata.event_version}", event.detail())
    if problem:
        raise ValueError(f"{detail_type} v{metadata.event_version} breaks its schema: {problem}")
    return event


def parse(detail_type: str, envelope: object) -> Event:
    """The event in an EventBridge ``envelope``; raises Rejected where it is not a ``detail_type`` we know."""
    if not isinstance(envelope, Mapping):
        raise Rejected(f"expected {detail_type}, got no envelope but {type(envelope).__name__}")
    if envelope.get("detail-type") != detail_type or envelope.get("source") != SOURCES[detail_type]:
        raise Rejected(f"expected {detail_type}, got {envelope.get('source')!r} {envelope.get('detail-type')!r}")
    detail = envelope.get("detail")
    version = _version(detail)
    schema = f"{SOURCES[detail_type]}/{detail_type}.v{version}"
    if not isinstance(detail, dict) or not isinstance(version, int) or not (_SCHEMAS / f"{schema}.json").is_file():
        raise Rejected(f"{detail_type} of an unknown version: {version!r}")
    problem = violation(schema, detail)
    if problem:
        raise Rejected(f"{detail_type} v{version} breaks its schema: {problem}")
    said = detail["metadata"]
    return Event(
        detail_type,
        SOURCES[detail_type],
        Metadata(
            said["eventId"],
            said["eventVersion"],
            said["correlationId"],
            said["causationId"],
            said["occurredAt"],
            said["producer"],
            said.get("traceparent"),
            said.get("causationDepth", 0),
        ),
        detail["data"],
    )


def _version(detail: object) -> object:
    metadata = detail.get("metadata") if isinstance(detail, dict) else None
    return metadata.get("eventVersion") if isinstance(metadata, dict) else None


def violation(schema: str, document: object) -> str | None:
    """What in ``document`` breaks ``schema`` (e.g. "backbone.payments/Transaction.v1"), or None where nothing does."""
    try:
        _validator(schema)(document)
    except fastjsonschema.JsonSchemaValueException as broken:
        return str(broken.message)
    return None


def traceparent(xray_header: str | None) -> str | None:
    """W3C ``traceparent`` from X-Ray's trace header (``Root=1-5759e988-bd86...;Parent=53995c3f42cd8ad8;Sampled=1``).

    The two carry the same 128 bit trace id and 64 bit parent id; None where the header is absent, incomplete or
    malformed: a trace that breaks is no reason to stop an event.
    """
    fields = dict(part.strip().split("=", 1) for part in (xray_header or "").split(";") if "=" in part)
    root = _XRAY_ROOT.fullmatch(fields.get("Root", ""))
    parent = _XRAY_PARENT.fullmatch(fields.get("Parent", ""))
    if root is None or parent is None:
        return None
    return f"00-{root[1]}{root[2]}-{parent[0]}-{'01' if fields.get('Sampled') == '1' else '00'}"


@functools.cache
def _validator(schema: str) -> Any:
    return fastjsonschema.compile(json.loads((_SCHEMAS / f"{schema}.json").read_text()))
