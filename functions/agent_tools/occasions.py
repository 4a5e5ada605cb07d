"""Events of this function: who asked for the change stands in the session, and goes with the fact."""

from dataclasses import dataclass
from typing import Any

from backbone.contracts import Cause, Event
from tool_session import Session

PRODUCER = "agent_tools"


@dataclass(frozen=True, slots=True)
class Occasion:
    """A change as it is asked for: by whom, when (``now`` in epoch seconds) and in which trace (W3C)."""

    session: Session
    now: float
    traceparent: str | None = None


def build_event(detail_type: str, key: str, data: dict[str, Any], occasion: Occasion) -> Event:
    """The one ``detail_type`` about ``key`` that comes of this occasion, without what is None in ``data``."""
    return cause_of(occasion).event(detail_type, key, data)


def cause_of(occasion: Occasion) -> Cause:
    """The occasion as the cause of events."""
    session = occasion.session
    return Cause(
        session.correlation_id,
        session.causation_id,
        session.causation_depth,
        occasion.now,
        PRODUCER,
        occasion.traceparent,
    )
