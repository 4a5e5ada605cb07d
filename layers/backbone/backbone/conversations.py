"""Conversations in DynamoDB: what their rows say, under which keys they lie, and reading them.

One conversation is one partition (``conversationId``); its rows lie beside each other under ``item``:

    conversation          Conversation: whose it is, how far it has come, who answers it now
    turn#000001           Turn: a person's message and its answer; turns count from 1
    message#<messageId>   SentMessage: which turn the client's message became, so that sending it again adds none

``receive_chat_message`` adds turns, ``answer_chat`` answers them; each writes its own attributes with conditions of
its own, and both read here, always what is true now (consistent reads). A row expires (DynamoDB TTL ``expiresAt``) some
days after its last change: the first turns of a long conversation may be gone while it goes on.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from botocore.exceptions import BotoCoreError, ClientError

from backbone.chat_frames import AnswerFrame
from backbone.chat_people import Role
from backbone.errors import Retryable

CONVERSATION_ITEM = "conversation"
SECONDS_PER_DAY = 86_400

type Item = dict[str, Any]
# received: stands there. answering: was begun. The rest: has its answer, or the plain words that there is none.
type TurnStatus = Literal["received", "answering", "answered", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of the person ``person_id``, as ``role``, about the affairs of ``customer_id``.

    ``received_turn`` and ``answered_turn`` are the last turn that was added and the last that was answered: those
    between wait. ``connection_id`` is where answers go. ``created_at`` and ``updated_at`` are RFC 3339, ``lease_until``
    is in epoch milliseconds. The lease, the summary and ``pending_action`` (JSON) are answer_chat's.
    """

    conversation_id: str
    person_id: str
    role: Role
    customer_id: str
    connection_id: str
    received_turn: int
    created_at: str
    updated_at: str
    answered_turn: int = 0
    lease_owner: str | None = None
    lease_receive: int = 0
    lease_until: int = 0
    summary: str = ""
    summarized_through: int = 0
    pending_action: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A message and its answer. ``received_at`` and ``published_at`` are RFC 3339.

    ``event_id`` is that of its ChatMessageReceived; ``published_at`` is when the bus was seen to take its ChatAnswered
    (None: perhaps it was not). ``frames`` are the answer's, as they were posted. ``tool_calls`` and ``citations`` are
    JSON in answer_chat's own shape. Tokens as billed.
    """

    conversation_id: str
    turn: int
    message_id: str
    text: str
    received_at: str
    correlation_id: str
    event_id: str
    status: TurnStatus = "received"
    attempts: int = 0
    published_at: str | None = None
    frames: tuple[AnswerFrame, ...] = ()
    answer: str | None = None
    tool_calls: str | None = None
    citations: str | None = None
    model_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SentMessage:
    """The turn that a client's message became; ``digest`` is its text's (``text_digest``)."""

    turn: int
    digest: str


def conversation_key(conversation_id: str) -> Item:
    return {"conversationId": {"S": conversation_id}, "item": {"S": CONVERSATION_ITEM}}


def turn_key(conversation_id: str, turn: int) -> Item:
    return {"conversationId": {"S": conversation_id}, "item": {"S": f"turn#{turn:06}"}}


def message_key(conversation_id: str, message_id: str) -> Item:
    return {"conversationId": {"S": conversation_id}, "item": {"S": f"message#{message_id}"}}


def text_digest(text: str) -> str:
    """What tells two messages under one id apart: SHA-256, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def expires_at(now: float, retention_days: int) -> Item:
    """The attribute ``expiresAt`` (epoch seconds) of a row that was changed ``now`` (epoch seconds)."""
    return {"N": str(int(now) + retention_days * SECONDS_PER_DAY)}


def frames_attribute(frames: Sequence[AnswerFrame]) -> Item:
    """The attribute ``frames`` of a turn; an item holds 400 KB, which its writer minds."""
    return {"S": json.dumps(frames, ensure_ascii=False, allow_nan=False, separators=(",", ":"))}


