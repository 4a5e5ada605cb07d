"""The read_cases handler: analysts see all open cases, a customer those that they opened, nobody another's."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.action_builder import ANNA, an_analyst
from tests.unit.api_events import answer_of, as_person, claims_of
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, put_transaction
from tests.unit.case_builder import CUSTOMER, a_closing, put_case
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

ANALYST = an_analyst(ANNA)


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("read_cases")


def listed(module: Any, claims: dict[str, str] | None, **query: str) -> tuple[int, Any]:
    event = as_person(sample("read_cases", "good"), claims) | {"queryStringParameters": query or None}
    return answer_of(module.handler(event, Context()))


def looked_at(module: Any, claims: dict[str, str] | None, case_id: str) -> tuple[int, Any]:
    event = as_person(sample("read_cases", "edge"), claims) | {"pathParameters": {"caseId": case_id}}
    return answer_of(module.handler(event, Context()))


def ids(answer: tuple[int, Any]) -> list[str]:
    assert answer[0] == 200, answer
    return [case["caseId"] for case in answer[1]["cases"]]


def close(handler_module: Callable[[str], Any], case_id: str) -> None:
    body = {"outcome": "genuine", "note": "He called back."}
    assert handler_module("close_case").handler(a_closing(ANALYST, case_id, body), Context())["statusCode"] == 200


def test_analyst_sees_all_open_cases_newest_first_or_one_customers(
    module: Any, resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    old, theirs, new, ended = (
        put_case(resources, opened_at=f"2026-01-0{day}T12:00:00.000Z", customer_id=customer)
        for day, customer in ((1, OWNER), (2, STRANGER), (3, OWNER), (4, OWNER))
    )
    close(handler_module, ended)
    assert ids(listed(module, ANALYST)) == [new, theirs, old]
    assert ids(listed(module, ANALYST, customerId=OWNER)) == [new, old]


def test_list_ends_with_the_newest_fifty(module: Any, resources: Resources) -> None:
    cases = [put_case(resources, opened_at=f"2026-01-01T12:00:{second:02}.000Z") for second in range(52)]
    assert ids(listed(module, ANALYST)) == cases[:1:-1]
    assert ids(listed(module, ANALYST, customerId=OWNER)) == cases[:1:-1]


def test_customer_sees_the_cases_that_they_opened_and_not_what_the_bank_looks_into(
    module: Any, resources: Resources
) -> None:
    own = put_case(resources)
    others = [
        put_case(resources, customer_id=STRANGER),
        put_case(resources, kind="investigation", opened_by="agent", opened_by_role="agent"),
        put_case(resources, opened_by=ANNA, opened_by_role="analyst"),
    ]
    customer = claims_of("customer", OWNER)
    assert ids(listed(module, customer)) == ids(listed(module, customer, customerId=OWNER)) == [own]
    assert looked_at(module, customer, own)[0] == 200
    assert {looked_at(module, customer, case_id)[0] for case_id in others} == {404}
    assert listed(module, customer, customerId=STRANGER)[0] == 403


def test_people_and_notes_are_shown_to_analysts_alone(
    module: Any, resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    case_id = put_case(resources)
    close(handler_module, case_id)
    seen = looked_at(module, ANALYST, case_id)[1]
    assert (seen["openedBy"], seen["closedBy"], seen["note"]) == (
        {"personId": CUSTOMER, "role": "customer"},
        {"personId": ANNA, "role": "analyst"},
        "He called back.",
    )
    shown = looked_at(module, claims_of("customer", OWNER), case_id)[1]
    assert shown == {name: seen[name] for name in shown}
    assert seen.keys() - shown.keys() == {"openedBy", "closedBy", "note"}
    assert (shown["status"], shown["outcome"]) == ("closed", "genuine")


def test_one_case_shows_its_transactions_score_and_reasons(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    transaction = looked_at(module, ANALYST, put_case(resources))[1]["transaction"]
    assert (transaction["transactionId"], transaction["score"], transaction["flagged"]) == ("TX-1", 0.9, True)
    assert [reason["code"] for reason in transaction["reasons"]] == ["MODEL_SCORE"]


@pytest.mark.parametrize("transaction_id", [None, "TX-9"])
def test_case_without_a_transaction_or_with_one_that_expired_is_shown_without(
    module: Any, resources: Resources, transaction_id: str | None
) -> None:
    status, seen = looked_at(module, ANALYST, put_case(resources, transaction_id=transaction_id))
    assert (status, "transaction" in seen, seen.get("transactionId")) == (200, False, transaction_id)


@pytest.mark.parametrize("claims", [claims_of(""), claims_of("analysts"), claims_of("customer")])
def test_who_is_neither_analyst_nor_customer_sees_nothing(
    module: Any, resources: Resources, claims: dict[str, str]
) -> None:
    assert listed(module, claims)[0] == 403
    assert looked_at(module, claims, put_case(resources))[0] == 404


def test_nobody_who_has_not_signed_in_sees_anything(module: Any) -> None:
    assert listed(module, None)[0] == 401


@pytest.mark.parametrize("operation", ["Query", "GetItem"])
def test_table_that_is_away_is_503(module: Any, resources: Resources, operation: str) -> None:
    case_id = put_case(resources)
    with failing(operation, "ThrottlingException"):
        assert (listed(module, ANALYST) if operation == "Query" else looked_at(module, ANALYST, case_id))[0] == 503


def test_reads_are_counted(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    listed(module, ANALYST)
    assert metrics_in(capsys.readouterr().out) == {"CaseReads": 1}


@pytest.mark.parametrize("name", samples("read_cases"))
def test_samples_are_answered_as_described(module: Any, name: str) -> None:
    status, _ = answer_of(module.handler(sample("read_cases", name), Context()))
    assert status == {"good": 200, "bad": 403, "edge": 404}[name]
