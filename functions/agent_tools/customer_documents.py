"""A customer's documents: their rows in DynamoDB, and the index of each in the bucket."""

from dataclasses import dataclass
from typing import Any

from backbone.documents import DocumentBucket, index_key
from backbone.retrieval import Index
from backbone.table_calls import tried
from document_tools import StoredDocument

# The document flow writes the index before it says one of these.
_INDEXED = ("summarized", "needs_review")


@dataclass(frozen=True, slots=True)
class CustomerDocuments:
    """The table ``table`` with its index ``index_name`` (customerId, createdAt) behind ``client``, and the bucket."""

    client: Any
    table: str
    index_name: str
    bucket: DocumentBucket

    def newest(self, customer_id: str, at_most: int) -> tuple[list[StoredDocument], bool]:
        """A customer's documents, newest first, and whether these are all. Raises Retryable."""
        answer = tried(
            self.client.query,
            TableName=self.table,
            IndexName=self.index_name,
            KeyConditionExpression="customerId = :customer",
            ExpressionAttributeValues={":customer": {"S": customer_id}},
            ScanIndexForward=False,
            Limit=at_most,
        )
        documents = [
            StoredDocument(item["documentId"]["S"], item["fileName"]["S"], item["status"]["S"] in _INDEXED)
            for item in answer["Items"]
        ]
        return documents, "LastEvaluatedKey" not in answer

    def index(self, document_id: str) -> Index:
        """The passages of a document with their vectors. Raises Retryable; Rejected where it is absent or damaged."""
        return self.bucket.read(Index, index_key(document_id))
