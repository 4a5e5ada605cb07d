"""What a Kinesis event source mapping's readers know: the mapping, its shards, their lanes, and what wakes them.

``kinesis_event_source`` makes these and keeps them in line with the engine; ``kinesis_lane`` works through them.
"""

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ministack.services import kinesis, lambda_svc

from local.overlay.kinesis_batches import Batch, Gathering
from local.overlay.kinesis_mapping_settings import MappingSettings, mapping_settings


class Wake:
    """Wakes every waiting lane; stands where the engine's Kinesis service sets its flag for new records."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def set(self) -> None:
        """Something changed."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Returns when ``set`` was called since ``count`` was ``seen``, at once if it was already; else in time."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, seconds)


wake = Wake()


@dataclass
class FollowedMapping:
    """A mapping that is followed: the engine's records of it and of its stream, and the readers of its shards."""

    account_id: str
    region: str
    mapping_id: str
    record: dict[str, Any]
    stream: dict[str, Any]
    endpoint: str
    shards: list["ShardReader"] = field(default_factory=list)

    def is_live(self) -> bool:
        """Whether neither the mapping nor its stream was deleted or replaced since."""
        record = lambda_svc._esms.get_scoped(self.account_id, self.region, self.mapping_id)
        return record is self.record and stream_of(record) is self.stream

    def settings(self) -> MappingSettings:
        """Its settings as they are now."""
        return mapping_settings(self.record, self.stream["RetentionPeriodHours"] * 3600.0)


@dataclass
class ShardReader:
    """How far a mapping is with one shard. ``boundary``: where its present lanes end and others take over."""

    shard_id: str
    shard: dict[str, Any]
    position: str  # sequence number of the last record before its lanes' first
    closed: bool = False
    drained: bool = False
    boundary: str | None = None
    lanes: list["Lane"] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)  # between reading on and setting the boundary


@dataclass
class Lane:
    """The part of a shard's records that one thread hands to the function, in order."""

    mapping: FollowedMapping
    shard: ShardReader
    index: int
    count: int
    position: str
    gathering: Gathering = field(default_factory=Gathering)
    window_ends: float = 0.0
    pending: deque[Batch] = field(default_factory=deque)
    finished: bool = False


def stream_of(mapping_record: dict[str, Any]) -> dict[str, Any] | None:
    """The engine's record of the stream that a mapping reads; None where that is no Kinesis stream, or gone."""
    service, region, account_id, resource = (mapping_record.get("EventSourceArn", "").split(":", 5) + [""] * 6)[2:6]
    if service != "kinesis":
        return None
    stream: dict[str, Any] | None = kinesis._streams.get_scoped(account_id, region, resource.removeprefix("stream/"))
    return stream
