"""Actions in DynamoDB, and the trail of everybody's attempts to decide on them.

Actions (actionId), index by status (status, expiresAt) with all attributes, index by card (cardId, status) with keys.
Attempts (actionId, attempt): added to, never changed; ``attempt`` begins with the time, so that they lie in order.

A step and its attempt are one transaction: no decision without its trail, and no trail of a decision that was not made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from backbone.actions import OPEN, Action, Cause, Status
from backbone.errors import Retryable
from backbone.table_calls import Item, forget_event, item_of, number_of, pages, tried, written_if

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody's attempt to decide, refused or not: who, in what role, when (RFC 3339), what, and what came of it.

    ``attempt_id`` tells attempts of one millisecond apart; ``seen`` is the digest that they named.
    """

    action_id: str
    attempt_id: str
    at: str
    person_id: str
    role: str
    decision: str
    seen: str
    outcome: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class ActionRows:
    """The table ``table`` (actionId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def get(self, action_id: str) -> Action | None:
        """The action as of now; None where there is none. Raises Retryable."""
        key = {"actionId": {"S": action_id}}
        answer = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return _action(answer["Item"]) if "Item" in answer else None

    def add(self, action: Action) -> Action:
        """Keeps the action with its event; the one that stands there where it was kept before. Raises Retryable."""
        condition = "attribute_not_exists(actionId)"
        item = _item(action)
        if written_if(self.client.put_item, TableName=self.table, Item=item, ConditionExpression=condition):
            return action
        kept = self.get(action.action_id)
        if kept is None:
            raise Retryable(f"{self.table}: action {action.action_id} was there and is gone")
        return kept

    def decide(self, before: Action, after: Action, now: float, trail: "Trail") -> bool:
        """Writes an analyst's decision with its attempt, before the action expires; see ``_step``."""
        return self._step(before, after, ("expiresAt > :now", now), trail)

    def expire(self, before: Action, after: Action, now: float, trail: "Trail | None" = None) -> bool:
        """Writes that nobody decided in time, with the attempt that came too late if there was one; see ``_step``."""
        return self._step(before, after, ("expiresAt <= :now", now), trail)

    def close(self, before: Action, after: Action) -> bool:
        """Writes an end that does not hang on the time; see ``_step``."""
        return self._step(before, after, None, None)

    def finish(self, action_id: str, done_at: str, result: str) -> None:
        """Notes that an approved action was carried out; whoever does so was told of the approval, so its event is out.

        Does nothing where that is noted already. Raises Retryable.
        """
        written_if(
            self.client.update_item,
            TableName=self.table,
            Key={"actionId": {"S": action_id}},
            UpdateExpression="SET #status = :done, doneAt = :at, #result = :result REMOVE eventToPublish",
            ConditionExpression="#status = :approved",
            ExpressionAttributeNames={"#status": "status", "#result": "result"},
            ExpressionAttributeValues={
                ":done": {"S": "done"},
                ":approved": {"S": "approved"},
                ":at": {"S": done_at},
                ":result": {"S": result},
            },
        )

    def note_published(self, action_id: str, event_to_publish: str) -> None:
        """The bus has the event: the row forgets it, if it is still the one there. Raises Retryable."""
        forget_event(self.client, self.table, {"actionId": {"S": action_id}}, event_to_publish)

    def _step(self, before: Action, after: Action, when: tuple[str, float] | None, trail: "Trail | None") -> bool:
        """Writes ``after`` where ``before`` still stands and its events are out; False, and nothing written, else.

        Raises Retryable, after which nothing is known.
        """
        values = _changing(after)
        condition = "#status = :before AND attribute_not_exists(eventToPublish)"
        said = {":before": {"S": before.status}} | {f":{name}": value for name, value in values.items()}
        if when is not None:
            condition += f" AND {when[0]}"
            said[":now"] = {"N": str(int(when[1]))}
        update = {
            "TableName": self.table,
            "Key": {"actionId": {"S": before.action_id}},
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in values},
            "ExpressionAttributeValues": said,
        }
        return _transacted(self.client, [{"Update": update}] + ([] if trail is None else [{"Put": trail.entry()}]))


