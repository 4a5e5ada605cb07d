"""The customers' inbox in DynamoDB: a customer's notices under one key, each under the id of the event behind it."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable
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
        try:
            self.client.put_item(
                TableName=self.table,
                Item={
                    "customerId": {"S": notice.customer_id},
                    "notificationId": {"S": notice.notification_id},
                    "transactionId": {"S": notice.transaction_id},
                    "severity": {"S": notice.severity},
                    "text": {"S": notice.text},
                    "createdAt": {"N": f"{notice.created_at:.3f}"},
                    "expiresAt": {"N": str(int(notice.created_at) + self.retention_days * _SECONDS_PER_DAY)},
                },
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"put_item {self.table}: {failed}") from failed
