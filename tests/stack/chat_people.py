"""People who chat with the deployed stack in a test: signed in through Cognito, over the real WebSocket."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from websockets.exceptions import ConnectionClosed

from backbone.conversations import Conversation, ConversationRows, Turn
from local.chat_answers import Frame, TurnFrames
from local.chat_client import ChatClient, ticket_url
from local.execute_api import local_execute_api_address
from local.people import Person, create_person, sign_in, user_pool
from tests.stack.deployed import Stack

ANSWER_SECONDS = 60.0
_SILENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Chatter:
    """Somebody who signed in and may open as many connections as they like; an analyst's ``customer_id`` is ""."""

    customer_id: str
    tickets_url: str
    token: str

    def address(self) -> str:
        """An address that opens one connection, once."""
        return ticket_url(self.tickets_url, self.token)

    def client(self, about: str | None = None) -> ChatClient:
        """A program of theirs, to be used by ``with``."""
        return ChatClient(self.address, about_customer_id=about)


def somebody(stack: Stack, group: str = "customer") -> Chatter:
    """A new person, as `make user` makes one: a customer with an id of their own, or an analyst."""
    cognito, pool = stack.client("cognito-idp"), user_pool(stack.outputs)
    name = f"{group}-{uuid4().hex[:12]}"
    customer_id = f"CUST-{uuid4().hex[:12]}" if group == "customer" else ""
    password = create_person(cognito, pool, Person(name, group, customer_id))
    tickets_url = local_execute_api_address(stack.outputs["ChatTicketsUrl"], cognito.meta.endpoint_url)
    return Chatter(customer_id, tickets_url, sign_in(cognito, pool, name, password))


def put_card(stack: Stack, customer_id: str) -> str:
    """A new active card of the customer's; its id."""
    card_id = f"CARD-{uuid4().hex[:12]}"
    texts = {"cardId": card_id, "customerId": customer_id, "label": f"Debit card ending {card_id[-4:]}"}
    item = {name: {"S": value} for name, value in (texts | {"status": "active"}).items()} | {"version": {"N": "1"}}
    stack.client("dynamodb").put_item(TableName=stack.outputs["CardsTableName"], Item=item)
    return card_id


def card_status(stack: Stack, card_id: str) -> str:
    """Whether the card is active or blocked, as its row says."""
    answer = stack.client("dynamodb").get_item(
        TableName=stack.outputs["CardsTableName"], Key={"cardId": {"S": card_id}}, ConsistentRead=True
    )
    return str(answer["Item"]["status"]["S"])


def conversation_of(stack: Stack, conversation_id: str) -> Conversation:
    """The conversation as its row says."""
    found = _rows(stack).get(conversation_id)
    assert found is not None, f"no conversation {conversation_id}"
    return found


def turns_of(stack: Stack, conversation_id: str) -> tuple[Turn, ...]:
    """All turns of a conversation, as their rows say."""
    return _rows(stack).turns(conversation_id, 1, conversation_of(stack, conversation_id).received_turn)


def _rows(stack: Stack) -> ConversationRows:
    return ConversationRows(stack.client("dynamodb"), stack.outputs["ConversationsTableName"])


@contextmanager
def configured(
    stack: Stack, function: str, variables: Mapping[str, str] | None = None, **changes: Any
) -> Iterator[None]:
    """The function with some variables and settings (``Timeout=25``) changed, and as it was at the end."""
    functions, name = stack.client("lambda"), stack.resource(function)
    before = functions.get_function_configuration(FunctionName=name)
    environment = before["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**environment, **(variables or {})}}, **changes
    )
    try:
        yield
    finally:
        restored = {setting: before[setting] for setting in changes}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": environment}, **restored)


# ---- several messages at once


@dataclass
class Message:
    """A message and its answer as far as they have come; ``turn`` is 0 until it is accepted."""

    message_id: str
    text: str
    turn: int = 0
    accepted_ms: float | None = None
    frames: TurnFrames = field(default_factory=TurnFrames)

    @property
    def tools(self) -> list[str]:
        """The tools that ran for the answer."""
        return [frame["tool"] for frame in self.frames.ordered if frame["type"] == "tool" and frame["state"] == "done"]

    @property
    def outcome(self) -> str:
        return str(self.frames.ordered[-1]["outcome"])


def say_at_once(client: ChatClient, texts: Sequence[str], seconds: float = ANSWER_SECONDS) -> list[Message]:
    """Sends all of ``texts`` without waiting for an answer; returns when all are answered, in the order of sending.

    What was missed is asked for, as ``ChatClient.ask`` does it for one question. AssertionError after ``seconds``.
    """
    began = time.monotonic()
    messages = {one.message_id: one for one in (Message(uuid4().hex, text) for text in texts)}
    for message in messages.values():
        client.send(message.text, message.message_id, client.conversation_id)
    while waiting := [message for message in messages.values() if not message.frames.is_whole]:
        assert time.monotonic() < began + seconds, f"not answered within {seconds:.0f} s: {waiting}"
        try:
            frame = client.receive(_SILENCE_SECONDS)
        except ConnectionClosed:
            client.connect()
            _ask_again(client, waiting)
        except TimeoutError:
            _ask_again(client, waiting)
        else:
            _take(client, messages, frame, began)
    return list(messages.values())


def _take(client: ChatClient, messages: Mapping[str, Message], frame: Frame, began: float) -> None:
    message = messages.get(frame.get("messageId", ""))
    if message is None or frame["type"] == "error":
        return  # API Gateway's own word, or TOO_FAST: it is sent again when nothing else comes
    client.conversation_id, message.turn = frame["conversationId"], frame["turn"]
    if frame["type"] != "accepted":
        message.frames.take(frame)
    elif message.accepted_ms is None:
        message.accepted_ms = (time.monotonic() - began) * 1000


def _ask_again(client: ChatClient, waiting: Sequence[Message]) -> None:
    for message in waiting:
        if message.turn and client.conversation_id:
            client.resume(client.conversation_id, message.turn, message.frames.last_sequence)
        else:
            client.send(message.text, message.message_id, client.conversation_id)
