"""Changes of transactions and cards in DynamoDB: each is written where what it rests on still stands, or not at all.

The same holds for the rows in memory by which the interleavings are tested (fake_bank).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from backbone.card_block_rows import CardBlockRows
from backbone.card_blocks import Card, block_of, unblock_of
from backbone.contracts import Cause
from backbone.errors import Retryable
from backbone.transaction_change_rows import StandingFrauds, TransactionChangeRows
from backbone.transaction_changes import (
    PaidTransaction,
    Standing,
    refund_reversed,
    refunded,
    release_withdrawn,
    released,
)
from tests.unit.action_builder import action_in, put_action
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, put_card, put_transaction
from tests.unit.fake_bank import FakeApprovedActions, FakeCards, FakeFrauds, FakeTransactions, approved_action
from tests.unit.resources import Resources

CASE, LATER = "7d9b1c20-1111-4222-8333-944445555666", "7d9b1c20-1111-4222-8333-944445555667"
CAUSE = Cause("chat-1", "cause", 1, 1_767_269_100.0, "tests")
CARD = "CARD-000042"


@dataclass(frozen=True)
class Kept:
    """Rows, real or in memory, each with TX-1, TX-2 and CARD-000042, and how an approved action comes to them."""

    transactions: Any
    cards: Any
    frauds: Any
    approve: Callable[[], str]
    finish: Callable[[str], None]


@pytest.fixture(params=["DynamoDB", "memory"])
def kept(request: pytest.FixtureRequest, resources: Resources) -> Kept:
    put_card(resources)
    put_transaction(resources, 1, flagged=True)
    put_transaction(resources, 2)
    client = resources.client("dynamodb")
    transactions = TransactionChangeRows(client, "transactions", "actions")
    cards = CardBlockRows(client, "cards", "actions", "transactions")
    if request.param == "DynamoDB":

        def finish(action_id: str) -> None:
            set_status(resources, action_id, "done")

        return Kept(
            transactions,
            cards,
            StandingFrauds(client, "transactions", "CustomerTransactions"),
            lambda: put_action(resources, status="approved"),
            finish,
        )
    actions = FakeApprovedActions()
    paid = [one for one in map(transactions.get, ("TX-1", "TX-2")) if one is not None]
    fakes = FakeTransactions(actions, {one.transaction_id: one for one in paid})
    card = cards.get(CARD)
    assert card is not None

    def approve() -> str:
        action = approved_action(action_in(resources, put_action(resources)))
        actions.rows[action.action_id] = action
        return action.action_id

    return Kept(
        fakes,
        FakeCards(actions, fakes, {CARD: card}),
        FakeFrauds(fakes),
        approve,
        lambda action_id: actions.finish(action_id, "", "done"),
    )


def set_status(resources: Resources, action_id: str, status: str) -> None:
    resources.client("dynamodb").update_item(
        TableName="actions",
        Key={"actionId": {"S": action_id}},
        UpdateExpression="SET #status = :status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":status": {"S": status}},
    )


def step(kept: Kept, before: PaidTransaction, after: PaidTransaction) -> PaidTransaction:
    """Writes a change and tells of it; answers the transaction as it is then."""
    assert kept.transactions.write(before, after)
    assert kept.transactions.get(before.transaction_id) == after
    if after.event_to_publish is not None:
        kept.transactions.note_published(before.transaction_id, after.event_to_publish)
    now: PaidTransaction = kept.transactions.get(before.transaction_id)
    assert now == replace(after, event_to_publish=None)
    return now


def settle(kept: Kept, transaction_id: str, verdict: Any, case_id: str = CASE) -> PaidTransaction:
    paid = kept.transactions.get(transaction_id)
    return step(kept, paid, replace(paid, standing=Standing(verdict, case_id, "2026-01-02T12:00:00.000Z")))


def test_changes_are_read_as_they_were_written(kept: Kept) -> None:
    paid = kept.transactions.get("TX-1")
    assert (paid.customer_id, paid.card_id, paid.is_flagged) == (OWNER, CARD, True)
    assert (paid.release, paid.refund, paid.standing) == (None, None, None)
    paid = step(kept, paid, released(paid, CASE, "agent", CAUSE))
    paid = step(kept, paid, refunded(paid, LATER, paid.amount_minor, CAUSE))
    assert (paid.is_released, paid.is_refunded) == (True, True)
    paid = settle(kept, "TX-1", "genuine")
    paid = step(kept, paid, refund_reversed(paid, CASE, CAUSE))
    paid = step(kept, paid, release_withdrawn(paid, CASE, CAUSE))
    assert (paid.is_released, paid.is_refunded) == (False, False)
    paid = step(kept, paid, released(paid, LATER, "analyst", CAUSE))
    paid = step(kept, paid, refunded(paid, CASE, 7, CAUSE))
    assert (paid.is_released, paid.is_refunded) == (True, True)


def test_change_of_what_no_longer_stands_writes_nothing(kept: Kept) -> None:
    fresh = kept.transactions.get("TX-1")
    after = [
        released(fresh, CASE, "agent", CAUSE),
        refunded(fresh, CASE, 1, CAUSE),
        replace(fresh, standing=Standing("genuine", CASE, "2026-01-02T12:00:00.000Z")),
    ]
    for first in after:
        was = kept.transactions.get("TX-1")
        now = step(kept, was, replace(was, release=first.release, refund=first.refund, standing=first.standing))
        for other in after:
            assert not kept.transactions.write(fresh, other)
        assert kept.transactions.get("TX-1") == now


def test_change_waits_until_the_event_before_it_is_out(kept: Kept) -> None:
    paid = kept.transactions.get("TX-1")
    after = released(paid, CASE, "agent", CAUSE)
    assert kept.transactions.write(paid, after)
    assert not kept.transactions.write(after, refunded(after, LATER, 1, CAUSE))
    kept.transactions.note_published("TX-1", "another event")
    assert kept.transactions.get("TX-1") == after


def test_change_by_an_action_needs_that_it_still_is_approved(kept: Kept) -> None:
    paid, action_id = kept.transactions.get("TX-1"), kept.approve()
    after = refunded(paid, action_id, paid.amount_minor, CAUSE)
    kept.finish(action_id)
    assert not kept.transactions.write(paid, after, action_id)
    assert kept.transactions.write(paid, refunded(paid, action_id, 1, CAUSE), kept.approve())


def test_transaction_that_is_not_there_is_not_made(kept: Kept) -> None:
    gone = replace(kept.transactions.get("TX-1"), transaction_id="TX-9")
    assert kept.transactions.get("TX-9") is None
    assert not kept.transactions.write(gone, released(gone, CASE, "agent", CAUSE))


def an_action(resources: Resources, action_id: str) -> Any:
    return approved_action(replace(action_in(resources, put_action(resources)), action_id=action_id))


def blocked(kept: Kept, resources: Resources, transaction_id: str | None = None) -> Card:
    """The card, blocked by an approved action, and told."""
    action = an_action(resources, kept.approve())
    block = block_of(kept.cards.get(CARD), action, transaction_id, CAUSE)
    assert kept.cards.block(block)
    assert kept.cards.get(CARD) == block.card
    kept.cards.note_published(CARD, block.card.event_to_publish)
    return replace(block.card, event_to_publish=None)


def test_block_and_its_end_are_read_as_they_were_written(kept: Kept, resources: Resources) -> None:
    card = blocked(kept, resources, "TX-1")
    assert (card.status, card.version, kept.cards.get(CARD)) == ("blocked", 2, card)
    settle(kept, "TX-1", "genuine")
    end = unblock_of(card, card.change_id or "", "TX-1", CASE, CAUSE)
    assert kept.cards.unblock(end)
    assert kept.cards.get(CARD) == end.card
    assert (end.card.status, end.card.version, end.card.change_id) == ("active", 3, None)
    again = block_of(end.card, an_action(resources, kept.approve()), None, CAUSE)
    assert not kept.cards.block(again)
    kept.cards.note_published(CARD, end.card.event_to_publish)
    assert kept.cards.block(again)


def test_block_needs_an_approved_action_and_a_transaction_that_is_not_genuine(kept: Kept, resources: Resources) -> None:
    done = kept.approve()
    kept.finish(done)
    card = kept.cards.get(CARD)
    assert not kept.cards.block(block_of(card, an_action(resources, done), None, CAUSE))
    settle(kept, "TX-1", "genuine")
    assert not kept.cards.block(block_of(card, an_action(resources, kept.approve()), "TX-1", CAUSE))
    assert kept.cards.get(CARD) == card
    settle(kept, "TX-1", "confirmed_fraud", LATER)
    blocked(kept, resources, "TX-1")


def test_block_is_not_hindered_by_a_row_that_has_expired(kept: Kept, resources: Resources) -> None:
    assert blocked(kept, resources, "TX-9").status == "blocked"


def test_card_that_was_changed_meanwhile_is_not_blocked_over(kept: Kept, resources: Resources) -> None:
    before = kept.cards.get(CARD)
    now = blocked(kept, resources)
    assert not kept.cards.block(block_of(before, an_action(resources, kept.approve()), None, CAUSE))
    assert kept.cards.get(CARD) == now


@pytest.mark.parametrize("why", ["another block", "another case stands", "nothing stands", "active"])
def test_block_is_not_ended_for_another_reason(kept: Kept, resources: Resources, why: str) -> None:
    card = kept.cards.get(CARD) if why == "active" else blocked(kept, resources)
    if why != "nothing stands":
        settle(kept, "TX-1", "genuine", LATER if why == "another case stands" else CASE)
    action_id = card.change_id if card.change_id and why != "another block" else LATER
    assert not kept.cards.unblock(unblock_of(card, action_id, "TX-1", CASE, CAUSE))
    assert kept.cards.get(CARD) == card


def test_frauds_of_a_card_are_those_that_stand(kept: Kept) -> None:
    assert list(kept.frauds.of_card(OWNER, CARD)) == []
    settle(kept, "TX-1", "genuine")
    settle(kept, "TX-2", "confirmed_fraud")
    assert list(kept.frauds.of_card(OWNER, CARD)) == ["TX-2"]
    assert list(kept.frauds.of_card(OWNER, "CARD-000043")) == []
    assert list(kept.frauds.of_card("CUST-000043", CARD)) == []


# ---- what only the real rows can do


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems", "UpdateItem", "Query"])
def test_table_that_is_away_is_to_be_tried_again(resources: Resources, operation: str) -> None:
    put_transaction(resources, 1)
    put_card(resources)
    client = resources.client("dynamodb")
    rows = TransactionChangeRows(client, "transactions", "actions")
    cards = CardBlockRows(client, "cards", "actions", "transactions")
    paid = rows.get("TX-1")
    assert paid is not None
    calls: dict[str, list[Callable[[], object]]] = {
        "GetItem": [lambda: rows.get("TX-1"), lambda: cards.get(CARD)],
        "TransactWriteItems": [lambda: rows.write(paid, released(paid, CASE, "agent", CAUSE))],
        "UpdateItem": [lambda: rows.note_published("TX-1", "event"), lambda: cards.note_published(CARD, "event")],
        "Query": [lambda: list(StandingFrauds(client, "transactions", "CustomerTransactions").of_card(OWNER, CARD))],
    }
    for call in calls[operation]:
        with failing(operation, "ThrottlingException"), pytest.raises(Retryable):
            call()
