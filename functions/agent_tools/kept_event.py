"""An event that cannot part from its fact: it is written with the row that it tells of, and kept there until published.

A crash between the two leaves the event on the row. Whoever next comes to the row - a redelivered request, or a person
who asks again - publishes it, under the id that it had; consumers know an event that comes twice by its id.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.errors import Retryable
from tool_session import Session

PRODUCER = "agent_tools"
_VERSION = 1


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: Sequence[Event]) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Occasion:
    """A change as it is asked for: by whom, when (``now`` in epoch seconds) and in which trace (W3C)."""

    session: Session
    now: float
    traceparent: str | None = None


def build_event(detail_type: str, key: str, data: dict[str, Any], occasion: Occasion) -> Event:
    """The one ``detail_type`` about ``key`` that comes of this occasion."""
    metadata = Metadata(
        event_id=contracts.event_id(detail_type, key),
        event_version=_VERSION,
        correlation_id=occasion.session.correlation_id,
        causation_id=occasion.session.causation_id,
        occurred_at=contracts.timestamp(occasion.now),
        producer=PRODUCER,
        traceparent=occasion.traceparent,
    )
    return contracts.build(detail_type, data, metadata)


def as_text(event: Event) -> str:
    """The event as a row keeps it."""
    return json.dumps({"detail-type": event.detail_type, "detail": event.detail()}, separators=(",", ":"))


def publish_kept(kept: str | None, bus: Bus, note_published: Callable[[], None]) -> None:
    """Publishes what a row keeps, and has it noted; nothing where the row keeps nothing. Raises Retryable."""
    if kept is None:
        return
    said = json.loads(kept)
    detail_type = said["detail-type"]
    event = contracts.parse(detail_type, said | {"source": contracts.SOURCES[detail_type]})
    reasons = bus.publish([event])
    if reasons:
        raise Retryable(f"{detail_type} was not taken: {reasons[event.metadata.event_id]}")
    note_published()
