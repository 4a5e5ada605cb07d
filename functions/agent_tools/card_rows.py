"""The card registry in DynamoDB."""

from dataclasses import dataclass
from typing import Any

from backbone.errors import Retryable
from backbone.table_calls import Item, forget_event, item_of, text_of, tried, written_if
from card_tools import ACTIVE, Card


@dataclass(frozen=True, slots=True)
class CardRows:
    """The table ``table`` (cardId) with its index ``index`` (customerId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    index: str

    def get(self, card_id: str) -> Card | None:
        """The card as of now; None where there is none."""
        key = {"cardId": {"S": card_id}}
        answer = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return _card(answer["Item"]) if "Item" in answer else None

    def of_customer(self, customer_id: str, at_most: int) -> tuple[list[Card], bool]:
        """A customer's cards as of now, by id, and whether these are all.

        The index says which they are; it may be a second behind, so what they are like is read from the table.
        """
        answer = tried(
            self.client.query,
            TableName=self.table,
            IndexName=self.index,
            KeyConditionExpression="customerId = :customer",
            ExpressionAttributeValues={":customer": {"S": customer_id}},
            Limit=at_most,
        )
        keys = [{"cardId": item["cardId"]} for item in answer["Items"]]
        cards = [card for card in self._read(keys) if card.customer_id == customer_id]
        return sorted(cards, key=lambda card: card.card_id), "LastEvaluatedKey" not in answer

    def block(self, card: Card) -> bool:
        """Writes the block with its event, where the card is still active, as it was read, and its events are out."""
        values: dict[str, str | int | None] = {
            "status": card.status,
            "version": card.version,
            "blockedAt": card.blocked_at,
            "blockedBy": card.blocked_by,
            "blockedByPerson": card.blocked_by_person,
            "blockReason": card.block_reason,
            "changeId": card.change_id,
            "eventToPublish": card.event_to_publish,
        }
        written = {f":{name}": value for name, value in item_of(values).items()}
        return written_if(
            self.client.update_item,
            TableName=self.table,
            Key={"cardId": {"S": card.card_id}},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values) + " REMOVE unblockedAt",
            ConditionExpression=(
                "customerId = :customer AND #status = :active AND #version = :read "
                "AND attribute_not_exists(eventToPublish)"
            ),
            ExpressionAttributeNames={f"#{name}": name for name in values},
            ExpressionAttributeValues=written
            | {
                ":customer": {"S": card.customer_id},
                ":active": {"S": ACTIVE},
                ":read": {"N": str(card.version - 1)},
            },
        )

    def note_published(self, card: Card) -> None:
        """The bus has the event: the row forgets it, unless it keeps another by now."""
        forget_event(self.client, self.table, {"cardId": {"S": card.card_id}}, card.event_to_publish)

    def _read(self, keys: list[dict[str, Any]]) -> list[Card]:
        if not keys:
            return []
        answer = tried(self.client.batch_get_item, RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}})
        if answer.get("UnprocessedKeys"):
            raise Retryable(f"{self.table} left cards unread")
        return [_card(item) for item in answer["Responses"].get(self.table, [])]


def _card(item: Item) -> Card:
    return Card(
        card_id=item["cardId"]["S"],
        customer_id=item["customerId"]["S"],
        label=item["label"]["S"],
        status=item["status"]["S"],
        version=int(item["version"]["N"]),
        blocked_at=text_of(item, "blockedAt"),
        blocked_by=text_of(item, "blockedBy"),
        blocked_by_person=text_of(item, "blockedByPerson"),
        block_reason=text_of(item, "blockReason"),
        change_id=text_of(item, "changeId"),
        event_to_publish=text_of(item, "eventToPublish"),
    )
