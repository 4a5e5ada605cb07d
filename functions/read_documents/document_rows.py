"""Documents' rows in DynamoDB: one by its id, and a customer's by the time they were created."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable
from document_views import DocumentRow


@dataclass(frozen=True, slots=True)
class DocumentRows:
    """The table ``table`` (documentId) with its index ``index`` (customerId, createdAt) behind ``client`` (boto3)."""

    client: Any
    table: str
    index: str

    def get(self, document_id: str) -> DocumentRow | None:
        """The row as of now; None where there is none. Raises Retryable where the table cannot now."""
        key = {"documentId": {"S": document_id}}
        answer = _tried(lambda: self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True))
        item = answer.get("Item")
        return _row(item) if item else None

    def newest(self, customer_id: str, at_most: int) -> list[DocumentRow]:
        """A customer's rows, newest first; one that is a second old may still be missing. Raises as ``get`` does."""
        answer = _tried(
            lambda: self.client.query(
                TableName=self.table,
                IndexName=self.index,
                KeyConditionExpression="customerId = :customer",
                ExpressionAttributeValues={":customer": {"S": customer_id}},
                ScanIndexForward=False,
                Limit=at_most,
            )
        )
        return [_row(item) for item in answer["Items"]]


def _tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (ClientError, BotoCoreError) as failed:
        raise Retryable(f"the documents table: {failed}") from failed


def _row(item: Mapping[str, Mapping[str, str]]) -> DocumentRow:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    return DocumentRow(
        document_id=text["documentId"],
        customer_id=text.get("customerId"),
        file_name=text.get("fileName", ""),
        status=text["status"],
        created_at=text["createdAt"],
        updated_at=text["updatedAt"],
        reason=text.get("reason"),
    )
