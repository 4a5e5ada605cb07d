"""Actions in DynamoDB: a step is written where what it came from still stands, with its attempt, or not at all.

The same holds for the rows in memory by which the interleavings are tested.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from backbone.action_rows import ActionIndex, ActionRows, ActionRowsByCard, Attempt, AttemptRows, Trail
from backbone.actions import Action, Occasion, approved, half_approved, rejected
from backbone.errors import Retryable
from tests.unit.action_builder import ANNA, BEN, action_in, proposal_of, put_action
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import SESSION, a_call, put_card, row_of
from tests.unit.fake_actions import FakeActions
from tests.unit.lambda_events import Context
from tests.unit.resources import Resources

EXPIRES_AT = 2_000_000_000
IN_TIME, LATE = EXPIRES_AT - 1, EXPIRES_AT
OCCASION = Occasion(IN_TIME, "tests")


@dataclass(frozen=True)
class Kept:
    """Rows, index and trail, real or in memory, and how an action comes into them."""

    rows: Any
    index: Any
    attempts: Any
    put: Callable[..., Action]


@pytest.fixture(params=["DynamoDB", "memory"])
def kept(request: pytest.FixtureRequest, resources: Resources) -> Kept:
    def real(**changes: Any) -> Action:
        return action_in(resources, put_action(resources, **{"expires_at": EXPIRES_AT} | changes))

    if request.param == "memory":
        fake = FakeActions()

        def put(**changes: Any) -> Action:
            action = real(**changes)
            fake.rows[action.action_id] = action
            return action

        return Kept(fake, fake, fake, put)
    client = resources.client("dynamodb")
    index = ActionIndex(client, "actions", "byStatus")
    return Kept(ActionRows(client, "actions"), index, AttemptRows(client, "approval-attempts"), real)


def an_attempt(action: Action, number: int = 1, **changes: Any) -> Attempt:
    at = f"2026-01-01T12:00:0{number}.000Z"
    attempt = Attempt(action.action_id, f"request-{number}", at, ANNA, "analyst", "approve", "0" * 64, "approved")
    return replace(attempt, **changes)


def a_trail(action: Action, number: int = 1) -> Trail:
    return Trail(AttemptRows(None, "approval-attempts"), an_attempt(action, number))


def told(kept: Kept, action: Action) -> None:
    """The bus has what the row keeps."""
    kept.rows.note_published(action.action_id, action.event_to_publish)


def test_steps_are_read_as_they_were_written(kept: Kept) -> None:
    action = kept.put()
    half = half_approved(action, ANNA)
    assert kept.rows.decide(action, half, IN_TIME, a_trail(action, 1))
    assert kept.rows.get(action.action_id) == half
    whole = approved(half, BEN, OCCASION)
    assert kept.rows.decide(half, whole, IN_TIME, a_trail(action, 2))
    assert kept.rows.get(action.action_id) == whole
    told(kept, whole)
    assert kept.rows.get(action.action_id) == replace(whole, event_to_publish=None)


def test_rejection_without_anybody_is_read_as_it_was_written(kept: Kept) -> None:
    action = kept.put()
    ended = rejected(action, (), "nothing_to_do", OCCASION)
    assert kept.rows.close(action, ended)
    assert kept.rows.get(action.action_id) == ended


def test_step_from_what_no_longer_stands_writes_nothing(kept: Kept) -> None:
    action = kept.put()
    first, second = rejected(action, (ANNA,), "rejected", OCCASION), approved(action, BEN, OCCASION)
    assert kept.rows.decide(action, first, IN_TIME, a_trail(action, 1))
    told(kept, first)
    assert not kept.rows.decide(action, second, IN_TIME, a_trail(action, 2))
    assert not kept.rows.expire(action, rejected(action, (), "expired", OCCASION), LATE)
    assert not kept.rows.close(action, second)
    assert kept.rows.get(action.action_id) == replace(first, event_to_publish=None)
    assert [attempt.attempt_id for attempt in kept.attempts.of_action(action.action_id, 10)] == ["request-1"]


def test_step_waits_until_the_event_before_it_is_out(kept: Kept) -> None:
    action = kept.put(keeps_its_event=True)
    assert action.event_to_publish == proposal_of(action.action_id)
    assert not kept.rows.decide(action, approved(action, ANNA, OCCASION), IN_TIME, a_trail(action))
    told(kept, action)
    assert kept.rows.decide(action, approved(action, ANNA, OCCASION), IN_TIME, a_trail(action))


def test_decision_is_in_time_and_expiry_is_not(kept: Kept) -> None:
    action = kept.put()
    assert not kept.rows.decide(action, approved(action, ANNA, OCCASION), LATE, a_trail(action))
    expired = rejected(action, (), "expired", OCCASION)
    assert not kept.rows.expire(action, expired, IN_TIME)
    assert kept.rows.expire(action, expired, LATE, a_trail(action))
    assert [attempt.outcome for attempt in kept.attempts.of_action(action.action_id, 10)] == ["approved"]


def test_event_that_is_no_longer_there_is_not_forgotten_for_another(kept: Kept) -> None:
    action = kept.put()
    ended = rejected(action, (ANNA,), "rejected", OCCASION)
    kept.rows.decide(action, ended, IN_TIME, a_trail(action))
    kept.rows.note_published(action.action_id, proposal_of(action.action_id))
    assert kept.rows.get(action.action_id) == ended


def test_index_finds_what_waits_what_is_due_and_what_keeps_an_event(kept: Kept) -> None:
    early, late = kept.put(expires_at=EXPIRES_AT - 10), kept.put()
    half = kept.put(status="half_approved", keeps_its_event=True)
    kept.put(status="rejected")
    waiting = [action.action_id for action in kept.index.waiting(EXPIRES_AT - 10, 10)]
    assert waiting == [late.action_id, half.action_id]
    assert [action.action_id for action in kept.index.waiting(0, 1)] == [late.action_id, half.action_id]
    assert [action.action_id for action in kept.index.expired("proposed", EXPIRES_AT - 10)] == [early.action_id]
    assert [action.action_id for action in kept.index.unpublished("half_approved", 0)] == [half.action_id]
    assert list(kept.index.unpublished("half_approved", EXPIRES_AT)) == []
    assert list(kept.index.unpublished("proposed", 0)) == []


def test_trail_is_read_newest_first_and_bounded(kept: Kept) -> None:
    action = kept.put()
    attempts = [an_attempt(action, number, note="Why." if number == 2 else None) for number in (1, 2, 3)]
    for attempt in attempts:
        kept.attempts.add(attempt)
    kept.attempts.add(an_attempt(kept.put()))
    assert kept.attempts.of_action(action.action_id, 2) == [attempts[2], attempts[1]]


# ---- what only the real rows can do


def test_what_agent_tools_proposes_is_read_with_whom_it_goes_back_to(
    resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    put_card(resources)
    arguments = {"cardId": "CARD-000042", "reason": "stolen"}
    case = "7d9b1c20-1111-4222-8333-944445555666"
    handler_module("agent_tools").handler(a_call("block_card", arguments, role="agent", caseId=case), Context())
    action = action_in(resources, row_of(resources, "actions")["actionId"])
    assert (action.status, action.action, action.card_id, action.reason) == (
        "proposed",
        "block_card",
        "CARD-000042",
        "stolen",
    )
    assert (action.proposed_by, action.person_id, action.case_id) == ("agent", SESSION["personId"], case)
    assert (action.correlation_id, action.amount_minor) == (SESSION["correlationId"], 0)


def test_action_is_read_as_it_was_added_and_stands_where_it_is_added_again(resources: Resources) -> None:
    rows = ActionRows(resources.client("dynamodb"), "actions")
    proposed = action_in(resources, put_action(resources, keeps_its_event=True, case_id=SESSION["personId"]))
    bare = replace(proposed, action_id=str(uuid4()), amount_minor=0, spent=None, card_id=None, causation_depth=3)
    whole = approved(half_approved(replace(proposed, action_id=str(uuid4())), ANNA), BEN, OCCASION)
    for action in (bare, whole):
        assert rows.add(action) == action
        assert rows.add(replace(action, reason="lost")) == action
        assert rows.get(action.action_id) == action


def test_actions_of_a_card_are_those_that_wait_as_of_now(resources: Resources) -> None:
    rows = ActionRowsByCard(resources.client("dynamodb"), "actions", "byCard")
    first, second, third = (action_in(resources, put_action(resources)) for _ in range(3))
    put_action(resources, card_id="CARD-000043")
    assert rows.close(first, rejected(first, (), "nothing_to_do", OCCASION))
    half = half_approved(second, ANNA)
    assert rows.close(second, half)
    found = rows.of_card("CARD-000042")
    assert next(found) == third
    assert list(found) == [half]
    ended = rows.of_card("CARD-000042")
    assert next(ended) == third
    assert rows.close(half, rejected(half, (), "nothing_to_do", OCCASION))
    assert list(ended) == []


def test_step_and_attempt_are_written_together_or_not_at_all(resources: Resources) -> None:
    client = resources.client("dynamodb")
    rows, attempts = ActionRows(client, "actions"), AttemptRows(client, "approval-attempts")
    action = action_in(resources, put_action(resources))
    attempts.add(an_attempt(action))
    with pytest.raises(Retryable):
        rows.decide(action, approved(action, ANNA, OCCASION), 0, Trail(attempts, an_attempt(action)))
    assert action_in(resources, action.action_id) == action


def test_attempt_is_never_written_over(resources: Resources) -> None:
    attempts = AttemptRows(resources.client("dynamodb"), "approval-attempts")
    action = action_in(resources, put_action(resources))
    attempts.add(an_attempt(action))
    with pytest.raises(Retryable):
        attempts.add(an_attempt(action, outcome="wrong_group"))
    assert [attempt.outcome for attempt in attempts.of_action(action.action_id, 10)] == ["approved"]


@pytest.mark.parametrize("code", ["TransactionCanceledException", "ThrottlingException"])
def test_step_that_met_another_or_a_limit_is_to_be_tried_again(resources: Resources, code: str) -> None:
    rows = ActionRows(resources.client("dynamodb"), "actions")
    action = action_in(resources, put_action(resources))
    with failing("TransactWriteItems", code), pytest.raises(Retryable):
        rows.close(action, rejected(action, (), "nothing_to_do", OCCASION))


def test_only_an_approved_action_is_finished_and_its_approval_is_known_to_be_out(resources: Resources) -> None:
    rows = ActionRows(resources.client("dynamodb"), "actions")
    waiting = action_in(resources, put_action(resources))
    rows.finish(waiting.action_id, "2026-01-01T12:05:00.000Z", "done")
    assert action_in(resources, waiting.action_id) == waiting
    approval = approved(waiting, ANNA, OCCASION)
    assert rows.close(waiting, approval)
    rows.finish(waiting.action_id, "2026-01-01T12:05:00.000Z", "done")
    assert action_in(resources, waiting.action_id) == replace(approval, status="done", event_to_publish=None)
