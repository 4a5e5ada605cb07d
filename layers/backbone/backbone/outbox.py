"""An event that cannot part from its fact: written with the row that it tells of, kept there until the bus has it.

A crash between the two leaves the event on the row (``eventToPublish``). Whoever next comes to the row publishes it,
under the id that it had; consumers know an event that comes twice by its id. The pattern is the transactional outbox:
https://docs.aws.amazon.com/prescriptive-guidance/latest/cloud-design-patterns/transactional-outbox.html
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, replace
from typing import Any, ClassVar, Protocol

from backbone import contracts
from backbone.contracts import Event
from backbone.errors import Retryable


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: Sequence[Event]) -> Mapping[str, str]: ...


class Keeping(Protocol):
    """A dataclass that keeps an event which the bus may not have yet."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # which makes it one, for ``replace``

    @property
    def event_to_publish(self) -> str | None: ...


class Rows(Protocol):
    """Where rows are kept. Raises Retryable where it cannot now."""

    def note_published(self, key: str, event_to_publish: str, /) -> None: ...


def as_text(event: Event) -> str:
    """The event as a row keeps it."""
    return json.dumps({"detail-type": event.detail_type, "detail": event.detail()}, separators=(",", ":"))


def publish_kept(kept: str | None, bus: Bus, note_published: Callable[[str], None]) -> None:
    """Publishes what a row keeps, then calls ``note_published`` with it; nothing where the row keeps nothing.

    Raises Retryable where the bus did not take it, and as ``note_published`` does.
    """
    if kept is None:
        return
    said = json.loads(kept)
    detail_type = said["detail-type"]
    event = contracts.parse(detail_type, said | {"source": contracts.SOURCES[detail_type]})
    reasons = bus.publish([event])
    if reasons:
        raise Retryable(f"{detail_type} was not taken: {reasons[event.metadata.event_id]}")
    note_published(kept)


def told[Row: Keeping](row: Row, key: str, rows: Rows, bus: Bus) -> Row:
    """``row``, whose id in ``rows`` is ``key``, once its events are out. Raises Retryable."""
    publish_kept(row.event_to_publish, bus, lambda event: rows.note_published(key, event))
    return replace(row, event_to_publish=None)
