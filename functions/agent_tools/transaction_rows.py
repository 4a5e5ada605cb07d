"""Scored transactions in DynamoDB (written by score_transactions): one by its id, a customer's by time."""

import json
from dataclasses import dataclass
from typing import Any

from backbone.table_calls import Item, pages, tried
from card_tools import Spend
from transaction_tools import Driver, Found, ScoredTransaction

# A page is at most 1 MB, some 500 rows: what a person's cards do in a quarter fits two.
_PAGES = 10


@dataclass(frozen=True, slots=True)
class TransactionRows:
    """The table ``table`` (transactionId) with its index ``index`` (customerId, occurredAt) behind ``client``.

    The index may be a second behind; a transaction by its id is as of now.
    """

    client: Any
    table: str
    index: str

    def get(self, transaction_id: str) -> ScoredTransaction | None:
        """The transaction; None where there is none. Raises Retryable."""
        key = {"transactionId": {"S": transaction_id}}
        answer = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return _transaction(answer["Item"]) if "Item" in answer else None

    def newest(
        self, customer_id: str, since: float, at_most: int, *, card_id: str | None = None, only_flagged: bool = False
    ) -> Found:
        """A customer's newest transactions since ``since`` (epoch seconds). Raises Retryable."""
        filters, values = [], self._period(customer_id, since)
        if card_id is not None:
            filters.append("cardId = :card")
            values[":card"] = {"S": card_id}
        if only_flagged:
            filters.append("flagged = :flagged")
            values[":flagged"] = {"BOOL": True}
        narrowed = {"FilterExpression": " AND ".join(filters)} if filters else {}
        found: list[ScoredTransaction] = []
        is_complete = True
        for items, unread in self._pages(values, ScanIndexForward=False, **narrowed):
            is_complete = not unread
            found += map(_transaction, items)
            if len(found) > at_most:
                return Found(found[:at_most], more=True, is_complete=True)
        return Found(found, more=False, is_complete=is_complete)

    def spend(self, customer_id: str, card_id: str, since: float) -> Spend:
        """What was spent with a card since ``since`` (epoch seconds). Raises Retryable."""
        values = self._period(customer_id, since) | {":card": {"S": card_id}}
        by_currency: dict[str, int] = {}
        is_complete = True
        only = {"FilterExpression": "cardId = :card", "ProjectionExpression": "amountMinor, currency"}
        for items, unread in self._pages(values, **only):
            is_complete = not unread
            for item in items:
                currency = item["currency"]["S"]
                by_currency[currency] = by_currency.get(currency, 0) + int(item["amountMinor"]["N"])
        return Spend(by_currency, is_complete)

    def _period(self, customer_id: str, since: float) -> dict[str, Any]:
        return {":customer": {"S": customer_id}, ":since": {"N": str(int(since))}}

    def _pages(self, values: dict[str, Any], **more: Any) -> Any:
        return pages(
            self.client,
            _PAGES,
            TableName=self.table,
            IndexName=self.index,
            KeyConditionExpression="customerId = :customer AND occurredAt >= :since",
            ExpressionAttributeValues=values,
            **more,
        )


def _transaction(item: Item) -> ScoredTransaction:
    explanation = json.loads(item["explanation"]["S"])
    return ScoredTransaction(
        transaction_id=item["transactionId"]["S"],
        card_id=item["cardId"]["S"],
        customer_id=item["customerId"]["S"],
        terminal_id=item["terminalId"]["S"],
        amount_minor=int(item["amountMinor"]["N"]),
        currency=item["currency"]["S"],
        occurred_at=int(item["occurredAt"]["N"]),
        score=float(item["score"]["N"]),
        flagged=item["flagged"]["BOOL"],
        severity=item["severity"]["S"],
        reasons=tuple((said["code"], said["explanation"]) for said in explanation["reasons"]),
        drivers=tuple(Driver(one["feature"], one["value"], one["reference"]) for one in explanation["drivers"]),
    )
