"""The carry_out_action handler: what was approved is done once; what no row knows of is done never."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient

from backbone import contracts
from tests.unit.action_builder import (
    ANNA,
    BEN,
    CORRELATION,
    a_decision,
    action_in,
    an_analyst,
    an_approval,
    put_action,
    seen_of,
)
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, put_card, put_transaction
from tests.unit.case_builder import put_case
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import Resources

CARD = "CARD-000042"


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("carry_out_action")


@pytest.fixture
def approve(resources: Resources, handler_module: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    """Approves an action through decide_action; answers the ActionApproved that came of it."""

    def approved(action_id: str, person_id: str = ANNA) -> dict[str, Any]:
        body = {"decision": "approve", "seen": seen_of(resources, action_id)}
        event = a_decision(an_analyst(person_id), action_id, body)
        request = Context(aws_request_id=f"{action_id}{person_id}")
        answer = handler_module("decide_action").handler(event, request)
        assert answer["statusCode"] == 200, answer
        envelopes = [one for one in resources.published() if one["detail-type"] == "ActionApproved"]
        return envelopes[0] if envelopes else {}

    return approved


def deliver(module: Any, *bodies: object) -> int:
    """How many messages were given back."""
    return len(module.handler(sqs_event(*bodies), Context())["batchItemFailures"])


def card(resources: Resources, card_id: str = CARD) -> dict[str, str]:
    row = next(row for row in resources.rows("cards") if row["cardId"]["S"] == card_id)
    return {name: next(iter(value.values())) for name, value in row.items()}


def result_of(resources: Resources, action_id: str) -> tuple[str, str | None]:
    row = next(row for row in resources.rows("actions") if row["actionId"]["S"] == action_id)
    return row["status"]["S"], row.get("result", {}).get("S")


def blocks(envelopes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in envelopes if one["detail-type"] == "CardBlocked"]


@contextmanager
def changed_before_the_write(
    resources: Resources, table: str, key: dict[str, Any], name: str, value: dict[str, Any]
) -> Iterator[None]:
    """Somebody else sets an attribute between what the function read and its first transaction."""
    real = BaseClient._make_api_call  # type: ignore[attr-defined] # botocore's one door to every operation
    changes = [{"TableName": table, "Key": key, "UpdateExpression": "SET #name = :value"}]

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "TransactWriteItems" and changes:
            change = changes.pop()
            resources.client("dynamodb").update_item(
                **change, ExpressionAttributeNames={"#name": name}, ExpressionAttributeValues={":value": value}
            )
        return real(client, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", call):
        yield
    assert not changes


def test_approved_block_is_carried_out_on_the_analysts_word(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    action_id = put_action(resources)
    approval = approve(action_id)
    assert deliver(module, approval) == 0
    (envelope,) = resources.published()
    blocked = contracts.parse("CardBlocked", envelope)
    assert blocked.data == {
        "cardId": CARD,
        "customerId": OWNER,
        "reason": "stolen",
        "blockedBy": "analyst",
        "actionId": action_id,
    }
    assert blocked.metadata.correlation_id == CORRELATION
    assert blocked.metadata.causation_id == approval["detail"]["metadata"]["eventId"]
    assert approval["detail"]["metadata"]["causationDepth"] == 1
    assert blocked.metadata.causation_depth == 2
    row = card(resources)
    assert (row["status"], row["version"], row["changeId"], row["blockedByPerson"]) == ("blocked", "2", action_id, ANNA)
    assert "eventToPublish" not in row
    assert result_of(resources, action_id) == ("done", "done")


def test_agent_tools_reads_the_block_as_its_own(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    handler_module: Callable[[str], Any],
) -> None:
    put_card(resources)
    deliver(module, approve(put_action(resources)))
    known = handler_module("agent_tools").cards.get(CARD)
    assert (known.status, known.version, known.blocked_by, known.block_reason) == ("blocked", 2, "analyst", "stolen")
    assert known.blocked_at is not None


def test_approval_that_comes_again_changes_nothing_and_tells_nothing(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    approval = approve(put_action(resources))
    assert deliver(module, approval, approval) == 0
    assert deliver(module, approval) == 0
    assert len(resources.published()) == 1
    assert card(resources)["version"] == "2"


def test_card_that_is_blocked_already_is_nothing_to_do(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources, status="blocked", changeId="another", blockedAt="2026-01-01T12:00:00.000Z")
    action_id = put_action(resources)
    assert deliver(module, approve(action_id)) == 0
    assert resources.published() == []
    assert card(resources)["changeId"] == "another"
    assert result_of(resources, action_id) == ("done", "nothing_to_do")


def test_what_else_waits_for_the_card_ends_with_it_and_is_told(
    module: Any, resources: Resources, approve: Callable[..., dict[str, Any]]
) -> None:
    put_card(resources)
    first, second = put_action(resources), put_action(resources, keeps_its_event=True)
    half = put_action(resources, amount_minor=600_000)
    approve(half, BEN)
    elsewhere = put_action(resources, card_id="CARD-000099")
    refund = put_action(resources, action="refund")
    approval = approve(first)
    assert deliver(module, approval) == 0
    told = [(one["detail-type"], one["detail"]["data"].get("actionId")) for one in resources.published()]
    assert told[0] == ("CardBlocked", first)
    assert sorted(told[1:]) == sorted(
        [("ActionProposed", second), ("ActionRejected", second), ("ActionRejected", half)]
    )
    for action_id in (second, half):
        ended = action_in(resources, action_id)
        assert (ended.status, ended.cause, ended.decided_by) == ("rejected", "nothing_to_do", ())
    for action_id in (elsewhere, refund):
        assert action_in(resources, action_id).status == "proposed"


def test_second_action_that_was_approved_for_the_card_is_nothing_to_do(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    first, second = put_action(resources), put_action(resources)
    approvals = [approve(first), approve(second)]
    assert deliver(module, *approvals) == 0
    assert len(resources.published()) == 1
    assert (result_of(resources, first), result_of(resources, second)) == (("done", "done"), ("done", "nothing_to_do"))


# ---- transactions

PAID = 31_200


def put_change(resources: Resources, action: str, **changes: Any) -> str:
    """A proposed refund, or release, of TX-1 in a case of an agent's."""
    proposal: dict[str, Any] = {
        "action": action,
        "transaction_id": "TX-1",
        "amount_minor": PAID,
        "spent": None,
        "reason": "Why.",
    }
    by_an_agent: dict[str, Any] = {"proposed_by": "agent", "person_id": "agent", "causation_depth": 2}
    return put_action(resources, **proposal | by_an_agent | changes)


