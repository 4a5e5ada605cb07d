"""The rejected document's row in DynamoDB."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.contracts import timestamp
from backbone.errors import Retryable
from rejection import Rejection, RejectRequest

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """The table ``table`` (documentId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    retention_days: int

    def reject(self, asked: RejectRequest, rejection: Rejection, now: float) -> None:
        """Writes status and reason, and takes away what an earlier summary said. Raises Retryable."""
        try:
            self.client.update_item(
                TableName=self.table,
                Key={"documentId": {"S": asked.document_id}},
                UpdateExpression=(
                    "SET customerId = if_not_exists(customerId, :customer), fileName = if_not_exists(fileName, :file), "
                    "createdAt = if_not_exists(createdAt, :now), #key = :key, #status = :rejected, code = :code, "
                    "reason = :reason, updatedAt = :now, expiresAt = :expires "
                    "REMOVE sentences, supportRate, summaryKey, pages"
                ),
                ExpressionAttributeNames={"#key": "key", "#status": "status"},
                ExpressionAttributeValues={
                    ":customer": {"S": asked.customer_id},
                    ":file": {"S": asked.key.rpartition("/")[2]},
                    ":now": {"S": timestamp(now)},
                    ":key": {"S": asked.key},
                    ":rejected": {"S": "rejected"},
                    ":code": {"S": rejection.code},
                    ":reason": {"S": rejection.reason},
                    ":expires": {"N": str(int(now) + self.retention_days * _SECONDS_PER_DAY)},
                },
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"update_item {self.table}: {failed}") from failed
