"""Any interleaving of duplicates, retries, faults and crashes ends where one clean pass ends."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.errors import Retryable
from stream_records import MAXIMUM_AGE_SECONDS, StreamRecord
from tests.unit.scoring_world import FLAGGED_AMOUNT, World
from tests.unit.stream_record_builder import a_document, a_record
from tests.unit.transaction_builder import NOON


class KilledError(Exception):
    """The process is gone in the middle of its work."""


@dataclass
class Weather:
    """Draws at each step of each collaborator whether the service is away, or the process crashes."""

    data: st.DataObject
    remaining: int

    def __call__(self, operation: str) -> None:
        if self.remaining == 0:
            return
        what = self.data.draw(st.sampled_from(["fine", "fine", "away", "crash"]), label=operation)
        if what == "fine":
            return
        self.remaining -= 1
        if what == "crash":
            raise KilledError(operation)
        if operation != "publish":  # the bus answers for each event, see ``refuses``
            raise Retryable(operation)

    def refuses(self, _: object) -> bool:
        if self.remaining == 0 or self.data.draw(st.booleans(), label="taken"):
            return False
        self.remaining -= 1
        return True


@st.composite
def streams(draw: st.DrawFn) -> list[StreamRecord]:
    """A shard: transactions of three cards at two terminals, some flagged, some sent again, some no transaction."""
    kinds = draw(st.lists(st.sampled_from(["plain", "flagged", "again", "other", "bad"]), min_size=1, max_size=14))
    documents: list[dict[str, object]] = []
    records = []
    for position, kind in enumerate(kinds):
        document = a_document(
            position,
            cardId=f"CARD-{draw(st.integers(1, 3))}",
            terminalId=f"TERM-{draw(st.integers(1, 2))}",
            occurred_at=NOON - draw(st.integers(0, MAXIMUM_AGE_SECONDS)),
            amountMinor=FLAGGED_AMOUNT + position if kind == "flagged" else 2_000 + position,
        )
        if kind in ("again", "other") and documents:
            document = dict(draw(st.sampled_from(documents)))
        if kind == "other":
            document["amountMinor"] = 7
        documents.append(document)
        records.append(a_record(b"no json" if kind == "bad" else document, position=position))
    return records


def deliver_all(world: World, records: Sequence[StreamRecord], data: st.DataObject, weather: Weather) -> None:
    """Plays the event source mapping: batches of any size, again from the failed record, and now and then all over."""
    position = 0
    while position < len(records):
        size = data.draw(st.integers(1, len(records) - position), label="batch size")
        batch = records[position : position + size]
        try:
            result = world.score(batch)
        except KilledError:
            continue
        numbers = [record.sequence_number for record in batch]
        position += len(batch) if result.failed_from is None else numbers.index(result.failed_from)
        if weather.remaining and data.draw(st.booleans(), label="a checkpoint was lost"):
            weather.remaining -= 1
            position = data.draw(st.integers(0, position), label="back to")


@settings(max_examples=150, deadline=None)
@given(streams(), st.data())
def test_any_interleaving_of_duplicates_retries_and_crashes_ends_as_one_clean_pass(
    records: list[StreamRecord], data: st.DataObject
) -> None:
    clean = World()
    assert clean.score(records).failed_from is None

    weather = Weather(data, remaining=data.draw(st.integers(0, 12), label="faults"))
    stormy = World(chunk_size=data.draw(st.integers(1, 5), label="chunk size"))
    stormy.store.faults = stormy.bus.faults = weather
    stormy.bus.refuses = stormy.quarantine.refuses = weather.refuses
    deliver_all(stormy, records, data, weather)

    assert stormy.facts() == clean.facts()