def paid(resources: Resources) -> dict[str, str]:
    row = next(row for row in resources.rows("transactions") if row["transactionId"]["S"] == "TX-1")
    return {name: next(iter(value.values())) for name, value in row.items()}


def set_standing(resources: Resources, verdict: str) -> None:
    resources.client("dynamodb").update_item(
        TableName="transactions",
        Key={"transactionId": {"S": "TX-1"}},
        UpdateExpression="SET standingVerdict = :verdict, standingCaseId = :case, standingSince = :at",
        ExpressionAttributeValues={
            ":verdict": {"S": verdict},
            ":case": {"S": "7d9b1c20-1111-4222-8333-944445555666"},
            ":at": {"S": "2026-01-02T12:00:00.000Z"},
        },
    )


CHANGES = {
    "refund": ("TransactionRefunded", "refundId"),
    "release_transaction": ("TransactionReleased", "releaseId"),
}
OVERRULING = {"refund": "genuine", "release_transaction": "confirmed_fraud", "block_card": "genuine"}


def test_approved_refund_pays_the_transaction_back_and_tells(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_transaction(resources, amount_minor=PAID, flagged=True)
    case_id = put_case(resources)
    action_id = put_change(resources, "refund", case_id=case_id)
    approval = approve(action_id)
    assert deliver(module, approval) == 0
    (envelope,) = resources.published()
    event = contracts.parse("TransactionRefunded", envelope)
    assert event.data == {
        "transactionId": "TX-1",
        "customerId": OWNER,
        "cardId": CARD,
        "amountMinor": PAID,
        "currency": "EUR",
        "actionId": action_id,
        "caseId": case_id,
    }
    assert event.metadata.causation_id == approval["detail"]["metadata"]["eventId"]
    assert (approval["detail"]["metadata"]["causationDepth"], event.metadata.causation_depth) == (3, 4)
    row = paid(resources)
    assert (row["refundId"], row["refundedAmountMinor"], "eventToPublish" in row) == (action_id, str(PAID), False)
    assert result_of(resources, action_id) == ("done", "done")


def test_approved_release_lets_the_transaction_go_on_the_analysts_word(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_transaction(resources, amount_minor=PAID, flagged=True)
    action_id = put_change(resources, "release_transaction")
    assert deliver(module, approve(action_id)) == 0
    data = contracts.parse("TransactionReleased", resources.published()[0]).data
    assert (data["releaseId"], data["releasedBy"]) == (action_id, "analyst")
    row = paid(resources)
    assert (row["releaseId"], row["releasedBy"]) == (action_id, "analyst")


@pytest.mark.parametrize("action", CHANGES)
def test_change_that_comes_again_changes_nothing_and_tells_nothing(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], action: str
) -> None:
    put_transaction(resources, amount_minor=PAID, flagged=True)
    approval = approve(put_change(resources, action))
    assert deliver(module, approval, approval) == 0
    row = paid(resources)
    assert deliver(module, approval) == 0
    assert (paid(resources), len(resources.published())) == (row, 1)


@pytest.mark.parametrize("action", CHANGES)
def test_what_else_waits_for_the_same_ends_and_for_another_transaction_does_not(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], action: str
) -> None:
    put_transaction(resources, amount_minor=PAID, flagged=True)
    first, second = put_change(resources, action), put_change(resources, action)
    other, block = put_change(resources, action, transaction_id="TX-2"), put_action(resources)
    assert deliver(module, approve(first)) == 0
    assert action_in(resources, second).cause == "nothing_to_do"
    assert [action_in(resources, one).status for one in (other, block)] == ["proposed", "proposed"]
    ended = next(one for one in resources.published() if one["detail-type"] == "ActionRejected")
    assert ended["detail"]["metadata"]["causationDepth"] == 4


