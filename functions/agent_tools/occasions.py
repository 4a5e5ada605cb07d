"""Events of this function: who asked for the change stands in the session, and goes with the fact."""

from dataclasses import dataclass
from typing import Any

from backbone import contracts
from backbone.contracts import Event, Metadata
from tool_session import Session

PRODUCER = "agent_tools"
_VERSION = 1


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
