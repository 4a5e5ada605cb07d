"""The answer_chat handler: chat requests in; frames to the person, rows, an event; what fails comes again in time."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from backbone import contracts
from backbone.chat_frames import AnswerFrame
from backbone.conversations import Conversation, ConversationRows, Turn
from tests.unit.aws_faults import failing
from tests.unit.chat_answering import CONVERSATION, a_conversation, a_turn, text_as_seen
from tests.unit.converse_events import an_answer, uses
from tests.unit.lambda_events import Context, metrics_in, sample
from tests.unit.resources import Resources
from tests.unit.test_conversation_store import put_turn

FACT = "Your card CARD-000042 is active."
AWAY_WHILE_AT_WORK = 125


class FunctionContext(Context):
    """Lambda's context at the beginning of the function's 120 seconds."""

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


class Events(list[dict[str, Any]]):
    """What ConverseStream's stream is, for a reader."""

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Services:
    """What moto has not: the model's answers in turn, the tools, the connections; and what they were asked."""

    answers: list[list[dict[str, Any]] | Exception]
    frames: list[AnswerFrame] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    visibilities: list[int] = field(default_factory=list)

    def call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        """The answer to an operation of theirs; None for any other."""
        match operation:
            case "ConverseStream":
                answer = self.answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return {"stream": Events(answer)}
            case "Invoke":
                self.tools.append(json.loads(arguments["Payload"]))
                body = json.dumps({"state": "done", "facts": [FACT], "data": {}, "citations": []})
                function = {"functionResponse": {"responseBody": {"TEXT": {"body": body}}}}
                return {"Payload": io.BytesIO(json.dumps({"response": function}).encode())}
            case "PostToConnection":
                self.frames.append(json.loads(arguments["Data"]))
                return {}
            case "ChangeMessageVisibility":
                self.visibilities.append(arguments["VisibilityTimeout"])
                return {}
        return None


@contextmanager
def served(*answers: list[dict[str, Any]] | Exception) -> Iterator[Services]:
    """These services in place of AWS's; moto is behind all else."""
    services, real = Services(list(answers)), BaseClient._make_api_call  # type: ignore[attr-defined] # as aws_faults

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        answer = services.call(operation, arguments)
        return real(client, operation, arguments) if answer is None else answer

    with patch.object(BaseClient, "_make_api_call", call):
        yield services


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("answer_chat")


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, FunctionContext())
    return answer


def given_back(event: dict[str, Any]) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}


def a_request(receive: int = 1) -> dict[str, Any]:
    """The good sample in its delivery number ``receive``."""
    event = sample("answer_chat", "good")
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = str(receive)
    return event


def conversation_in(resources: Resources) -> Conversation:
    found = ConversationRows(resources.client("dynamodb"), "conversations").get(CONVERSATION)
    assert found is not None
    return found


def turn_in(resources: Resources, turn: int = 1) -> Turn:
    found = ConversationRows(resources.client("dynamodb"), "conversations").get_turn(CONVERSATION, turn)
    assert found is not None
    return found


def receive(resources: Resources, text: str = "Is my card blocked?", turn: int = 1) -> None:
    put_turn(resources.client("dynamodb"), a_turn(turn, text=text))


