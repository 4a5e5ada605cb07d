"""Proposed actions: what an analyst has seen, how many must approve, and the one event of each end."""

import dataclasses
import json
from typing import Any

import pytest

from backbone import contracts
from backbone.actions import (
    Action,
    Occasion,
    approvals_needed,
    approved,
    decision_on,
    half_approved,
    rejected,
    seen_digest,
)

ACTION = Action(
    action_id="0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11",
    action="block_card",
    customer_id="CUST-000042",
    reason="stolen",
    proposed_by="customer",
    person_id="person-1",
    correlation_id="chat-1",
    status="proposed",
    created_at="2026-01-01T12:00:00.000Z",
    expires_at=1_767_355_200,
    card_id="CARD-000042",
    amount_minor=120_000,
    spent="1,200.00 EUR",
)
OCCASION = Occasion(1_767_269_100.0, "decide_action", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Action)])
def test_digest_changes_with_every_field_but_the_event_that_waits(field: str) -> None:
    other: dict[str, Any] = {field: ("x",) if field == "decided_by" else "x"}
    changed = dataclasses.replace(ACTION, **other)
    assert (seen_digest(changed) == seen_digest(ACTION)) == (field == "event_to_publish")


def test_decision_is_what_became_of_the_proposal_and_none_while_it_is_open() -> None:
    assert decision_on(ACTION) is None
    assert decision_on(half_approved(ACTION, "anna")) is None
    whole = approved(ACTION, "anna", OCCASION)
    assert decision_on(whole) == decision_on(dataclasses.replace(whole, status="done")) == "approved"
    assert decision_on(rejected(ACTION, (), "expired", OCCASION)) == "expired"


@pytest.mark.parametrize(("amount", "needed"), [(0, 1), (500_000, 1), (500_001, 2), (None, 2)])
def test_two_must_approve_above_the_limit_or_where_nobody_says_what_is_at_stake(
    amount: int | None, needed: int
) -> None:
    assert approvals_needed(dataclasses.replace(ACTION, amount_minor=amount), 500_000) == needed


def test_approval_tells_who_approved_in_their_order() -> None:
    half = half_approved(ACTION, "anna")
    assert (half.status, half.event_to_publish) == ("half_approved", None)
    whole = approved(half, "ben", OCCASION)
    assert (whole.status, whole.decided_by) == ("approved", ("anna", "ben"))
    said = json.loads(whole.event_to_publish or "")
    assert said["detail-type"] == "ActionApproved"
    assert said["detail"]["data"] == {
        "actionId": ACTION.action_id,
        "action": "block_card",
        "customerId": "CUST-000042",
        "cardId": "CARD-000042",
        "amountMinor": 120_000,
        "decidedBy": ["anna", "ben"],
        "decidedAt": "2026-01-01T12:05:00.000Z",
    }
    assert said["detail"]["metadata"] == {
        "eventId": contracts.event_id("ActionApproved", ACTION.action_id),
        "eventVersion": 1,
        "correlationId": "chat-1",
        "causationId": contracts.event_id("ActionProposed", ACTION.action_id),
        "occurredAt": "2026-01-01T12:05:00.000Z",
        "producer": "decide_action",
        "traceparent": OCCASION.traceparent,
        "causationDepth": 1,
    }


@pytest.mark.parametrize(
    ("proposal", "cause", "depth"), [(0, 0, 1), (3, 0, 4), (3, 5, 6), (5, 3, 6), (1000, 0, 1000)], ids=str
)
def test_end_lies_one_deeper_than_the_proposal_or_what_led_to_it(proposal: int, cause: int, depth: int) -> None:
    action = dataclasses.replace(ACTION, causation_depth=proposal)
    occasion = dataclasses.replace(OCCASION, causation_id="cause", causation_depth=cause)
    for ended in (approved(action, "anna", occasion), rejected(action, (), "nothing_to_do", occasion)):
        assert json.loads(ended.event_to_publish or "")["detail"]["metadata"]["causationDepth"] == depth


def test_rejection_tells_its_cause_and_what_led_to_it() -> None:
    ended = rejected(ACTION, (), "nothing_to_do", dataclasses.replace(OCCASION, causation_id="cause"))
    said = json.loads(ended.event_to_publish or "")["detail"]
    assert (ended.status, ended.cause, said["data"]["cause"]) == ("rejected", "nothing_to_do", "nothing_to_do")
    assert (said["data"]["decidedBy"], said["metadata"]["causationId"]) == ([], "cause")
