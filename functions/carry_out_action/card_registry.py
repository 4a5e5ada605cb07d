"""The card registry in DynamoDB as an approved block needs it, and the index of actions by card."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backbone.actions import OPEN
from backbone.table_calls import tried, written_if
from card_blocking import ACTIVE, BLOCKED_BY, Block, Card


@dataclass(frozen=True, slots=True)
class CardRegistry:
    """The table ``cards`` (cardId), and ``actions`` with its index ``card_index`` (cardId, status), behind ``client``.

    agent_tools writes the same attributes when it blocks a card itself.
    """

    client: Any
    cards: str
    actions: str
    card_index: str

    def get(self, card_id: str) -> Card | None:
        """The card as of now; None where there is none."""
        key = {"cardId": {"S": card_id}}
        answer = tried(self.client.get_item, TableName=self.cards, Key=key, ConsistentRead=True)
        if "Item" not in answer:
            return None
        item = answer["Item"]
        text = {name: value["S"] for name, value in item.items() if "S" in value}
        return Card(
            card_id=text["cardId"],
            customer_id=text["customerId"],
            status=text["status"],
            version=int(item["version"]["N"]),
            change_id=text.get("changeId"),
            event_to_publish=text.get("eventToPublish"),
        )

    def block(self, block: Block) -> bool:
        """Writes the block with its event, where the card is still active and as it was read."""
        card = block.card
        texts = {
            "status": card.status,
            "blockedAt": block.at,
            "blockedBy": BLOCKED_BY,
            "blockedByPerson": block.person_id,
            "blockReason": block.reason,
            "changeId": card.change_id or "",
            "eventToPublish": card.event_to_publish or "",
        }
        values: dict[str, dict[str, str]] = {f":{name}": {"S": text} for name, text in texts.items()}
        values |= {
            ":version": {"N": str(card.version)},
            ":read": {"N": str(card.version - 1)},
            ":active": {"S": ACTIVE},
            ":customer": {"S": card.customer_id},
        }
        names = [*texts, "version"]
        return self._updated(
            card.card_id,
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in names),
            ConditionExpression="customerId = :customer AND #status = :active AND #version = :read",
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues=values,
        )

    def note_published(self, card_id: str, event_to_publish: str) -> None:
        """The bus has the event: the row forgets it, unless it keeps another by now."""
        self._updated(
            card_id,
            UpdateExpression="REMOVE eventToPublish",
            ConditionExpression="eventToPublish = :published",
            ExpressionAttributeValues={":published": {"S": event_to_publish}},
        )

    def open_actions(self, card_id: str) -> Iterator[str]:
        """The ids of the actions that wait for the card; the index may be a second behind. At most 1 MB of them."""
        for status in OPEN:
            answer = tried(
                self.client.query,
                TableName=self.actions,
                IndexName=self.card_index,
                KeyConditionExpression="cardId = :card AND #status = :status",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":card": {"S": card_id}, ":status": {"S": status}},
            )
            yield from (item["actionId"]["S"] for item in answer["Items"])

    def _updated(self, card_id: str, **update: Any) -> bool:
        """Whether the card's row was changed; False where the condition did not hold."""
        return written_if(self.client.update_item, TableName=self.cards, Key={"cardId": {"S": card_id}}, **update)
