"""`make cases`, `make close-case`: open cases beside what waits, and a closing that names what was said."""

from typing import Any

import pytest

import backbone.cases
from local.api_client import ApiError
from local.approvals import Approvals, waiting_lines
from local.cases import OUTCOMES, Cases, line_of, lines_of
from tests.unit.fake_rest_api import Api

URL = "https://api/cases"
ID = "0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11"
CASE: dict[str, Any] = {
    "caseId": ID,
    "status": "open",
    "kind": "chat",
    "customerId": "CUST-000042",
    "subject": "I did not pay this",
    "transactionId": "TX-1",
    "openedAt": "2026-01-01T12:00:00.000Z",
    "openedBy": {"personId": "person-1", "role": "customer"},
}
TRANSACTION = {
    "transactionId": "TX-1",
    "terminalId": "TERM-1",
    "amountMinor": 900_000,
    "currency": "EUR",
    "occurredAt": "2026-01-01T11:00:00.000Z",
    "flagged": True,
    "severity": "high",
    "score": 0.9,
    "reasons": [{"code": "AMOUNT_ABOVE_LIMIT", "explanation": "More than 8,000."}],
}


def test_open_case_is_one_line() -> None:
    (line,) = map(line_of, Cases(Api(200, {"cases": [CASE]}), URL, "token").open())
    assert line == (
        f"{ID}  case about TX-1 of CUST-000042: I did not pay this; opened by customer, 2026-01-01T12:00:00.000Z"
    )


def test_case_is_shown_with_what_scoring_says() -> None:
    shown = lines_of(Cases(Api(200, CASE | {"transaction": TRANSACTION}), URL, "token").look_at(ID))
    assert shown[1:] == [
        "  9000.00 EUR at TERM-1, 2026-01-01T11:00:00.000Z",
        "  score 0.900, flagged (high)",
        "  AMOUNT_ABOVE_LIMIT: More than 8,000.",
    ]
    assert lines_of(CASE) == [line_of(CASE)]


@pytest.mark.parametrize("note", ["", "She called."])
def test_closing_says_outcome_and_note(note: str) -> None:
    api = Api(200, {"caseId": ID, "outcome": "genuine"})
    assert Cases(api, URL, "token").close(ID, "genuine", note) == "genuine"
    body = {"outcome": "genuine"} | ({"note": note} if note else {})
    assert api.asked == [("POST", f"{URL}/{ID}/close", "token", body)]


def test_refusal_is_told_as_it_was_answered() -> None:
    with pytest.raises(ApiError, match="409: This case was closed before"):
        Cases(Api(409, {"message": "This case was closed before; ..."}), URL, "token").close(ID, "genuine", "")


def test_cases_are_listed_after_the_actions_that_wait() -> None:
    nothing = Approvals(Api(200, {"actions": []}), "https://api/approvals", "token")
    assert waiting_lines(nothing, Cases(Api(200, {"cases": []}), URL, "token")) == [
        "Nothing waits for a decision.",
        "No case is open.",
    ]
    assert waiting_lines(nothing, Cases(Api(200, {"cases": [CASE]}), URL, "token"))[1] == line_of(CASE)


def test_outcomes_are_those_that_the_api_takes() -> None:
    assert backbone.cases.OUTCOMES == OUTCOMES