@pytest.mark.parametrize("action", CHANGES)
def test_second_change_that_was_approved_is_nothing_to_do(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], action: str
) -> None:
    put_transaction(resources, amount_minor=PAID, flagged=True)
    first, second = put_change(resources, action), put_change(resources, action)
    approvals = [approve(first), approve(second)]
    assert deliver(module, *approvals) == 0
    assert len(resources.published()) == 1
    assert paid(resources)[CHANGES[action][1]] == first
    assert result_of(resources, second) == ("done", "nothing_to_do")


@pytest.mark.parametrize("action", OVERRULING)
def test_what_contradicts_the_verdict_that_stands_is_nothing_to_do(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], action: str
) -> None:
    put_card(resources)
    put_transaction(resources, amount_minor=PAID, flagged=True)
    set_standing(resources, OVERRULING[action])
    case_id = put_case(resources)
    if action == "block_card":
        action_id, other = put_action(resources, case_id=case_id), put_action(resources)
    else:
        action_id, other = put_change(resources, action, case_id=case_id), put_change(resources, action)
    before = paid(resources)
    assert deliver(module, approve(action_id)) == 0
    assert result_of(resources, action_id) == ("done", "nothing_to_do")
    assert (paid(resources), card(resources)["status"], resources.published()) == (before, "active", [])
    assert action_in(resources, other).status == "proposed"


@pytest.mark.parametrize("action", OVERRULING)
def test_verdict_that_comes_between_reading_and_writing_is_seen(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], action: str
) -> None:
    put_card(resources)
    put_transaction(resources, amount_minor=PAID, flagged=True)
    case_id = put_case(resources)
    if action == "block_card":
        action_id = put_action(resources, case_id=case_id)
    else:
        action_id = put_change(resources, action, case_id=case_id)
    approval, key = approve(action_id), {"transactionId": {"S": "TX-1"}}
    name, value = ("standingCaseId", "x") if action != "block_card" else ("standingVerdict", "genuine")
    with changed_before_the_write(resources, "transactions", key, name, {"S": value}):
        assert deliver(module, approval) == 1
    assert (card(resources)["status"], resources.published()) == ("active", [])
    set_standing(resources, OVERRULING[action])
    assert deliver(module, approval) == 0
    assert result_of(resources, action_id) == ("done", "nothing_to_do")