@dataclass(frozen=True, slots=True)
class ActionIndex:
    """The index ``index`` (status, expiresAt) of the table ``table`` behind ``client`` (boto3 "dynamodb").

    It may be a moment behind: who changes what it finds reads the row again.
    """

    client: Any
    table: str
    index: str

    def waiting(self, now: float, at_most: int) -> list[Action]:
        """Those that somebody can decide on, the latest to expire first; one of this second may still be missing.

        At most so many of each open status. Raises Retryable.
        """
        values = {":now": {"N": str(int(now))}}
        found: list[Action] = []
        for status in OPEN:
            query = self._by_status(status, "expiresAt > :now", values)
            answer = tried(self.client.query, **query, ScanIndexForward=False, Limit=at_most)
            found += [_action(item) for item in answer["Items"]]
        return found

    def expired(self, status: Status, now: float) -> Iterator[Action]:
        """Those of an open status whose time has come, the oldest first. Raises Retryable."""
        return self._pages(self._by_status(status, "expiresAt <= :now", {":now": {"N": str(int(now))}}))

    def unpublished(self, status: Status, expires_after: float) -> Iterator[Action]:
        """Those of a status that keep an event and expire, or expired, after a moment (epoch seconds). Retryable."""
        query = self._by_status(status, "expiresAt > :after", {":after": {"N": str(int(expires_after))}})
        return self._pages(query | {"FilterExpression": "attribute_exists(eventToPublish)"})

    def _by_status(self, status: Status, period: str, values: dict[str, Any]) -> dict[str, Any]:
        return {
            "TableName": self.table,
            "IndexName": self.index,
            "KeyConditionExpression": f"#status = :status AND {period}",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":status": {"S": status}, **values},
        }

    def _pages(self, query: dict[str, Any]) -> Iterator[Action]:
        for items, _ in pages(self.client, None, **query, Limit=_PAGE):
            yield from map(_action, items)


@dataclass(frozen=True, slots=True)
class ActionRowsByCard(ActionRows):
    """The table with its index ``card_index`` (cardId, status), which holds keys alone."""

    card_index: str

    def of_card(self, card_id: str) -> Iterator[Action]:
        """Those about a card that wait for a decision, as of now; one of this second may be missing. Raises Retryable.

        The index, at most 1 MB of it a status, says which they are; what has become of each says its row.
        """
        for action_id in self._waiting(card_id):
            found = self.get(action_id)
            if found is not None and found.is_open:
                yield found

    def _waiting(self, card_id: str) -> Iterator[str]:
        for status in OPEN:
            answer = tried(
                self.client.query,
                TableName=self.table,
                IndexName=self.card_index,
                KeyConditionExpression="cardId = :card AND #status = :status",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":card": {"S": card_id}, ":status": {"S": status}},
            )
            yield from (item["actionId"]["S"] for item in answer["Items"])


@dataclass(frozen=True, slots=True)
class AttemptRows:
    """The table ``table`` behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def add(self, attempt: Attempt) -> None:
        """Keeps an attempt that changed nothing. Raises Retryable."""
        entry = self.entry_of(attempt)
        if not written_if(self.client.put_item, **entry):
            raise Retryable(f"{self.table}: {attempt.attempt_id} was used before")

    def of_action(self, action_id: str, at_most: int) -> list[Attempt]:
        """An action's newest attempts as of now, newest first. Raises Retryable."""
        answer = tried(
            self.client.query,
            TableName=self.table,
            KeyConditionExpression="actionId = :action",
            ExpressionAttributeValues={":action": {"S": action_id}},
            ConsistentRead=True,
            ScanIndexForward=False,
            Limit=at_most,
        )
        return [_attempt(item) for item in answer["Items"]]

    def entry_of(self, attempt: Attempt) -> dict[str, Any]:
        """The conditional put of an attempt."""
        texts = {
            "actionId": attempt.action_id,
            "attempt": f"{attempt.at}#{attempt.attempt_id}",
            "at": attempt.at,
            "personId": attempt.person_id,
            "role": attempt.role,
            "decision": attempt.decision,
            "seen": attempt.seen,
            "outcome": attempt.outcome,
            "note": attempt.note,
        }
        return {
            "TableName": self.table,
            "Item": {name: {"S": text} for name, text in texts.items() if text is not None},
            "ConditionExpression": "attribute_not_exists(actionId)",
        }


