"""compensate_outcome: what a later verdict contradicts is undone, once, whatever comes in whatever order."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from backbone import contracts
from tests.unit.action_builder import ANNA, CUSTOMER, action_in, an_approval, put_action
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, a_call, put_card, put_transaction
from tests.unit.case_builder import CORRELATION, case_in, closing_of, put_case, put_closed_case
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import Resources

CARD = "CARD-000042"
AMOUNT = 31_200


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:
    put_card(resources)
    put_transaction(resources, amount_minor=AMOUNT, flagged=True)
    return handler_module("compensate_outcome")


@pytest.fixture
def carry_out(module: Any, resources: Resources, handler_module: Callable[[str], Any]) -> Callable[..., str]:  # noqa: ARG001 - its rows must exist
    """Has an approved action carried out by carry_out_action; answers its id. Its events are drained."""

    def carried(action: str, case_id: str | None, **changes: Any) -> str:
        about: dict[str, Any] = {"action": action, "case_id": case_id, "status": "approved"}
        if action != "block_card":
            about |= {"transaction_id": "TX-1", "amount_minor": AMOUNT, "spent": None}
        action_id = put_action(resources, **about | changes)
        approve_as(resources, action_id)
        deliver(handler_module("carry_out_action"), approval_of(resources, action_id))
        resources.published()
        return action_id

    return carried


def approve_as(resources: Resources, action_id: str) -> None:
    """The row of an action that ANNA approved."""
    resources.client("dynamodb").update_item(
        TableName="actions",
        Key={"actionId": {"S": action_id}},
        UpdateExpression="SET decidedBy = :people, decidedAt = :at",
        ExpressionAttributeValues={":people": {"L": [{"S": ANNA}]}, ":at": {"S": "2026-01-01T12:05:00.000Z"}},
    )


def approval_of(resources: Resources, action_id: str) -> dict[str, Any]:
    return an_approval(action_in(resources, action_id))


def deliver(module: Any, *bodies: object) -> int:
    """How many messages were given back."""
    return len(module.handler(sqs_event(*bodies), Context())["batchItemFailures"])


def card(resources: Resources) -> dict[str, str]:
    row = next(row for row in resources.rows("cards") if row["cardId"]["S"] == CARD)
    return {name: next(iter(value.values())) for name, value in row.items()}


def paid(resources: Resources, transaction_id: str = "TX-1") -> dict[str, str]:
    row = next(row for row in resources.rows("transactions") if row["transactionId"]["S"] == transaction_id)
    return {name: next(iter(value.values())) for name, value in row.items()}


def told(resources: Resources) -> list[str]:
    return [envelope["detail-type"] for envelope in resources.published()]


# ---- genuine


def test_refund_of_what_turns_out_to_be_genuine_is_reversed_and_told(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    action_id = carry_out("refund", put_case(resources))
    case_id = put_closed_case(resources, "genuine")
    closed = closing_of(resources, case_id)
    assert deliver(module, closed) == 0
    (envelope,) = resources.published()
    event = contracts.parse("RefundReversed", envelope)
    assert event.data == {
        "transactionId": "TX-1",
        "customerId": OWNER,
        "cardId": CARD,
        "amountMinor": AMOUNT,
        "currency": "EUR",
        "actionId": action_id,
        "caseId": case_id,
    }
    assert event.metadata.causation_id == closed["detail"]["metadata"]["eventId"]
    assert (event.metadata.correlation_id, event.metadata.causation_depth) == (CORRELATION, 1)
    row = paid(resources)
    assert (row["refundId"], row["standingCaseId"], row["standingVerdict"]) == (action_id, case_id, "genuine")
    assert "refundReversedAt" in row
    assert "eventToPublish" not in row


def test_card_that_was_blocked_for_what_turns_out_to_be_genuine_works_again_and_is_told(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    action_id = carry_out("block_card", put_case(resources))
    assert card(resources)["status"] == "blocked"
    case_id = put_closed_case(resources, "genuine")
    assert deliver(module, closing_of(resources, case_id)) == 0
    (envelope,) = resources.published()
    assert contracts.parse("CardUnblocked", envelope).data == {
        "cardId": CARD,
        "customerId": OWNER,
        "actionId": action_id,
        "caseId": case_id,
        "transactionId": "TX-1",
    }
    row = card(resources)
    assert (row["status"], row["version"]) == ("active", "3")
    assert not {"changeId", "blockedAt", "blockedBy", "blockedByPerson", "blockReason", "eventToPublish"} & row.keys()


def test_agent_tools_reads_the_card_as_active_and_blocks_it_again(
    module: Any, resources: Resources, carry_out: Callable[..., str], handler_module: Callable[[str], Any]
) -> None:
    carry_out("block_card", put_case(resources))
    deliver(module, closing_of(resources, put_closed_case(resources)))
    tools = handler_module("agent_tools")
    known = tools.cards.get(CARD)
    assert (known.status, known.version, known.blocked_at, known.change_id) == ("active", 3, None, None)
    assert carry_out("block_card", None)
    assert (card(resources)["status"], card(resources)["version"]) == ("blocked", "4")
    assert "unblockedAt" not in card(resources)


def test_refund_and_block_are_both_undone_once_however_often_the_case_comes(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    carry_out("block_card", put_case(resources))
    carry_out("refund", put_case(resources))
    closed = closing_of(resources, put_closed_case(resources))
    assert deliver(module, closed, closed) == 0
    rows = card(resources), paid(resources)
    assert deliver(module, closed) == 0
    assert (card(resources), paid(resources)) == rows
    assert sorted(told(resources)) == ["CardUnblocked", "RefundReversed"]


BLOCKS: list[tuple[str, dict[str, Any]]] = [
    ("of no case", {}),
    ("of a case about another transaction", {"about": "TX-2"}),
    ("of a case about none", {"about": None}),
    ("by a customer", {"change_id": "customers-own"}),
]


@pytest.mark.parametrize("how", [how for _, how in BLOCKS], ids=[name for name, _ in BLOCKS])
def test_block_for_any_other_reason_stays(
    module: Any, resources: Resources, carry_out: Callable[..., str], how: dict[str, Any]
) -> None:
    put_transaction(resources, 2, flagged=True)
    if "change_id" in how:
        put_card(resources, status="blocked", blockedAt="2026-01-01T12:00:00.000Z", changeId=how["change_id"])
    else:
        case_id = put_case(resources, transaction_id=how["about"]) if "about" in how else None
        carry_out("block_card", case_id)
    before = card(resources)
    assert deliver(module, closing_of(resources, put_closed_case(resources))) == 0
    assert (card(resources), told(resources)) == (before, [])
    assert before["status"] == "blocked"


def test_card_stays_blocked_while_another_of_its_transactions_stands_as_fraud(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    put_transaction(resources, 2, flagged=True)
    carry_out("block_card", put_case(resources))
    fraud = put_closed_case(resources, "confirmed_fraud", transaction_id="TX-2")
    deliver(module, closing_of(resources, fraud))
    deliver(module, closing_of(resources, put_closed_case(resources, "genuine", minute=1)))
    assert card(resources)["status"] == "blocked"
    later = put_closed_case(resources, "genuine", minute=2, transaction_id="TX-2")
    assert deliver(module, closing_of(resources, later)) == 0
    assert card(resources)["status"] == "active"
    assert told(resources) == ["CardUnblocked"]


def test_fraud_with_another_card_of_the_customer_keeps_nothing_blocked(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    put_transaction(resources, 2, flagged=True, card_id="CARD-000043")
    carry_out("block_card", put_case(resources))
    deliver(module, closing_of(resources, put_closed_case(resources, "confirmed_fraud", transaction_id="TX-2")))
    deliver(module, closing_of(resources, put_closed_case(resources, "genuine")))
    assert card(resources)["status"] == "active"


# ---- confirmed fraud


@pytest.mark.parametrize("by", ["agent", "analyst"])
def test_release_of_what_turns_out_to_be_fraud_is_withdrawn_once(
    module: Any, resources: Resources, carry_out: Callable[..., str], handler_module: Callable[[str], Any], by: str
) -> None:
    put_transaction(resources, 3, flagged=True)
    if by == "agent":
        tools, transaction_id = handler_module("agent_tools"), "TX-3"
        tools.handler(a_call("release_transaction", {"transactionId": "TX-3"}, role="agent"), Context())
        resources.published()
    else:
        transaction_id = "TX-1"
        carry_out("release_transaction", put_case(resources))
    release_id = paid(resources, transaction_id)["releaseId"]
    case_id = put_closed_case(resources, "confirmed_fraud", transaction_id=transaction_id)
    closed = closing_of(resources, case_id)
    assert deliver(module, closed, closed) == 0
    (envelope,) = resources.published()
    data = contracts.parse("TransactionReleaseWithdrawn", envelope).data
    assert (data["releaseId"], data["caseId"], data["transactionId"]) == (release_id, case_id, transaction_id)
    assert "releaseWithdrawnAt" in paid(resources, transaction_id)


def test_confirmed_fraud_leaves_block_and_refund_and_genuine_the_release(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    carry_out("block_card", put_case(resources))
    carry_out("refund", put_case(resources))
    assert deliver(module, closing_of(resources, put_closed_case(resources, "confirmed_fraud"))) == 0
    assert (card(resources)["status"], "refundReversedAt" in paid(resources), told(resources)) == ("blocked", False, [])


# ---- which verdict stands


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("verdicts", [("genuine", "confirmed_fraud"), ("confirmed_fraud", "genuine")])
def test_case_closed_last_stands_in_whatever_order_they_come(
    module: Any,
    resources: Resources,
    carry_out: Callable[..., str],
    order: tuple[int, ...],
    verdicts: tuple[str, str],
) -> None:
    """The two before the last come again after it."""
    last = put_closed_case(resources, verdicts[1], minute=2)
    others = [put_closed_case(resources, verdicts[0], minute=minute) for minute in (0, 1)]
    closings = [closing_of(resources, case_id) for case_id in (*others, last)]
    carry_out("refund", put_case(resources))
    for position in order:
        assert deliver(module, closings[position]) == 0
    assert paid(resources)["standingCaseId"] == last
    before = paid(resources)
    for position in order:
        assert deliver(module, closings[position]) == 0
    assert paid(resources) == before
    # Whoever came first was what stood then; what it undid is not done again by itself.
    assert ("refundReversedAt" in before) == ("genuine" in (verdicts[1], verdicts[0] if order[0] != 2 else ""))


def test_older_case_that_comes_late_undoes_nothing(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    older, newer = (
        put_closed_case(resources, "genuine", minute=0),
        put_closed_case(resources, "confirmed_fraud", minute=1),
    )
    carry_out("block_card", put_case(resources))
    carry_out("refund", put_case(resources))
    assert deliver(module, closing_of(resources, newer), closing_of(resources, older)) == 0
    assert (card(resources)["status"], "refundReversedAt" in paid(resources), told(resources)) == ("blocked", False, [])


def test_action_that_is_carried_out_after_the_verdict_does_nothing(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    case_id = put_closed_case(resources, "genuine")
    assert deliver(module, closing_of(resources, case_id)) == 0
    carry_out("block_card", case_id)
    carry_out("refund", case_id)
    assert (card(resources)["status"], "refundId" in paid(resources)) == ("active", False)
    assert {row["result"]["S"] for row in resources.rows("actions")} == {"nothing_to_do"}


def test_approval_that_comes_again_after_its_action_was_undone_does_not_do_it_anew(
    module: Any,
    resources: Resources,
    carry_out: Callable[..., str],
    handler_module: Callable[[str], Any],
) -> None:
    """Carried out, but not noted: the function died in between. A third case then calls it fraud again."""
    carrying = handler_module("carry_out_action")
    actions = {}
    for action in ("block_card", "refund"):
        with failing("Query", "ThrottlingException"):
            actions[action] = carry_out(action, put_case(resources))
    assert {row["status"]["S"] for row in resources.rows("actions")} == {"approved"}
    approvals = [approval_of(resources, action_id) for action_id in actions.values()]
    deliver(module, closing_of(resources, put_closed_case(resources, "genuine", minute=0)))
    deliver(module, closing_of(resources, put_closed_case(resources, "confirmed_fraud", minute=1)))
    assert sorted(told(resources)) == ["CardUnblocked", "RefundReversed"]
    assert deliver(carrying, *approvals) == 0
    assert (card(resources)["status"], "refundReversedAt" in paid(resources), told(resources)) == ("active", True, [])


def test_refund_can_be_made_again_after_a_third_verdict_and_another_approval(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    carry_out("refund", put_case(resources))
    deliver(module, closing_of(resources, put_closed_case(resources, "genuine", minute=0)))
    deliver(module, closing_of(resources, put_closed_case(resources, "confirmed_fraud", minute=1)))
    reversals = resources.published()
    second = carry_out("refund", put_case(resources))
    assert (paid(resources)["refundId"], "refundReversedAt" in paid(resources)) == (second, False)
    deliver(module, closing_of(resources, put_closed_case(resources, "genuine", minute=2)))
    reversals += resources.published()
    assert [one["detail-type"] for one in reversals] == ["RefundReversed", "RefundReversed"]
    assert len({one["detail"]["metadata"]["eventId"] for one in reversals}) == 2


# ---- what undoes nothing


@pytest.mark.parametrize("changes", [{"transaction_id": None}, {"outcome": "unresolved"}], ids=str)
def test_case_that_says_nothing_of_a_transaction_undoes_nothing(
    module: Any, resources: Resources, carry_out: Callable[..., str], changes: dict[str, Any]
) -> None:
    carry_out("refund", put_case(resources))
    before = paid(resources)
    assert deliver(module, closing_of(resources, put_closed_case(resources), **changes)) == 0
    assert paid(resources) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "confirmed_fraud"},
        {"transaction_id": "TX-2"},
        {"customerId": STRANGER},
        {"closedAt": "2027-01-01T00:00:00.000Z"},
        {"caseId": "7d9b1c20-1111-4222-8333-944445555666"},
    ],
    ids=str,
)
def test_event_that_says_something_else_than_its_row_undoes_nothing_and_is_kept_for_a_person(
    module: Any, resources: Resources, carry_out: Callable[..., str], changes: dict[str, Any]
) -> None:
    put_transaction(resources, 2, flagged=True)
    carry_out("refund", put_case(resources))
    before = paid(resources)
    assert deliver(module, closing_of(resources, put_closed_case(resources), **changes)) == 1
    assert (paid(resources), told(resources)) == (before, [])


def test_open_case_undoes_nothing(module: Any, resources: Resources, carry_out: Callable[..., str]) -> None:
    carry_out("refund", put_case(resources))
    case_id = put_case(resources)
    forged = closing_of(resources, case_id, outcome="genuine", closedAt="2026-01-02T12:00:00.000Z")
    assert deliver(module, forged) == 1
    assert case_in(resources, case_id).is_open
    assert "refundReversedAt" not in paid(resources)


def test_case_about_another_customers_transaction_undoes_nothing(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    carry_out("refund", put_case(resources))
    assert deliver(module, closing_of(resources, put_closed_case(resources, customer_id=STRANGER))) == 1
    assert "standingCaseId" not in paid(resources)


def test_transaction_whose_row_has_expired_is_forgotten(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = closing_of(resources, put_closed_case(resources, transaction_id="TX-9"))
    capsys.readouterr()
    assert deliver(module, closed) == 0
    assert metrics_in(capsys.readouterr().out) == {
        "VerdictsReceived": 1,
        "VerdictsCompensated": 0,
        "VerdictsForgotten": 1,
    }
    assert len(resources.rows("transactions")) == 1


# ---- services that are away


@pytest.mark.parametrize(
    "fault",
    [
        *(("GetItem", after) for after in range(5)),
        *(("TransactWriteItems", after) for after in range(3)),
        *(("UpdateItem", after) for after in range(4)),
        *(("PutEvents", after) for after in range(2)),
        ("Query", 0),
    ],
    ids=str,
)
def test_what_failed_half_way_is_finished_when_it_comes_again_and_told_once(
    module: Any, resources: Resources, carry_out: Callable[..., str], fault: tuple[str, int]
) -> None:
    carry_out("block_card", put_case(resources))
    carry_out("refund", put_case(resources))
    closed = closing_of(resources, put_closed_case(resources))
    with failing(fault[0], "ThrottlingException", after=fault[1]):
        assert deliver(module, closed) == 1
    assert deliver(module, closed) == 0
    ids = {(one["detail-type"], one["detail"]["metadata"]["eventId"]) for one in resources.published()}
    assert sorted(kind for kind, _ in ids) == ["CardUnblocked", "RefundReversed"]
    assert (card(resources)["status"], card(resources)["version"]) == ("active", "3")
    assert "refundReversedAt" in paid(resources)
    assert not [row for row in (card(resources), paid(resources)) if "eventToPublish" in row]


def test_event_that_carry_out_action_left_is_told_before_it_is_undone(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    for action in ("block_card", "refund"):
        with failing("PutEvents", "ThrottlingException"):
            carry_out(action, put_case(resources))
    assert deliver(module, closing_of(resources, put_closed_case(resources))) == 0
    assert told(resources) == ["TransactionRefunded", "CardBlocked", "RefundReversed", "CardUnblocked"]


def test_end_of_a_block_that_was_not_told_is_told_although_a_later_verdict_stands_by_now(
    module: Any, resources: Resources, carry_out: Callable[..., str]
) -> None:
    carry_out("block_card", put_case(resources))
    genuine = closing_of(resources, put_closed_case(resources, "genuine", minute=0))
    with failing("PutEvents", "ThrottlingException"):
        assert deliver(module, genuine) == 1
    assert "eventToPublish" in card(resources)
    later = put_closed_case(resources, "confirmed_fraud", minute=1)
    with failing("PutEvents", "ThrottlingException"):
        assert deliver(module, closing_of(resources, later)) == 1
    assert deliver(module, closing_of(resources, later), genuine) == 0
    assert (told(resources), card(resources)["status"]) == (["CardUnblocked"], "active")


def test_event_of_an_unblocked_card_is_told_before_the_card_is_blocked_again(
    module: Any, resources: Resources, carry_out: Callable[..., str], handler_module: Callable[[str], Any]
) -> None:
    """By carry_out_action; agent_tools may not tell of it and leaves the card until it is told."""
    carry_out("block_card", put_case(resources))
    with failing("PutEvents", "ThrottlingException"):
        assert deliver(module, closing_of(resources, put_closed_case(resources))) == 1
    call = a_call("block_card", {"cardId": CARD, "reason": "lost"}, personId=CUSTOMER)
    answer = handler_module("agent_tools").handler(call, Context())
    assert answer["response"]["functionResponse"]["responseState"] == "FAILURE"
    assert card(resources)["status"] == "active"
    action_id = put_action(resources, status="approved")
    approve_as(resources, action_id)
    assert deliver(handler_module("carry_out_action"), approval_of(resources, action_id)) == 0
    assert told(resources) == ["CardUnblocked", "CardBlocked"]


# ---- the sample events


@pytest.mark.parametrize("name", samples("compensate_outcome"))
def test_samples_are_given_back_by_a_stack_that_knows_of_no_case(module: Any, resources: Resources, name: str) -> None:
    event = sample("compensate_outcome", name)
    assert len(module.handler(event, Context())["batchItemFailures"]) == {"good": 1, "bad": 4, "edge": 3}[name]
    assert resources.published() == []
