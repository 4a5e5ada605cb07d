"""Speaking to agent_tools as a Bedrock agent speaks to its action group."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from agent_port import Citation
from agent_tools_client import AWAY, AgentToolsClient, action_group_event
from tests.unit.agent_fakes import a_session
from tests.unit.chat_answering import Measured

BODY = {
    "state": "done",
    "facts": ["terms.pdf says: You may cancel."],
    "data": {"count": 1},
    "citations": [
        {"documentId": "d-1", "fileName": "terms.pdf", "passage": "p3", "page": 2, "text": "You may cancel."}
    ],
}


def said(body: object, **changes: Any) -> bytes:
    """agent_tools' answer; a body that is no text is sent as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    function = {"responseBody": {"TEXT": {"body": text}}} | changes
    return json.dumps({"messageVersion": "1.0", "response": {"functionResponse": function}}).encode()


class FakeLambda:
    """Answers ``answer``, or raises it; keeps what it was called with."""

    def __init__(self, answer: bytes | Exception, error: str | None = None) -> None:
        self.answer = answer
        self.error = error
        self.calls: list[dict[str, Any]] = []

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        told = {"StatusCode": 200, "Payload": io.BytesIO(self.answer)}
        return told if self.error is None else told | {"FunctionError": self.error}


def test_tool_is_asked_by_the_action_groups_event_for_the_sessions_person() -> None:
    service, measured = FakeLambda(said(BODY)), Measured()
    tools = AgentToolsClient(service, "agent-tools", measured.value, measured.log)
    result = tools.run("list_transactions", {"cardId": "CARD-1", "days": 7}, a_session())
    (call,) = service.calls
    event = json.loads(call["Payload"])
    assert call["FunctionName"] == "agent-tools"
    assert (event["actionGroup"], event["function"]) == ("BankOperations", "list_transactions")
    assert event["parameters"] == [
        {"name": "cardId", "type": "string", "value": "CARD-1"},
        {"name": "days", "type": "integer", "value": "7"},
    ]
    assert event["sessionAttributes"] == {
        "personId": "person-1",
        "role": "customer",
        "customerId": "CUST-000001",
        "conversationId": event["sessionId"],
        "turn": "3",
        "correlationId": "correlation-1",
        "causationDepth": "1",
    }
    assert (result.state, result.facts, result.data) == ("done", tuple(BODY["facts"]), BODY["data"])
    assert result.citations == (Citation("d-1", "terms.pdf", "p3", 2, "You may cancel."),)
    assert len(measured.values["ToolMilliseconds"]) == 1
    assert "ToolsFailed" not in measured.values


@pytest.mark.parametrize("state", ["refused", "proposed"])
def test_refusals_and_proposals_are_answers(state: str) -> None:
    result = AgentToolsClient(FakeLambda(said(BODY | {"state": state})), "f", Measured().value, Measured().log).run(
        "block_card", {}, a_session()
    )
    assert result.state == state


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (said(BODY, responseState="FAILURE"), None, "FAILURE"),
        (said('"Error: KeyError: cardId"'), None, "not the answer of a tool"),
        (said("not json"), None, "not the answer of a tool"),
        (said({"state": "failed", "facts": []}), None, "not the answer of a tool"),
        (said({"facts": []}), None, "not the answer of a tool"),
        (b"null", None, "not the answer of a tool"),
        (b'{"errorMessage": "boom"}', "Unhandled", "boom"),
        (ClientError({"Error": {"Code": "TooManyRequestsException", "Message": ""}}, "Invoke"), None, "TooMany"),
        (ReadTimeoutError(endpoint_url="lambda"), None, "timeout"),
        (ConnectTimeoutError(endpoint_url="lambda"), None, "timeout"),
    ],
)
def test_tool_that_fails_or_is_slow_says_so_in_plain_words_and_its_reason_is_logged(
    answer: bytes | Exception, error: str | None, reason: str
) -> None:
    measured = Measured()
    tools = AgentToolsClient(FakeLambda(answer, error), "agent-tools", measured.value, measured.log)
    result = tools.run("list_cards", {}, a_session())
    assert (result.state, result.facts) == ("failed", (AWAY,))
    assert measured.values["ToolsFailed"] == [1]
    assert reason in measured.logged[0]


def test_session_is_not_made_of_what_a_model_wrote() -> None:
    event = action_group_event("list_cards", {"customerId": "C-2", "role": "analyst"}, a_session())
    assert event["sessionAttributes"]["customerId"] == "CUST-000001"
    assert event["sessionAttributes"]["role"] == "customer"