@dataclass(frozen=True, slots=True)
class Trail:
    """The attempt that goes with a step, and where it is kept."""

    rows: AttemptRows
    attempt: Attempt

    def entry(self) -> dict[str, Any]:
        return self.rows.entry_of(self.attempt)


def _transacted(client: Any, items: list[dict[str, Any]]) -> bool:
    """Whether a transaction was made; False where the condition of its first item did not hold. Raises Retryable."""
    try:
        client.transact_write_items(TransactItems=items)
    except ClientError as failed:
        reasons = failed.response.get("CancellationReasons", [])
        if reasons and reasons[0].get("Code") == "ConditionalCheckFailed":
            return False
        raise Retryable(f"a step: {failed}") from failed  # throttled, away, or in conflict with another at this moment
    except BotoCoreError as failed:
        raise Retryable(f"a step: {failed}") from failed
    return True


def _item(action: Action) -> dict[str, Any]:
    """The row of an action."""
    kept = item_of(
        {
            "actionId": action.action_id,
            "action": action.action,
            "customerId": action.customer_id,
            "cardId": action.card_id,
            "transactionId": action.transaction_id,
            "reason": action.reason,
            "amountMinor": action.amount_minor,
            "spent": action.spent,
            "proposedBy": action.proposed_by,
            "personId": action.person_id,
            "caseId": action.case_id,
            "correlationId": action.correlation_id,
            "causationDepth": action.causation_depth or None,
            "createdAt": action.created_at,
            "expiresAt": action.expires_at,
        }
    )
    return kept | _changing(action)


def _changing(action: Action) -> dict[str, dict[str, Any]]:
    """The attributes of a row that a step may change, as far as the action has them."""
    texts = {
        "status": action.status,
        "halfApprovedBy": action.half_approved_by,
        "decidedAt": action.decided_at,
        "cause": action.cause,
        "eventToPublish": action.event_to_publish,
    }
    said: dict[str, dict[str, Any]] = {name: {"S": text} for name, text in texts.items() if text is not None}
    if action.decided_at is not None:
        said["decidedBy"] = {"L": [{"S": person} for person in action.decided_by]}
    return said


def _action(item: Item) -> Action:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    return Action(
        action_id=text["actionId"],
        action=text["action"],
        customer_id=text["customerId"],
        reason=text["reason"],
        proposed_by=text["proposedBy"],
        person_id=text["personId"],
        correlation_id=text["correlationId"],
        status=cast(Status, text["status"]),
        created_at=text["createdAt"],
        expires_at=int(item["expiresAt"]["N"]),
        card_id=text.get("cardId"),
        transaction_id=text.get("transactionId"),
        case_id=text.get("caseId"),
        amount_minor=int(item["amountMinor"]["N"]) if "amountMinor" in item else None,
        spent=text.get("spent"),
        half_approved_by=text.get("halfApprovedBy"),
        decided_by=tuple(person["S"] for person in item["decidedBy"]["L"]) if "decidedBy" in item else (),
        decided_at=text.get("decidedAt"),
        cause=cast("Cause | None", text.get("cause")),
        causation_depth=number_of(item, "causationDepth"),
        event_to_publish=text.get("eventToPublish"),
    )


def _attempt(item: Item) -> Attempt:
    text = {name: value["S"] for name, value in item.items()}
    return Attempt(
        action_id=text["actionId"],
        attempt_id=text["attempt"].partition("#")[2],
        at=text["at"],
        person_id=text["personId"],
        role=text["role"],
        decision=text["decision"],
        seen=text["seen"],
        outcome=text["outcome"],
        note=text.get("note"),
    )
