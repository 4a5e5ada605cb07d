"""release_transaction and refund: tools of an investigating agent and of nobody else; each change once, and told."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from backbone import contracts
from backbone.tool_catalogue import INVESTIGATION_TOOLS, TOOLS
from tests.unit.action_builder import action_in
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, a_call, body_of, put_card, put_transaction
from tests.unit.lambda_events import Context
from tests.unit.resources import Resources

CASE, OTHER_CASE = "7d9b1c20-1111-4222-8333-944445555666", "7d9b1c20-1111-4222-8333-944445555667"
TX = {"transactionId": "TX-1"}
AGENT = {"role": "agent", "personId": "agent", "caseId": CASE, "conversationId": CASE, "causationDepth": "2"}
CHANGES = [tool.name for tool in INVESTIGATION_TOOLS if tool.changes]


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:
    put_card(resources)
    return handler_module("agent_tools")


def call(module: Any, tool: str, arguments: Mapping[str, object] = TX, **session: object) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(a_call(tool, arguments, **(AGENT | session)), Context())
    return answer


def ask(module: Any, tool: str, arguments: Mapping[str, object] = TX, **session: object) -> dict[str, Any]:
    answer = call(module, tool, arguments, **session)
    assert "responseState" not in answer["response"]["functionResponse"], answer
    return body_of(answer)


def has_failed(answer: dict[str, Any]) -> bool:
    return bool(answer["response"]["functionResponse"].get("responseState") == "FAILURE")


def paid(resources: Resources, transaction_id: str = "TX-1") -> dict[str, str]:
    row = next(row for row in resources.rows("transactions") if row["transactionId"]["S"] == transaction_id)
    return {name: next(iter(value.values())) for name, value in row.items()}


def set_standing(resources: Resources, verdict: str) -> None:
    resources.client("dynamodb").update_item(
        TableName="transactions",
        Key={"transactionId": {"S": "TX-1"}},
        UpdateExpression="SET standingVerdict = :verdict, standingCaseId = :case, standingSince = :at",
        ExpressionAttributeValues={
            ":verdict": {"S": verdict},
            ":case": {"S": OTHER_CASE},
            ":at": {"S": "2026-01-02T12:00:00.000Z"},
        },
    )


# ---- who may


@pytest.mark.parametrize("role", ["customer", "analyst"])
@pytest.mark.parametrize("tool", CHANGES)
def test_whoever_talks_a_chats_model_into_an_investigations_tool_gets_nothing(
    module: Any, resources: Resources, tool: str, role: str
) -> None:
    put_transaction(resources, flagged=True)
    before = paid(resources)
    body = ask(module, tool, role=role, personId="8f3b5c1e", caseId=CASE)
    assert (body["state"], body["data"]) == ("refused", {})
    assert body["facts"] == [f"{tool} is for the bank's own investigations; nobody uses it in a chat."]
    assert (paid(resources), resources.rows("actions"), resources.published()) == (before, [], [])


@pytest.mark.parametrize("arguments", [TX | {"role": "agent"}, TX | {"approved": "true"}, {}], ids=str)
@pytest.mark.parametrize("tool", CHANGES)
def test_arguments_that_a_tool_does_not_have_are_refused(
    module: Any, resources: Resources, tool: str, arguments: dict[str, str]
) -> None:
    put_transaction(resources, flagged=True)
    assert ask(module, tool, arguments)["state"] == "refused"
    assert resources.published() == []


@pytest.mark.parametrize("tool", CHANGES)
def test_foreign_and_unknown_transactions_are_refused_alike(module: Any, resources: Resources, tool: str) -> None:
    put_transaction(resources, 2, flagged=True, customer_id=STRANGER)
    for transaction_id in ("TX-2", "TX-9"):
        body = ask(module, tool, {"transactionId": transaction_id})
        assert body["facts"] == [f"There is no transaction {transaction_id} of this customer's."]
    assert resources.published() == []


def test_no_tool_of_an_investigation_is_a_chats() -> None:
    assert {tool.name for tool in INVESTIGATION_TOOLS}.isdisjoint(tool.name for tool in TOOLS)


# ---- release_transaction


def test_small_flagged_transaction_is_released_with_its_event(module: Any, resources: Resources) -> None:
    put_transaction(resources, flagged=True, amount_minor=20_000)
    body = ask(module, "release_transaction")
    assert (body["state"], body["facts"]) == (
        "done",
        ["Transaction TX-1 of 200.00 EUR with CARD-000042 is released: nobody holds it against the customer any more."],
    )
    row = paid(resources)
    assert body["data"] == {"transactions": [{"transactionId": "TX-1", "releasedAt": row["releasedAt"]}]}
    assert (row["releasedBy"], "eventToPublish" in row) == ("agent", False)
    (envelope,) = resources.published()
    event = contracts.parse("TransactionReleased", envelope)
    assert event.data == {
        "transactionId": "TX-1",
        "customerId": OWNER,
        "cardId": "CARD-000042",
        "amountMinor": 20_000,
        "currency": "EUR",
        "releaseId": row["releaseId"],
        "releasedBy": "agent",
        "caseId": CASE,
    }
    assert (event.metadata.causation_id, event.metadata.causation_depth) == (f"{CASE}:3", 2)


@pytest.mark.parametrize("turn", ["3", "4"])
def test_release_asked_for_again_changes_nothing(module: Any, resources: Resources, turn: str) -> None:
    put_transaction(resources, flagged=True)
    first = ask(module, "release_transaction")
    row = paid(resources)
    again = ask(module, "release_transaction", turn=turn)
    assert (again["state"], again["data"]) == ("done", first["data"])
    assert (again == first) == (turn == "3")
    assert paid(resources) == row
    assert len(resources.published()) == 1


def test_large_release_waits_for_an_analyst(module: Any, resources: Resources) -> None:
    put_transaction(resources, flagged=True, amount_minor=20_001)
    body = ask(module, "release_transaction")
    assert body["state"] == "proposed"
    assert body["facts"][0] == (
        "Releasing transaction TX-1 of 200.01 EUR with CARD-000042 needs an analyst's approval."
    )
    assert "releaseId" not in paid(resources)
    action = action_in(resources, body["data"]["action"]["actionId"])
    assert (action.action, action.transaction_id, action.card_id, action.amount_minor) == (
        "release_transaction",
        "TX-1",
        "CARD-000042",
        20_001,
    )
    (envelope,) = resources.published()
    assert contracts.parse("ActionProposed", envelope).data["transactionId"] == "TX-1"


def test_transaction_that_was_not_flagged_has_nothing_to_release(module: Any, resources: Resources) -> None:
    put_transaction(resources)
    body = ask(module, "release_transaction")
    assert (body["state"], resources.published()) == ("refused", [])
    assert "was not flagged" in body["facts"][0]


def test_what_stands_as_fraud_is_not_released(module: Any, resources: Resources) -> None:
    put_transaction(resources, flagged=True)
    set_standing(resources, "confirmed_fraud")
    assert ask(module, "release_transaction")["state"] == "refused"
    set_standing(resources, "genuine")
    assert ask(module, "release_transaction")["state"] == "done"


def test_release_that_was_withdrawn_is_not_made_again_by_the_same_request(module: Any, resources: Resources) -> None:
    put_transaction(resources, flagged=True)
    ask(module, "release_transaction")
    resources.client("dynamodb").update_item(
        TableName="transactions",
        Key={"transactionId": {"S": "TX-1"}},
        UpdateExpression="SET releaseWithdrawnAt = :at",
        ExpressionAttributeValues={":at": {"S": "2026-01-02T12:00:00.000Z"}},
    )
    assert ask(module, "release_transaction")["state"] == "refused"
    assert ask(module, "release_transaction", turn="4")["state"] == "done"
    assert "releaseWithdrawnAt" not in paid(resources)
    first, second = (envelope["detail"] for envelope in resources.published())
    assert first["metadata"]["eventId"] != second["metadata"]["eventId"]


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems", "PutEvents", "UpdateItem"])
def test_release_that_failed_half_way_is_finished_when_it_is_asked_for_again(
    module: Any, resources: Resources, operation: str
) -> None:
    put_transaction(resources, flagged=True)
    with failing(operation, "ThrottlingException"):
        assert has_failed(call(module, "release_transaction"))
    assert ask(module, "release_transaction")["state"] == "done"
    told = resources.published()
    assert len({one["detail"]["metadata"]["eventId"] for one in told}) == 1
    assert "eventToPublish" not in paid(resources)


def test_row_that_keeps_anothers_event_is_left_until_that_is_told(module: Any, resources: Resources) -> None:
    put_transaction(resources, flagged=True)
    kept = '{"detail-type":"RefundReversed","detail":{}}'
    resources.client("dynamodb").update_item(
        TableName="transactions",
        Key={"transactionId": {"S": "TX-1"}},
        UpdateExpression="SET eventToPublish = :kept",
        ExpressionAttributeValues={":kept": {"S": kept}},
    )
    assert has_failed(call(module, "release_transaction"))
    assert (paid(resources)["eventToPublish"], resources.published()) == (kept, [])


# ---- refund


@pytest.mark.parametrize("amount_minor", [1, 31_200])
def test_refund_is_always_proposed(module: Any, resources: Resources, amount_minor: int) -> None:
    put_transaction(resources, flagged=True, amount_minor=amount_minor)
    body = ask(module, "refund")
    assert body["state"] == "proposed"
    assert "refundId" not in paid(resources)
    (envelope,) = resources.published()
    event = contracts.parse("ActionProposed", envelope)
    action_id = body["data"]["action"]["actionId"]
    assert event.data == {
        "actionId": action_id,
        "action": "refund",
        "customerId": OWNER,
        "cardId": "CARD-000042",
        "transactionId": "TX-1",
        "caseId": CASE,
        "amountMinor": amount_minor,
        "reason": f"Refund of transaction TX-1 of {amount_minor / 100:.2f} EUR with CARD-000042.",
        "proposedBy": "agent",
    }
    assert event.metadata.causation_depth == 2
    assert action_in(resources, action_id).causation_depth == 2


def test_what_stands_as_genuine_is_not_paid_back(module: Any, resources: Resources) -> None:
    put_transaction(resources, flagged=True)
    set_standing(resources, "genuine")
    assert ask(module, "refund")["state"] == "refused"
    assert resources.rows("actions") == []


def test_transaction_that_was_paid_back_is_not_proposed_again(module: Any, resources: Resources) -> None:
    put_transaction(resources, flagged=True)
    resources.client("dynamodb").update_item(
        TableName="transactions",
        Key={"transactionId": {"S": "TX-1"}},
        UpdateExpression="SET refundId = :action, refundedAt = :at, refundedAmountMinor = :amount",
        ExpressionAttributeValues={":action": {"S": CASE}, ":at": {"S": "2026"}, ":amount": {"N": "2000"}},
    )
    body = ask(module, "refund")
    assert (body["state"], body["data"]["transactions"][0]["refundedAt"]) == ("done", "2026")
    assert resources.rows("actions") == []


# ---- proposals do not pile up


PROPOSALS = [
    ("refund", TX),
    ("release_transaction", TX),
    ("block_card", {"cardId": "CARD-000042", "reason": "fraud"}),
]


@pytest.mark.parametrize(("tool", "arguments"), PROPOSALS)
def test_case_has_a_thing_proposed_once_at_a_time(
    module: Any, resources: Resources, tool: str, arguments: dict[str, str]
) -> None:
    put_transaction(resources, flagged=True, amount_minor=31_200)
    first = ask(module, tool, arguments)
    assert ask(module, tool, arguments) == first
    assert ask(module, tool, arguments, turn="4") == first
    assert len(resources.rows("actions")) == len(resources.published()) == 1
    another = ask(module, tool, arguments, caseId=OTHER_CASE, conversationId=OTHER_CASE)
    assert another["data"]["action"]["actionId"] != first["data"]["action"]["actionId"]
    assert len(resources.rows("actions")) == 2


@pytest.mark.parametrize(("tool", "arguments"), PROPOSALS)
def test_what_was_rejected_can_be_proposed_again_in_another_turn_and_is_answered_in_its_own(
    module: Any, resources: Resources, tool: str, arguments: dict[str, str]
) -> None:
    put_transaction(resources, flagged=True, amount_minor=31_200)
    first = ask(module, tool, arguments)["data"]["action"]["actionId"]
    resources.client("dynamodb").update_item(
        TableName="actions",
        Key={"actionId": {"S": first}},
        UpdateExpression="SET #status = :rejected",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":rejected": {"S": "rejected"}},
    )
    own = ask(module, tool, arguments)
    assert own["data"]["action"]["status"] == "rejected"
    assert own["facts"][-1] == f"The request, action {first}, was rejected."
    other = ask(module, tool, arguments, turn="4")["data"]["action"]
    assert (other["actionId"] != first, other["status"]) == (True, "proposed")


def test_refunds_of_two_transactions_with_one_card_are_two(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    put_transaction(resources, 2, flagged=True)
    ids = {ask(module, "refund", {"transactionId": f"TX-{n}"})["data"]["action"]["actionId"] for n in (1, 2)}
    assert len(ids) == 2


# ---- how deep events lie


@pytest.mark.parametrize(("said", "depth"), [(None, 0), ("0", 0), ("7", 7), ("1000", 1000)], ids=str)
def test_events_lie_as_deep_as_the_session_says_and_rows_keep_it(
    module: Any, resources: Resources, said: str | None, depth: int
) -> None:
    put_transaction(resources, flagged=True)
    ask(module, "refund", causationDepth=said)
    ask(module, "open_case", {"subject": "A matter"}, causationDepth=said)
    depths = [one["detail"]["metadata"].get("causationDepth", 0) for one in resources.published()]
    rows = [
        int(row.get("causationDepth", {"N": "0"})["N"]) for row in resources.rows("actions") + resources.rows("cases")
    ]
    assert (depths, rows) == ([depth] * 2, [depth] * 2)
    assert all("causationDepth" in row for row in resources.rows("cases")) == (depth > 0)
