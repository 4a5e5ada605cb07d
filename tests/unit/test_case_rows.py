"""Cases that investigations open, escalate and end: in DynamoDB, and in the fake that other tests trust."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from backbone import contracts
from backbone.actions import Occasion
from backbone.case_rows import CaseIndex, CaseRows
from backbone.cases import Case, Reason, closed, escalated, opened
from backbone.errors import Retryable
from backbone.investigations import Totals
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER
from tests.unit.investigation_builder import (
    AT_NOON,
    CASE,
    CORRELATION,
    FLAG,
    NOON,
    FakeCases,
    a_case,
    an_unpublished_case,
    case_rows,
)
from tests.unit.resources import Resources

OCCASION = Occasion(NOON, "conclude_case")
NEW = a_case(goal=None)
REASONS: tuple[Reason, ...] = get_args(Reason.__value__)


@pytest.fixture(params=["rows", "fake"])
def cases(request: pytest.FixtureRequest, resources: Resources) -> CaseRows | FakeCases:
    return case_rows(resources) if request.param == "rows" else FakeCases()


def a_closed(case: Case) -> Case:
    return closed(case, "genuine", closed_by="agent", role="agent", note="It was released.", occasion=OCCASION)


def told_by(case: Case) -> contracts.Event:
    """The event that the case's row keeps, as the bus would get it."""
    said = json.loads(case.event_to_publish or "null")
    return contracts.parse(said["detail-type"], said | {"source": "backbone.cases"})


# ---- the events of a case


def test_opened_case_tells_of_itself_under_the_flags_correlation_and_as_its_consequence() -> None:
    event = told_by(
        opened(NEW, Occasion(NOON, "perceive_transaction", "00-" + "a" * 32 + "-" + "b" * 16 + "-01", FLAG))
    )
    assert event.data == {
        "caseId": CASE,
        "customerId": OWNER,
        "transactionId": "TX-1",
        "kind": "investigation",
        "openedBy": "agent",
    }
    metadata = event.metadata
    assert metadata.event_id == contracts.event_id("CaseOpened", CASE)
    assert (metadata.correlation_id, metadata.causation_id, metadata.occurred_at) == (CORRELATION, FLAG, AT_NOON)
    assert (metadata.producer, metadata.traceparent) == (
        "perceive_transaction",
        "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
    )


@pytest.mark.parametrize("reason", REASONS)
def test_escalated_case_stays_open_says_why_and_tells_of_it(reason: Reason) -> None:
    case = escalated(NEW, reason, OCCASION)
    assert (case.status, case.is_open, case.escalated_because, case.escalated_at) == ("open", True, reason, AT_NOON)
    event = told_by(case)
    assert event.detail_type == "CaseEscalated"
    assert event.data == {
        "caseId": CASE,
        "customerId": OWNER,
        "transactionId": "TX-1",
        "reason": reason,
        "escalatedAt": AT_NOON,
    }
    assert event.metadata.causation_id == contracts.event_id("CaseOpened", CASE)


def test_case_about_no_transaction_is_told_of_without_one() -> None:
    case = replace(NEW, transaction_id=None)
    for told in (opened(case, OCCASION), escalated(case, "asked", OCCASION), a_closed(case)):
        assert "transactionId" not in told_by(told).data


# ---- the contract of the rows and of the fake


def test_new_case_is_read_as_it_was_written(cases: CaseRows | FakeCases) -> None:
    case = an_unpublished_case()
    assert cases.add(case) == case
    assert cases.get(CASE) == case
    assert cases.get("another") is None


def test_case_that_stands_is_not_opened_again_and_is_answered(cases: CaseRows | FakeCases) -> None:
    first = an_unpublished_case()
    cases.add(first)
    assert cases.add(replace(first, opened_at="2027-01-01T00:00:00.000Z", subject="Other")) == first
    assert cases.get(CASE) == first


def test_case_that_was_ended_is_not_opened_again(cases: CaseRows | FakeCases) -> None:
    cases.add(NEW)
    cases.close(a_closed(NEW))
    assert cases.add(an_unpublished_case()).status == "closing"


def test_case_is_escalated_once(cases: CaseRows | FakeCases) -> None:
    cases.add(NEW)
    first = escalated(NEW, "asked", OCCASION)
    assert cases.escalate(first)
    assert cases.get(CASE) == first
    cases.note_published(first)
    assert not cases.escalate(escalated(NEW, "failed", replace(OCCASION, now=NOON + 60)))
    assert cases.get(CASE) == replace(first, event_to_publish=None)