@dataclass(frozen=True, slots=True)
class ConversationRows:
    """The table ``table`` (conversationId, item) behind ``client`` (boto3 "dynamodb").

    Every method raises Retryable where the table cannot now.
    """

    client: Any
    table: str

    def get(self, conversation_id: str) -> Conversation | None:
        """The conversation; None where there is none."""
        item = self._item(conversation_key(conversation_id))
        return conversation_of(item) if item else None

    def get_turn(self, conversation_id: str, turn: int) -> Turn | None:
        """One turn with its frames; None where there is none."""
        item = self._item(turn_key(conversation_id, turn))
        return turn_of(item) if item else None

    def turns(self, conversation_id: str, first: int, last: int) -> tuple[Turn, ...]:
        """The turns from ``first`` to ``last``, both included, in order; those that have expired are missing."""
        if first > last:
            return ()
        question = {
            "TableName": self.table,
            "KeyConditionExpression": "conversationId = :conversation AND #item BETWEEN :first AND :last",
            "ExpressionAttributeNames": {"#item": "item"},
            "ExpressionAttributeValues": {
                ":conversation": {"S": conversation_id},
                ":first": turn_key(conversation_id, first)["item"],
                ":last": turn_key(conversation_id, last)["item"],
            },
            "ConsistentRead": True,
        }
        try:
            pages = self.client.get_paginator("query").paginate(**question)
            return tuple(turn_of(item) for page in pages for item in page["Items"])
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"query {self.table}: {failed}") from failed

    def _item(self, key: Item) -> Item | None:
        try:
            answer = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"get_item {self.table}: {failed}") from failed
        return cast("Item | None", answer.get("Item"))


def conversation_of(item: Mapping[str, Any]) -> Conversation:
    """The conversation in a row as DynamoDB has it."""
    return Conversation(
        conversation_id=item["conversationId"]["S"],
        person_id=item["personId"]["S"],
        role=item["role"]["S"],
        customer_id=item["customerId"]["S"],
        connection_id=item["connectionId"]["S"],
        received_turn=int(item["receivedTurn"]["N"]),
        created_at=item["createdAt"]["S"],
        updated_at=item["updatedAt"]["S"],
        answered_turn=_number(item, "answeredTurn"),
        lease_owner=_text(item, "leaseOwner"),
        lease_receive=_number(item, "leaseReceive"),
        lease_until=_number(item, "leaseUntil"),
        summary=_text(item, "summary") or "",
        summarized_through=_number(item, "summarizedThrough"),
        pending_action=_text(item, "pendingAction"),
    )


def turn_of(item: Mapping[str, Any]) -> Turn:
    """The turn in a row as DynamoDB has it."""
    return Turn(
        conversation_id=item["conversationId"]["S"],
        turn=int(item["item"]["S"].removeprefix("turn#")),
        message_id=item["messageId"]["S"],
        text=item["text"]["S"],
        received_at=item["receivedAt"]["S"],
        correlation_id=item["correlationId"]["S"],
        event_id=item["eventId"]["S"],
        status=item["status"]["S"],
        attempts=_number(item, "attempts"),
        published_at=_text(item, "publishedAt"),
        frames=tuple(json.loads(_text(item, "frames") or "[]")),
        answer=_text(item, "answer"),
        tool_calls=_text(item, "toolCalls"),
        citations=_text(item, "citations"),
        model_id=_text(item, "modelId"),
        input_tokens=_number(item, "inputTokens"),
        output_tokens=_number(item, "outputTokens"),
    )


def message_of(item: Mapping[str, Any]) -> SentMessage:
    """The sent message in a row as DynamoDB has it."""
    return SentMessage(turn=int(item["turn"]["N"]), digest=item["digest"]["S"])


def _text(item: Mapping[str, Any], name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
