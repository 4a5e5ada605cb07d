"""learn_from_outcome: what is confirmed counts at its terminal once; a later case corrects it, in whatever order."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from botocore.stub import Stubber

from backbone.clients import client as client_of
from backbone.errors import Retryable
from features import LABEL_DELAY_DAYS, SECONDS_PER_DAY, CardProfile, TerminalProfile, compute_features
from label_rows import LabelRows
from outcome_learning import Label, LabelledTransaction
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, put_transaction
from tests.unit.case_builder import a_closed_case
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import Resources
from tests.unit.transaction_builder import a_transaction
from transaction_store import TransactionStore

TERMINAL = "TERM-00001"
FEATURES = ("terminal_risk_1d", "terminal_risk_7d", "terminal_risk_30d")


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("learn_from_outcome")


@pytest.fixture
def day(resources: Resources) -> int:
    """The day of TX-1 and TX-2, which scoring has counted at the terminal."""
    put_transaction(resources, 1, flagged=True)
    put_transaction(resources, 2, card_id="CARD-000043")
    row = next(row for row in resources.rows("transactions") if row["transactionId"]["S"] == "TX-1")
    return int(row["occurredAt"]["N"]) // SECONDS_PER_DAY


def deliver(module: Any, *bodies: object) -> int:
    """How many messages were given back."""
    return len(module.handler(sqs_event(*bodies), Context())["batchItemFailures"])


def terminal(resources: Resources) -> TerminalProfile:
    """The terminal's profile as score_transactions reads it."""
    store = TransactionStore(resources.client("dynamodb"), "transactions", "profiles", 90)
    return store.load(set(), {TERMINAL}, set()).terminals[TERMINAL]


def label(resources: Resources, transaction_id: str = "TX-1") -> tuple[str | None, str | None]:
    row = next(row for row in resources.rows("transactions") if row["transactionId"]["S"] == transaction_id)
    return row.get("label", {}).get("S"), row.get("labelCaseId", {}).get("S")


def case_of(envelope: dict[str, Any]) -> str:
    return str(envelope["detail"]["data"]["caseId"])


def test_confirmed_fraud_counts_at_its_terminal_on_its_day(module: Any, resources: Resources, day: int) -> None:
    closed = a_closed_case()
    assert deliver(module, closed) == 0
    assert terminal(resources).days == {day: (2, 1)}
    assert label(resources) == ("fraud", case_of(closed))
    assert label(resources, "TX-2") == (None, None)


def test_label_is_seen_by_a_transaction_seven_days_later_and_by_none_before(
    module: Any, resources: Resources, day: int
) -> None:
    deliver(module, a_closed_case())
    profile = terminal(resources)

    def risks(days_later: int) -> tuple[float, ...]:
        transaction = a_transaction(occurred_at=(day + days_later) * SECONDS_PER_DAY + 43_200)
        return compute_features(CardProfile(), profile, transaction)[10:15:2]

    assert [risks(later) for later in range(LABEL_DELAY_DAYS)] == [(0.0, 0.0, 0.0)] * LABEL_DELAY_DAYS
    assert risks(LABEL_DELAY_DAYS) == (0.5, 0.5, 0.5)
    assert risks(LABEL_DELAY_DAYS + 1) == (0.0, 0.5, 0.5)


def test_same_case_again_changes_nothing(module: Any, resources: Resources, day: int) -> None:
    closed = a_closed_case()
    assert deliver(module, closed, closed) == 0
    assert deliver(module, closed) == 0
    assert terminal(resources).days == {day: (2, 1)}


def test_genuine_is_kept_and_counts_nothing(module: Any, resources: Resources, day: int) -> None:
    assert deliver(module, a_closed_case(outcome="genuine")) == 0
    assert (terminal(resources).days, label(resources)[0]) == ({day: (2, 0)}, "genuine")


def test_two_transactions_of_a_day_count_two(module: Any, resources: Resources, day: int) -> None:
    assert deliver(module, a_closed_case("TX-1"), a_closed_case("TX-2")) == 0
    assert terminal(resources).days == {day: (2, 2)}


OUTCOMES = ("confirmed_fraud", "genuine", "confirmed_fraud")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("last", [1, 2, 3])
def test_the_case_closed_last_stands_in_whatever_order_they_come(
    module: Any, resources: Resources, day: int, order: tuple[int, ...], last: int
) -> None:
    closings = [a_closed_case(outcome=outcome, minute=minute) for minute, outcome in enumerate(OUTCOMES[:last])]
    for position in [*order, *order]:
        if position < last:
            assert deliver(module, closings[position]) == 0
    frauds = 1 if OUTCOMES[last - 1] == "confirmed_fraud" else 0
    assert terminal(resources).days == {day: (2, frauds)}
    assert label(resources)[1] == case_of(closings[last - 1])


def test_of_two_cases_closed_in_one_millisecond_one_stands_in_either_order(
    module: Any, resources: Resources, day: int
) -> None:
    one, other = (
        a_closed_case(outcome=outcome, caseId=f"0000000{number}-0000-4000-8000-000000000000")
        for number, outcome in enumerate(("genuine", "confirmed_fraud"))
    )
    for envelope in (one, other, one):
        deliver(module, envelope)
    assert (terminal(resources).days[day][1], label(resources)[1]) == (1, case_of(other))


