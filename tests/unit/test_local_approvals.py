"""`make cases`, `make approve`, `make reject`: what is shown is what is signed, and who signs is who is named."""

from typing import Any

import pytest

from local import approvals
from local.api_client import ApiError
from local.approvals import Approvals, line_of, lines_of, signed_in
from local.people import PersonError, UserPool
from tests.unit.fake_rest_api import Api

URL = "https://api/approvals"
ID = "0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11"
ACTION: dict[str, Any] = {
    "actionId": ID,
    "action": "block_card",
    "status": "half_approved",
    "customerId": "CUST-000042",
    "cardId": "CARD-000042",
    "cardLabel": "Debit card ending 0042",
    "reason": "stolen",
    "spent": "6,000.00 EUR",
    "proposedBy": {"personId": "person-1", "role": "customer"},
    "createdAt": "2026-01-01T12:00:00.000Z",
    "expiresAt": "2026-01-02T12:00:00.000Z",
    "approvalsNeeded": 2,
    "attempts": [
        {
            "at": "2026-01-01T12:05:00.000Z",
            "personId": "anna",
            "decision": "approve",
            "outcome": "half_approved",
            "note": "Ok.",
        }
    ],
    "seen": "d1",
}


def test_waiting_actions_are_one_line_each() -> None:
    (line,) = map(line_of, Approvals(Api(200, {"actions": [ACTION]}), URL, "token").waiting())
    assert line == (
        "0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11  block card CARD-000042 of CUST-000042: stolen, 6,000.00 EUR spent "
        "lately; proposed by customer, until 2026-01-02T12:00:00.000Z (approved by one of two)"
    )


@pytest.mark.parametrize(
    ("kind", "deed", "reason"),
    [
        ("refund", "refund transaction TX-1", "Refund of transaction TX-1 of 312.00 EUR with CARD-000042"),
        ("release_transaction", "release transaction TX-1", "Release of transaction TX-1 of 312.00 EUR"),
        ("close_account", "close_account CARD-000042 TX-1", "Why"),
    ],
)
def test_action_about_a_transaction_is_told_in_plain_words(kind: str, deed: str, reason: str) -> None:
    about = {"action": kind, "status": "proposed", "transactionId": "TX-1", "caseId": ID, "reason": f"{reason}."}
    action = {name: value for name, value in (ACTION | about).items() if name != "spent"}
    action["proposedBy"] = {"personId": "agent", "role": "agent"}
    assert line_of(action) == (
        f"{ID}  {deed} of CUST-000042: {reason}; proposed by agent, until 2026-01-02T12:00:00.000Z"
    )
    shown = "\n".join(lines_of(action))
    assert "  paid      TX-1\n" in shown
    assert f"  case      {ID}\n" in shown


def test_action_is_shown_with_what_it_is_about_and_who_tried_before() -> None:
    action = Approvals(Api(200, ACTION), URL, "token").look_at(ID)
    shown = "\n".join(lines_of(action))
    for part in (
        "Debit card ending 0042",
        "person-1 (customer)",
        "approvals needed: 2",
        "anna approve -> half_approved",
    ):
        assert part in shown


def test_decision_names_what_was_shown() -> None:
    api = Api(200, {"actionId": ID, "status": "approved"})
    analyst = Approvals(api, URL, "token")
    assert analyst.decide(ACTION, "approve", "") == "approved"
    analyst.decide(ACTION, "reject", "A mistake.")
    url = f"{URL}/{ID}"
    assert api.asked == [
        ("POST", url, "token", {"decision": "approve", "seen": "d1"}),
        ("POST", url, "token", {"decision": "reject", "seen": "d1", "note": "A mistake."}),
    ]


@pytest.mark.parametrize("body", [{"message": "What you saw has changed."}, "<html>What you saw has changed."])
def test_refusal_is_told_as_it_was_answered(body: object) -> None:
    with pytest.raises(ApiError, match=r"409: .*What you saw has changed\."):
        Approvals(Api(409, body), URL, "token").decide(ACTION, "approve", "")


class Cognito:
    """Keeps who was created and removed; everybody's id token is "token of <name>"."""

    class exceptions:  # noqa: N801 - boto3's spelling
        UsernameExistsException = KeyError

    def __init__(self) -> None:
        self.people: list[str] = []
        self.passwords: dict[str, str] = {}

    def admin_create_user(self, *, Username: str, **_: object) -> None:  # noqa: N803 - boto3's spelling
        self.people.append(Username)

    def admin_add_user_to_group(self, *, GroupName: str, **_: object) -> None:  # noqa: N803 - boto3's spelling
        assert GroupName == "analyst"

    def admin_set_user_password(self, *, Username: str, Password: str, **_: object) -> None:  # noqa: N803 - the same
        self.passwords[Username] = Password

    def admin_delete_user(self, *, Username: str, **_: object) -> None:  # noqa: N803 - boto3's spelling
        self.people.remove(Username)

    def initiate_auth(self, *, AuthParameters: dict[str, str], **_: object) -> dict[str, Any]:  # noqa: N803 - the same
        name, password = AuthParameters["USERNAME"], AuthParameters["PASSWORD"]
        assert self.passwords[name] == password
        return {"AuthenticationResult": {"IdToken": f"token of {name}"}}


def test_here_somebody_made_up_signs_and_is_gone_afterwards() -> None:
    cognito = Cognito()
    with signed_in(cognito, UserPool("pool", "client"), "", may_make_up=True) as (name, token):
        assert cognito.people == [name]
        assert token == f"token of {name}"
    assert cognito.people == []


def test_nobody_is_made_up_where_somebody_real_must_sign() -> None:
    cognito = Cognito()
    with pytest.raises(PersonError, match="NAME="), signed_in(cognito, UserPool("p", "c"), "", may_make_up=False):
        pass
    assert cognito.passwords == {}


def test_somebody_with_a_name_signs_with_their_password(monkeypatch: pytest.MonkeyPatch) -> None:
    cognito = Cognito()
    cognito.passwords["anna"] = "secret"
    monkeypatch.setenv(approvals.PASSWORD_VARIABLE, "secret")
    with signed_in(cognito, UserPool("p", "c"), "anna", may_make_up=True) as signer:
        assert signer == ("anna", "token of anna")
    assert cognito.people == []
