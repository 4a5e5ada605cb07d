"""The actions that wait for an approval, in DynamoDB, as they are proposed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backbone.action_rows import ActionsByCard
from backbone.actions import OPEN
from backbone.errors import Retryable
from backbone.table_calls import Item, item_of, number_of, text_of, tried, written_if
from card_rows import forget_event
from proposals import Action


@dataclass(frozen=True, slots=True)
class ActionRows:
    """The table ``table`` (actionId) with its index ``card_index`` (cardId, status) behind ``client``."""

    client: Any
    table: str
    card_index: str

    def get(self, action_id: str) -> Action | None:
        """The action as of now; None where there is none."""
        key = {"actionId": {"S": action_id}}
        answer = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return _action(answer["Item"]) if "Item" in answer else None

    def of_card(self, card_id: str) -> Iterator[Action]:
        """Those about a card that wait for a decision, as of now; one of this second may be missing."""
        for action_id in ActionsByCard(self.client, self.table, self.card_index).of_card(card_id):
            found = self.get(action_id)
            if found is not None and found.status in OPEN:
                yield found

    def add(self, action: Action) -> Action:
        """Keeps the action with its event; the one that stands there where it was kept before."""
        item = item_of(
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
                "status": action.status,
                "createdAt": action.created_at,
                "expiresAt": action.expires_at,
                "eventToPublish": action.event_to_publish,
            }
        )
        condition = "attribute_not_exists(actionId)"
        if written_if(self.client.put_item, TableName=self.table, Item=item, ConditionExpression=condition):
            return action
        kept = self.get(action.action_id)
        if kept is None:
            raise Retryable(f"{self.table}: action {action.action_id} was there and is gone")
        return kept

    def note_published(self, action: Action) -> None:
        """The bus has the event: the row forgets it."""
        forget_event(self.client, self.table, {"actionId": {"S": action.action_id}}, action.event_to_publish)


def _action(item: Item) -> Action:
    return Action(
        action_id=item["actionId"]["S"],
        action=item["action"]["S"],
        customer_id=item["customerId"]["S"],
        card_id=item["cardId"]["S"],
        reason=item["reason"]["S"],
        amount_minor=int(item["amountMinor"]["N"]),
        spent=text_of(item, "spent"),
        proposed_by=item["proposedBy"]["S"],
        person_id=item["personId"]["S"],
        case_id=text_of(item, "caseId"),
        correlation_id=item["correlationId"]["S"],
        status=item["status"]["S"],
        created_at=item["createdAt"]["S"],
        expires_at=int(item["expiresAt"]["N"]),
        transaction_id=text_of(item, "transactionId"),
        causation_depth=number_of(item, "causationDepth"),
        event_to_publish=text_of(item, "eventToPublish"),
    )
