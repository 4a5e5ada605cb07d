"""The decide_action handler: who may decide, on what they saw, once, in time - and that every attempt is on record."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from backbone import contracts
from tests.unit.action_builder import (
    ANNA,
    BEN,
    CORRELATION,
    CUSTOMER,
    a_decision,
    action_in,
    an_analyst,
    attempts_on,
    put_action,
    seen_of,
)
from tests.unit.api_events import answer_of, claims_of
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

UNKNOWN = "7d9b1c20-1111-4222-8333-944445555666"
A_DIGEST = "0" * 64
_REQUESTS = itertools.count()


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("decide_action")


def send(module: Any, claims: dict[str, str] | None, action_id: str, body: object) -> tuple[int, Any]:
    request = Context(aws_request_id=f"request-{next(_REQUESTS):06}")
    return answer_of(module.handler(a_decision(claims, action_id, body), request))


def decide(
    module: Any, resources: Resources, person_id: str, action_id: str, decision: str, **more: str
) -> tuple[int, Any]:
    """An analyst's decision on what they see now."""
    body = {"decision": decision, "seen": seen_of(resources, action_id)} | more
    return send(module, an_analyst(person_id), action_id, body)


def events(resources: Resources) -> list[tuple[str, Any]]:
    return [(event["detail-type"], event["detail"]["data"]) for event in resources.published()]


# ---- decisions


def test_analyst_approves_what_they_saw_and_it_is_told_once(module: Any, resources: Resources) -> None:
    action_id = put_action(resources)
    assert decide(module, resources, ANNA, action_id, "approve", note="Called the customer.") == (
        200,
        {"actionId": action_id, "status": "approved"},
    )
    (envelope,) = resources.published()
    approval = contracts.parse("ActionApproved", envelope)
    assert approval.data["decidedBy"] == [ANNA]
    assert approval.metadata.correlation_id == CORRELATION
    assert (action_in(resources, action_id).status, action_in(resources, action_id).event_to_publish) == (
        "approved",
        None,
    )
    (attempt,) = resources.rows("approval-attempts")
    assert {name: value["S"] for name, value in attempt.items() if name not in ("attempt", "at", "seen")} == {
        "actionId": action_id,
        "personId": ANNA,
        "role": "analyst",
        "decision": "approve",
        "outcome": "approved",
        "note": "Called the customer.",
    }


def test_analyst_rejects_and_the_note_stays_out_of_the_event(module: Any, resources: Resources) -> None:
    action_id = put_action(resources)
    assert decide(module, resources, ANNA, action_id, "reject", note="Mrs Miller found it.")[0] == 200
    ((detail_type, data),) = events(resources)
    assert (detail_type, data["decidedBy"], data["cause"]) == ("ActionRejected", [ANNA], "rejected")
    assert "note" not in data
    assert attempts_on(resources, action_id) == [(ANNA, "analyst", "reject", "rejected")]


def test_two_different_analysts_must_approve_where_much_is_at_stake(module: Any, resources: Resources) -> None:
    action_id = put_action(resources, amount_minor=500_001)
    assert decide(module, resources, ANNA, action_id, "approve")[1]["status"] == "half_approved"
    assert decide(module, resources, ANNA, action_id, "approve")[0] == 409
    assert events(resources) == []
    assert decide(module, resources, BEN, action_id, "approve")[1]["status"] == "approved"
    ((detail_type, data),) = events(resources)
    assert (detail_type, data["decidedBy"]) == ("ActionApproved", [ANNA, BEN])
    assert [outcome for *_, outcome in attempts_on(resources, action_id)] == [
        "half_approved",
        "approved_before",
        "approved",
    ]


@pytest.mark.parametrize("person_id", [ANNA, BEN])
def test_either_analyst_rejects_what_is_half_approved(module: Any, resources: Resources, person_id: str) -> None:
    action_id = put_action(resources, amount_minor=500_001)
    decide(module, resources, ANNA, action_id, "approve")
    assert decide(module, resources, person_id, action_id, "reject")[1]["status"] == "rejected"
    assert events(resources)[0][1]["decidedBy"] == [person_id]


# ---- refused, and recorded


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        (claims_of("customer", OWNER, sub=CUSTOMER), "customer"),
        (claims_of("", sub=CUSTOMER), "none"),
        (claims_of("analysts,agent", sub=CUSTOMER), "none"),
    ],
    ids=["customer", "nobody's group", "no such group"],
)
def test_wrong_group_is_refused_and_recorded(
    module: Any, resources: Resources, claims: dict[str, str], role: str
) -> None:
    action_id = put_action(resources)
    body = {"decision": "approve", "seen": seen_of(resources, action_id)}
    assert send(module, claims, action_id, body)[0] == 403
    assert attempts_on(resources, action_id) == [(CUSTOMER, role, "approve", "wrong_group")]
    assert (action_in(resources, action_id).status, events(resources)) == ("proposed", [])


