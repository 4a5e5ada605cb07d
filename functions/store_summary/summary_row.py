"""The document's row in DynamoDB once there is a summary."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable
from stored_summary import Summary

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """The table ``table`` (documentId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    retention_days: int

    def put(self, summary: Summary, key: str, summary_key: str, now: float) -> None:
        """Writes what the summary says of itself; doing it again changes nothing. Raises Retryable."""
        values: dict[str, Any] = {
            "customerId": {"S": summary.customer_id},
            "fileName": {"S": summary.file_name},
            "createdAt": {"S": summary.created_at},
            "key": {"S": key},
            "status": {"S": summary.status},
            "sentences": {"N": str(len(summary.sentences))},
            "supportRate": {"N": f"{summary.support_rate:.4f}"},
            "summaryKey": {"S": summary_key},
            "updatedAt": {"S": summary.created_at},
            "expiresAt": {"N": str(int(now) + self.retention_days * _SECONDS_PER_DAY)},
        }
        if summary.pages is not None:
            values["pages"] = {"N": str(summary.pages)}
        # The row is there since the upload; who it belongs to and what it is called stays as it was said then.
        kept = {"customerId", "fileName", "createdAt"}
        set_to = [
            f"#{name} = if_not_exists(#{name}, :{name})" if name in kept else f"#{name} = :{name}" for name in values
        ]
        removed = ", ".join(f"#{name}" for name in ("reason", "code", *(() if "pages" in values else ("pages",))))
        names = {f"#{name}": name for name in (*values, "reason", "code", "pages")}
        try:
            self.client.update_item(
                TableName=self.table,
                Key={"documentId": {"S": summary.document_id}},
                UpdateExpression=f"SET {', '.join(set_to)} REMOVE {removed}",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"update_item {self.table}: {failed}") from failed