@pytest.mark.parametrize("changes", [{"transaction_id": None}, {"outcome": "unresolved"}])
def test_case_that_says_nothing_of_a_transaction_teaches_nothing(
    module: Any, resources: Resources, day: int, changes: dict[str, Any]
) -> None:
    assert deliver(module, a_closed_case(**changes)) == 0
    assert (terminal(resources).days, label(resources)) == ({day: (2, 0)}, (None, None))


def test_transaction_whose_row_has_expired_is_forgotten_and_made_by_no_label(
    module: Any, resources: Resources, day: int, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert deliver(module, a_closed_case("TX-9")) == 0
    assert metrics_in(capsys.readouterr().out)["OutcomesForgotten"] == 1
    assert len(resources.rows("transactions")) == 2
    assert terminal(resources).days == {day: (2, 0)}


def test_day_that_the_terminal_no_longer_keeps_is_not_counted_but_the_label_is_kept(
    module: Any, resources: Resources, day: int
) -> None:
    resources.client("dynamodb").update_item(
        TableName="profiles",
        Key={"profileId": {"S": f"terminal#{TERMINAL}"}},
        UpdateExpression=f"REMOVE n{day}",
    )
    assert deliver(module, a_closed_case(), a_closed_case(outcome="genuine", minute=1)) == 0
    assert (terminal(resources).days, label(resources)[0]) == ({}, "genuine")


def test_case_about_another_customers_transaction_teaches_nothing_and_is_kept_for_a_person(
    module: Any, resources: Resources, day: int
) -> None:
    assert deliver(module, a_closed_case(customerId=STRANGER)) == 1
    assert (terminal(resources).days, label(resources)) == ({day: (2, 0)}, (None, None))


def test_scoring_goes_on_counting_beside_the_label(module: Any, resources: Resources, day: int) -> None:
    deliver(module, a_closed_case())
    put_transaction(resources, 3, card_id="CARD-000044")
    days = terminal(resources).days
    assert (sum(count for count, _ in days.values()), sum(frauds for _, frauds in days.values())) == (3, 1)
    assert days[day][1] == 1


# ---- services that are away


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems"])
def test_outcome_that_could_not_be_learned_is_learned_once_when_it_comes_again(
    module: Any, resources: Resources, day: int, operation: str
) -> None:
    closed = a_closed_case()
    with failing(operation, "ThrottlingException"):
        assert deliver(module, closed) == 1
    assert terminal(resources).days == {day: (2, 0)}
    assert deliver(module, closed) == 0
    assert terminal(resources).days == {day: (2, 1)}


def test_label_that_another_case_wrote_meanwhile_is_not_overwritten_unseen(resources: Resources, day: int) -> None:
    rows = LabelRows(resources.client("dynamodb"), "transactions", "profiles")
    read = rows.get("TX-1")
    assert read is not None
    first, second = (Label("fraud", case_id, "2026-01-02T12:00:00.000Z") for case_id in ("case-1", "case-2"))
    assert rows.put(read, first, 1)
    assert not rows.put(read, second, 1)
    assert (terminal(resources).days, label(resources)) == ({day: (2, 1)}, ("fraud", "case-1"))
    known = rows.get("TX-1")
    assert known == LabelledTransaction("TX-1", OWNER, TERMINAL, read.occurred_at, first)


def test_conflict_with_scoring_at_the_same_terminal_is_waited_for() -> None:
    client, waits = client_of("dynamodb"), list[float]()
    rows = LabelRows(client, "transactions", "profiles", wait=waits.append)
    transaction = LabelledTransaction("TX-1", OWNER, TERMINAL, 0, None)
    conflict = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
    with Stubber(client) as stubber:
        for _ in range(2):
            stubber.add_client_error("transact_write_items", "TransactionCanceledException", modeled_fields=conflict)
        stubber.add_response("transact_write_items", {})
        assert rows.put(transaction, Label("fraud", "case-1", "2026-01-02T12:00:00.000Z"), 1)
        assert len(waits) == 2
        for _ in range(6):
            stubber.add_client_error("transact_write_items", "TransactionCanceledException", modeled_fields=conflict)
        with pytest.raises(Retryable, match="6 times in a row"):
            rows.put(transaction, Label("fraud", "case-1", "2026-01-02T12:00:00.000Z"), 1)


def test_outcomes_and_what_was_learned_are_counted(module: Any, day: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert day
    closed = a_closed_case()
    capsys.readouterr()
    deliver(module, closed, closed, "not JSON")
    counted = metrics_in(capsys.readouterr().out)
    assert counted == {"OutcomesReceived": 3, "OutcomesLearned": 1, "OutcomesForgotten": 0}


@pytest.mark.parametrize("name", samples("learn_from_outcome"))
def test_samples_are_taken_or_given_back_as_described(module: Any, name: str) -> None:
    given_back = module.handler(sample("learn_from_outcome", name), Context())["batchItemFailures"]
    assert len(given_back) == {"good": 0, "bad": 4, "edge": 0}[name]