def test_customer_does_not_learn_whether_there_is_such_an_action(module: Any, resources: Resources) -> None:
    body = {"decision": "approve", "seen": A_DIGEST}
    answers = [
        send(module, claims_of("customer", OWNER), action_id, body) for action_id in (put_action(resources), UNKNOWN)
    ]
    assert answers[0] == answers[1]


def test_forged_action_is_refused_and_recorded(module: Any, resources: Resources) -> None:
    assert send(module, an_analyst(ANNA), UNKNOWN, {"decision": "approve", "seen": A_DIGEST})[0] == 404
    assert attempts_on(resources, UNKNOWN) == [(ANNA, "analyst", "approve", "unknown_action")]


def test_digest_of_another_action_is_refused_and_recorded(module: Any, resources: Resources) -> None:
    first, second = put_action(resources), put_action(resources)
    body = {"decision": "approve", "seen": seen_of(resources, first)}
    assert send(module, an_analyst(ANNA), second, body)[0] == 409
    assert attempts_on(resources, second) == [(ANNA, "analyst", "approve", "changed")]
    assert (action_in(resources, first).status, action_in(resources, second).status) == ("proposed", "proposed")


def test_what_changed_since_it_was_seen_is_refused_and_recorded(module: Any, resources: Resources) -> None:
    action_id = put_action(resources, amount_minor=500_001)
    before = seen_of(resources, action_id)
    decide(module, resources, ANNA, action_id, "approve")
    assert send(module, an_analyst(BEN), action_id, {"decision": "approve", "seen": before})[0] == 409
    assert attempts_on(resources, action_id)[-1] == (BEN, "analyst", "approve", "changed")
    assert action_in(resources, action_id).status == "half_approved"


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_replayed_decision_is_refused_recorded_and_told_no_second_time(
    module: Any, resources: Resources, decision: str
) -> None:
    action_id = put_action(resources)
    body = {"decision": decision, "seen": seen_of(resources, action_id)}
    assert send(module, an_analyst(ANNA), action_id, body)[0] == 200
    assert send(module, an_analyst(ANNA), action_id, body)[0] == 409
    assert send(module, an_analyst(BEN), action_id, body)[0] == 409
    assert len(events(resources)) == 1
    assert [outcome for *_, outcome in attempts_on(resources, action_id)][1:] == ["decided_before"] * 2


def test_late_approval_is_refused_recorded_and_the_action_has_expired(module: Any, resources: Resources) -> None:
    action_id = put_action(resources, expires_at=int(time.time()))
    status, body = decide(module, resources, ANNA, action_id, "approve")
    assert (status, body["message"].partition(":")[0]) == (409, "expired")
    ((detail_type, data),) = events(resources)
    assert (detail_type, data["cause"], data["decidedBy"]) == ("ActionRejected", "expired", [])
    assert action_in(resources, action_id).status == "rejected"
    assert attempts_on(resources, action_id) == [(ANNA, "analyst", "approve", "expired")]


def test_who_proposed_it_may_not_approve_but_may_reject(module: Any, resources: Resources) -> None:
    action_id = put_action(resources, proposed_by="analyst", person_id=ANNA)
    assert decide(module, resources, ANNA, action_id, "approve")[0] == 403
    assert decide(module, resources, ANNA, action_id, "reject")[0] == 200
    assert [outcome for *_, outcome in attempts_on(resources, action_id)] == ["own_proposal", "rejected"]


def test_two_analysts_other_than_the_proposer_are_needed_for_much(module: Any, resources: Resources) -> None:
    action_id = put_action(resources, proposed_by="analyst", person_id=BEN, amount_minor=500_001)
    assert decide(module, resources, ANNA, action_id, "approve")[0] == 200
    assert decide(module, resources, BEN, action_id, "approve")[0] == 403
    assert action_in(resources, action_id).status == "half_approved"


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_analyst_decides_nothing_about_their_own_account(module: Any, resources: Resources, decision: str) -> None:
    action_id = put_action(resources)
    claims = claims_of("analyst,customer", OWNER, sub=ANNA)
    assert send(module, claims, action_id, {"decision": decision, "seen": seen_of(resources, action_id)})[0] == 403
    assert attempts_on(resources, action_id) == [(ANNA, "analyst", decision, "own_affairs")]


