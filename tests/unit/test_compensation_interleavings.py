"""Done once, undone once: however approvals and verdicts meet, come again, or die half way, the last verdict holds.

The rows are in memory, and pass the real ones' contract (test_change_rows). What runs between another's read and its
write is put there on purpose: a delivery that is about to write first lets the deliveries run that stand below it.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import carrying_out
import compensation
from backbone import contracts
from backbone.actions import Action
from backbone.card_blocks import ACTIVE, Card
from backbone.cases import Case
from backbone.errors import Rejected, Retryable
from backbone.transaction_changes import FRAUD, GENUINE, PaidTransaction
from tests.unit.fake_adapters import FakeBus
from tests.unit.fake_bank import (
    FakeApprovedActions,
    FakeCards,
    FakeCases,
    FakeFrauds,
    FakeTransactions,
    approved_action,
    nothing,
)

OWNER, CARD, TX, AMOUNT = "CUST-000042", "CARD-000042", "TX-1", 31_200
INVESTIGATION = contracts.event_id("CaseOpened", "investigation")
# Two actions of each kind, by two turns of the investigation; three cases, closed one after another.
ACTIONS = [f"{kind}:{number}" for kind in ("block_card", "refund", "release_transaction") for number in (1, 2)]
MESSAGES: list[str | int] = [*ACTIONS, 0, 1, 2]
PAIRS = {
    "CardBlocked": "CardUnblocked",
    "TransactionRefunded": "RefundReversed",
    "TransactionReleased": "TransactionReleaseWithdrawn",
}


@dataclass(frozen=True)
class Delivery:
    """An approval (by its action) or a verdict (by its minute) that comes, perhaps again.

    ``bus_is_away`` while it is worked on: then it dies where it would have told of its first event. ``between`` come
    after it has read and before it writes; with ``at_read`` after it has read the action, or the case, only.
    """

    what: str | int
    bus_is_away: bool = False
    at_read: bool = False
    between: "tuple[Delivery, ...]" = ()


def deliveries(depth: int) -> st.SearchStrategy[Delivery]:
    below = st.just(()) if depth == 0 else st.lists(deliveries(depth - 1), max_size=2).map(tuple)
    return st.builds(
        Delivery,
        what=st.sampled_from(MESSAGES),
        bus_is_away=st.booleans(),
        at_read=st.booleans(),
        between=below,
    )


class World:
    """One flagged transaction with its card, six approved actions about it, and the verdicts of three cases."""

    def __init__(self, verdicts: Sequence[str]) -> None:
        self.bus, self.actions, self.cases = FakeBus(), FakeApprovedActions(), FakeCases()
        self.transactions = FakeTransactions(self.actions)
        self.transactions.rows[TX] = PaidTransaction(TX, OWNER, CARD, AMOUNT, "EUR", is_flagged=True)
        self.cards = FakeCards(self.actions, self.transactions, {CARD: Card(CARD, OWNER, ACTIVE, 1)})
        for name in ACTIONS:
            action = an_action(name)
            self.actions.rows[action.action_id] = action
        self.cases.rows[INVESTIGATION] = a_case(INVESTIGATION)
        self.closings = [a_closing(minute, outcome) for minute, outcome in enumerate(verdicts)]
        self.cases.rows |= {case.case_id: case for case in self.closings}
        self.waiting: set[str | int] = set(MESSAGES)

    def deliver(self, *deliveries: Delivery) -> None:
        for delivery in deliveries:
            try:
                self._deliver(delivery)
            except Retryable:
                continue

    def settle(self, order: list[str | int]) -> None:
        """What was given back so far, or did not come yet, comes undisturbed; a message that was taken is gone."""
        for what in order:
            if what in self.waiting:
                self._deliver(Delivery(what))

    def _deliver(self, delivery: Delivery) -> None:
        """Raises Retryable where the message is given back."""
        self._work_on(delivery)
        self.waiting.discard(delivery.what)

    def _work_on(self, delivery: Delivery) -> None:
        bus = FakeBus(refuses=lambda _: delivery.bus_is_away, published=self.bus.published)
        interrupt = (lambda: self.deliver(*delivery.between)) if delivery.between else nothing
        transactions = replace(self.transactions, interrupt=interrupt, at_read=delivery.at_read)
        cards = replace(self.cards, interrupt=interrupt, at_read=delivery.at_read)
        if isinstance(delivery.what, str):
            approval = approval_of(self.actions.rows[action_id_of(delivery.what)])
            desk = carrying_out.Desk(self.actions, cards, transactions, self.cases, bus)
            carrying_out.carry_out(approval, desk, contracts.caused_by(approval, 0.0, "carry_out_action"))
            return
        closed = closed_event(self.closings[delivery.what])
        frauds = FakeFrauds(self.transactions)
        desk_ = compensation.Desk(self.actions, cards, transactions, frauds, self.cases, bus)
        compensation.compensate(closed, desk_, contracts.caused_by(closed, 0.0, "compensate_outcome"))

    def told(self) -> Counter[str]:
        """How many facts of each kind: the same event twice is one fact."""
        return Counter(kind for kind, _ in {(one.detail_type, one.metadata.event_id) for one in self.bus.published})


def action_id_of(name: str) -> str:
    return contracts.event_id("action", name)


def an_action(name: str) -> Action:
    kind = name.partition(":")[0]
    is_block = kind == "block_card"
    return approved_action(
        Action(
            action_id=action_id_of(name),
            action=kind,
            customer_id=OWNER,
            reason="fraud",
            proposed_by="agent",
            person_id="agent",
            correlation_id="flag-1",
            status="proposed",
            created_at="2026-01-01T12:00:00.000Z",
            expires_at=2_000_000_000,
            card_id=CARD,
            transaction_id=None if is_block else TX,
            case_id=INVESTIGATION,
            amount_minor=AMOUNT,
        )
    )


def approval_of(action: Action) -> contracts.Event:
    said = {
        "actionId": action.action_id,
        "action": action.action,
        "customerId": action.customer_id,
        "cardId": action.card_id,
        "transactionId": action.transaction_id,
        "caseId": action.case_id,
        "decidedBy": list(action.decided_by),
        "decidedAt": action.decided_at,
    }
    cause = contracts.Cause("flag-1", "x", 3, 0.0, "decide_action")
    return cause.event("ActionApproved", action.action_id, said)


def a_case(case_id: str, **changes: Any) -> Case:
    case = Case(case_id, OWNER, "A flag", "investigation", "open", "agent", "agent", "2026-01-01", "flag-1", TX)
    return replace(case, **changes)


def a_closing(minute: int, outcome: str) -> Case:
    case_id = contracts.event_id("CaseOpened", f"closed-{minute}")
    return a_case(case_id, status="closed", outcome=outcome, closed_at=f"2026-01-02T12:{minute:02}:00.000Z")


def closed_event(case: Case) -> contracts.Event:
    said = {
        "caseId": case.case_id,
        "customerId": case.customer_id,
        "transactionId": case.transaction_id,
        "kind": case.kind,
        "openedBy": "agent",
        "outcome": case.outcome,
        "closedBy": "analyst",
        "closedAt": case.closed_at,
    }
    return contracts.Cause("flag-1", "x", 3, 0.0, "close_case").event("CaseClosed", case.case_id, said)


verdicts_of_three = st.tuples(*[st.sampled_from([FRAUD, GENUINE])] * 3)


@settings(max_examples=500, deadline=None)
@given(
    todo=st.lists(deliveries(depth=2), max_size=8),
    verdicts=verdicts_of_three,
    order=st.permutations(MESSAGES),
)
def test_the_last_verdict_holds_and_nothing_is_done_or_undone_twice(
    todo: list[Delivery], verdicts: tuple[str, str, str], order: list[str | int]
) -> None:
    world = World(verdicts)
    world.deliver(*todo)
    world.settle(order)
    assert world.waiting == set()
    assert_the_last_verdict_holds(world)
    told = world.told()
    world.deliver(*map(Delivery, order))
    assert world.told() == told


@pytest.mark.parametrize("at_read", [True, False])
def test_the_last_verdict_holds_where_any_two_messages_cross_and_each_is_taken_once(at_read: bool) -> None:
    for outer, inner in itertools.permutations(MESSAGES, 2):
        for verdicts in itertools.product([FRAUD, GENUINE], repeat=3):
            for earlier in (None, "block_card:1", "refund:1", "release_transaction:1"):
                world = World(verdicts)
                world.deliver(*([] if earlier is None else [Delivery(earlier)]))
                world.deliver(Delivery(outer, at_read=at_read, between=(Delivery(inner),)))
                world.settle([outer, inner])
                assert_the_last_verdict_holds(world)


def assert_the_last_verdict_holds(world: World) -> None:
    """For what has come so far."""
    paid, card, told = world.transactions.rows[TX], world.cards.rows[CARD], world.told()
    last = max((minute for minute in (0, 1, 2) if minute not in world.waiting), default=None)
    stands = None if last is None else world.closings[last]
    assert (paid.standing and paid.standing.case_id) == (stands and stands.case_id)
    assert (paid.event_to_publish, card.event_to_publish) == (None, None)
    if paid.stands_as(GENUINE):
        assert (card.status, paid.is_refunded) == (ACTIVE, False)
    if paid.stands_as(FRAUD):
        assert not paid.is_released
    in_force = {
        "CardBlocked": card.status != ACTIVE,
        "TransactionRefunded": paid.is_refunded,
        "TransactionReleased": paid.is_released,
    }
    for done, undone in PAIRS.items():
        assert told[done] - told[undone] == in_force[done]
        assert told[done] <= 2
    taken = {action_id_of(name) for name in ACTIONS if name not in world.waiting}
    assert {action_id for action_id, one in world.actions.rows.items() if one.status == "done"} == taken
    assert Counter(world.actions.results.values())["done"] == sum(told[done] for done in PAIRS)


def test_the_interleavings_reach_every_change_and_its_end() -> None:
    """What is above could pass if nothing ever got through."""
    world = World((GENUINE, FRAUD, GENUINE))
    world.deliver(Delivery("block_card:1"), Delivery("refund:1"), Delivery("release_transaction:1"))
    assert world.told() == Counter(PAIRS.keys())
    world.deliver(Delivery(0), Delivery(1))
    assert world.told() == Counter([*PAIRS.keys(), *PAIRS.values()])
    world.deliver(Delivery("refund:2"))
    assert world.told()["TransactionRefunded"] == 2
    world.deliver(Delivery(2))
    assert world.told()["RefundReversed"] == 2


def test_forged_approval_and_verdict_reach_nothing() -> None:
    world = World((GENUINE, FRAUD, GENUINE))
    world.actions.rows.clear()
    world.cases.rows.clear()
    for forged in (approval_of(an_action(ACTIONS[0])), closed_event(world.closings[0])):
        desk: Any = carrying_out.Desk(world.actions, world.cards, world.transactions, world.cases, world.bus)
        run: Any = carrying_out.carry_out
        if forged.detail_type == "CaseClosed":
            frauds = FakeFrauds(world.transactions)
            desk = compensation.Desk(world.actions, world.cards, world.transactions, frauds, world.cases, world.bus)
            run = compensation.compensate
        try:
            run(forged, desk, contracts.caused_by(forged, 0.0, "tests"))
        except Rejected:
            continue
        raise AssertionError(forged.detail_type)
    assert world.told() == Counter()
