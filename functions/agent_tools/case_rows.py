"""The cases in DynamoDB."""

from dataclasses import dataclass
from typing import Any

from backbone.errors import Retryable
from backbone.table_calls import Item, item_of, number_of, text_of, tried, written_if
from card_rows import forget_event
from case_tools import Case


@dataclass(frozen=True, slots=True)
class CaseRows:
    """The table ``table`` (caseId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def add(self, case: Case) -> Case:
        """Keeps the case with its event; the one that stands there where it was kept before."""
        item = item_of(
            {
                "caseId": case.case_id,
                "customerId": case.customer_id,
                "subject": case.subject,
                "transactionId": case.transaction_id,
                "kind": case.kind,
                "status": case.status,
                "openedBy": case.opened_by,
                "openedByRole": case.opened_by_role,
                "openedAt": case.opened_at,
                "correlationId": case.correlation_id,
                "causationDepth": case.causation_depth or None,
                "eventToPublish": case.event_to_publish,
            }
        )
        condition = "attribute_not_exists(caseId)"
        if written_if(self.client.put_item, TableName=self.table, Item=item, ConditionExpression=condition):
            return case
        key = {"caseId": {"S": case.case_id}}
        answer = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        if "Item" not in answer:
            raise Retryable(f"{self.table}: case {case.case_id} was there and is gone")
        return _case(answer["Item"])

    def note_published(self, case: Case) -> None:
        """The bus has the event: the row forgets it."""
        forget_event(self.client, self.table, {"caseId": {"S": case.case_id}}, case.event_to_publish)


def _case(item: Item) -> Case:
    return Case(
        case_id=item["caseId"]["S"],
        customer_id=item["customerId"]["S"],
        subject=item["subject"]["S"],
        transaction_id=text_of(item, "transactionId"),
        kind=item["kind"]["S"],
        status=item["status"]["S"],
        opened_by=item["openedBy"]["S"],
        opened_by_role=item["openedByRole"]["S"],
        opened_at=item["openedAt"]["S"],
        correlation_id=item["correlationId"]["S"],
        causation_depth=number_of(item, "causationDepth"),
        event_to_publish=text_of(item, "eventToPublish"),
    )