@pytest.mark.parametrize(
    "body",
    [
        None,
        "no JSON",
        [],
        {},
        {"decision": "approve"},
        {"decision": "perhaps", "seen": A_DIGEST},
        {"decision": ["approve"], "seen": A_DIGEST},
        {"decision": "approve", "seen": 1},
        {"decision": "approve", "seen": A_DIGEST.upper() + "A"},
        {"decision": "approve", "seen": A_DIGEST, "note": ""},
        {"decision": "approve", "seen": A_DIGEST, "note": "x" * 501},
        {"decision": "approve", "seen": A_DIGEST, "note": None, "personId": BEN},
    ],
)
def test_request_that_says_no_decision_is_refused(module: Any, resources: Resources, body: object) -> None:
    action_id = put_action(resources)
    status, answer = send(module, an_analyst(ANNA), action_id, body)
    assert (status, list(answer)) == (400, ["message"])
    assert action_in(resources, action_id).status == "proposed"


@pytest.mark.parametrize("action_id", ["", "../cards", UNKNOWN + "#", UNKNOWN.upper()])
def test_id_that_no_action_can_have_is_not_looked_up(module: Any, resources: Resources, action_id: str) -> None:
    assert send(module, an_analyst(ANNA), action_id, {"decision": "approve", "seen": A_DIGEST})[0] == 404
    assert resources.rows("approval-attempts") == []


@pytest.mark.parametrize("claims", [None, claims_of("analyst", sub=""), claims_of("analyst", token_use="access")])  # noqa: S106 - no secret
def test_nobody_who_has_not_signed_in_decides(module: Any, resources: Resources, claims: dict[str, str] | None) -> None:
    action_id = put_action(resources)
    body = {"decision": "approve", "seen": seen_of(resources, action_id)}
    assert send(module, claims, action_id, body)[0] == 401


# ---- services that are away


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems"])
def test_decision_that_could_not_be_made_is_503_and_can_be_made_again(
    module: Any, resources: Resources, operation: str
) -> None:
    action_id = put_action(resources)
    body = {"decision": "approve", "seen": seen_of(resources, action_id)}
    with failing(operation, "ThrottlingException"):
        assert send(module, an_analyst(ANNA), action_id, body)[0] == 503
    assert (action_in(resources, action_id).status, attempts_on(resources, action_id)) == ("proposed", [])
    assert send(module, an_analyst(ANNA), action_id, body)[0] == 200


def test_refusal_that_could_not_be_recorded_is_no_refusal(module: Any, resources: Resources) -> None:
    action_id = put_action(resources)
    body = {"decision": "approve", "seen": A_DIGEST}
    with failing("PutItem", "ThrottlingException"):
        assert send(module, an_analyst(ANNA), action_id, body)[0] == 503
    assert send(module, an_analyst(ANNA), action_id, body)[0] == 409


def test_decision_stands_where_the_bus_is_away_and_the_next_call_tells_of_it(module: Any, resources: Resources) -> None:
    action_id = put_action(resources)
    body = {"decision": "approve", "seen": seen_of(resources, action_id)}
    with failing("PutEvents", "ThrottlingException"):
        assert send(module, an_analyst(ANNA), action_id, body)[0] == 200
    assert events(resources) == []
    assert action_in(resources, action_id).event_to_publish is not None
    assert send(module, an_analyst(ANNA), action_id, body)[0] == 409
    assert [detail_type for detail_type, _ in events(resources)] == ["ActionApproved"]
    assert action_in(resources, action_id).event_to_publish is None


def test_proposal_that_was_not_told_of_is_told_of_before_its_end(module: Any, resources: Resources) -> None:
    action_id = put_action(resources, keeps_its_event=True)
    body = {"decision": "reject", "seen": seen_of(resources, action_id)}
    with failing("PutEvents", "ThrottlingException"):
        assert send(module, an_analyst(ANNA), action_id, body)[0] == 503
    assert send(module, an_analyst(ANNA), action_id, body)[0] == 200
    assert [detail_type for detail_type, _ in events(resources)] == ["ActionProposed", "ActionRejected"]


def test_requests_decisions_and_refusals_are_counted(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    action_id = put_action(resources)
    body = {"decision": "approve", "seen": seen_of(resources, action_id)}
    send(module, an_analyst(ANNA), action_id, body)
    assert metrics_in(capsys.readouterr().out) == {"DecisionRequests": 1, "DecisionsMade": 1}
    send(module, an_analyst(ANNA), action_id, body)
    assert metrics_in(capsys.readouterr().out) == {"DecisionRequests": 1, "DecisionsRefused": 1}


@pytest.mark.parametrize("name", samples("decide_action"))
def test_samples_are_answered_as_described(module: Any, resources: Resources, name: str) -> None:
    status, _ = answer_of(module.handler(sample("decide_action", name), Context()))
    assert status == {"good": 404, "bad": 400, "edge": 403}[name]
    assert len(resources.rows("approval-attempts")) == {"good": 1, "bad": 0, "edge": 1}[name]