@pytest.mark.parametrize("action", OVERRULING)
def test_action_that_was_carried_out_and_undone_between_reading_and_writing_is_not_done_anew(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], action: str
) -> None:
    put_card(resources)
    put_transaction(resources, amount_minor=PAID, flagged=True)
    action_id = put_action(resources) if action == "block_card" else put_change(resources, action)
    approval = approve(action_id)
    with changed_before_the_write(resources, "actions", {"actionId": {"S": action_id}}, "status", {"S": "done"}):
        assert deliver(module, approval) == 1
    assert deliver(module, approval) == 0
    assert (card(resources)["status"], resources.published()) == ("active", [])
    assert not {"refundId", "releaseId"} & paid(resources).keys()


def test_block_of_a_case_names_its_transaction(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    put_transaction(resources, amount_minor=PAID, flagged=True)
    set_standing(resources, "confirmed_fraud")
    case_id = put_case(resources)
    assert deliver(module, approve(put_action(resources, case_id=case_id))) == 0
    data = contracts.parse("CardBlocked", resources.published()[0]).data
    assert (data["caseId"], data["transactionId"]) == (case_id, "TX-1")


@pytest.mark.parametrize("owner", [STRANGER, None], ids=["somebody else's", "no transaction"])
@pytest.mark.parametrize("action", CHANGES)
def test_transaction_that_is_not_the_customers_is_not_changed(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    action: str,
    owner: str | None,
) -> None:
    if owner is not None:
        put_transaction(resources, amount_minor=PAID, flagged=True, customer_id=owner)
    action_id = put_change(resources, action)
    assert deliver(module, approve(action_id)) == 1
    assert (result_of(resources, action_id), resources.published()) == (("approved", None), [])


def test_refund_of_another_amount_than_was_paid_is_kept_for_a_person(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_transaction(resources, amount_minor=PAID + 1, flagged=True)
    assert deliver(module, approve(put_change(resources, "refund"))) == 1
    assert "refundId" not in paid(resources)


def test_event_that_a_row_keeps_is_told_before_the_row_changes(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_transaction(resources, amount_minor=PAID, flagged=True)
    first, second = put_change(resources, "release_transaction"), put_change(resources, "refund")
    approvals = [approve(first), approve(second)]
    with failing("PutEvents", "ThrottlingException"):
        assert deliver(module, approvals[0]) == 1
    assert deliver(module, approvals[1]) == 0
    assert [one["detail-type"] for one in resources.published()] == ["TransactionReleased", "TransactionRefunded"]
    assert deliver(module, approvals[0]) == 0
    assert resources.published() == []


@pytest.mark.parametrize("action", CHANGES)
@pytest.mark.parametrize(
    "fault",
    [
        ("GetItem", 0),
        ("GetItem", 1),
        ("TransactWriteItems", 0),
        ("PutEvents", 0),
        ("UpdateItem", 0),
        ("Query", 0),
        ("UpdateItem", 1),
    ],
    ids=str,
)
def test_change_that_failed_half_way_is_finished_when_it_comes_again(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    fault: tuple[str, int],
    action: str,
) -> None:
    put_transaction(resources, amount_minor=PAID, flagged=True)
    action_id = put_change(resources, action)
    approval = approve(action_id)
    with failing(fault[0], "ThrottlingException", after=fault[1]):
        assert deliver(module, approval) == 1
    assert deliver(module, approval) == 0
    told = [one for one in resources.published() if one["detail-type"] == CHANGES[action][0]]
    assert len({one["detail"]["metadata"]["eventId"] for one in told}) == 1
    assert (paid(resources)[CHANGES[action][1]], "eventToPublish" in paid(resources)) == (action_id, False)
    assert result_of(resources, action_id) == ("done", "done")


# ---- what is never done


def test_approval_that_no_row_knows_of_blocks_nothing(module: Any, resources: Resources) -> None:
    put_card(resources)
    action = action_in(resources, put_action(resources))
    assert deliver(module, an_approval(action)) == 1
    assert (card(resources)["status"], resources.published()) == ("active", [])


@pytest.mark.parametrize("status", ["half_approved", "rejected"])
def test_approval_of_what_was_not_approved_blocks_nothing(module: Any, resources: Resources, status: str) -> None:
    put_card(resources)
    action = action_in(resources, put_action(resources, status=status))
    assert deliver(module, an_approval(action)) == 1
    assert card(resources)["status"] == "active"


@pytest.mark.parametrize(
    "changes", [{"cardId": "CARD-000043"}, {"customerId": STRANGER}, {"decidedBy": [BEN]}, {"action": "refund"}]
)
def test_approval_that_says_something_else_than_its_row_blocks_nothing(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], changes: dict[str, Any]
) -> None:
    put_card(resources)
    put_card(resources, "CARD-000043", STRANGER)
    action_id = put_action(resources)
    approve(action_id)
    assert deliver(module, an_approval(action_in(resources, action_id), **changes)) == 1
    assert [row["status"]["S"] for row in resources.rows("cards")] == ["active", "active"]


@pytest.mark.parametrize("owner", [STRANGER, None], ids=["somebody else's", "no card"])
def test_card_that_is_not_the_customers_is_not_blocked(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]], owner: str | None
) -> None:
    if owner is not None:
        put_card(resources, customer_id=owner)
    action_id = put_action(resources)
    assert deliver(module, approve(action_id)) == 1
    assert result_of(resources, action_id) == ("approved", None)


