"""The customers' inbox in DynamoDB: a customer's notices under one key, each under the id of the event behind it."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable
from backbone.table_calls import item_of
from notifications import Notice

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class CustomerInbox:
    """The table ``table`` (customerId, notificationId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    retention_days: int

    def put(self, notice: Notice) -> None:
        """Keeps ``notice``; the same notice again overwrites itself. Raises Retryable where the table cannot now."""
        texts = {
            "customerId": notice.customer_id,
            "notificationId": notice.notification_id,
            "transactionId": notice.transaction_id,
            "cardId": notice.card_id,
            "severity": notice.severity,
            "text": notice.text,
            "expiresAt": int(notice.created_at) + self.retention_days * _SECONDS_PER_DAY,
        }
        item = item_of(texts) | {"createdAt": {"N": f"{notice.created_at:.3f}"}}
        try:
            self.client.put_item(TableName=self.table, Item=item)
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"put_item {self.table}: {failed}") from failed
