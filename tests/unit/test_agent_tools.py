"""The agent_tools handler: what each tool answers, to whom, what it changes, and that a defect is no answer."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aws_lambda_powertools.event_handler.bedrock_agent_function import BedrockAgentFunctionResolver

from backbone import contracts
from backbone.errors import Rejected, Retryable
from backbone.tool_catalogue import INVESTIGATION_TOOLS, TOOLS
from card_rows import CardRows
from card_tools import Card
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import (
    CONVERSATION,
    OWNER,
    STRANGER,
    a_call,
    body_of,
    put_card,
    put_document,
    put_transaction,
    row_of,
)
from tests.unit.document_builder import FakeModel
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

CASE = "7d9b1c20-1111-4222-8333-944445555666"
LOST = {"cardId": "CARD-000042", "reason": "lost"}


@pytest.fixture
def module(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    handler = handler_module("agent_tools")
    monkeypatch.setattr(handler, "model", FakeModel())
    return handler


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def ask(module: Any, tool: str, arguments: Mapping[str, object] | None = None, **session: object) -> dict[str, Any]:
    """The tool's answer; fails where it is no answer but a failure."""
    answer = invoke(module, a_call(tool, arguments, **session))
    assert "responseState" not in answer["response"]["functionResponse"], answer
    return body_of(answer)


def is_failure(answer: dict[str, Any]) -> bool:
    return bool(answer["response"]["functionResponse"].get("responseState") == "FAILURE")


# ---- the resolver's habits, and what is made of them


def test_every_tool_of_the_catalogue_runs_and_no_other(module: Any) -> None:
    assert set(module.RUN) == {tool.name for tool in (*TOOLS, *INVESTIGATION_TOOLS)}
    assert module.resolver._tools.keys() == module.RUN.keys()


def test_body_is_encoded_once(module: Any, resources: Resources) -> None:
    put_card(resources)
    answer = invoke(module, a_call("list_cards"))
    said = answer["response"]["functionResponse"]["responseBody"]["TEXT"]["body"]
    assert said.startswith('{"state": "done", "facts": ["Your debit card')


def test_resolver_still_encodes_texts_twice_and_hides_exceptions() -> None:
    """The reason for agent_tools.body_text; where this fails, it can go."""
    resolver = BedrockAgentFunctionResolver()
    resolver.tool(name="list_cards")(lambda: "plain")
    resolver.tool(name="block_card")(lambda: 1 / 0)
    said = [
        resolver.resolve(a_call(name), Context())["response"]["functionResponse"]["responseBody"]["TEXT"]["body"]
        for name in ("list_cards", "block_card")
    ]
    assert said == ['"plain"', '"Error: ZeroDivisionError: division by zero"']


def test_defect_in_a_tool_is_raised_and_not_answered(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.RUN, "list_cards", lambda *_: 1 / 0)
    with pytest.raises(module.UnhandledToolError, match="division by zero") as raised:
        invoke(module, a_call("list_cards"))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_function_that_there_is_not_is_raised(module: Any) -> None:
    with pytest.raises(module.UnhandledToolError, match="approve_action"):
        invoke(module, a_call("approve_action"))


def test_event_of_another_kind_is_raised(module: Any) -> None:
    with pytest.raises(ValueError, match="function"):
        invoke(module, {"messageVersion": "1.0"})


