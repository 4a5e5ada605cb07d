"""Calls of agent_tools: the event that a Bedrock agent sends, and that only a tool's whole answer comes back."""

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from backbone.errors import Retryable
from backbone.tool_calls import ToolFunction, ToolReply, UnreadableAnswerError, read_answer, read_reply
from backbone.tool_catalogue import ACTION_GROUP
from tests.unit.bank_builder import OWNER
from tests.unit.investigation_builder import CASE, a_reply

ATTRIBUTES = {"customerId": OWNER, "role": "agent", "conversationId": CASE, "turn": "2"}
CITATION = {"documentId": "D-1", "fileName": "terms.pdf", "passage": "p1"}


def an_answer(body: object, **function: Any) -> bytes:
    """The function's answer; a body that is no text is sent as JSON."""
    text = body if isinstance(body, str) else json.dumps(body)
    said = {"responseBody": {"TEXT": {"body": text}}} | function
    return json.dumps({"messageVersion": "1.0", "response": {"functionResponse": said}}).encode()


class FakeLambda:
    """Answers ``answer``, or raises it; keeps what it was called with."""

    def __init__(self, answer: bytes | Exception, **more: Any) -> None:
        self.answer, self.more = answer, more
        self.calls: list[dict[str, Any]] = []

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(arguments)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"StatusCode": 200, "Payload": io.BytesIO(self.answer), **self.more}


def run(service: FakeLambda, arguments: dict[str, Any] | None = None) -> ToolReply:
    return ToolFunction(service, "agent-tools", "act_on_plan").run("review_card", arguments or {}, ATTRIBUTES)


def test_tool_is_called_by_the_action_groups_event_in_the_callers_name() -> None:
    service = FakeLambda(an_answer(a_reply("One.")))
    reply = run(service, {"transactionId": "TX-1", "days": 30})
    assert reply == ToolReply("done", ("One.",), {}, (), a_reply("One."))
    (call,) = service.calls
    assert call["FunctionName"] == "agent-tools"
    assert json.loads(call["Payload"]) == {
        "messageVersion": "1.0",
        "agent": {"name": "act_on_plan", "id": "CONVERSE", "alias": "CONVERSE", "version": "1"},
        "inputText": "",
        "sessionId": CASE,
        "actionGroup": ACTION_GROUP,
        "function": "review_card",
        "parameters": [
            {"name": "transactionId", "type": "string", "value": "TX-1"},
            {"name": "days", "type": "integer", "value": "30"},
        ],
        "sessionAttributes": ATTRIBUTES,
        "promptSessionAttributes": {},
    }


def test_arguments_never_become_attributes_of_the_session() -> None:
    service = FakeLambda(an_answer(a_reply()))
    run(service, {"customerId": "CUST-OTHER", "role": "analyst"})
    assert json.loads(service.calls[0]["Payload"])["sessionAttributes"] == ATTRIBUTES


@pytest.mark.parametrize("state", ["done", "refused", "proposed"])
def test_reply_in_each_state_is_read_with_its_data_and_citations(state: str) -> None:
    body = {"state": state, "facts": ["One.", "Two."], "data": {"count": 2}, "citations": [CITATION]}
    assert read_answer(an_answer(body)) == ToolReply(
        state, ("One.", "Two."), {"count": 2}, (CITATION,), json.dumps(body)
    )


def test_data_and_citations_may_be_absent() -> None:
    reply = read_reply('{"state": "done", "facts": []}')
    assert (reply.facts, reply.data, reply.citations) == ((), {}, ())


MALFORMED: list[object] = [
    "not JSON",
    "",
    "null",
    [],
    {},
    {"state": "done"},
    {"facts": ["One."]},
    {"state": "failed", "facts": []},
    {"state": "DONE", "facts": []},
    {"state": ["done"], "facts": []},
    {"state": None, "facts": []},
    {"state": "done", "facts": None},
    {"state": "done", "facts": "One."},
    {"state": "done", "facts": {"One.": 1}},
    {"state": "done", "facts": [], "data": [1]},
    {"state": "done", "facts": [], "citations": [{}]},
    {"state": "done", "facts": [], "citations": ["D-1"]},
]


@pytest.mark.parametrize("body", MALFORMED, ids=repr)
def test_body_that_is_no_tools_answer_is_not_read_and_its_words_stay_out_of_the_message(body: object) -> None:
    with pytest.raises(UnreadableAnswerError, match="not the answer of a tool") as unread:
        read_answer(an_answer(body))
    assert "One." not in str(unread.value)


@pytest.mark.parametrize("body", MALFORMED, ids=repr)
def test_malformed_answer_is_retryable_as_if_the_tool_were_away(body: object) -> None:
    with pytest.raises(Retryable, match="review_card"):
        run(FakeLambda(an_answer(body)))


@pytest.mark.parametrize(
    "said", [b"", b"null", b"[]", b"{}", b'{"response": null}', b'{"response": {"functionResponse": []}}', b"\xff\xfe"]
)
def test_payload_that_is_no_action_groups_answer_is_retryable(said: bytes) -> None:
    with pytest.raises(Retryable, match="not the answer of a tool"):
        run(FakeLambda(said))


@pytest.mark.parametrize("state", ["FAILURE", "REPROMPT"])
def test_failure_that_the_tool_tells_of_is_retryable_whatever_its_body_says(state: str) -> None:
    with pytest.raises(Retryable, match=state):
        run(FakeLambda(an_answer(a_reply("One."), responseState=state)))


def test_function_that_broke_is_retryable_even_where_its_payload_looks_whole() -> None:
    with pytest.raises(Retryable, match="the function failed"):
        run(FakeLambda(an_answer(a_reply("One.")), FunctionError="Unhandled"))


@pytest.mark.parametrize(
    "failure",
    [
        ClientError({"Error": {"Code": "TooManyRequestsException", "Message": ""}}, "Invoke"),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "Invoke"),
        ReadTimeoutError(endpoint_url="https://lambda"),
        EndpointConnectionError(endpoint_url="https://lambda"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_function_that_is_away_is_retryable(failure: Exception) -> None:
    with pytest.raises(Retryable, match="review_card"):
        run(FakeLambda(failure))


def test_answer_that_breaks_off_while_it_is_read_is_retryable() -> None:
    class BreaksOff:
        def read(self) -> bytes:
            raise ReadTimeoutError(endpoint_url="https://lambda")

    with pytest.raises(Retryable):
        run(FakeLambda(b"", Payload=BreaksOff()))
