"""Received turns in DynamoDB: the conversation, the turn and the message's id in one transaction."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.contracts import timestamp
from backbone.conversations import (
    Conversation,
    ConversationRows,
    Item,
    SentMessage,
    Turn,
    conversation_key,
    conversation_of,
    expires_at,
    message_key,
    message_of,
    text_digest,
    turn_key,
)
from backbone.errors import Retryable

_ATTEMPTS = 5
_LONGEST_WAIT_SECONDS = 0.05
# Why DynamoDB takes nothing of a transaction that could pass after another look: somebody wrote before, or writes now.
_OVERTAKEN = {"ConditionalCheckFailed", "TransactionConflict"}


@dataclass(frozen=True, slots=True)
class ReceivedTurns:
    """The table ``table`` (conversationId, item) behind ``client`` (boto3 "dynamodb"). ``wait`` sleeps.

    Every method raises Retryable where the table cannot now.
    """

    client: Any
    table: str
    retention_days: int
    wait: Callable[[float], None] = time.sleep

    def read(self, conversation_id: str, message_id: str) -> tuple[Conversation | None, SentMessage | None]:
        """The conversation, and what the message became if it was sent before."""
        keys = [conversation_key(conversation_id), message_key(conversation_id, message_id)]
        try:
            answer = self.client.batch_get_item(RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}})
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"batch_get_item {self.table}: {failed}") from failed
        if answer.get("UnprocessedKeys"):
            raise Retryable(f"batch_get_item {self.table}: answered in part")
        found = {item["item"]["S"]: item for item in answer["Responses"].get(self.table, [])}
        conversation, sent = (found.get(key["item"]["S"]) for key in keys)
        return conversation_of(conversation) if conversation else None, message_of(sent) if sent else None

    def get(self, conversation_id: str) -> Conversation | None:
        return ConversationRows(self.client, self.table).get(conversation_id)

    def get_turn(self, conversation_id: str, turn: int) -> Turn | None:
        return ConversationRows(self.client, self.table).get_turn(conversation_id, turn)

    def add(self, conversation: Conversation, turn: Turn, now: float) -> bool:
        """Adds ``turn`` as the last of ``conversation``; False, a few milliseconds later, where another was faster."""
        expires = expires_at(now, self.retention_days)
        first_or_next = self._first(conversation, expires) if turn.turn == 1 else self._next(conversation, now, expires)
        rows = [self._put(_turn_item(turn, expires)), self._put(_message_item(turn, expires))]
        try:
            self.client.transact_write_items(TransactItems=[first_or_next, *rows])
        except ClientError as failed:
            if not _was_overtaken(failed):
                raise Retryable(f"transact_write_items {self.table}: {failed}") from failed
            self._wait()
            return False
        except BotoCoreError as failed:
            raise Retryable(f"transact_write_items {self.table}: {failed}") from failed
        return True

    def connect(self, conversation: Conversation, connection_id: str) -> None:
        """Has the answers of ``conversation`` go to ``connection_id``."""
        for _ in range(_ATTEMPTS):
            try:
                self.client.update_item(
                    TableName=self.table,
                    Key=conversation_key(conversation.conversation_id),
                    UpdateExpression="SET connectionId = :connection",
                    ConditionExpression="personId = :person",
                    ExpressionAttributeValues={
                        ":connection": {"S": connection_id},
                        ":person": {"S": conversation.person_id},
                    },
                )
            except ClientError as failed:
                if failed.response["Error"]["Code"] != "TransactionConflictException":
                    raise Retryable(f"update_item {self.table}: {failed}") from failed
                self._wait()
                continue
            except BotoCoreError as failed:
                raise Retryable(f"update_item {self.table}: {failed}") from failed
            return
        raise Retryable(f"update_item {self.table}: the conversation was being written {_ATTEMPTS} times in a row")

    def _first(self, conversation: Conversation, expires: Item) -> Item:
        return self._put(
            {
                **conversation_key(conversation.conversation_id),
                "personId": {"S": conversation.person_id},
                "role": {"S": conversation.role},
                "customerId": {"S": conversation.customer_id},
                "connectionId": {"S": conversation.connection_id},
                "receivedTurn": {"N": str(conversation.received_turn)},
                "answeredTurn": {"N": "0"},
                "createdAt": {"S": conversation.created_at},
                "updatedAt": {"S": conversation.updated_at},
                "expiresAt": expires,
            }
        )

    def _next(self, conversation: Conversation, now: float, expires: Item) -> Item:
        return {
            "Update": {
                "TableName": self.table,
                "Key": conversation_key(conversation.conversation_id),
                "UpdateExpression": (
                    "SET receivedTurn = :turn, connectionId = :connection, updatedAt = :now, expiresAt = :expires"
                ),
                "ConditionExpression": "receivedTurn = :before AND personId = :person",
                "ExpressionAttributeValues": {
                    ":turn": {"N": str(conversation.received_turn)},
                    ":before": {"N": str(conversation.received_turn - 1)},
                    ":connection": {"S": conversation.connection_id},
                    ":person": {"S": conversation.person_id},
                    ":now": {"S": timestamp(now)},
                    ":expires": expires,
                },
            }
        }

    def _put(self, item: Item) -> Item:
        condition = "attribute_not_exists(conversationId)"
        return {"Put": {"TableName": self.table, "Item": item, "ConditionExpression": condition}}

    def _wait(self) -> None:
        # By chance, so that two writers do not meet again.
        self.wait(random.uniform(0, _LONGEST_WAIT_SECONDS))  # noqa: S311 - spreads load, keeps no secret


def _turn_item(turn: Turn, expires: Item) -> Item:
    return {
        **turn_key(turn.conversation_id, turn.turn),
        "messageId": {"S": turn.message_id},
        "text": {"S": turn.text},
        "receivedAt": {"S": turn.received_at},
        "status": {"S": turn.status},
        "attempts": {"N": str(turn.attempts)},
        "correlationId": {"S": turn.correlation_id},
        "eventId": {"S": turn.event_id},
        "expiresAt": expires,
    }


def _message_item(turn: Turn, expires: Item) -> Item:
    return {
        **message_key(turn.conversation_id, turn.message_id),
        "turn": {"N": str(turn.turn)},
        "digest": {"S": text_digest(turn.text)},
        "expiresAt": expires,
    }


def _was_overtaken(failed: ClientError) -> bool:
    reasons = failed.response.get("CancellationReasons", [])
    codes = {reason["Code"] for reason in reasons} - {"None"}
    return bool(codes) and codes <= _OVERTAKEN
