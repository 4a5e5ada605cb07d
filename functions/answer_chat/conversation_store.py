"""The conversations' rows in DynamoDB, as answer_chat writes them. See ``conversation_lease.Conversations``.

``receive_chat_message`` adds turns to the same rows in transactions of its own. Where two meet, DynamoDB refuses one of
them (TransactionConflict): that says nothing of the lease, and is tried again here, milliseconds later.
"""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent_port import ToolCall
from backbone.chat_frames import AnswerFrame
from backbone.contracts import timestamp
from backbone.conversations import (
    Conversation,
    ConversationRows,
    Item,
    Turn,
    conversation_key,
    conversation_of,
    expires_at,
    frames_attribute,
    turn_key,
    turn_of,
)
from backbone.errors import Rejected, Retryable
from conversation_lease import Claim, Ending, LeaseHeldError, LeaseLostError, Taken
from turn_answering import frame_citation

_CONFLICT_TRIES = 6
_FIRST_WAIT_SECONDS = 0.02
_TURNS_A_PAGE = 8
_MINE = "leaseOwner = :owner AND leaseReceive = :receive"


class _ConditionFailedError(Exception):
    """The row is not as the write wants it."""


@dataclass(frozen=True, slots=True)
class ConversationStore:
    """The table ``table`` (conversationId, item) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    retention_days: int
    now: Callable[[], float] = time.time

    def take(self, claim: Claim, now: int) -> Taken:
        try:
            before = self._update(
                conversation_key(claim.conversation_id),
                "SET leaseOwner = :owner, leaseReceive = :receive, leaseUntil = :until",
                "attribute_exists(conversationId) AND (attribute_not_exists(leaseOwner) OR leaseUntil < :now"
                " OR (leaseOwner = :owner AND leaseReceive < :receive))",
                _lease(claim) | {":until": _number(claim.until), ":now": _number(now)},
                returned="ALL_OLD",
            )
        except _ConditionFailedError:
            raise self._not_taken(claim, now) from None
        conversation = conversation_of(before)
        return Taken(conversation, was_left=conversation.lease_owner is not None)

    def reread(self, claim: Claim) -> Conversation:
        conversation = self._rows().get(claim.conversation_id)
        if conversation is None or (conversation.lease_owner, conversation.lease_receive) != (
            claim.owner,
            claim.receive,
        ):
            raise LeaseLostError(f"{claim.conversation_id} is answered by another")
        return conversation

    def turn(self, conversation_id: str, turn: int) -> Turn | None:
        return self._rows().get_turn(conversation_id, turn)

    def turns_before(self, conversation_id: str, turn: int, after: int) -> Iterator[Turn]:
        if turn - after < 2:
            return
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="conversationId = :conversation AND #item BETWEEN :first AND :last",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={
                ":conversation": {"S": conversation_id},
                ":first": turn_key(conversation_id, after + 1)["item"],
                ":last": turn_key(conversation_id, turn - 1)["item"],
            },
            ScanIndexForward=False,
            ConsistentRead=True,
            PaginationConfig={"PageSize": _TURNS_A_PAGE},
        )
        try:
            for page in pages:
                yield from map(turn_of, page["Items"])
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"query {self.table}: {failed}") from failed

    def begin(self, claim: Claim, turn: int) -> Turn:
        still_mine = {
            "TableName": self.table,
            "Key": conversation_key(claim.conversation_id),
            "ConditionExpression": _MINE,
            "ExpressionAttributeValues": _lease(claim),
        }
        another_attempt = {
            "TableName": self.table,
            "Key": turn_key(claim.conversation_id, turn),
            "UpdateExpression": "SET #status = :answering, holder = :holder ADD attempts :one",
            "ConditionExpression": "#status IN (:received, :answering)",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":answering": {"S": "answering"},
                ":received": {"S": "received"},
                ":holder": _holder(claim),
                ":one": _number(1),
            },
        }
        with _held(claim):
            self._tried(
                "transact_write_items", TransactItems=[{"ConditionCheck": still_mine}, {"Update": another_attempt}]
            )
        begun = self.turn(claim.conversation_id, turn)
        if begun is None:
            raise LeaseLostError(f"turn {turn} of {claim.conversation_id} is gone")
        return begun

    def keep_frames(self, claim: Claim, turn: int, frames: Sequence[AnswerFrame]) -> None:
        with _held(claim):
            self._update(
                turn_key(claim.conversation_id, turn),
                "SET frames = :frames",
                "holder = :holder",
                {":frames": frames_attribute(list(frames)), ":holder": _holder(claim)},
            )

    def finish(self, claim: Claim, ending: Ending) -> None:
        with _held(claim):
            self._tried(
                "transact_write_items",
                TransactItems=[{"Update": self._answered(claim, ending)}, {"Update": self._gone_on(claim, ending)}],
            )

    def mark_published(self, conversation_id: str, turn: int) -> None:
        self._update(
            turn_key(conversation_id, turn),
            "SET publishedAt = :now",
            "attribute_exists(conversationId)",
            {":now": {"S": timestamp(self.now())}},
        )

    def keep_summary(self, claim: Claim, summary: str, through: int) -> None:
        with _held(claim):
            self._update(
                conversation_key(claim.conversation_id),
                "SET summary = :summary, summarizedThrough = :through",
                _MINE,
                _lease(claim) | {":summary": {"S": summary}, ":through": _number(through)},
            )

    def release(self, claim: Claim, answered: int) -> bool:
        try:
            self._update(
                conversation_key(claim.conversation_id),
                "REMOVE leaseOwner, leaseReceive, leaseUntil",
                f"{_MINE} AND receivedTurn = :answered",
                _lease(claim) | {":answered": _number(answered)},
            )
        except _ConditionFailedError:
            return False
        return True

    def give_up(self, claim: Claim) -> None:
        try:
            self._update(
                conversation_key(claim.conversation_id),
                "SET leaseUntil = :past",
                _MINE,
                _lease(claim) | {":past": _number(0)},
            )
        except _ConditionFailedError:
            return

    def _not_taken(self, claim: Claim, now: int) -> LeaseHeldError | Rejected:
        conversation = self._rows().get(claim.conversation_id)
        if conversation is None:
            return Rejected(f"there is no conversation {claim.conversation_id}")
        seconds = max(0, conversation.lease_until - now) // 1000 + 1
        return LeaseHeldError(f"{claim.conversation_id} is being answered", seconds)

    def _answered(self, claim: Claim, ending: Ending) -> Item:
        """The turn's part of its end."""
        reply = ending.reply
        return {
            "TableName": self.table,
            "Key": turn_key(claim.conversation_id, ending.turn),
            "UpdateExpression": (
                "SET #status = :outcome, answer = :answer, frames = :frames, toolCalls = :calls, "
                "citations = :citations, modelId = :model, inputTokens = :input, outputTokens = :output, "
                "answeredAt = :now REMOVE holder"
            ),
            "ConditionExpression": "holder = :holder",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {
                ":outcome": {"S": reply.outcome},
                ":answer": {"S": reply.text},
                ":frames": frames_attribute(ending.frames),
                ":calls": _json([_call(call) for call in reply.tool_calls]),
                ":citations": _json([frame_citation(citation) for citation in reply.citations]),
                ":model": {"S": reply.model_id},
                ":input": _number(reply.input_tokens),
                ":output": _number(reply.output_tokens),
                ":now": {"S": timestamp(self.now())},
                ":holder": _holder(claim),
            },
        }

    def _gone_on(self, claim: Claim, ending: Ending) -> Item:
        """The conversation's part of a turn's end."""
        now = self.now()
        values = _lease(claim) | {
            ":turn": _number(ending.turn),
            ":before": _number(ending.turn - 1),
            ":now": {"S": timestamp(now)},
            ":expires": expires_at(now, self.retention_days),
        }
        change = "SET answeredTurn = :turn, updatedAt = :now, expiresAt = :expires"
        if ending.pending is None:
            change += " REMOVE pendingAction"
        else:
            change += ", pendingAction = :pending"
            values[":pending"] = {"S": ending.pending}
        return {
            "TableName": self.table,
            "Key": conversation_key(claim.conversation_id),
            "UpdateExpression": change,
            "ConditionExpression": f"{_MINE} AND answeredTurn = :before",
            "ExpressionAttributeValues": values,
        }

    def _rows(self) -> ConversationRows:
        return ConversationRows(self.client, self.table)

    def _update(
        self,
        key: Item,
        change: str,
        condition: str,
        values: Item,
        returned: str = "NONE",
    ) -> Item:
        """Updates one row; its attributes as ``returned`` says. Raises _ConditionFailedError."""
        answer = self._tried(
            "update_item",
            Key=key,
            TableName=self.table,
            UpdateExpression=change,
            ConditionExpression=condition,
            ExpressionAttributeValues=values,
            ReturnValues=returned,
        )
        attributes: Item = answer.get("Attributes", {})
        return attributes

    def _tried(self, operation: str, **request: Any) -> Any:
        """Calls the table, again where another transaction was under way; raises _ConditionFailedError, Retryable."""
        for tried in range(_CONFLICT_TRIES):
            try:
                return getattr(self.client, operation)(**request)
            except ClientError as failed:
                reasons = _reasons(failed)
                if "ConditionalCheckFailed" in reasons:
                    raise _ConditionFailedError from failed
                if "TransactionConflict" not in reasons or tried == _CONFLICT_TRIES - 1:
                    raise Retryable(f"{operation} {self.table}: {failed}") from failed
            except BotoCoreError as failed:
                raise Retryable(f"{operation} {self.table}: {failed}") from failed
            time.sleep(_FIRST_WAIT_SECONDS * 2**tried * random.random())  # noqa: S311 - jitter keeps no secret
        raise AssertionError("the last try returns or raises")