def test_refund_of_no_transaction_is_kept_for_a_person(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    action_id = put_action(resources, action="refund")
    assert deliver(module, approve(action_id)) == 1
    assert (card(resources)["status"], result_of(resources, action_id)) == ("active", ("approved", None))


# ---- services that are away


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ("GetItem", 0),
        ("GetItem", 1),
        ("TransactWriteItems", 0),
        ("PutEvents", 0),
        ("UpdateItem", 0),
        ("Query", 1),
        ("UpdateItem", 2),
    ],
)
def test_what_failed_half_way_is_finished_when_it_comes_again(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    operation: str,
    after: int,
) -> None:
    put_card(resources)
    action_id, other = put_action(resources), put_action(resources)
    approval = approve(action_id)
    with failing(operation, "ThrottlingException", after=after):
        assert deliver(module, approval) == 1
    assert deliver(module, approval) == 0
    told = resources.published()
    assert len({one["detail"]["metadata"]["eventId"] for one in blocks(told)}) == 1
    assert result_of(resources, action_id) == ("done", "done")
    assert (card(resources)["version"], action_in(resources, other).cause) == ("2", "nothing_to_do")


def test_card_that_somebody_changed_meanwhile_is_looked_at_again(
    module: Any, resources: Resources, approve: Callable[[str], dict[str, Any]]
) -> None:
    put_card(resources)
    approval = approve(put_action(resources))
    with changed_before_the_write(resources, "cards", {"cardId": {"S": CARD}}, "version", {"N": "7"}):
        assert deliver(module, approval) == 1
    assert card(resources)["status"] == "active"
    assert deliver(module, approval) == 0
    assert card(resources)["version"] == "8"


def test_approvals_and_what_was_carried_out_are_counted(
    module: Any,
    resources: Resources,
    approve: Callable[[str], dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_card(resources)
    approval = approve(put_action(resources))
    capsys.readouterr()
    deliver(module, approval, "not JSON")
    assert metrics_in(capsys.readouterr().out) == {"ApprovalsReceived": 2, "ActionsCarriedOut": 1}


@pytest.mark.parametrize("name", samples("carry_out_action"))
def test_samples_are_given_back_by_a_stack_that_knows_of_no_approval(module: Any, name: str) -> None:
    event = sample("carry_out_action", name)
    given_back = module.handler(event, Context())["batchItemFailures"]
    assert (
        len(given_back)
        == len(event["Records"])
        == {
            "good": 1,
            "bad": 4,
            "edge": 3,
            "transactions": 2,
        }[name]
    )