@pytest.mark.parametrize(
    ("tool", "arguments", "operation"),
    [
        ("list_cards", {}, "Query"),
        ("list_cards", {}, "BatchGetItem"),
        ("list_transactions", {}, "Query"),
        ("explain_flag", {"transactionId": "TX-1"}, "GetItem"),
        ("search_documents", {"question": "What is the loan?"}, "GetObject"),
        ("open_case", {"subject": "Refund"}, "PutItem"),
        ("open_case", {"subject": "Refund"}, "PutEvents"),
        ("block_card", LOST, "GetItem"),
        ("block_card", LOST, "Query"),
        ("block_card", LOST, "UpdateItem"),
        ("block_card", LOST, "PutEvents"),
        ("review_card", {"transactionId": "TX-1"}, "GetItem"),
        ("review_card", {"transactionId": "TX-1"}, "Query"),
        ("review_terminal", {"transactionId": "TX-1"}, "Query"),
        ("review_past_cases", {}, "Query"),
    ],
)
def test_service_that_is_away_is_a_failure_and_no_answer(
    module: Any, resources: Resources, tool: str, arguments: dict[str, object], operation: str
) -> None:
    put_card(resources)
    put_transaction(resources)
    put_document(resources, "D-1", ["The loan is EUR 12,000."])
    code = "SlowDown" if operation == "GetObject" else "ThrottlingException"
    role = "agent" if tool.startswith("review_") else "customer"
    with failing(operation, code):
        answer = invoke(module, a_call(tool, arguments, role=role))
    assert is_failure(answer)
    assert body_of(answer) == {
        "state": "failed",
        "facts": ["This cannot be done just now. Try again in a moment."],
        "data": {},
        "citations": [],
    }


