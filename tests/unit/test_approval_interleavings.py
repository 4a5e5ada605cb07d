"""Whoever decides how often, in what order, however the bus behaves: one outcome, one event, and all on record.

The rows are in memory, and pass the real ones' contract (test_action_rows). What runs between another's read and its
write is put there on purpose: a decision or an expiry that is about to be written first lets the operations run that
stand below it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from action_expiry import sweep
from backbone.action_rows import AttemptRows, Trail
from backbone.actions import Action, Occasion, seen_digest
from backbone.errors import Retryable
from backbone.rest import RefusedError
from decisions import Desk, Person, Request, decide
from tests.unit.action_builder import ANNA, BEN, proposal_of
from tests.unit.fake_actions import FakeActions
from tests.unit.fake_adapters import FakeBus

CARL = "8f3b5c1e-0000-4000-8000-00000000000c"  # the analyst who proposed it
EXPIRES_AT = 2_000_000_000
LIMIT = 500_000
_REQUESTS = itertools.count()


@dataclass(frozen=True)
class Operation:
    """One call: a decision by somebody, or a run of expire_actions (decision None).

    ``seconds_left`` to the expiry; ``is_stale``: decides on what was seen at the very beginning; ``bus_is_away`` while
    it runs; ``between`` runs after it has read and before it writes.
    """

    person: str
    decision: Literal["approve", "reject"] | None
    seconds_left: int
    is_stale: bool
    bus_is_away: bool
    between: "tuple[Operation, ...]"


def operations(depth: int) -> st.SearchStrategy[Operation]:
    below = st.just(()) if depth == 0 else st.lists(operations(depth - 1), max_size=2).map(tuple)
    return st.builds(
        Operation,
        person=st.sampled_from([ANNA, BEN, CARL]),
        decision=st.sampled_from(["approve", "approve", "reject", None]),
        seconds_left=st.sampled_from([600, 600, 600, 1, 0, -1]),
        is_stale=st.booleans(),
        bus_is_away=st.booleans(),
        between=below,
    )


@dataclass
class InterruptedActions:
    """The rows; ``interrupt`` runs before the first write."""

    kept: FakeActions
    interrupt: Callable[[], None]

    def get(self, action_id: str) -> Action | None:
        return self.kept.get(action_id)

    def decide(self, before: Action, after: Action, now: float, trail: Trail) -> bool:
        self._interrupt_once()
        return self.kept.decide(before, after, now, trail)

    def expire(self, before: Action, after: Action, now: float, trail: Trail | None = None) -> bool:
        self._interrupt_once()
        return self.kept.expire(before, after, now, trail)

    def note_published(self, action_id: str, event_to_publish: str) -> None:
        self.kept.note_published(action_id, event_to_publish)

    def _interrupt_once(self) -> None:
        interrupt, self.interrupt = self.interrupt, lambda: None
        interrupt()


class World:
    """One action, everybody who decides on it, and how many attempts got an answer."""

    def __init__(self, amount_minor: int) -> None:
        self.action_id = str(uuid4())
        proposed = Action(
            action_id=self.action_id,
            action="block_card",
            customer_id="CUST-000042",
            reason="stolen",
            proposed_by="analyst",
            person_id=CARL,
            correlation_id="chat-1",
            status="proposed",
            created_at="2033-05-17T03:33:20.000Z",
            expires_at=EXPIRES_AT,
            amount_minor=amount_minor,
            event_to_publish=proposal_of(self.action_id),
        )
        self.kept = FakeActions({self.action_id: proposed})
        self.bus = FakeBus()
        self.answered = 0
        self.first_seen = self.seen()

    def action(self) -> Action:
        return self.kept.rows[self.action_id]

    def seen(self) -> str:
        return seen_digest(self.action())

    def run(self, *operations: Operation) -> None:
        for operation in operations:
            try:
                self._run(operation)
            except Retryable:
                continue
            except RefusedError:
                pass
            self.answered += operation.decision is not None

    def _run(self, operation: Operation) -> None:
        bus = FakeBus(refuses=lambda _: operation.bus_is_away, published=self.bus.published)
        actions = InterruptedActions(self.kept, lambda: self.run(*operation.between))
        occasion = Occasion(EXPIRES_AT - operation.seconds_left, "tests")
        if operation.decision is None:
            sweep(actions=actions, index=self.kept, bus=bus, occasion=occasion)
            return
        trail = partial(Trail, AttemptRows(None, "attempts"))
        desk = Desk(actions, bus, LIMIT, trail, self.kept.add, lambda *_, **__: None)
        seen = self.first_seen if operation.is_stale else self.seen()
        decide(
            Person(operation.person, True, None),
            Request(self.action_id, operation.decision, seen, None),
            desk,
            attempt_id=f"request-{next(_REQUESTS):08}",
            occasion=occasion,
        )


@settings(max_examples=500)
@given(todo=st.lists(operations(depth=2), max_size=6), amount_minor=st.sampled_from([LIMIT, LIMIT + 1]))
def test_action_ends_once_is_told_once_and_every_answered_attempt_is_on_record(
    todo: list[Operation], amount_minor: int
) -> None:
    world = World(amount_minor)
    world.run(*todo)
    world.run(Operation(ANNA, None, -1, False, False, ()))

    action = world.action()
    told = [event.detail_type for event in world.bus.published]
    ends = {event.metadata.event_id: event for event in world.bus.published if event.detail_type != "ActionProposed"}
    (end,) = ends.values()
    assert (action.status, end.detail_type) in [("approved", "ActionApproved"), ("rejected", "ActionRejected")]
    assert (told[0], action.event_to_publish) == ("ActionProposed", None)
    assert end.data["decidedBy"] == list(action.decided_by)

    trail = [(attempt.person_id, attempt.outcome) for attempt in world.kept.attempts]
    assert len(trail) == world.answered
    decisive = [outcome for _, outcome in trail if outcome in ("approved", "rejected", "expired")]
    assert decisive == [action.cause or action.status] or (decisive, action.cause) == ([], "expired")
    if action.status == "approved":
        approvers = [person for person, outcome in trail if outcome in ("half_approved", "approved")]
        assert sorted(approvers) == sorted(action.decided_by)
        assert len(set(approvers)) == (2 if amount_minor > LIMIT else 1)
        assert CARL not in approvers


def test_the_interleavings_reach_every_end() -> None:
    """What is above could pass if nothing ever got through."""
    late = Operation(BEN, "reject", 600, False, False, ())
    cases = {
        "approved": [Operation(ANNA, "approve", 600, False, False, ())],
        "rejected": [Operation(ANNA, "approve", 600, False, False, (late,))],
        "expired": [Operation(ANNA, "approve", 600, False, False, (Operation(BEN, None, -1, False, True, ()),))],
    }
    for end, todo in cases.items():
        world = World(LIMIT)
        world.run(*todo)
        action = world.action()
        assert end in (action.status, action.cause)