def test_question_is_answered_from_a_tool_stored_told_and_published(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    receive(resources)
    with served(uses(("list_cards", {})), an_answer("It is ", "active.")) as services:
        assert invoke(module, a_request()) == {"batchItemFailures": []}
    assert text_as_seen(services.frames, 1) == ("It is active.", True)
    assert [frame["type"] for frame in services.frames][:2] == ["tool", "tool"]
    assert services.tools[0]["sessionAttributes"]["customerId"] == a_conversation().customer_id
    turn, conversation = turn_in(resources), conversation_in(resources)
    assert (turn.status, turn.answer, turn.published_at is not None) == ("answered", "It is active.", True)
    assert turn.tool_calls == '[{"name":"list_cards","arguments":{},"state":"done"}]'
    assert turn.frames == tuple(services.frames)
    assert (conversation.answered_turn, conversation.lease_owner) == (1, None)
    (event,) = [contracts.parse("ChatAnswered", envelope) for envelope in resources.published()]
    assert (event.data["outcome"], event.data["tools"]) == ("answered", ["list_cards"])
    assert services.visibilities == [AWAY_WHILE_AT_WORK]
    measured = metrics_in(capsys.readouterr().out)
    assert measured["InputTokens"] == 200
    assert measured["ModelCostMicroDollars"] == 200 * 60 / 1000 + 40 * 240 / 1000
    assert {"FirstTokenMilliseconds", "ModelFirstTokenMilliseconds", "ToolMilliseconds", "AnswerMilliseconds"} <= set(
        measured
    )


def test_same_request_twice_is_answered_once(module: Any, resources: Resources) -> None:
    receive(resources)
    with served(an_answer("Hello.")):
        invoke(module, a_request())
    with served() as services:
        assert invoke(module, a_request(receive=2)) == {"batchItemFailures": []}
    assert services.frames == []
    assert len(resources.published()) == 1


def test_change_is_asked_about_and_made_after_the_yes(module: Any, resources: Resources) -> None:
    receive(resources, "My card was stolen")
    with served(uses(("block_card", {"cardId": "CARD-000042", "reason": "stolen"}))) as services:
        invoke(module, a_request())
    assert services.tools == []
    text, _ = text_as_seen(services.frames, 1)
    assert text.startswith("Shall I block card CARD-000042 (reason: stolen)?")
    put_turn(resources.client("dynamodb"), a_turn(2, text="yes", received_at="2099-01-01T00:00:00.000Z"))
    with served() as services:
        invoke(module, a_request(receive=2))
    (call,) = services.tools
    assert (call["function"], call["sessionAttributes"]["turn"]) == ("block_card", "2")
    assert [parameter["value"] for parameter in call["parameters"]] == ["CARD-000042", "stolen"]
    assert text_as_seen(services.frames, 2) == (FACT, True)
    assert conversation_in(resources).pending_action is None


def test_throttled_model_gives_the_request_back_for_seconds_and_then_says_so(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    receive(resources)
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "ConverseStream")
    for number, seconds in ((1, 2), (2, 10)):
        with served(throttled) as services:
            assert invoke(module, a_request(number)) == given_back(a_request())
        assert services.visibilities == [AWAY_WHILE_AT_WORK, seconds]
    assert metrics_in(capsys.readouterr().out)["ChatRequestsGivenBack"] == 1
    with served(throttled) as services:
        assert invoke(module, a_request(3)) == {"batchItemFailures": []}
    assert turn_in(resources).status == "failed"
    text, is_whole = text_as_seen(services.frames, 1)
    assert "cannot answer just now" in text
    assert is_whole


def test_request_comes_back_when_the_other_holder_must_be_done(module: Any, resources: Resources) -> None:
    receive(resources)
    other = a_request()
    other["Records"][0]["messageId"] = "059f36b4-0000-44ab-83d2-661980000099"
    with served(an_answer("Hello.")), failing("TransactWriteItems", "ThrottlingException"):
        invoke(module, a_request())
    table = resources.client("dynamodb")
    table.update_item(
        TableName="conversations",
        Key={"conversationId": {"S": CONVERSATION}, "item": {"S": "conversation"}},
        UpdateExpression="SET leaseUntil = :far",
        ExpressionAttributeValues={":far": {"N": "4102444800000"}},
    )
    with served() as services:
        assert invoke(module, other) == given_back(other)
    assert services.visibilities[1] > AWAY_WHILE_AT_WORK


def test_table_that_is_away_gives_the_request_back_and_the_next_delivery_answers(
    module: Any, resources: Resources
) -> None:
    receive(resources)
    with served() as services, failing("UpdateItem", "InternalServerError"):
        assert invoke(module, a_request()) == given_back(a_request())
    assert services.visibilities == [AWAY_WHILE_AT_WORK, 5]
    with served(an_answer("Hello.")) as services:
        assert invoke(module, a_request(2)) == {"batchItemFailures": []}
    assert text_as_seen(services.frames, 1) == ("Hello.", True)


def test_queue_that_does_not_take_a_visibility_is_no_reason_not_to_answer(module: Any, resources: Resources) -> None:
    receive(resources)
    with served(an_answer("Hello.")) as services, failing("ChangeMessageVisibility", "ReceiptHandleIsInvalid"):
        assert invoke(module, a_request()) == {"batchItemFailures": []}
    assert text_as_seen(services.frames, 1) == ("Hello.", True)


def test_bad_requests_are_given_back_and_each_is_logged(
    module: Any,
    resources: Resources,  # noqa: ARG001 - it must exist
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    event = sample("answer_chat", "bad")
    with served() as services:
        assert invoke(module, event) == given_back(event)
    assert services.frames == []
    assert caplog.messages.count("A chat request failed.") == len(event["Records"])
    assert metrics_in(capsys.readouterr().out)["ChatRequestsFailed"] == len(event["Records"])


def test_edge_request_is_answered_with_the_turns_before_it(module: Any, resources: Resources) -> None:
    receive(resources, "Hi", 1)
    receive(resources, "And now?", 2)
    event = sample("answer_chat", "edge")
    with served(an_answer("Hello."), an_answer("Still here.")) as services:
        assert invoke(module, event) == {"batchItemFailures": []}
    assert text_as_seen(services.frames, 1) == ("Hello.", True)
    assert text_as_seen(services.frames, 2) == ("Still here.", True)
    assert conversation_in(resources).answered_turn == 2


def test_words_of_people_and_answers_are_in_no_log(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    receive(resources, "My secret question")
    with served(uses(("block_card", {"cardId": "secret"})), an_answer("My secret answer.", reason="max_tokens")):
        invoke(module, a_request())
    assert caplog.messages == ["A turn failed."]
    assert "secret" not in capsys.readouterr().out + str([vars(record) for record in caplog.records])
