"""Labels in DynamoDB, on the rows that score_transactions wrote, and the terminals' counters beside them.

Transactions (transactionId): label, labelCaseId, labelledAt. Profiles: see backbone.terminal_counters.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable
from backbone.item_transactions import write_together
from backbone.terminal_counters import frauds_on, terminal_key, transactions_on
from outcome_learning import Label, LabelledTransaction, Verdict

_SECONDS_PER_DAY = 86_400
_READ = "transactionId, customerId, terminalId, occurredAt, #label, labelCaseId, labelledAt"
_DAY_IS_GONE = (1,)


@dataclass(frozen=True, slots=True)
class LabelRows:
    """The two tables behind ``client`` (boto3 "dynamodb"). ``wait`` sleeps; tests hand in one that does not."""

    client: Any
    transactions_table: str
    profiles_table: str
    wait: Callable[[float], None] = time.sleep

    def get(self, transaction_id: str) -> LabelledTransaction | None:
        """The transaction as of now; None where there is no row. Raises Retryable."""
        try:
            answer = self.client.get_item(
                TableName=self.transactions_table,
                Key={"transactionId": {"S": transaction_id}},
                ConsistentRead=True,
                ProjectionExpression=_READ,
                ExpressionAttributeNames={"#label": "label"},
            )
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"{self.transactions_table}: {failed}") from failed
        return _transaction(answer["Item"]) if "Item" in answer else None

    def put(self, transaction: LabelledTransaction, label: Label, frauds: int) -> bool:
        """Writes the label and adds ``frauds`` (-1, 0 or 1) to the counter of the transaction's day; see ``Labels``."""
        row = self._row(transaction, label)
        if frauds == 0:
            return not write_together(self.client, [row], self.wait)
        refused = write_together(self.client, [row, self._counter(transaction, frauds)], self.wait)
        if refused == _DAY_IS_GONE:
            refused = write_together(self.client, [row], self.wait)
        return not refused

    def _row(self, transaction: LabelledTransaction, label: Label) -> dict[str, Any]:
        said = {":label": label.verdict, ":case": label.case_id, ":at": label.closed_at}
        standing = "attribute_exists(transactionId) AND attribute_not_exists(labelCaseId)"
        if transaction.label is not None:
            standing = "labelCaseId = :before"
            said[":before"] = transaction.label.case_id
        return {
            "Update": {
                "TableName": self.transactions_table,
                "Key": {"transactionId": {"S": transaction.transaction_id}},
                "UpdateExpression": "SET #label = :label, labelCaseId = :case, labelledAt = :at",
                "ConditionExpression": standing,
                "ExpressionAttributeNames": {"#label": "label"},
                "ExpressionAttributeValues": {name: {"S": text} for name, text in said.items()},
            }
        }

    def _counter(self, transaction: LabelledTransaction, frauds: int) -> dict[str, Any]:
        day = transaction.occurred_at // _SECONDS_PER_DAY
        return {
            "Update": {
                "TableName": self.profiles_table,
                "Key": terminal_key(transaction.terminal_id),
                "UpdateExpression": f"ADD {frauds_on(day)} :frauds",
                # The transaction itself was counted with its row; a day without a count has left the horizon.
                "ConditionExpression": f"attribute_exists({transactions_on(day)})",
                "ExpressionAttributeValues": {":frauds": {"N": str(frauds)}},
            }
        }


def _transaction(item: Mapping[str, Any]) -> LabelledTransaction:
    label = None
    if "labelCaseId" in item:
        verdict = cast(Verdict, item["label"]["S"])
        label = Label(verdict, item["labelCaseId"]["S"], item["labelledAt"]["S"])
    return LabelledTransaction(
        transaction_id=item["transactionId"]["S"],
        customer_id=item["customerId"]["S"],
        terminal_id=item["terminalId"]["S"],
        occurred_at=int(item["occurredAt"]["N"]),
        label=label,
    )
