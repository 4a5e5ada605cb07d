"""A case's transaction as score_transactions left it, from DynamoDB."""

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.contracts import timestamp
from backbone.errors import Retryable


@dataclass(frozen=True, slots=True)
class CaseTransactions:
    """The table ``table`` (transactionId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def get(self, transaction_id: str) -> dict[str, Any] | None:
        """The transaction with its score and its reasons; None where it is not kept any more. Raises Retryable."""
        try:
            answer = self.client.get_item(
                TableName=self.table, Key={"transactionId": {"S": transaction_id}}, ConsistentRead=True
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"{self.table}: {failed}") from failed
        if "Item" not in answer:
            return None
        item = answer["Item"]
        return {
            "transactionId": item["transactionId"]["S"],
            "cardId": item["cardId"]["S"],
            "terminalId": item["terminalId"]["S"],
            "amountMinor": int(item["amountMinor"]["N"]),
            "currency": item["currency"]["S"],
            "occurredAt": timestamp(int(item["occurredAt"]["N"])),
            "flagged": item["flagged"]["BOOL"],
            "severity": item["severity"]["S"],
            "score": float(item["score"]["N"]),
            "reasons": json.loads(item["explanation"]["S"])["reasons"],
        }
