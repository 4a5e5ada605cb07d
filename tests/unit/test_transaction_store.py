"""The store's promises: one contract for the fake and for DynamoDB, then what only DynamoDB can do to it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.stub import ANY, Stubber

from backbone.clients import client as client_of
from backbone.errors import Retryable
from features import SECONDS_PER_DAY, TERMINAL_DAYS_KEPT, CardProfile, TerminalProfile, add_to_card
from scoring import Decision, KnownTransaction, Store
from tests.unit.decision_builder import a_decision
from tests.unit.fake_adapters import FakeStore
from tests.unit.resources import Resources
from tests.unit.stream_record_builder import written
from tests.unit.transaction_builder import DAY, NOON
from transaction_store import CHUNK_SIZE, TransactionStore, card_item, terminal_item

NOW = NOON + 2.5
TODAY = NOON // SECONDS_PER_DAY


def a_store(client: Any, waits: list[float] | None = None) -> TransactionStore:
    """The real store; waits are noted instead of waited."""
    noted: list[float] = [] if waits is None else waits
    return TransactionStore(client, "transactions", "profiles", 90, wait=noted.append)


@pytest.fixture(params=["fake", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Store[Any]:
    if request.param == "fake":
        return FakeStore()
    resources: Resources = request.getfixturevalue("resources")
    return a_store(resources.client("dynamodb"))


def load(store: Store[Any], *numbers: int) -> Any:
    """What the store knows of the default card and terminal and of the transactions TX-<number>."""
    return store.load({"CARD-000001"}, {"TERM-00001"}, {f"TX-{number}" for number in numbers})


def counted(store: Store[Any]) -> int:
    """Transactions counted at the default terminal."""
    terminal = load(store).terminals.get("TERM-00001", TerminalProfile())
    return sum(count for count, _ in terminal.days.values())


def test_what_was_never_written_is_absent(store: Store[Any]) -> None:
    known = load(store, 1)
    assert (known.cards, known.terminals, known.transactions) == ({}, {}, {})


def test_terminal_stands_in_the_key_of_the_flagged_alone(resources: Resources) -> None:
    store = a_store(resources.client("dynamodb"))
    store.commit(load(store), [a_decision(1)], NOW)
    store.commit(load(store), [a_decision(2, flagged=True)], NOW)
    keys = {row["transactionId"]["S"]: row.get("flaggedTerminalId") for row in resources.rows("transactions")}
    assert keys == {"TX-1": None, "TX-2": {"S": "TERM-00001"}}


def test_nothing_is_asked_for_nothing(store: Store[Any]) -> None:
    known = store.load(set(), set(), set())
    assert (known.cards, known.terminals, known.transactions) == ({}, {}, {})


def test_what_was_committed_is_known(store: Store[Any]) -> None:
    decision = a_decision(1, flagged=True)
    store.commit(load(store), [decision], NOW)
    known = load(store, 1)
    assert known.cards == {"CARD-000001": decision.card_after}
    assert known.terminals == {"TERM-00001": TerminalProfile({TODAY: (1, 0)})}
    seen = known.transactions["TX-1"]
    assert (seen.digest, seen.is_published) == (decision.received.digest, False)
    assert decision.event is not None
    assert json.loads(seen.flagged_event) == decision.event.detail()


def test_a_row_that_was_not_flagged_keeps_no_event(store: Store[Any]) -> None:
    decision = a_decision(1)
    store.commit(load(store), [decision], NOW)
    assert load(store, 1).transactions["TX-1"] == KnownTransaction(decision.received.digest, None, False)


def test_a_second_commit_of_a_row_is_refused_and_changes_nothing(store: Store[Any]) -> None:
    store.commit(load(store), [a_decision(1)], NOW)
    before = load(store, 1, 2)
    with pytest.raises(Retryable):
        store.commit(load(store), [a_decision(2, cardId="CARD-2"), a_decision(1)], NOW)
    assert load(store, 1, 2) == before
    assert counted(store) == 1


def test_a_profile_that_another_wrote_meanwhile_refuses_the_commit_and_changes_nothing(store: Store[Any]) -> None:
    stale = load(store)
    store.commit(load(store), [a_decision(1)], NOW)
    with pytest.raises(Retryable):
        store.commit(stale, [a_decision(2)], NOW)
    assert set(load(store, 1, 2).transactions) == {"TX-1"}
    assert counted(store) == 1


def test_chunks_of_one_batch_build_on_one_another(store: Store[Any]) -> None:
    known = load(store)
    card = CardProfile()
    for number in (1, 2, 3):
        decision = a_decision(number, card_before=card)
        store.commit(known, [decision], NOW)
        card = decision.card_after
    assert load(store).cards["CARD-000001"] == card
    assert counted(store) == 3


def test_the_last_profile_of_a_card_in_a_chunk_is_kept(store: Store[Any]) -> None:
    first = a_decision(1)
    second = a_decision(2, card_before=first.card_after)
    store.commit(load(store), [first, second], NOW)
    assert load(store).cards["CARD-000001"] == second.card_after


def test_a_terminals_days_are_added_to(store: Store[Any]) -> None:
    store.commit(load(store), [a_decision(1), a_decision(2, occurredAt=written(NOON - DAY))], NOW)
    store.commit(load(store), [a_decision(3)], NOW)
    assert load(store).terminals["TERM-00001"] == TerminalProfile({TODAY: (2, 0), TODAY - 1: (1, 0)})


def test_a_published_event_is_noted_on_its_row(store: Store[Any]) -> None:
    store.commit(load(store), [a_decision(1, flagged=True)], NOW)
    store.mark_published("TX-1", NOW)
    assert load(store, 1).transactions["TX-1"].is_published


def test_a_publication_cannot_be_noted_on_a_row_that_is_not_there(store: Store[Any]) -> None:
    with pytest.raises(Retryable):
        store.mark_published("TX-1", NOW)
    assert load(store, 1).transactions == {}


def test_more_keys_than_one_read_takes_are_all_read(store: Store[Any]) -> None:
    for start in range(1, 105, 26):
        decisions = [a_decision(n, cardId=f"CARD-{n}", terminalId=f"T-{n}") for n in range(start, start + 26)]
        store.commit(store.load(set(), set(), set()), decisions, NOW)
    numbers = range(1, 105)
    known = store.load({f"CARD-{n}" for n in numbers}, {f"T-{n}" for n in numbers}, {f"TX-{n}" for n in numbers})
    assert (len(known.cards), len(known.terminals), len(known.transactions)) == (104, 104, 104)


def test_a_full_chunk_of_strangers_fits_one_transaction_of_dynamodb(resources: Resources) -> None:
    store = a_store(resources.client("dynamodb"))
    decisions = [a_decision(n, cardId=f"CARD-{n}", terminalId=f"T-{n}") for n in range(CHUNK_SIZE)]
    store.commit(store.load(set(), set(), set()), decisions, NOW)
    assert len(resources.rows("transactions")) == CHUNK_SIZE
    assert len(resources.rows("profiles")) == 2 * CHUNK_SIZE


def test_a_row_holds_all_that_a_person_needs_to_follow_the_verdict(resources: Resources) -> None:
    store = a_store(resources.client("dynamodb"))
    tiny = {"latitude": 1e-200, "longitude": -180}  # DynamoDB refuses a number as small as 1e-200
    store.commit(load(store), [a_decision(1, flagged=True, location=tiny)], NOW)
    row = {name: next(iter(value.values())) for name, value in resources.rows("transactions")[0].items()}
    assert json.loads(row["explanation"])["reasons"][0]["code"] == "MODEL_SCORE"
    assert (row["score"], row["flagged"], row["severity"]) == ("0.900000", True, "medium")
    assert (row["latitude"], row["longitude"]) == ("0.0000000", "-180.0000000")
    assert row["expiresAt"] == str(NOON + 2 + 90 * SECONDS_PER_DAY)
    assert row["scoredAt"] == f"{NOW:.3f}"


def test_a_backfilled_profile_is_read_and_moved_on(resources: Resources) -> None:
    card = add_to_card(CardProfile(), a_decision(9).transaction)
    terminal = TerminalProfile({TODAY - 8: (12, 2), TODAY - 7: (5, 0)})
    for item in (card_item("CARD-000001", card, 1, NOW), terminal_item("TERM-00001", terminal, NOW)):
        resources.client("dynamodb").put_item(TableName="profiles", Item=item)
    store = a_store(resources.client("dynamodb"))
    known = load(store)
    assert (known.cards["CARD-000001"], known.terminals["TERM-00001"]) == (card, terminal)
    decision = a_decision(1, card_before=card)
    store.commit(known, [decision], NOW)
    assert load(store).cards["CARD-000001"] == decision.card_after
    assert load(store).terminals["TERM-00001"].days == {**terminal.days, TODAY: (1, 0)}


def test_days_beyond_a_terminals_horizon_are_removed_when_it_is_written(resources: Resources) -> None:
    oldest_kept = TODAY - TERMINAL_DAYS_KEPT + 1
    terminal = TerminalProfile({oldest_kept - 1: (9, 3), oldest_kept: (8, 1)})
    resources.client("dynamodb").put_item(TableName="profiles", Item=terminal_item("TERM-00001", terminal, NOW))
    store = a_store(resources.client("dynamodb"))
    store.commit(load(store), [a_decision(1)], NOW)
    assert load(store).terminals["TERM-00001"].days == {oldest_kept: (8, 1), TODAY: (1, 0)}


# ---- what DynamoDB says when it is busy: moto never is, so its answers are played by botocore's Stubber


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    client = client_of("dynamodb")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def cancelled(stubber: Stubber, *codes: str) -> None:
    """The next transaction is cancelled, for these reasons."""
    stubber.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        modeled_fields={"CancellationReasons": [{"Code": code} for code in codes]},
    )


def commit(client: Any, decision: Decision | None = None, waits: list[float] | None = None) -> None:
    store = a_store(client, waits)
    store.commit(store.load(set(), set(), set()), [decision or a_decision(1)], NOW)


def test_a_conflict_with_another_shard_is_tried_again_after_a_growing_wait(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    for _ in range(3):
        cancelled(stubber, "None", "None", "TransactionConflict")
    stubber.add_response("transact_write_items", {})
    waits: list[float] = []
    commit(client, waits=waits)
    assert len(waits) == 3
    assert all(0 <= wait <= 0.01 * 2**attempt for attempt, wait in enumerate(waits))


def test_a_conflict_that_does_not_end_gives_the_batch_back(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    for _ in range(6):
        cancelled(stubber, "TransactionConflict")
    with pytest.raises(Retryable, match="6 times in a row"):
        commit(client)


@pytest.mark.parametrize(
    "codes",
    [
        ("ConditionalCheckFailed", "None"),
        ("ThrottlingError", "None"),
        ("ProvisionedThroughputExceeded",),
        ("TransactionConflict", "ThrottlingError"),
    ],
)
def test_any_other_cancellation_gives_the_batch_back_at_once(
    stubbed: tuple[Any, Stubber], codes: tuple[str, ...]
) -> None:
    client, stubber = stubbed
    cancelled(stubber, *codes)
    with pytest.raises(Retryable):
        commit(client)


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError"]
)
def test_a_throttled_or_broken_table_gives_the_batch_back(stubbed: tuple[Any, Stubber], code: str) -> None:
    client, stubber = stubbed
    stubber.add_client_error("transact_write_items", code)
    with pytest.raises(Retryable, match=code):
        commit(client)
    stubber.add_client_error("batch_get_item", code)
    with pytest.raises(Retryable, match=code):
        load(a_store(client))


def test_an_item_that_dynamodb_calls_invalid_is_a_defect_and_not_the_weather(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    cancelled(stubber, "None", "ValidationError")
    with pytest.raises(ClientError):
        commit(client)
    stubber.add_client_error("transact_write_items", "ValidationException")
    with pytest.raises(ClientError):
        commit(client)


def test_a_time_out_gives_the_batch_back() -> None:
    class Silent:
        def transact_write_items(self, **_: Any) -> None:
            raise ReadTimeoutError(endpoint_url="dynamodb")

    with pytest.raises(Retryable, match="transact_write_items"):
        commit(Silent())


def test_keys_that_were_left_unread_are_asked_for_again(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    row = {"transactionId": {"S": "TX-1"}, "digest": {"S": "d"}}
    rest = {"transactions": {"Keys": [{"transactionId": {"S": "TX-2"}}]}}
    expected = {"transactions": {**rest["transactions"], "ConsistentRead": True, "ProjectionExpression": ANY}}
    stubber.add_response("batch_get_item", {"Responses": {"transactions": [row]}, "UnprocessedKeys": rest})
    second = {"Responses": {"transactions": [row | {"transactionId": {"S": "TX-2"}}]}, "UnprocessedKeys": {}}
    stubber.add_response("batch_get_item", second, {"RequestItems": expected})
    known = a_store(client).load(set(), set(), {"TX-1", "TX-2"})
    assert set(known.transactions) == {"TX-1", "TX-2"}


def test_keys_that_stay_unread_give_the_batch_back_instead_of_counting_as_absent(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    unread = {"transactions": {"Keys": [{"transactionId": {"S": "TX-1"}}]}}
    for _ in range(4):
        stubber.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": unread})
    with pytest.raises(Retryable, match="transactions left 1 keys unread after 4 attempts"):
        a_store(client).load(set(), set(), {"TX-1"})
