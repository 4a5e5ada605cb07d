"""The look-ups of an investigation: what they count, of whose things, in which sentences, and for whom."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from backbone import contracts
from backbone.card_counters import card_key, payments_in
from backbone.terminal_counters import frauds_on, terminal_key
from evidence_rows import CounterRows, HistoryRows
from features import CardProfile
from tests.unit.bank_builder import (
    CONVERSATION,
    DAY,
    OWNER,
    STRANGER,
    a_call,
    body_of,
    put_card,
    put_transaction,
)
from tests.unit.case_builder import put_case
from tests.unit.lambda_events import Context
from tests.unit.resources import Resources
from transaction_store import card_item

REVIEWS: tuple[tuple[str, dict[str, object]], ...] = (
    ("review_card", {"transactionId": "TX-1"}),
    ("review_terminal", {"transactionId": "TX-1"}),
    ("review_past_cases", {}),
)
UP_TO = "In the 28 days up to transaction TX-1, terminal TERM-00001 had"
BEFORE = "In the 14 days before TX-1,"
ONE_EACH = "1 turned out to be fraud, 1 genuine, 1 undecided."
type Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
) -> Ask:
    module = handler_module("agent_tools")

    def asked(tool: str, arguments: Mapping[str, object] | None = None, **session: object) -> dict[str, Any]:
        return body_of(module.handler(a_call(tool, arguments, **({"role": "agent"} | session)), Context()))

    return asked


def label(resources: Resources, number: int, verdict: str) -> None:
    """What learn_from_outcome writes onto a row, as far as it is read."""
    resources.client("dynamodb").update_item(
        TableName="transactions",
        Key={"transactionId": {"S": f"TX-{number}"}},
        UpdateExpression="SET #label = :label",
        ExpressionAttributeNames={"#label": "label"},
        ExpressionAttributeValues={":label": {"S": verdict}},
    )


def count_a_fraud(resources: Resources, days_ago: float) -> None:
    """What learn_from_outcome adds to the default terminal's counters."""
    resources.client("dynamodb").update_item(
        TableName="profiles",
        Key=terminal_key("TERM-00001"),
        UpdateExpression=f"ADD {frauds_on(int((time.time() - days_ago * DAY) // DAY))} :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


@pytest.mark.parametrize("role", ["customer", "analyst"])
@pytest.mark.parametrize(("tool", "arguments"), REVIEWS)
def test_nobody_but_an_agent_is_answered(
    ask: Ask, resources: Resources, tool: str, arguments: dict[str, object], role: str
) -> None:
    put_transaction(resources)
    body = ask(tool, arguments, role=role)
    assert (body["state"], body["facts"], body["data"]) == (
        "refused",
        [f"{tool} is for the bank's own investigations; nobody uses it in a chat."],
        {},
    )


@pytest.mark.parametrize("tool", ["review_card", "review_terminal"])
def test_foreign_and_unknown_transactions_are_refused_alike(ask: Ask, resources: Resources, tool: str) -> None:
    put_transaction(resources, 1, flagged=True, customer_id=STRANGER)
    foreign, unknown = (ask(tool, {"transactionId": one}) for one in ("TX-1", "TX-9"))
    assert json.dumps(foreign).replace("TX-1", "TX-9") == json.dumps(unknown)
    assert foreign["facts"] == ["There is no transaction TX-1 of this customer's."]


# ---- the card


def test_card_is_compared_with_its_own_payments(ask: Ask, resources: Resources) -> None:
    put_card(resources)
    for number, (days_ago, amount) in enumerate([(20, 1_000), (1.5, 3_000), (1.01, 2_000)], 2):
        put_transaction(resources, number, days_ago=days_ago, amount_minor=amount)
    put_transaction(resources, 5, amount_minor=90_000, card_id="CARD-000007")
    put_transaction(resources, 6, amount_minor=90_000, customer_id=STRANGER, card_id="CARD-000043")
    put_transaction(resources, 1, amount_minor=31_000, flagged=True)
    body = ask("review_card", {"transactionId": "TX-1"})
    assert body["facts"] == [
        "In the 30 days up to transaction TX-1, card CARD-000042 made 3 other payments of 20.00 EUR on average.",
        "The 310.00 EUR of TX-1 is 15.5 times that average.",
        "The highest of the 3 other payments on record from those days was 30.00 EUR.",
        "Within an hour of TX-1 the card made 1 other payment, within a day 2.",
        "In the 14 days before TX-1, no other transaction of the card was flagged.",
        "The customer's debit card ending 0042 (CARD-000042) is active.",
    ]
    assert body["data"] == {
        "transactionId": "TX-1",
        "otherPayments": 3,
        "otherPaymentsSumMinor": 6_000,
        "flaggedOthers": {"fraud": 0, "genuine": 0, "undecided": 0},
    }


def test_card_is_known_by_its_counters_where_its_rows_are_gone(ask: Ask, resources: Resources) -> None:
    put_transaction(resources, 1, amount_minor=8_000, flagged=True)
    day = int((time.time() - DAY) // DAY)
    days = {day - 30: (1, 90_000), day - 29: (1, 2_000), day: (1, 8_000)}
    item = card_item("CARD-000042", CardProfile(days=days), 2, time.time())
    resources.client("dynamodb").put_item(TableName="profiles", Item=item)
    facts = ask("review_card", {"transactionId": "TX-1"})["facts"]
    assert facts[0].endswith("card CARD-000042 made 1 other payment of 20.00 EUR on average.")
    assert facts[1:3] == [
        "The 80.00 EUR of TX-1 is 4.0 times that average.",
        "No other payment of those days is on record one by one.",
    ]


def test_card_without_counters_is_known_by_its_rows(ask: Ask, resources: Resources) -> None:
    put_transaction(resources, 2, days_ago=3, amount_minor=2_000)
    put_transaction(resources, 1, amount_minor=8_000, flagged=True)
    resources.client("dynamodb").delete_item(TableName="profiles", Key=card_key("CARD-000042"))
    facts = ask("review_card", {"transactionId": "TX-1"})["facts"]
    assert facts[0].endswith("card CARD-000042 made 1 other payment of 20.00 EUR on average.")


def test_card_that_was_never_used_before_has_no_average(ask: Ask, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    facts = ask("review_card", {"transactionId": "TX-1"})["facts"]
    assert facts[0] == "In the 30 days up to transaction TX-1, card CARD-000042 made no other payment."
    assert "times that average" not in " ".join(facts)


def test_what_was_flagged_of_the_card_before_is_told_by_what_it_turned_out_to_be(
    ask: Ask, resources: Resources
) -> None:
    for number, days_ago in enumerate((15.5, 13, 5, 2, 0.5), 2):  # too old, three, too new
        put_transaction(resources, number, days_ago=days_ago, flagged=True)
    put_transaction(resources, 7, days_ago=2)
    label(resources, 2, "fraud")
    label(resources, 3, "fraud")
    label(resources, 4, "genuine")
    put_transaction(resources, 1, flagged=True)
    body = ask("review_card", {"transactionId": "TX-1"})
    assert f"{BEFORE} 3 other transactions of the card were flagged: {ONE_EACH}" in body["facts"]


def test_blocked_card_is_told(ask: Ask, resources: Resources) -> None:
    put_card(resources, status="blocked", blockedAt="2026-11-21T14:05:09.000Z", blockReason="stolen")
    put_transaction(resources, 1, flagged=True)
    assert "is blocked since 21 November 2026" in ask("review_card", {"transactionId": "TX-1"})["facts"][-1]


# ---- the terminal


def test_terminal_tells_payments_frauds_and_flags_of_whichever_customers_without_naming_them(
    ask: Ask, resources: Resources
) -> None:
    put_transaction(resources, 8, days_ago=20, customer_id=STRANGER, card_id="CARD-000043")
    put_transaction(resources, 2, days_ago=15.5, flagged=True)  # too old
    put_transaction(resources, 3, days_ago=4, flagged=True, customer_id=STRANGER, card_id="CARD-000043")
    put_transaction(resources, 4, days_ago=3.5, flagged=True, customer_id=STRANGER, card_id="CARD-000044")
    put_transaction(resources, 5, days_ago=2, flagged=True)
    put_transaction(resources, 6, days_ago=2, flagged=True, terminalId="TERM-00002")
    put_transaction(resources, 7, days_ago=0.5, flagged=True)  # later
    label(resources, 3, "fraud")
    label(resources, 4, "genuine")
    count_a_fraud(resources, 4)
    count_a_fraud(resources, 20)
    put_transaction(resources, 1, flagged=True)
    body = ask("review_terminal", {"transactionId": "TX-1"})
    later = int((time.time() - 0.5 * DAY) // DAY) == int((time.time() - DAY) // DAY)  # of the transaction's own day
    assert body["facts"] == [
        f"{UP_TO} {5 + later} other payments, of which 2 are known to be fraud.",
        f"In the last 7 of those days it had {3 + later} other payments, of which 1 is known to be fraud.",
        f"{BEFORE} 3 other transactions at the terminal were flagged, with 3 cards: {ONE_EACH}",
        "The newest of them that was decided, 2.5 days before it, turned out to be genuine.",
    ]
    assert not any(name in json.dumps(body) for name in (STRANGER, "CARD-000043", "CARD-000044", "TX-3", "TX-4"))


def test_terminal_of_which_nothing_is_known_says_so(ask: Ask, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    resources.client("dynamodb").delete_item(TableName="profiles", Key=terminal_key("TERM-00001"))
    assert ask("review_terminal", {"transactionId": "TX-1"})["facts"] == [
        f"{UP_TO} 0 other payments, of which 0 are known to be fraud.",
        "In the last 7 of those days it had 0 other payments, of which 0 are known to be fraud.",
        "In the 14 days before TX-1, no other transaction at the terminal was flagged.",
    ]


# ---- the customer's cases


def a_case(resources: Resources, outcome: str | None = None, *, days_ago: float = 10, **changes: Any) -> str:
    """A case of the customer's, closed so many days ago where it has an outcome."""
    case_id = put_case(resources, **changes)
    if outcome:
        resources.client("dynamodb").update_item(
            TableName="cases",
            Key={"caseId": {"S": case_id}},
            UpdateExpression="SET #status = :closed, outcome = :outcome, closedAt = :at",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":closed": {"S": "closed"},
                ":outcome": {"S": outcome},
                ":at": {"S": contracts.timestamp(time.time() - days_ago * DAY)},
            },
        )
    return case_id


def test_cases_are_counted_by_outcome_without_the_sessions_own(ask: Ask, resources: Resources) -> None:
    for outcome in ("confirmed_fraud", "confirmed_fraud", "genuine", "unresolved"):
        a_case(resources, outcome)
    a_case(resources, "confirmed_fraud", days_ago=181)
    a_case(resources, "confirmed_fraud", customer_id=STRANGER)
    a_case(resources)
    a_case(resources, customer_id=STRANGER)
    own = a_case(resources, case_id=CONVERSATION)
    body = ask("review_past_cases", {}, caseId=own)
    assert body["facts"] == [
        "In the last 180 days 4 cases of the customer were closed: 2 as confirmed fraud, 1 as genuine, 1 unresolved.",
        "1 other case of the customer is open.",
    ]
    assert body["data"] == {"closed": {"confirmed_fraud": 2, "genuine": 1, "unresolved": 1}, "open": 1}


def test_customer_without_cases_has_none(ask: Ask) -> None:
    assert ask("review_past_cases")["facts"] == [
        "In the last 180 days no case of the customer was closed.",
        "0 other cases of the customer are open.",
    ]


# ---- the rows


def test_counters_read_what_score_transactions_writes() -> None:
    days = {20_000: (3, 4_500), 20_001: (1, 200)}
    assert payments_in(card_item("CARD-1", CardProfile(days=days), 1, 0)) == days


def test_unseen_card_and_terminal_have_no_counters(resources: Resources) -> None:
    counters = CounterRows(resources.client("dynamodb"), "profiles")
    assert (counters.card_days("CARD-9"), counters.terminal_days("TERM-9")) == ({}, {})


class EndlessTable:
    """A boto3 client in which every page of a query has one more behind it."""

    def query(self, **_: Any) -> dict[str, Any]:
        item = {"transactionId": {"S": "TX-2"}, "cardId": {"S": "C"}, "occurredAt": {"N": "1"}}
        return {"Items": [item], "LastEvaluatedKey": {"transactionId": {"S": "TX-2"}}}


def test_history_that_is_too_long_says_that_it_is_not_whole() -> None:
    history = HistoryRows(EndlessTable(), "transactions", "CustomerTransactions", "FlaggedAtTerminal")
    found, is_complete = history.flagged_at("TERM-1", 0, 10)
    assert (len(found), is_complete) == (10, False)


def test_index_of_flagged_transactions_holds_no_others(resources: Resources) -> None:
    put_transaction(resources, 1)
    put_transaction(resources, 2, flagged=True)
    indexed = resources.client("dynamodb").scan(TableName="transactions", IndexName="FlaggedAtTerminal")["Items"]
    assert [(item["transactionId"]["S"], item["flaggedTerminalId"]["S"]) for item in indexed] == [
        ("TX-2", "TERM-00001")
    ]


def test_owner_of_a_session_is_whose_card_is_reviewed(ask: Ask, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    assert ask("review_card", {"transactionId": "TX-1"}, customerId=OWNER)["state"] == "done"
    assert ask("review_card", {"transactionId": "TX-1"}, customerId=STRANGER)["state"] == "refused"