@pytest.mark.parametrize("error", [Retryable("throttled"), Rejected("MODEL_FAILED: refused")])
def test_embedding_model_that_is_away_is_a_failure(
    module: Any, resources: Resources, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    put_document(resources, "D-1", ["The loan is EUR 12,000."])
    monkeypatch.setattr(module, "model", FakeModel(refuses_to_embed=error))
    assert is_failure(invoke(module, a_call("search_documents", {"question": "loan"})))


# ---- samples


def test_every_sample_event_has_a_test() -> None:
    assert samples("agent_tools") == ["bad", "edge", "good", "investigation"]


def test_the_good_sample_lists_the_customers_cards(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    put_card(resources)
    body = body_of(invoke(module, sample("agent_tools", "good")))
    assert body["facts"] == ["Your debit card ending 0042 (CARD-000042) is active."]
    measured = metrics_in(capsys.readouterr().out)
    assert (measured["ToolCalls"], measured["ToolDone"]) == (1, 1)


def test_the_bad_sample_is_refused_before_anything_is_looked_up(module: Any) -> None:
    body = body_of(invoke(module, sample("agent_tools", "bad")))
    assert body["state"] == "refused"
    assert body["facts"] == ["cardId is not an id; ids have letters, digits and any of _ . : - only."]


def test_the_edge_sample_lists_flagged_transactions_for_an_agent(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, days_ago=80, flagged=True)
    put_transaction(resources, 2, days_ago=1)
    body = body_of(invoke(module, sample("agent_tools", "edge")))
    assert [one["transactionId"] for one in body["data"]["transactions"]] == ["TX-1"]


def test_the_investigation_sample_reviews_a_terminal_for_the_agent(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    body = body_of(invoke(module, sample("agent_tools", "investigation")))
    assert body["data"]["terminalId"] == "TERM-00001"


# ---- the session


@pytest.mark.parametrize(
    "changes",
    [
        {"personId": None},
        {"role": None},
        {"role": "manager"},
        {"role": "customer,analyst"},
        {"customerId": None},
        {"customerId": ""},
        {"customerId": "unassigned"},
        {"customerId": ["CUST-000042"]},
        {"conversationId": "1"},
        {"turn": "0"},
        {"turn": "-1"},
        {"turn": 3},
        {"correlationId": ""},
        {"caseId": "not-a-case"},
        {"causationDepth": ""},
        {"causationDepth": "-1"},
        {"causationDepth": "1001"},
        {"causationDepth": "1.5"},
        {"causationDepth": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("tool", ["list_cards", "block_card"])
def test_malformed_session_is_the_callers_failure_and_nothing_is_done(
    module: Any, resources: Resources, tool: str, changes: dict[str, object]
) -> None:
    put_card(resources)
    answer = invoke(module, a_call(tool, LOST if tool == "block_card" else {}, **changes))
    assert is_failure(answer)
    assert body_of(answer)["facts"] == ["This cannot be looked up: it is not known on whose behalf."]
    assert row_of(resources, "cards")["status"] == "active"


def test_session_comes_from_the_session_and_from_no_argument_or_prompt(module: Any, resources: Resources) -> None:
    put_card(resources, "CARD-000043", STRANGER)
    event = a_call("list_cards") | {"promptSessionAttributes": {"customerId": STRANGER}}
    assert body_of(invoke(module, event))["data"] == {"cards": []}
    refused = ask(module, "list_cards", {"customerId": STRANGER})
    assert (refused["state"], refused["facts"]) == (
        "refused",
        ["list_cards takes no argument of that name; it takes none."],
    )


# ---- cards


def test_cards_are_listed_with_their_state(module: Any, resources: Resources) -> None:
    put_card(resources, "CARD-000001")
    put_card(resources, "CARD-000042", status="blocked", blockedAt="2026-11-21T14:05:09.000Z", blockReason="stolen")
    put_card(resources, "CARD-000043", STRANGER)
    body = ask(module, "list_cards")
    assert body["facts"] == [
        "Your debit card ending 0001 (CARD-000001) is active.",
        "Your debit card ending 0042 (CARD-000042) is blocked since 21 November 2026, 14:05 UTC: reported stolen.",
    ]
    assert [card["cardId"] for card in body["data"]["cards"]] == ["CARD-000001", "CARD-000042"]


def test_more_cards_than_are_listed_are_mentioned(module: Any, resources: Resources) -> None:
    for number in range(21):
        put_card(resources, f"CARD-{number:06}")
    assert ask(module, "list_cards")["facts"][-1] == "There are more cards; the first 20 cards are listed."


@pytest.mark.parametrize("role", ["analyst", "agent"])
def test_others_are_told_of_the_customers_card_in_the_third_person(
    module: Any, resources: Resources, role: str
) -> None:
    put_card(resources)
    body = ask(module, "list_cards", role=role)
    assert body["facts"] == ["The customer's debit card ending 0042 (CARD-000042) is active."]


def test_card_is_blocked_with_its_event(module: Any, resources: Resources) -> None:
    put_card(resources)
    body = ask(module, "block_card", {"cardId": "CARD-000042", "reason": "stolen"})
    assert body["state"] == "done"
    assert body["facts"][0].startswith("Your debit card ending 0042 (CARD-000042) is blocked since ")
    assert body["facts"][0].endswith(" UTC: reported stolen.")
    assert body["facts"][1] == "No payment with it goes through any more."
    row = row_of(resources, "cards")
    assert (row["status"], row["version"], row["blockReason"], row["blockedBy"]) == (
        "blocked",
        "2",
        "stolen",
        "customer",
    )
    assert "eventToPublish" not in row
    (envelope,) = resources.published()
    event = contracts.parse("CardBlocked", envelope)
    assert event.data == {
        "cardId": "CARD-000042",
        "customerId": OWNER,
        "reason": "stolen",
        "blockedBy": "customer",
    }
    assert (event.metadata.correlation_id, event.metadata.causation_id) == ("chat-1", f"{CONVERSATION}:3")


def test_asking_again_in_the_same_turn_answers_the_same_and_changes_nothing(module: Any, resources: Resources) -> None:
    put_card(resources)
    first = ask(module, "block_card", LOST)
    row = row_of(resources, "cards")
    assert ask(module, "block_card", LOST) == first
    assert row_of(resources, "cards") == row
    assert len(resources.published()) == 1


def test_blocked_card_stays_as_it_was_and_tells_since_when(module: Any, resources: Resources) -> None:
    put_card(resources, status="blocked", blockedAt="2026-11-21T14:05:09.000Z", blockReason="stolen")
    body = ask(module, "block_card", LOST)
    assert (body["state"], body["facts"]) == (
        "done",
        [
            "Your debit card ending 0042 (CARD-000042) is blocked since 21 November 2026, 14:05 UTC: reported stolen.",
            "It was blocked already, so nothing has changed.",
        ],
    )
    assert resources.published() == []


@pytest.mark.parametrize("turn", ["3", "4"])
def test_event_that_the_bus_did_not_take_is_published_when_the_card_is_asked_for_again(
    module: Any, resources: Resources, turn: str
) -> None:
    put_card(resources)
    with failing("PutEvents", "ThrottlingException"):
        assert is_failure(invoke(module, a_call("block_card", LOST)))
    kept = json.loads(row_of(resources, "cards")["eventToPublish"])
    assert ask(module, "block_card", LOST, turn=turn)["state"] == "done"
    (envelope,) = resources.published()
    assert envelope["detail"] == kept["detail"]
    assert "eventToPublish" not in row_of(resources, "cards")


def test_event_is_published_again_under_its_own_id_when_a_crash_left_it_on_the_row(
    module: Any, resources: Resources
) -> None:
    put_card(resources)
    with failing("UpdateItem", "ThrottlingException", after=1):  # the card is blocked, the event out, but not noted
        assert is_failure(invoke(module, a_call("block_card", LOST)))
    assert ask(module, "block_card", LOST)["state"] == "done"
    first, second = resources.published()
    assert first["detail"] == second["detail"]
    ask(module, "block_card", LOST)
    assert resources.published() == []


def test_card_that_somebody_else_blocked_meanwhile_keeps_what_they_wrote(
    module: Any, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overtaken(CardRows):
        """The registry, in which somebody else blocks a card between our reading and our writing."""

        def block(self, card: Card) -> bool:
            put_card(resources, status="blocked", blockedAt="2026-11-21T14:05:09.000Z", blockReason="stolen")
            return super().block(card)

    put_card(resources)
    with monkeypatch.context() as patch:
        patch.setattr(module, "cards", Overtaken(resources.client("dynamodb"), "cards", "CustomerCards"))
        assert is_failure(invoke(module, a_call("block_card", LOST)))
    assert row_of(resources, "cards")["blockReason"] == "stolen"
    assert resources.published() == []
    assert ask(module, "block_card", LOST)["facts"][1] == "It was blocked already, so nothing has changed."


@pytest.mark.parametrize("role", ["customer", "analyst", "agent"])
@pytest.mark.parametrize("tool", ["block_card", "list_transactions"])
def test_foreign_and_unknown_cards_are_refused_alike(module: Any, resources: Resources, tool: str, role: str) -> None:
    put_card(resources, "CARD-000043", STRANGER)
    put_transaction(resources, card_id="CARD-000043", customer_id=STRANGER)
    reason = {"reason": "lost"} if tool == "block_card" else {}
    foreign = ask(module, tool, {"cardId": "CARD-000043"} | reason, role=role)
    unknown = ask(module, tool, {"cardId": "CARD-000099"} | reason, role=role)
    assert json.dumps(foreign).replace("CARD-000043", "CARD-000099") == json.dumps(unknown)
    whose = "yours" if role == "customer" else "this customer's"
    assert (foreign["state"], foreign["facts"]) == ("refused", [f"There is no card CARD-000043 of {whose}."])
    assert row_of(resources, "cards")["status"] == "active"


# ---- approval


def test_card_with_much_spent_lately_is_proposed_and_not_blocked(module: Any, resources: Resources) -> None:
    put_card(resources)
    put_transaction(resources, 1, amount_minor=60_000, days_ago=1)
    put_transaction(resources, 2, amount_minor=40_001, days_ago=6.9)
    body = ask(module, "block_card", LOST)
    row = row_of(resources, "actions")
    mine = "your debit card ending 0042 (CARD-000042)"
    assert (body["state"], body["facts"][0]) == (
        "proposed",
        f"Blocking {mine} needs an analyst's approval, because 1,000.01 EUR was spent with it in the last 7 days.",
    )
    assert body["facts"][1].startswith(f"The request waits for an analyst as action {row['actionId']} until ")
    assert body["facts"][2] == "The card stays active until then; without an approval nothing is done."
    assert row_of(resources, "cards")["status"] == "active"
    assert (row["status"], row["amountMinor"], row["proposedBy"]) == ("proposed", "100001", "customer")
    assert "caseId" not in row
    assert "eventToPublish" not in row
    (envelope,) = resources.published()
    assert contracts.parse("ActionProposed", envelope).data == {
        "actionId": row["actionId"],
        "action": "block_card",
        "customerId": OWNER,
        "cardId": "CARD-000042",
        "amountMinor": 100_001,
        "reason": "Card reported lost; 1,000.01 EUR spent with it in the last 7 days.",
        "proposedBy": "customer",
    }


def test_spend_at_the_limit_of_another_card_or_of_earlier_needs_no_approval(module: Any, resources: Resources) -> None:
    put_card(resources)
    put_transaction(resources, 1, amount_minor=100_000, days_ago=1)
    put_transaction(resources, 2, amount_minor=1, days_ago=7.01)
    put_transaction(resources, 3, amount_minor=1, card_id="CARD-000001")
    put_transaction(resources, 4, amount_minor=1, customer_id=STRANGER)
    assert ask(module, "block_card", LOST)["state"] == "done"


def test_proposal_asked_for_again_is_the_same_one(module: Any, resources: Resources) -> None:
    put_card(resources)
    put_transaction(resources, 1, amount_minor=100_001)
    first = ask(module, "block_card", LOST)
    assert ask(module, "block_card", LOST) == first
    assert len(resources.rows("actions")) == len(resources.published()) == 1


def test_proposal_whose_event_was_not_taken_is_told_of_when_it_is_asked_for_again(
    module: Any, resources: Resources
) -> None:
    put_card(resources)
    put_transaction(resources, 1, amount_minor=100_001)
    with failing("PutEvents", "ThrottlingException"):
        assert is_failure(invoke(module, a_call("block_card", LOST)))
    assert "eventToPublish" in row_of(resources, "actions")
    ask(module, "block_card", LOST)
    assert len(resources.published()) == 1
    assert "eventToPublish" not in row_of(resources, "actions")


def test_agent_only_ever_proposes_to_block_and_names_its_case(module: Any, resources: Resources) -> None:
    put_card(resources)
    body = ask(module, "block_card", LOST, role="agent", caseId=CASE)
    assert body["state"] == "proposed"
    assert body["facts"][0].endswith("needs an analyst's approval, because no agent blocks a card by itself.")
    assert row_of(resources, "cards")["status"] == "active"
    assert row_of(resources, "actions")["caseId"] == CASE
    (envelope,) = resources.published()
    data = contracts.parse("ActionProposed", envelope).data
    assert (data["proposedBy"], data["caseId"]) == ("agent", CASE)


def test_decided_proposal_says_what_was_decided(module: Any, resources: Resources) -> None:
    put_card(resources)
    put_transaction(resources, 1, amount_minor=100_001)
    action_id = ask(module, "block_card", LOST)["data"]["action"]["actionId"]
    resources.client("dynamodb").update_item(
        TableName="actions",
        Key={"actionId": {"S": action_id}},
        UpdateExpression="SET #status = :rejected",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":rejected": {"S": "rejected"}},
    )
    assert ask(module, "block_card", LOST)["facts"][1] == f"The request, action {action_id}, was rejected."


# ---- transactions


def test_transactions_are_listed_newest_first_with_their_flags(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, days_ago=3)
    put_transaction(resources, 2, days_ago=1, amount_minor=31_200, flagged=True)
    put_transaction(resources, 3, days_ago=8)
    put_transaction(resources, 4, customer_id=STRANGER)
    body = ask(module, "list_transactions")
    assert body["facts"][0] == "There were 2 transactions in the last 7 days; 1 of them flagged as suspicious."
    assert body["facts"][1].startswith("Transaction TX-2 of 312.00 EUR with CARD-000042 at terminal TERM-00001 on ")
    assert body["facts"][1].endswith(" UTC was flagged with severity medium.")
    assert [one["transactionId"] for one in body["data"]["transactions"]] == ["TX-2", "TX-1"]
    assert [one["amountMinor"] for one in body["data"]["transactions"]] == [31_200, 2_000]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"days": "30"}, ["TX-1", "TX-2", "TX-3"]),
        ({"cardId": "CARD-000001", "days": "30"}, ["TX-2"]),
        ({"onlyFlagged": "true"}, ["TX-1"]),
        ({"onlyFlagged": "false", "cardId": " "}, ["TX-1", "TX-2"]),
        ({"cardId": "CARD-000001", "onlyFlagged": "True"}, []),
    ],
    ids=str,
)
def test_transactions_are_narrowed_as_asked(
    module: Any, resources: Resources, arguments: dict[str, object], found: list[str]
) -> None:
    put_card(resources, "CARD-000001")
    put_transaction(resources, 1, days_ago=1, flagged=True)
    put_transaction(resources, 2, days_ago=2, card_id="CARD-000001")
    put_transaction(resources, 3, days_ago=20)
    body = ask(module, "list_transactions", arguments)
    assert [one["transactionId"] for one in body["data"]["transactions"]] == found


def test_more_transactions_than_are_listed_are_mentioned(module: Any, resources: Resources) -> None:
    for number in range(1, 22):
        put_transaction(resources, number, days_ago=number / 10)
    body = ask(module, "list_transactions")
    assert body["facts"][0] == "These are the newest 20 of your transactions in the last 7 days; there are more."
    assert len(body["data"]["transactions"]) == 20


def test_flag_is_explained_with_score_reasons_and_drivers(module: Any, resources: Resources) -> None:
    put_card(resources)
    put_transaction(resources, 7, flagged=True, amount_minor=31_200)
    body = ask(module, "explain_flag", {"transactionId": "TX-7"})
    first, score, drivers, card = body["facts"]
    assert first.startswith("Transaction TX-7 of 312.00 EUR with CARD-000042 at terminal TERM-00001 on ")
    assert first.endswith(" UTC was flagged with severity medium: The score reaches the threshold.")
    assert score == "The fraud model's score of TX-7 is 0.900; 0 is usual, 1 is almost surely fraud."
    assert drivers == "What raised the score most: the amount, 20.00 EUR (typical: 15.00 EUR)."
    assert card == "Your debit card ending 0042 (CARD-000042) is active."
    (view,) = body["data"]["transactions"]
    assert view["reasons"] == [{"code": "MODEL_SCORE", "explanation": "The score reaches the threshold."}]


def test_newest_flag_is_explained_where_none_is_named(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, days_ago=9, flagged=True)
    put_transaction(resources, 2, days_ago=8, flagged=True)
    put_transaction(resources, 3, days_ago=1)
    put_transaction(resources, 4, days_ago=1, flagged=True, customer_id=STRANGER)
    assert ask(module, "explain_flag")["data"]["transactions"][0]["transactionId"] == "TX-2"


def test_that_nothing_was_flagged_is_an_answer(module: Any, resources: Resources) -> None:
    put_transaction(resources, 3)
    assert ask(module, "explain_flag")["facts"] == [
        "None of your transactions of the last 90 days was flagged as suspicious."
    ]
    (fact,) = ask(module, "explain_flag", {"transactionId": "TX-3"})["facts"]
    assert fact.endswith(" UTC was not flagged; the fraud model's score is 0.100, where 0 is usual.")


@pytest.mark.parametrize("tool", ["explain_flag", "open_case"])
def test_foreign_and_unknown_transactions_are_refused_alike(module: Any, resources: Resources, tool: str) -> None:
    put_transaction(resources, 1, flagged=True, customer_id=STRANGER)
    subject = {"subject": "Look into this"} if tool == "open_case" else {}
    foreign = ask(module, tool, subject | {"transactionId": "TX-1"})
    unknown = ask(module, tool, subject | {"transactionId": "TX-9"})
    assert json.dumps(foreign).replace("TX-1", "TX-9") == json.dumps(unknown)
    assert (foreign["state"], foreign["facts"]) == ("refused", ["There is no transaction TX-1 of yours."])
    assert resources.rows("cases") == resources.published() == []


# ---- cases


def test_case_is_opened_once_with_its_event(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    arguments = {"subject": "I did not pay this", "transactionId": "TX-1"}
    body = ask(module, "open_case", arguments)
    row = row_of(resources, "cases")
    assert body["facts"] == [
        f'Case {row["caseId"]} about transaction TX-1 is open: "I did not pay this".',
        "An analyst of the bank will look into it.",
    ]
    assert ask(module, "open_case", arguments) == body
    (envelope,) = resources.published()
    assert contracts.parse("CaseOpened", envelope).data == {
        "caseId": row["caseId"],
        "customerId": OWNER,
        "transactionId": "TX-1",
        "kind": "chat",
        "openedBy": "customer",
    }
    assert (row["status"], row["kind"], row["subject"]) == ("open", "chat", "I did not pay this")
    assert "eventToPublish" not in row


def test_another_turn_or_subject_opens_another_case(module: Any, resources: Resources) -> None:
    for subject, turn in (("One", "3"), ("Two", "3"), ("One", "4")):
        ask(module, "open_case", {"subject": subject}, turn=turn)
    assert len(resources.rows("cases")) == len(resources.published()) == 3


def test_case_whose_event_was_not_taken_is_told_of_when_it_is_asked_for_again(
    module: Any, resources: Resources
) -> None:
    with failing("PutEvents", "ThrottlingException"):
        assert is_failure(invoke(module, a_call("open_case", {"subject": "One"})))
    ask(module, "open_case", {"subject": "One"})
    assert len(resources.rows("cases")) == len(resources.published()) == 1


def test_case_of_an_agent_says_so(module: Any, resources: Resources) -> None:
    assert ask(module, "open_case", {"subject": "One"}, role="agent")["state"] == "done"
    row = row_of(resources, "cases")
    assert (row["kind"], row["openedBy"], row["openedByRole"]) == ("investigation", "agent", "agent")


# ---- documents


def test_passages_are_found_in_the_customers_own_documents_with_citations(module: Any, resources: Resources) -> None:
    put_document(resources, "D-1", ["The loan is EUR 12,000 for a car.", "Interest is 4.5% a year."])
    put_document(resources, "D-2", ["The loan is a secret of somebody else."], customer_id=STRANGER)
    body = ask(module, "search_documents", {"question": "interest year"})
    assert body["facts"][0] == 'Your document "d-1.pdf" says on page 1: "Interest is 4.5% a year."'
    assert body["citations"][0] == {
        "documentId": "D-1",
        "fileName": "d-1.pdf",
        "passage": "p2",
        "page": 1,
        "text": "Interest is 4.5% a year.",
    }
    assert "somebody else" not in json.dumps(ask(module, "search_documents", {"question": "loan secret somebody"}))


def test_index_of_another_customer_is_never_shown_whatever_the_row_says(module: Any, resources: Resources) -> None:
    put_document(resources, "D-1", ["The loan is a secret."], index_of=STRANGER)
    body = ask(module, "search_documents", {"question": "loan secret"})
    assert body["citations"] == []
    assert body["facts"] == [
        "None of your documents could be searched.",
        'Your document "d-1.pdf" could not be searched, because its index is damaged.',
    ]


def test_documents_that_are_not_ready_are_mentioned(module: Any, resources: Resources) -> None:
    put_document(resources, "D-1", ["The loan is EUR 12,000."])
    put_document(resources, "D-2", ["Never mind."], status="processing")
    body = ask(module, "search_documents", {"question": "loan"})
    assert body["facts"][-1] == "1 document cannot be searched: not read yet, or rejected."


# ---- bounds


def test_largest_answers_fit_what_a_bedrock_agent_takes(module: Any, resources: Resources) -> None:
    card = "C" * 64
    put_card(resources, card, label="Debit card ending CCCC")
    for number in range(1, 21):
        put_transaction(
            resources,
            number,
            card_id=card,
            terminalId="T" * 64,
            amount_minor=100_000_000,
            transactionId=f"{number:064}",
        )
    put_document(resources, "D-1", [f"Loan {'貸' * 1_200} {number}" for number in range(3)])
    for tool, arguments in (("list_transactions", {}), ("search_documents", {"question": "loan"})):
        answer = invoke(module, a_call(tool, arguments))
        text = answer["response"]["functionResponse"]["responseBody"]["TEXT"]["body"]
        assert len(json.dumps(answer, ensure_ascii=False).encode()) <= 25 * 1024, tool
        assert len(text) > 3_000


def test_nothing_is_kept_from_one_call_to_the_next(module: Any, resources: Resources) -> None:
    put_card(resources)
    put_card(resources, "CARD-000043", STRANGER)
    answers = [ask(module, "list_cards", customerId=customer) for customer in (OWNER, STRANGER, OWNER)]
    assert [answer["data"]["cards"][0]["cardId"] for answer in answers] == ["CARD-000042", "CARD-000043", "CARD-000042"]
