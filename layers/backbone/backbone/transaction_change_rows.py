"""What was done about transactions, in DynamoDB, on the rows that score_transactions wrote.

Transactions (transactionId):

    releaseId, releasedAt, releasedBy, releaseWithdrawnAt
    refundId, refundedAt, refundedAmountMinor, refundReversedAt
    standingVerdict, standingCaseId, standingSince
    eventToPublish

A write asks that all of it still is as it was read, and that the row keeps no event: then nobody's change is lost.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from backbone.item_transactions import write_together
from backbone.table_calls import Item, forget_event, item_of, pages, text_of, tried
from backbone.transaction_changes import FRAUD, PaidTransaction, Refund, Release, Releaser, Standing, Verdict

_READ = (
    "transactionId, customerId, cardId, amountMinor, currency, flagged, eventToPublish, releaseId, releasedAt, "
    "releasedBy, releaseWithdrawnAt, refundId, refundedAt, refundedAmountMinor, refundReversedAt, standingVerdict, "
    "standingCaseId, standingSince"
)
# What tells one state of a row from another.
_TELLING = ("releaseId", "releaseWithdrawnAt", "refundId", "refundReversedAt", "standingCaseId")


@dataclass(frozen=True, slots=True)
class TransactionChangeRows:
    """The table ``table`` (transactionId) behind ``client`` (boto3 "dynamodb"); ``actions`` is the actions' table.

    ``wait`` sleeps; tests hand in one that does not. Each method raises Retryable.
    """

    client: Any
    table: str
    actions: str
    wait: Callable[[float], None] = time.sleep

    def get(self, transaction_id: str) -> PaidTransaction | None:
        """The transaction as of now; None where there is none."""
        answer = tried(
            self.client.get_item,
            TableName=self.table,
            Key=_key(transaction_id),
            ConsistentRead=True,
            ProjectionExpression=_READ,
        )
        return _transaction(answer["Item"]) if "Item" in answer else None

    def write(self, before: PaidTransaction, after: PaidTransaction, action_id: str | None = None) -> bool:
        """Writes ``after`` where ``before`` still stands and its events are out; False, and nothing written, else.

        With ``action_id``: where that action still is approved, too; one that was carried out is not done again.
        """
        items = [{"Update": self._update(before, after)}]
        if action_id is not None:
            items.append({"ConditionCheck": still_approved(self.actions, action_id)})
        return not write_together(self.client, items, self.wait)

    def note_published(self, transaction_id: str, event_to_publish: str) -> None:
        """The bus has the event: the row forgets it, unless it keeps another by now."""
        forget_event(self.client, self.table, _key(transaction_id), event_to_publish)

    def _update(self, before: PaidTransaction, after: PaidTransaction) -> dict[str, Any]:
        was, becomes = _changing(before), item_of(_changing(after))
        read = item_of({name: was[name] for name in _TELLING})
        removed = [name for name, value in was.items() if value is not None and name not in becomes]
        conditions = ["attribute_exists(transactionId)", "attribute_not_exists(eventToPublish)"]
        conditions += [
            f"{name} = :was_{name}" if name in read else f"attribute_not_exists({name})" for name in _TELLING
        ]
        values = {f":{name}": value for name, value in becomes.items()}
        return {
            "TableName": self.table,
            "Key": _key(before.transaction_id),
            "UpdateExpression": "SET "
            + ", ".join(f"{name} = :{name}" for name in becomes)
            + (f" REMOVE {', '.join(removed)}" if removed else ""),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeValues": values | {f":was_{name}": value for name, value in read.items()},
        }


@dataclass(frozen=True, slots=True)
class StandingFrauds:
    """The index ``index`` (customerId, occurredAt) of the table ``table`` behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    index: str

    def of_card(self, customer_id: str, card_id: str) -> Iterator[str]:
        """The ids of a card's transactions that stand as fraud; the index may be a second behind. Raises Retryable."""
        found = pages(
            self.client,
            None,
            TableName=self.table,
            IndexName=self.index,
            KeyConditionExpression="customerId = :customer",
            FilterExpression="cardId = :card AND standingVerdict = :fraud",
            ProjectionExpression="transactionId",
            ExpressionAttributeValues={
                ":customer": {"S": customer_id},
                ":card": {"S": card_id},
                ":fraud": {"S": FRAUD},
            },
        )
        for items, _ in found:
            yield from (item["transactionId"]["S"] for item in items)