@contextmanager
def _held(claim: Claim) -> Iterator[None]:
    """Within it, a condition that fails means that the lease is another's."""
    try:
        yield
    except _ConditionFailedError as failed:
        raise LeaseLostError(f"{claim.conversation_id} is answered by another") from failed


def _reasons(failed: ClientError) -> set[str]:
    """Why DynamoDB refused: of a transaction, the reasons of its parts."""
    code = failed.response["Error"]["Code"]
    if code == "TransactionCanceledException":
        parts = failed.response.get("CancellationReasons", [])
        return {part.get("Code", "None") for part in parts} - {"None"}
    return {code.removesuffix("Exception")}


def _lease(claim: Claim) -> Item:
    return {":owner": {"S": claim.owner}, ":receive": _number(claim.receive)}


def _holder(claim: Claim) -> Item:
    """Who answers a turn: whoever begins it next takes it over."""
    return {"S": f"{claim.owner}#{claim.receive}"}


def _call(call: ToolCall) -> dict[str, Any]:
    """The call as the turn keeps it; state null: it waits for the person's yes."""
    return {
        "name": call.name,
        "arguments": dict(call.arguments),
        "state": call.result.state if call.result is not None else None,
    }


def _json(value: object) -> Item:
    return {"S": json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))}


def _number(value: int) -> Item:
    return {"N": str(value)}
