"""The card registry in DynamoDB as approved blocks, and their end, need it: Cards (cardId).

agent_tools writes the same attributes when it blocks a card itself: status, version, blockedAt, blockedBy,
blockedByPerson, blockReason, changeId, eventToPublish; an unblocked card has unblockedAt in the middle ones' place.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backbone.card_blocks import ACTIVE, BLOCKED, BLOCKED_BY, Block, Card, Unblock
from backbone.item_transactions import write_together
from backbone.table_calls import forget_event, text_of, tried
from backbone.transaction_change_rows import does_not_stand_as, stands_by, still_approved
from backbone.transaction_changes import GENUINE


@dataclass(frozen=True, slots=True)
class CardBlockRows:
    """The tables ``cards`` (cardId), ``actions`` and ``transactions`` behind ``client`` (boto3 "dynamodb").

    ``wait`` sleeps; tests hand in one that does not. Each method raises Retryable.
    """

    client: Any
    cards: str
    actions: str
    transactions: str
    wait: Callable[[float], None] = time.sleep

    def get(self, card_id: str) -> Card | None:
        """The card as of now; None where there is none."""
        answer = tried(self.client.get_item, TableName=self.cards, Key=_key(card_id), ConsistentRead=True)
        if "Item" not in answer:
            return None
        item = answer["Item"]
        return Card(
            card_id=item["cardId"]["S"],
            customer_id=item["customerId"]["S"],
            status=item["status"]["S"],
            version=int(item["version"]["N"]),
            change_id=text_of(item, "changeId"),
            event_to_publish=text_of(item, "eventToPublish"),
        )

    def block(self, block: Block) -> bool:
        """Writes the block with its event; False, and nothing written, where something is not as it must be.

        The card is active, as it was read, and its events are out; the action is approved and not carried out yet; the
        transaction does not stand as genuine.
        """
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
        items = [
            {"Update": self._update(card, texts, ("unblockedAt",), "#status = :was", {":was": {"S": ACTIVE}})},
            {"ConditionCheck": still_approved(self.actions, block.action_id)},
        ]
        if block.transaction_id is not None:
            check = does_not_stand_as(self.transactions, block.transaction_id, GENUINE)
            items.append({"ConditionCheck": check})
        return not write_together(self.client, items, self.wait)

    def unblock(self, unblock: Unblock) -> bool:
        """Writes the end of a block with its event; False, and nothing written, where something is not as it must be.

        The card is blocked by that action, as it was read, and its events are out; the case is what stands.
        """
        card = unblock.card
        texts = {"status": card.status, "unblockedAt": unblock.at, "eventToPublish": card.event_to_publish or ""}
        gone = ("blockedAt", "blockedBy", "blockedByPerson", "blockReason", "changeId")
        values = {":was": {"S": BLOCKED}, ":action": {"S": unblock.action_id}}
        condition = "#status = :was AND changeId = :action"
        items = [
            {"Update": self._update(card, texts, gone, condition, values)},
            {"ConditionCheck": stands_by(self.transactions, unblock.transaction_id, unblock.case_id)},
        ]
        return not write_together(self.client, items, self.wait)

    def note_published(self, card_id: str, event_to_publish: str) -> None:
        """The bus has the event: the row forgets it, unless it keeps another by now."""
        forget_event(self.client, self.cards, _key(card_id), event_to_publish)

    def _update(
        self, card: Card, texts: dict[str, str], gone: tuple[str, ...], condition: str, values: dict[str, Any]
    ) -> dict[str, Any]:
        """``card`` is as it becomes; its version is one more than what was read."""
        names = [*texts, "version"]
        said: dict[str, Any] = {f":{name}": {"S": text} for name, text in texts.items()}
        said |= {
            ":version": {"N": str(card.version)},
            ":read": {"N": str(card.version - 1)},
            ":customer": {"S": card.customer_id},
        }
        sets = ", ".join(f"#{name} = :{name}" for name in names)
        return {
            "TableName": self.cards,
            "Key": _key(card.card_id),
            "UpdateExpression": f"SET {sets} REMOVE {', '.join(gone)}",
            "ConditionExpression": (
                f"customerId = :customer AND #version = :read AND attribute_not_exists(eventToPublish) AND {condition}"
            ),
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
            "ExpressionAttributeValues": said | values,
        }


def _key(card_id: str) -> dict[str, Any]:
    return {"cardId": {"S": card_id}}
