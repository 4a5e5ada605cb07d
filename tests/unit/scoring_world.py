"""The real scoring domain between in-memory collaborators, for tests of what becomes of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from features import FEATURE_NAMES, CardProfile, TerminalProfile
from scoring import BatchResult, score_batch
from stream_records import StreamRecord
from tests.unit.fake_adapters import FakeBus, FakeQuarantine, FakeStore

FLAGGED_AMOUNT = 50_000


@dataclass(frozen=True)
class Facts:
    """What a model says of itself."""

    version: str = "0123456789ab"
    threshold: float = 0.5
    reference_row: tuple[float, ...] = (0.0,) * len(FEATURE_NAMES)


def score_by_amount(rows: Sequence[Sequence[float]]) -> list[float]:
    """A model that finds an amount of FLAGGED_AMOUNT or more suspicious, and nothing else."""
    return [0.9 if row[0] >= FLAGGED_AMOUNT else 0.1 for row in rows]


@dataclass
class World:
    """Collaborators that stay while batches come and come again."""

    store: FakeStore = field(default_factory=FakeStore)
    bus: FakeBus = field(default_factory=FakeBus)
    quarantine: FakeQuarantine = field(default_factory=FakeQuarantine)
    chunk_size: int = 4

    def score(self, records: Sequence[StreamRecord], now: float = 1_800_000_000.0) -> BatchResult:
        """One delivery of ``records``."""
        return score_batch(
            records,
            store=self.store,
            score=score_by_amount,
            facts=Facts(),
            bus=self.bus,
            quarantine=self.quarantine,
            chunk_size=self.chunk_size,
            now=now,
        )

    def published_ids(self) -> list[str]:
        """The ids of the published events, in order."""
        return [event.metadata.event_id for event in self.bus.published]

    def refused_ids(self) -> list[str]:
        """The event ids of the records in the quarantine, in order."""
        return [refusal.record.event_id for refusal in self.quarantine.kept]

    def facts(self) -> "WorldFacts":
        """Everything that must not depend on how often, and in which batches, the records were delivered."""
        return WorldFacts(
            rows={key: (seen.received.digest, seen.explanation()) for key, seen in self.store.decisions.items()},
            cards=dict(self.store.cards),
            terminals=dict(self.store.terminals),
            published=frozenset(self.published_ids()),
            marked=frozenset(key for key, seen in self.store.transactions.items() if seen.is_published),
            refused=frozenset(self.refused_ids()),
        )


@dataclass(frozen=True)
class WorldFacts:
    """Rows by digest and verdict, counters, and what left the domain."""

    rows: dict[str, tuple[str, str]]
    cards: dict[str, CardProfile]
    terminals: dict[str, TerminalProfile]
    published: frozenset[str]
    marked: frozenset[str]
    refused: frozenset[str]
