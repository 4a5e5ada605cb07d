"""The close_case handler: analysts close a case once, not their own, on record; and CaseClosed tells of it once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from backbone import contracts
from backbone.actions import Occasion
from backbone.cases import closed, escalated
from tests.unit.action_builder import ANNA, BEN, an_analyst
from tests.unit.api_events import answer_of, claims_of
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER
from tests.unit.case_builder import CORRELATION, a_closing, case_in, put_case
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

UNKNOWN = "7d9b1c20-1111-4222-8333-944445555666"
FRAUD = {"outcome": "confirmed_fraud"}


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("close_case")


def send(module: Any, claims: dict[str, str] | None, case_id: str, body: object) -> tuple[int, Any]:
    return answer_of(module.handler(a_closing(claims, case_id, body), Context()))


def told(resources: Resources) -> list[str]:
    return [event["detail-type"] for event in resources.published()]


def test_analyst_closes_a_case_and_it_is_told_once_without_their_words(module: Any, resources: Resources) -> None:
    case_id = put_case(resources)
    status, body = send(module, an_analyst(ANNA), case_id, FRAUD | {"note": "Mrs Miller was in Rome."})
    case = case_in(resources, case_id)
    assert (status, body) == (
        200,
        {
            "caseId": case_id,
            "status": "closed",
            "outcome": "confirmed_fraud",
            "closedBy": ANNA,
            "closedAt": case.closed_at,
        },
    )
    (envelope,) = resources.published()
    event = contracts.parse("CaseClosed", envelope)
    assert event.data == {
        "caseId": case_id,
        "customerId": OWNER,
        "transactionId": "TX-1",
        "kind": "chat",
        "openedBy": "customer",
        "outcome": "confirmed_fraud",
        "closedBy": "analyst",
        "closedAt": case.closed_at,
    }
    assert event.metadata.correlation_id == CORRELATION
    assert event.metadata.causation_id == contracts.event_id("CaseOpened", case_id)
    assert event.metadata.causation_depth == 1
    assert (case.status, case.closed_by, case.closed_by_role, case.note, case.event_to_publish) == (
        "closed",
        ANNA,
        "analyst",
        "Mrs Miller was in Rome.",
        None,
    )


@pytest.mark.parametrize("outcome", ["genuine", "unresolved"])
def test_case_without_a_transaction_is_closed_too(module: Any, resources: Resources, outcome: str) -> None:
    case_id = put_case(resources, transaction_id=None)
    assert send(module, an_analyst(ANNA), case_id, {"outcome": outcome})[0] == 200
    (envelope,) = resources.published()
    data = contracts.parse("CaseClosed", envelope).data
    assert (data["outcome"], "transactionId" in data) == (outcome, False)


def test_second_closing_is_refused_with_what_stands(module: Any, resources: Resources) -> None:
    case_id = put_case(resources)
    send(module, an_analyst(ANNA), case_id, FRAUD)
    for claims, outcome in ((an_analyst(BEN), "genuine"), (an_analyst(ANNA), "confirmed_fraud")):
        status, body = send(module, claims, case_id, {"outcome": outcome})
        assert (status, body["case"]["outcome"], body["case"]["closedBy"]) == (409, "confirmed_fraud", ANNA)
    assert told(resources) == ["CaseClosed"]
    assert case_in(resources, case_id).outcome == "confirmed_fraud"


def test_of_two_analysts_at_once_one_closes_it_and_the_other_sees_what_stands(
    module: Any, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id, rows = put_case(resources), type(module.desk.cases)
    real, calls = rows.close, list[str]()

    def overtaken(cases: Any, after: Any) -> bool:
        calls.append(after.closed_by)
        if len(calls) == 1:
            assert send(module, an_analyst(BEN), case_id, {"outcome": "genuine"})[0] == 200
        closed: bool = real(cases, after)
        return closed

    monkeypatch.setattr(rows, "close", overtaken)
    status, body = send(module, an_analyst(ANNA), case_id, FRAUD)
    assert (calls, status, body["case"]["outcome"], body["case"]["closedBy"]) == ([ANNA, BEN], 409, "genuine", BEN)
    assert told(resources) == ["CaseClosed"]


@pytest.mark.parametrize(
    "claims",
    [claims_of("customer", OWNER), claims_of(""), claims_of("analysts,agent")],
    ids=["customer", "nobody's group", "no such group"],
)
def test_who_is_no_analyst_closes_nothing(module: Any, resources: Resources, claims: dict[str, str]) -> None:
    case_id = put_case(resources)
    answers = [send(module, claims, one, FRAUD) for one in (case_id, UNKNOWN)]
    assert answers[0] == answers[1]
    assert (answers[0][0], case_in(resources, case_id).status, told(resources)) == (403, "open", [])


@pytest.mark.parametrize("groups", ["analyst", "analyst,customer"])
def test_analyst_closes_no_case_about_themselves(module: Any, resources: Resources, groups: str) -> None:
    case_id = put_case(resources)
    assert send(module, claims_of(groups, OWNER, sub=ANNA), case_id, FRAUD)[0] == 403
    assert case_in(resources, case_id).status == "open"


@pytest.mark.parametrize("claims", [None, claims_of("analyst", sub=""), claims_of("analyst", token_use="access")])  # noqa: S106 - no secret
def test_nobody_who_has_not_signed_in_closes(module: Any, resources: Resources, claims: dict[str, str] | None) -> None:
    assert send(module, claims, put_case(resources), FRAUD)[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        None,
        "no JSON",
        [],
        {},
        {"outcome": "perhaps"},
        {"outcome": ["genuine"]},
        {"outcome": "genuine", "note": ""},
        {"outcome": "genuine", "note": "x" * 501},
        {"outcome": "genuine", "closedBy": BEN},
    ],
)
def test_request_that_says_no_outcome_is_refused(module: Any, resources: Resources, body: object) -> None:
    case_id = put_case(resources)
    status, answer = send(module, an_analyst(ANNA), case_id, body)
    assert (status, list(answer)) == (400, ["message"])
    assert case_in(resources, case_id).status == "open"


@pytest.mark.parametrize("case_id", ["", "../cards", UNKNOWN, UNKNOWN.upper()])
def test_case_that_there_is_not_is_404(module: Any, case_id: str) -> None:
    assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 404


# ---- services that are away


@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_closing_that_could_not_be_done_is_503_and_can_be_done_again(
    module: Any, resources: Resources, operation: str
) -> None:
    case_id = put_case(resources)
    with failing(operation, "ThrottlingException"):
        assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 503
    assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 200
    assert told(resources) == ["CaseClosed"]


def test_end_stands_where_the_bus_is_away_and_the_next_call_tells_of_it(module: Any, resources: Resources) -> None:
    case_id = put_case(resources)
    with failing("PutEvents", "ThrottlingException"):
        assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 200
    assert told(resources) == []
    assert case_in(resources, case_id).event_to_publish is not None
    assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 409
    assert told(resources) == ["CaseClosed"]
    assert (case_in(resources, case_id).status, case_in(resources, case_id).event_to_publish) == ("closed", None)


def test_expire_actions_tells_of_a_case_whose_event_was_not_taken(
    module: Any, resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    sweep = handler_module("expire_actions").handler
    case_id = put_case(resources)
    with failing("PutEvents", "ThrottlingException"):
        send(module, an_analyst(ANNA), case_id, FRAUD)
    with failing("PutEvents", "ThrottlingException"), pytest.raises(Exception, match=case_id):
        sweep(sample("expire_actions", "good"), Context())
    swept = [sweep(sample("expire_actions", "good"), Context()) for _ in range(2)]
    assert swept == [{"expired": 0, "published": 1}, {"expired": 0, "published": 0}]
    assert told(resources) == ["CaseClosed"]
    assert case_in(resources, case_id).status == "closed"


def test_opening_that_was_not_told_of_is_told_of_before_the_end(module: Any, resources: Resources) -> None:
    case_id = put_case(resources, keeps_its_event=True)
    with failing("PutEvents", "ThrottlingException"):
        assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 503
    assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 200
    assert told(resources) == ["CaseOpened", "CaseClosed"]


def test_escalation_that_was_not_told_of_is_told_of_before_the_end(module: Any, resources: Resources) -> None:
    case_id = put_case(resources)
    handed_over = escalated(case_in(resources, case_id), "asked", Occasion(1_767_268_800.0, "conclude_case"))
    assert module.desk.cases.escalate(handed_over)
    with failing("PutEvents", "ThrottlingException"):
        assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 503
    assert send(module, an_analyst(ANNA), case_id, FRAUD)[0] == 200
    assert told(resources) == ["CaseEscalated", "CaseClosed"]


def test_requests_ends_and_refusals_are_counted(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    case_id = put_case(resources)
    send(module, an_analyst(ANNA), case_id, FRAUD)
    assert metrics_in(capsys.readouterr().out) == {"ClosingRequests": 1, "CasesClosed": 1}
    send(module, an_analyst(ANNA), case_id, FRAUD)
    assert metrics_in(capsys.readouterr().out) == {"ClosingRequests": 1, "ClosingsRefused": 1}


@pytest.mark.parametrize("name", samples("close_case"))
def test_samples_are_answered_as_described(module: Any, name: str) -> None:
    status, _ = answer_of(module.handler(sample("close_case", name), Context()))
    assert status == {"good": 404, "bad": 400, "edge": 403}[name]


@pytest.mark.parametrize(("opened", "cause", "depth"), [(0, 0, 1), (3, 0, 4), (3, 6, 7), (6, 3, 7)], ids=str)
def test_end_lies_one_deeper_than_the_opening_or_what_led_to_it(
    resources: Resources, opened: int, cause: int, depth: int
) -> None:
    case = case_in(resources, put_case(resources, causation_depth=opened))
    assert case.causation_depth == opened
    occasion = Occasion(0.0, "tests", causation_id="cause", causation_depth=cause)
    ended = closed(case, "genuine", closed_by="anna", role="analyst", note=None, occasion=occasion)
    assert json.loads(ended.event_to_publish or "")["detail"]["metadata"]["causationDepth"] == depth
