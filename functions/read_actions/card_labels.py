"""How people call a card ("Debit card ending 0042"), from the card registry in DynamoDB."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable


@dataclass(frozen=True, slots=True)
class CardLabels:
    """The table ``table`` (cardId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def label(self, card_id: str) -> str | None:
        """The card's label; None where there is no such card. Raises Retryable where the table cannot now."""
        try:
            answer = self.client.get_item(
                TableName=self.table, Key={"cardId": {"S": card_id}}, ProjectionExpression="label"
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"{self.table}: {failed}") from failed
        return str(answer["Item"]["label"]["S"]) if answer.get("Item") else None
