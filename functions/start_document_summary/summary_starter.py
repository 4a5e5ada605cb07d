"""What start_document_summary writes to: the documents' table, and the state machine."""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from arrivals import Arrival, SummaryInput
from backbone.contracts import timestamp
from backbone.errors import Rejected, Retryable
from backbone.executions import Executions
from backbone.json_objects import encode

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class ProcessingRows:
    """The table ``table`` (documentId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str
    retention_days: int

    def begin(self, arrival: Arrival, now: float) -> None:
        """Sets status processing, once for each version of an object: later news of it must not be overwritten.

        Raises Retryable where the table cannot now, Rejected where the row is another customer's.
        """
        try:
            self.client.update_item(
                TableName=self.table,
                Key={"documentId": {"S": arrival.document_id}},
                UpdateExpression=(
                    "SET customerId = :customer, fileName = if_not_exists(fileName, :file), "
                    "createdAt = if_not_exists(createdAt, :now), #key = :key, #status = :processing, "
                    "executionName = :execution, updatedAt = :now, expiresAt = :expires REMOVE reason, code"
                ),
                ConditionExpression=(
                    "attribute_not_exists(documentId) OR (customerId = :customer AND "
                    "(attribute_not_exists(executionName) OR executionName <> :execution))"
                ),
                ExpressionAttributeNames={"#key": "key", "#status": "status"},
                ExpressionAttributeValues={
                    ":customer": {"S": arrival.customer_id},
                    ":file": {"S": arrival.file_name},
                    ":now": {"S": timestamp(now)},
                    ":key": {"S": arrival.key},
                    ":processing": {"S": "processing"},
                    ":execution": {"S": arrival.execution_name},
                    ":expires": {"N": str(int(now) + self.retention_days * _SECONDS_PER_DAY)},
                },
            )
        except (ClientError, BotoCoreError) as failed:
            if not _is(failed, "ConditionalCheckFailedException"):
                raise Retryable(f"update_item {self.table}: {failed}") from failed
            self._refuse_another_customers(arrival)

    def _refuse_another_customers(self, arrival: Arrival) -> None:
        try:
            answer = self.client.get_item(
                TableName=self.table, Key={"documentId": {"S": arrival.document_id}}, ConsistentRead=True
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"get_item {self.table}: {failed}") from failed
        owner = answer.get("Item", {}).get("customerId", {}).get("S")
        if owner != arrival.customer_id:
            raise Rejected(f"{arrival.key!r} names document {arrival.document_id}, which is another customer's")


@dataclass(frozen=True, slots=True)
class SummaryExecutions:
    """The state machine ``state_machine`` (ARN) behind ``client`` (boto3 "stepfunctions")."""

    client: Any
    state_machine: str

    def start(self, name: str, summary_input: SummaryInput) -> bool:
        """Starts the execution ``name``; False where there was one of that name within 90 days. Raises Retryable."""
        return Executions(self.client, self.state_machine).start(name, encode(summary_input))


def _is(failed: ClientError | BotoCoreError, code: str) -> bool:
    return isinstance(failed, ClientError) and failed.response["Error"]["Code"] == code
