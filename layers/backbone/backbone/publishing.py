"""Publishing to the bus, with an answer for every event.

``PutEvents`` can succeed as a call and fail for some of its entries (``FailedEntryCount``): an answer that nobody reads
is an event that nobody gets. Here each event that the bus did not take comes back by its id.
"""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from backbone.contracts import Event

# Amazon EventBridge, PutEvents: at most 10 entries a call and 256 KB over all of them (the older, safe bound).
_MAXIMUM_ENTRIES = 10
_MAXIMUM_BYTES = 256 * 1024


class EventsClient(Protocol):
    """The part of boto3's ``events`` client that publishing needs."""

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]: ...  # noqa: N803 - boto3's spelling


@dataclass(frozen=True, slots=True)
class EventBus:
    """The bus ``name``, reached through ``client``."""

    client: EventsClient
    name: str

    def publish(self, events: Sequence[Event]) -> dict[str, str]:
        """Publishes ``events`` in order; returns the reason per event id for those that the bus did not take.

        Never raises for what the bus or the way to it does: a call that fails as a whole is a reason for each of its
        events.
        """
        refused: dict[str, str] = {}
        for batch in _batches([self._entry(event) for event in events]):
            refused |= self._put(batch)
        return refused

    def _put(self, batch: list[tuple[str, dict[str, Any]]]) -> dict[str, str]:
        try:
            answer = self.client.put_events(Entries=[entry for _, entry in batch])
        except (ClientError, BotoCoreError) as failed:
            return {identity: f"put_events: {failed}" for identity, _ in batch}
        return {
            identity: f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}"
            for (identity, _), result in zip(batch, answer["Entries"], strict=True)
            if "ErrorCode" in result
        }

    def _entry(self, event: Event) -> tuple[str, dict[str, Any]]:
        return event.metadata.event_id, {
            "EventBusName": self.name,
            "Source": event.source,
            "DetailType": event.detail_type,
            "Detail": json.dumps(event.detail(), separators=(",", ":"), allow_nan=False),
        }


def _batches(entries: list[tuple[str, dict[str, Any]]]) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    batch: list[tuple[str, dict[str, Any]]] = []
    size = 0
    for entry in entries:
        entry_size = sum(len(text.encode()) for text in itertools.islice(entry[1].values(), 1, None))
        if batch and (len(batch) == _MAXIMUM_ENTRIES or size + entry_size > _MAXIMUM_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry_size
    if batch:
        yield batch
