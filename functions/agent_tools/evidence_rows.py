"""Evidence in DynamoDB: transactions of a card and flagged ones at a terminal, and the counters beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from backbone.card_counters import card_key, payments_in
from backbone.table_calls import Item, pages, text_of, tried
from backbone.terminal_counters import counts_in, terminal_key
from evidence_tools import Buckets, Flagged, Label, Payment

# A page is at most 1 MB: some 500 payments with all that is told of them, some 5,000 rows of the terminals' index.
_PAGES = 10


@dataclass(frozen=True, slots=True)
class HistoryRows:
    """The table ``table`` (transactionId) behind ``client`` (boto3 "dynamodb"), by two indexes.

    ``by_customer`` (customerId, occurredAt) has every transaction, ``by_terminal`` (flaggedTerminalId, occurredAt) the
    flagged ones. Both may be a second behind.
    """

    client: Any
    table: str
    by_customer: str
    by_terminal: str

    def payments(self, customer_id: str, card_id: str, first: float, last: float) -> tuple[Sequence[Payment], bool]:
        """A card's payments in a time (epoch seconds, both ends included), and whether these are all."""
        items, is_complete = self._between(
            self.by_customer,
            ("customerId", customer_id),
            first,
            last,
            FilterExpression="cardId = :card",
            ExpressionAttributeValues={":card": {"S": card_id}},
            ProjectionExpression="transactionId, cardId, amountMinor, occurredAt, flagged, #label",
        )
        return [_payment(item) for item in items], is_complete

    def flagged_at(self, terminal_id: str, first: float, last: float) -> tuple[Sequence[Flagged], bool]:
        """What was flagged at a terminal in a time (as above), whosever it is, and whether that is all."""
        items, is_complete = self._between(
            self.by_terminal,
            ("flaggedTerminalId", terminal_id),
            first,
            last,
            ProjectionExpression="transactionId, cardId, occurredAt, #label",
        )
        return [_flagged(item) for item in items], is_complete

    def _between(
        self, index: str, key: tuple[str, str], first: float, last: float, **query: Any
    ) -> tuple[list[Item], bool]:
        name, identity = key
        period = {":key": {"S": identity}, ":first": {"N": str(int(first))}, ":last": {"N": str(int(last))}}
        query["ExpressionAttributeValues"] = query.get("ExpressionAttributeValues", {}) | period
        found: list[Item] = []
        is_complete = True
        for items, unread in pages(
            self.client,
            _PAGES,
            TableName=self.table,
            IndexName=index,
            KeyConditionExpression=f"{name} = :key AND occurredAt BETWEEN :first AND :last",
            ExpressionAttributeNames={"#label": "label"},
            ScanIndexForward=False,
            **query,
        ):
            found += items
            is_complete = not unread
        return found, is_complete


@dataclass(frozen=True, slots=True)
class CounterRows:
    """The Profiles table ``table`` behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def card_days(self, card_id: str) -> Buckets:
        """A card's payments and their sum, by day; nothing for a card that was never seen."""
        item = self._item(card_key(card_id))
        return payments_in(item) if item else {}

    def terminal_days(self, terminal_id: str) -> Buckets:
        """A terminal's payments and known frauds, by day; nothing for a terminal that was never seen."""
        return counts_in(self._item(terminal_key(terminal_id)))

    def _item(self, key: dict[str, Any]) -> Item:
        item: Item = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True).get("Item", {})
        return item


def _payment(item: Item) -> Payment:
    return Payment(
        transaction_id=item["transactionId"]["S"],
        card_id=item["cardId"]["S"],
        amount_minor=int(item["amountMinor"]["N"]),
        occurred_at=int(item["occurredAt"]["N"]),
        flagged=item["flagged"]["BOOL"],
        label=_label(item),
    )


def _flagged(item: Item) -> Flagged:
    return Flagged(item["transactionId"]["S"], item["cardId"]["S"], int(item["occurredAt"]["N"]), _label(item))


def _label(item: Item) -> Label | None:
    return cast("Label | None", text_of(item, "label"))
