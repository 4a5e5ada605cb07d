"""What becomes of a batch: each record a row or a quarantine message, each flag one event, and nothing twice."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from backbone import contracts
from backbone.errors import Retryable
from features import CardProfile, add_to_card
from scoring import BatchResult, score_batch
from stream_records import StreamRecord
from tests.unit.fake_adapters import FakeBus, FakeQuarantine, FakeStore
from tests.unit.scoring_world import FLAGGED_AMOUNT, Facts, World, score_by_amount
from tests.unit.stream_record_builder import a_document, a_received, a_record
from tests.unit.transaction_builder import NOON


def a_plain_record(position: int, **changes: Any) -> StreamRecord:
    """A transaction of its own card, so that no rule sees two of them."""
    return a_record(a_document(position, cardId=f"CARD-{position}", **changes), position=position)


def a_flagged_record(position: int) -> StreamRecord:
    return a_plain_record(position, amountMinor=FLAGGED_AMOUNT)


def a_bad_record(position: int) -> StreamRecord:
    return a_record(b"not json", position=position)


def sequence_number(position: int) -> str:
    return a_plain_record(position).sequence_number


def raise_once(operation: str, error: Exception) -> Callable[[str], None]:
    """A fault that happens the first time that ``operation`` is reached."""
    pending = [error]

    def fault(reached: str) -> None:
        if reached == operation and pending:
            raise pending.pop()

    return fault


def test_each_record_becomes_a_row_an_event_or_a_quarantine_message() -> None:
    world = World()
    result = world.score([a_plain_record(1), a_flagged_record(2), a_bad_record(3)])
    assert result == BatchResult(records=3, scored=2, flagged=1, refused=1, repeated=0, failed_from=None)
    assert set(world.store.transactions) == {"TX-1", "TX-2"}
    assert world.published_ids() == [contracts.event_id("TransactionFlagged", "TX-2")]
    assert world.refused_ids() == [a_bad_record(3).event_id]


def test_a_flagged_event_says_what_was_flagged_and_what_led_to_it() -> None:
    world = World()
    world.score([a_record(a_document(1, amountMinor=FLAGGED_AMOUNT, correlationId="order-1"))], now=NOON + 1.5)
    event = world.bus.published[0]
    assert event.metadata.correlation_id == "order-1"
    assert event.metadata.causation_id == a_plain_record(1).event_id
    assert event.metadata.occurred_at == "2023-11-15T12:00:01.500Z"
    assert event.data["occurredAt"] == "2023-11-15T12:00:00Z"
    assert (event.data["score"], event.data["severity"], event.data["amountMinor"]) == (0.9, "high", FLAGGED_AMOUNT)
    assert [reason["code"] for reason in event.data["reasons"]] == ["MODEL_SCORE", "NEW_CARD_LARGE_AMOUNT"]


def test_nothing_is_published_for_what_is_not_flagged() -> None:
    world = World()
    world.score([a_plain_record(1)])
    assert world.bus.published == []
    assert world.store.transactions["TX-1"].flagged_event is None


def test_a_card_that_was_never_seen_is_scored_and_known_afterwards() -> None:
    world = World()
    world.score([a_plain_record(1)])
    assert world.store.cards["CARD-1"] == add_to_card(CardProfile(), a_received(a_document(1)).transaction)


def test_transactions_of_one_card_see_each_other_within_a_batch_and_across_chunks() -> None:
    world = World(chunk_size=2)
    world.score([a_record(a_document(n, occurred_at=NOON + n), position=n) for n in range(1, 6)])
    counts = [world.store.decisions[f"TX-{n}"].verdict.features["card_count_1d"] for n in range(1, 6)]
    assert counts == [1, 2, 3, 4, 5]
    assert [reason.code for reason in world.store.decisions["TX-5"].verdict.reasons] == ["VELOCITY"]


def test_a_batch_that_comes_twice_changes_nothing_twice() -> None:
    world = World()
    batch = [a_plain_record(1), a_flagged_record(2)]
    world.score(batch)
    before = world.facts()
    result = world.score(batch)
    assert result == BatchResult(records=2, scored=0, flagged=0, refused=0, repeated=2, failed_from=None)
    assert world.facts() == before
    assert len(world.bus.published) == 1


def test_a_duplicate_within_a_batch_is_recognised() -> None:
    world = World()
    twin = a_record(a_document(1, cardId="CARD-1", amountMinor=FLAGGED_AMOUNT), position=2)
    result = world.score([a_flagged_record(1), twin])
    assert (result.scored, result.repeated, result.failed_from) == (1, 1, None)
    assert len(world.bus.published) == 1
    assert sum(count for count, _ in world.store.terminals["TERM-00001"].days.values()) == 1


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in the next batch"])
def test_another_transaction_under_a_used_id_is_quarantined(*, together: bool) -> None:
    world = World()
    other = a_record(a_document(1, cardId="CARD-1", amountMinor=2_001), position=2)
    for batch in [[a_plain_record(1), other]] if together else [[a_plain_record(1)], [other]]:
        world.score(batch)
    assert [refusal.reason for refusal in world.quarantine.kept] == [
        "transactionId TX-1 was used before by another transaction"
    ]
    assert world.store.decisions["TX-1"].transaction.amount_minor == 2_000


def test_a_batch_is_given_back_from_the_first_transaction_where_the_store_cannot_be_read() -> None:
    world = World(store=FakeStore(raise_once("load", Retryable("ProvisionedThroughputExceeded"))))
    batch = [a_bad_record(1), a_flagged_record(2), a_plain_record(3), a_bad_record(4)]
    first = world.score(batch)
    assert first == BatchResult(records=4, scored=0, flagged=0, refused=1, repeated=0, failed_from=sequence_number(2))
    second = world.score(batch[1:])
    assert second == BatchResult(records=3, scored=2, flagged=1, refused=1, repeated=0, failed_from=None)
    assert world.refused_ids() == [batch[0].event_id, batch[3].event_id]


def test_a_batch_is_given_back_where_the_models_endpoint_is_away() -> None:
    def away(_: Sequence[Sequence[float]]) -> list[float]:
        raise Retryable("endpoint away")

    result = score_batch(
        [a_plain_record(1)],
        store=FakeStore(),
        score=away,
        facts=Facts(),
        bus=FakeBus(),
        quarantine=FakeQuarantine(),
        chunk_size=4,
        now=0,
    )
    assert (result.scored, result.failed_from) == (0, sequence_number(1))


def test_a_throttled_commit_gives_the_batch_back_from_the_right_record_and_the_second_try_completes() -> None:
    chunks = iter([None, Retryable("ThrottlingError")])

    def second_chunk_fails(reached: str) -> None:
        if reached == "before commit" and (fault := next(chunks, None)):
            raise fault

    world = World(store=FakeStore(second_chunk_fails), chunk_size=2)
    batch = [a_flagged_record(1), a_plain_record(2), a_flagged_record(3), a_plain_record(4), a_plain_record(5)]
    first = world.score(batch)
    assert first == BatchResult(records=5, scored=2, flagged=1, refused=0, repeated=0, failed_from=sequence_number(3))
    assert set(world.store.transactions) == {"TX-1", "TX-2"}
    second = world.score(batch[2:])
    assert second == BatchResult(records=3, scored=3, flagged=1, refused=0, repeated=0, failed_from=None)
    assert sum(count for count, _ in world.store.terminals["TERM-00001"].days.values()) == 5
    assert len(world.bus.published) == 2


def test_a_commit_whose_answer_is_lost_is_not_done_again() -> None:
    world = World(store=FakeStore(raise_once("after commit", Retryable("read timed out"))))
    batch = [a_flagged_record(1), a_plain_record(2)]
    assert world.score(batch).failed_from == sequence_number(1)
    assert world.bus.published == []
    second = world.score(batch)
    assert second == BatchResult(records=2, scored=0, flagged=0, refused=0, repeated=2, failed_from=None)
    assert len(world.bus.published) == 1
    assert sum(count for count, _ in world.store.terminals["TERM-00001"].days.values()) == 2


def test_only_the_event_that_the_bus_refused_is_published_again_with_the_same_id() -> None:
    refused_once = {contracts.event_id("TransactionFlagged", "TX-2")}
    world = World(bus=FakeBus(refuses=lambda event: event.metadata.event_id in refused_once))
    batch = [a_flagged_record(n) for n in (1, 2, 3)]
    first = world.score(batch)
    assert (first.scored, first.flagged, first.failed_from) == (3, 3, sequence_number(2))
    refused_once.clear()
    second = world.score(batch[1:])
    assert (second.scored, second.flagged, second.repeated, second.failed_from) == (0, 0, 2, None)
    assert world.published_ids() == [contracts.event_id("TransactionFlagged", f"TX-{n}") for n in (1, 3, 2)]


def test_a_crash_between_row_and_publish_leaves_the_row_unpublished_and_the_next_delivery_publishes_it() -> None:
    world = World(bus=FakeBus(faults=raise_once("publish", RuntimeError("the process was killed"))))
    with pytest.raises(RuntimeError, match="killed"):
        world.score([a_flagged_record(1)])
    assert not world.store.transactions["TX-1"].is_published
    result = world.score([a_flagged_record(1)])
    assert (result.scored, result.repeated, result.failed_from) == (0, 1, None)
    assert world.published_ids() == [contracts.event_id("TransactionFlagged", "TX-1")]
    assert world.store.transactions["TX-1"].is_published


def test_an_unpublished_event_is_published_as_it_was_made_the_first_time() -> None:
    world = World(bus=FakeBus(refuses=lambda _: True))
    world.score([a_flagged_record(1)], now=NOON + 1)
    made = world.store.decisions["TX-1"].event
    world.bus = FakeBus()
    world.score([a_flagged_record(1)], now=NOON + 999)
    assert world.bus.published == [made]


def test_an_unpublished_event_is_published_once_where_its_transaction_comes_twice_in_a_batch() -> None:
    world = World(bus=FakeBus(faults=raise_once("publish", RuntimeError("the process was killed"))))
    with pytest.raises(RuntimeError):
        world.score([a_flagged_record(1)])
    twin = a_record(a_document(1, cardId="CARD-1", amountMinor=FLAGGED_AMOUNT), position=2)
    world.score([a_flagged_record(1), twin])
    assert len(world.bus.published) == 1


def test_a_record_whose_publication_could_not_be_noted_is_given_back() -> None:
    world = World(store=FakeStore(raise_once("mark_published", Retryable("throttled"))))
    assert world.score([a_flagged_record(1)]).failed_from == sequence_number(1)
    assert world.score([a_flagged_record(1)]).failed_from is None
    assert len(set(world.published_ids())) == 1
    assert world.store.transactions["TX-1"].is_published


def test_a_failure_in_the_middle_gives_back_the_lowest_number_and_what_was_done_after_it_is_recognised() -> None:
    away = {a_bad_record(4).event_id}
    refused_once = {contracts.event_id("TransactionFlagged", "TX-2")}
    world = World(
        bus=FakeBus(refuses=lambda event: event.metadata.event_id in refused_once),
        quarantine=FakeQuarantine(refuses=lambda refusal: refusal.record.event_id in away),
    )
    batch = [a_plain_record(1), a_flagged_record(2), a_plain_record(3), a_bad_record(4), a_flagged_record(5)]
    assert world.score(batch).failed_from == sequence_number(2)
    refused_once.clear()
    second = world.score(batch[1:])
    assert (second.scored, second.repeated, second.refused, second.failed_from) == (0, 2, 0, sequence_number(4))
    away.clear()
    third = world.score(batch[3:])
    assert (third.scored, third.repeated, third.refused, third.failed_from) == (0, 1, 1, None)


def test_a_refused_record_is_quarantined_once_although_the_batch_comes_again() -> None:
    world = World(store=FakeStore(raise_once("before commit", Retryable("throttled"))))
    batch = [a_bad_record(1), a_plain_record(2), a_bad_record(3)]
    first = world.score(batch)
    assert (first.refused, first.failed_from) == (1, sequence_number(2))
    second = world.score(batch[1:])
    assert (second.refused, second.failed_from) == (1, None)
    assert world.refused_ids() == [batch[0].event_id, batch[2].event_id]


def test_a_record_that_crashes_the_handler_is_alone_after_halving_and_the_others_pass() -> None:
    """Kinesis halves a batch whose invocation raised (BisectBatchOnFunctionError); this plays that part."""
    crashing = "TX-3"

    def crash_on(_: Sequence[Sequence[float]]) -> list[float]:
        if any(row[0] == 3_333 for row in _):
            raise ZeroDivisionError("a defect")
        return score_by_amount(_)

    store = FakeStore()

    def deliver(batch: Sequence[StreamRecord]) -> list[StreamRecord]:
        try:
            result = score_batch(
                batch,
                store=store,
                score=crash_on,
                facts=Facts(),
                bus=FakeBus(),
                quarantine=FakeQuarantine(),
                chunk_size=4,
                now=0,
            )
        except ZeroDivisionError:
            half = len(batch) // 2
            return list(batch) if len(batch) == 1 else deliver(batch[:half]) + deliver(batch[half:])
        assert result.failed_from is None
        return []

    batch = [a_plain_record(n, amountMinor=3_333 if n == 3 else 2_000) for n in range(1, 8)]
    given_up = deliver(batch)
    assert given_up == [batch[2]]
    assert set(store.transactions) == {f"TX-{n}" for n in range(1, 8)} - {crashing}


def test_a_batch_that_is_given_back_says_why_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    world = World(store=FakeStore(raise_once("before commit", Retryable("ThrottlingError"))))
    with caplog.at_level(logging.WARNING):
        world.score([a_plain_record(1)])
    assert f"given back from record {a_plain_record(1).event_id} on: ThrottlingError (1 of 1" in caplog.text