@pytest.mark.parametrize("status", ["closing", "closed"])
def test_case_that_was_closed_is_not_escalated(cases: CaseRows | FakeCases, status: str) -> None:
    cases.add(NEW)
    ended = a_closed(NEW)
    cases.close(ended)
    if status == "closed":
        cases.note_published(ended)
    before = cases.get(CASE)
    assert before is not None
    assert before.status == status
    assert not cases.escalate(escalated(NEW, "asked", OCCASION))
    assert cases.get(CASE) == before


def test_case_whose_opening_is_not_told_is_neither_escalated_nor_closed(cases: CaseRows | FakeCases) -> None:
    case = an_unpublished_case()
    cases.add(case)
    assert not cases.escalate(escalated(case, "asked", OCCASION))
    assert not cases.close(a_closed(case))
    assert cases.get(CASE) == case


def test_case_that_there_is_not_is_neither_escalated_nor_closed_nor_made(cases: CaseRows | FakeCases) -> None:
    assert not cases.escalate(escalated(NEW, "asked", OCCASION))
    assert not cases.close(a_closed(NEW))
    cases.note_totals(CASE, Totals(1, 2, 3, 4))
    cases.note_published(an_unpublished_case())
    assert cases.get(CASE) is None


def test_escalated_case_is_closed_by_whoever_comes_once_it_is_told(cases: CaseRows | FakeCases) -> None:
    cases.add(NEW)
    case = escalated(NEW, "asked", OCCASION)
    cases.escalate(case)
    assert not cases.close(a_closed(case))
    cases.note_published(case)
    told = replace(case, event_to_publish=None)
    assert cases.close(a_closed(told))
    ended = cases.get(CASE)
    assert ended == a_closed(told)
    assert ended.escalated_because == "asked"


def test_event_that_is_not_the_rows_any_more_is_not_taken_from_it(cases: CaseRows | FakeCases) -> None:
    cases.add(NEW)
    case = escalated(NEW, "asked", OCCASION)
    cases.escalate(case)
    cases.note_published(an_unpublished_case())
    assert cases.get(CASE) == case


# ---- the rows alone


def test_totals_are_numbers_on_the_row_the_last_ones_stand_and_nothing_else_is_changed(resources: Resources) -> None:
    rows = case_rows(resources)
    rows.add(NEW)
    rows.note_totals(CASE, Totals(2, 100, 10, 9))
    rows.note_totals(CASE, Totals(3, 1_900, 90, 136))
    (row,) = resources.rows("cases")
    assert {name: value["N"] for name, value in row.items() if "N" in value} == {
        "steps": "3",
        "inputTokens": "1900",
        "outputTokens": "90",
        "costMicroDollars": "136",
    }
    assert rows.get(CASE) == NEW


def test_open_cases_have_those_of_investigations_among_them_escalated_or_not(resources: Resources) -> None:
    rows = case_rows(resources)
    rows.add(NEW)
    rows.add(replace(NEW, case_id="another", opened_at="2026-01-02T12:00:00.000Z"))
    rows.escalate(escalated(NEW, "asked", OCCASION))
    index = CaseIndex(resources.client("dynamodb"), "cases", "byStatus")
    assert [case.case_id for case in index.open(10)] == ["another", CASE]


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("PutItem", lambda rows: rows.add(replace(NEW, case_id="another"))),
        ("GetItem", lambda rows: rows.add(NEW)),
        ("UpdateItem", lambda rows: rows.escalate(escalated(NEW, "asked", OCCASION))),
        ("UpdateItem", lambda rows: rows.note_totals(CASE, Totals(1, 2, 3, 4))),
        ("UpdateItem", lambda rows: rows.note_published(an_unpublished_case())),
    ],
)
def test_table_that_is_away_is_retryable(resources: Resources, operation: str, call: Callable[[CaseRows], Any]) -> None:
    rows = case_rows(resources)
    rows.add(NEW)
    with failing(operation, "ThrottlingException"), pytest.raises(Retryable, match="cases"):
        call(rows)


def test_case_that_is_gone_just_after_it_stood_is_retryable(resources: Resources) -> None:
    with failing("PutItem", "ConditionalCheckFailedException"), pytest.raises(Retryable, match="was there and is gone"):
        case_rows(resources).add(NEW)
