"""The read_actions handler: analysts see what waits and all that a decision rests on; nobody else sees anything."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from backbone import contracts
from tests.unit.action_builder import ANNA, CUSTOMER, a_decision, an_analyst, put_action, seen_of
from tests.unit.api_events import answer_of, as_person, claims_of
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, put_card
from tests.unit.lambda_events import Context, sample, samples
from tests.unit.resources import Resources

ANALYST = an_analyst(ANNA)


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("read_actions")


def get(module: Any, claims: dict[str, str] | None, action_id: str | None = None) -> tuple[int, Any]:
    parameters = None if action_id is None else {"actionId": action_id}
    event = as_person(sample("read_actions", "good"), claims) | {"pathParameters": parameters}
    return answer_of(module.handler(event, Context()))


def test_analyst_sees_all_that_a_decision_rests_on(module: Any, resources: Resources) -> None:
    put_card(resources)
    expires = int(time.time()) + 3_600
    action_id = put_action(resources, created_at="2026-01-01T12:00:00.000Z", expires_at=expires, amount_minor=600_000)
    status, view = get(module, ANALYST, action_id)
    assert status == 200
    assert view == {
        "actionId": action_id,
        "action": "block_card",
        "status": "proposed",
        "customerId": OWNER,
        "cardId": "CARD-000042",
        "cardLabel": "Debit card ending 0042",
        "reason": "stolen",
        "amountMinor": 600_000,
        "spent": "1,200.00 EUR",
        "proposedBy": {"personId": CUSTOMER, "role": "customer"},
        "createdAt": "2026-01-01T12:00:00.000Z",
        "expiresAt": contracts.timestamp(expires),
        "canBeDecided": True,
        "approvalsNeeded": 2,
        "decidedBy": [],
        "attempts": [],
        "seen": seen_of(resources, action_id),
    }


@pytest.mark.parametrize("kind", ["refund", "release_transaction"])
def test_action_about_a_transaction_is_shown_with_it_its_card_and_its_case(
    module: Any, resources: Resources, kind: str
) -> None:
    put_card(resources)
    case_id = "7d9b1c20-1111-4222-8333-944445555666"
    about = {"action": kind, "transaction_id": "TX-1", "case_id": case_id, "spent": None, "amount_minor": 31_200}
    by_an_agent: dict[str, Any] = {"proposed_by": "agent", "person_id": "agent", "reason": "Why."}
    action_id = put_action(resources, **by_an_agent | about)
    _, view = get(module, ANALYST, action_id)
    shown = {name: view.get(name) for name in ("action", "transactionId", "cardId", "cardLabel", "caseId", "reason")}
    assert shown == {
        "action": kind,
        "transactionId": "TX-1",
        "cardId": "CARD-000042",
        "cardLabel": "Debit card ending 0042",
        "caseId": case_id,
        "reason": "Why.",
    }
    assert (view["amountMinor"], view["approvalsNeeded"], "spent" in view) == (31_200, 1, False)
    assert view["proposedBy"] == {"personId": "agent", "role": "agent"}
    _, listed = get(module, ANALYST)
    assert [one["transactionId"] for one in listed["actions"]] == ["TX-1"]


def test_digest_that_was_read_is_the_one_that_a_decision_takes(
    module: Any, resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    deciding = handler_module("decide_action")
    action_id = put_action(resources)
    _, view = get(module, ANALYST, action_id)
    body = {"decision": "reject", "seen": view["seen"], "note": "A mistake."}
    assert answer_of(deciding.handler(a_decision(ANALYST, action_id, body), Context()))[0] == 200
    _, view = get(module, ANALYST, action_id)
    assert (view["status"], view["cause"], view["decidedBy"]) == ("rejected", "rejected", [ANNA])
    assert view["canBeDecided"] is False
    ((attempt,), at) = view["attempts"], view["decidedAt"]
    assert attempt == {
        "at": at,
        "personId": ANNA,
        "role": "analyst",
        "decision": "reject",
        "seen": body["seen"],
        "outcome": "rejected",
        "note": "A mistake.",
    }


def test_list_shows_what_waits_newest_first_and_nothing_that_has_ended_or_expired(
    module: Any, resources: Resources
) -> None:
    now = int(time.time())
    waiting = [
        put_action(resources, status=status, created_at=contracts.timestamp(now - age), expires_at=now + 86_400 - age)
        for status, age in (("half_approved", 10), ("proposed", 20), ("proposed", 30))
    ]
    put_action(resources, expires_at=now - 1)
    for status in ("approved", "rejected", "done"):
        put_action(resources, status=status)
    _, view = get(module, ANALYST)
    assert [action["actionId"] for action in view["actions"]] == waiting
    assert "seen" not in view["actions"][0]


def test_list_is_bounded(module: Any, resources: Resources) -> None:
    now = int(time.time())
    for age in range(52):
        put_action(resources, created_at=contracts.timestamp(now - age), expires_at=now + 86_400 - age)
    _, view = get(module, ANALYST)
    assert len(view["actions"]) == 50
    assert view["actions"][0]["createdAt"] == contracts.timestamp(now)


def test_card_that_is_gone_from_the_registry_has_no_label(module: Any, resources: Resources) -> None:
    assert get(module, ANALYST, put_action(resources))[1]["cardLabel"] is None


@pytest.mark.parametrize("claims", [claims_of("customer", OWNER), claims_of("")], ids=["customer", "nobody's group"])
def test_who_is_no_analyst_sees_nothing(module: Any, resources: Resources, claims: dict[str, str]) -> None:
    action_id = put_action(resources)
    assert get(module, claims)[0] == get(module, claims, action_id)[0] == 403
    assert get(module, None)[0] == 401


@pytest.mark.parametrize("action_id", ["7d9b1c20-1111-4222-8333-944445555666", "../cards", ""])
def test_action_that_is_not_there_is_404(module: Any, action_id: str) -> None:
    assert get(module, ANALYST, action_id)[0] == 404


@pytest.mark.parametrize(("operation", "after"), [("Query", 0), ("GetItem", 0), ("GetItem", 1)])
def test_table_that_is_away_is_503(module: Any, resources: Resources, operation: str, after: int) -> None:
    action_id = put_action(resources)
    with failing(operation, "ThrottlingException", after=after):
        assert get(module, ANALYST, action_id)[0] == 503


@pytest.mark.parametrize("name", samples("read_actions"))
def test_samples_are_answered_as_described(module: Any, name: str) -> None:
    status, _ = answer_of(module.handler(sample("read_actions", name), Context()))
    assert status == {"good": 200, "bad": 403, "edge": 404}[name]