def still_approved(actions: str, action_id: str) -> dict[str, Any]:
    """A condition check: the action waits to be carried out."""
    return {
        "TableName": actions,
        "Key": {"actionId": {"S": action_id}},
        "ConditionExpression": "#status = :approved",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":approved": {"S": "approved"}},
    }


def does_not_stand_as(transactions: str, transaction_id: str, verdict: Verdict) -> dict[str, Any]:
    """A condition check: no case that was closed last says ``verdict``; so it is where there is no row any more."""
    return {
        "TableName": transactions,
        "Key": _key(transaction_id),
        "ConditionExpression": "attribute_not_exists(standingVerdict) OR standingVerdict <> :verdict",
        "ExpressionAttributeValues": {":verdict": {"S": verdict}},
    }


def stands_by(transactions: str, transaction_id: str, case_id: str) -> dict[str, Any]:
    """A condition check: ``case_id`` is the case that was closed last."""
    return {
        "TableName": transactions,
        "Key": _key(transaction_id),
        "ConditionExpression": "standingCaseId = :case",
        "ExpressionAttributeValues": {":case": {"S": case_id}},
    }


def _key(transaction_id: str) -> dict[str, Any]:
    return {"transactionId": {"S": transaction_id}}


def _changing(paid: PaidTransaction) -> dict[str, str | int | None]:
    """Every attribute that a change may set; None for those that the transaction does not have."""
    release, refund, standing = paid.release, paid.refund, paid.standing
    return {
        "releaseId": None if release is None else release.release_id,
        "releasedAt": None if release is None else release.at,
        "releasedBy": None if release is None else release.by,
        "releaseWithdrawnAt": None if release is None else release.withdrawn_at,
        "refundId": None if refund is None else refund.refund_id,
        "refundedAt": None if refund is None else refund.at,
        "refundedAmountMinor": None if refund is None else refund.amount_minor,
        "refundReversedAt": None if refund is None else refund.reversed_at,
        "standingVerdict": None if standing is None else standing.verdict,
        "standingCaseId": None if standing is None else standing.case_id,
        "standingSince": None if standing is None else standing.closed_at,
        "eventToPublish": paid.event_to_publish,
    }


def _transaction(item: Item) -> PaidTransaction:
    return PaidTransaction(
        transaction_id=item["transactionId"]["S"],
        customer_id=item["customerId"]["S"],
        card_id=item["cardId"]["S"],
        amount_minor=int(item["amountMinor"]["N"]),
        currency=item["currency"]["S"],
        is_flagged=item["flagged"]["BOOL"],
        release=_release(item) if "releaseId" in item else None,
        refund=_refund(item) if "refundId" in item else None,
        standing=_standing(item) if "standingCaseId" in item else None,
        event_to_publish=text_of(item, "eventToPublish"),
    )


def _release(item: Item) -> Release:
    return Release(
        item["releaseId"]["S"],
        item["releasedAt"]["S"],
        cast(Releaser, item["releasedBy"]["S"]),
        text_of(item, "releaseWithdrawnAt"),
    )


def _refund(item: Item) -> Refund:
    return Refund(
        item["refundId"]["S"],
        item["refundedAt"]["S"],
        int(item["refundedAmountMinor"]["N"]),
        text_of(item, "refundReversedAt"),
    )


def _standing(item: Item) -> Standing:
    return Standing(
        cast(Verdict, item["standingVerdict"]["S"]), item["standingCaseId"]["S"], item["standingSince"]["S"]
    )
