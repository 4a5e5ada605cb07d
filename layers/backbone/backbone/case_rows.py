"""Cases in DynamoDB: the table (caseId), an index by status and one by customer, both in order of openedAt.

The rows are added by agent_tools for people, by investigations for themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from backbone.cases import Case, Closer, Outcome, Reason, Status
from backbone.errors import Retryable
from backbone.investigations import Totals
from backbone.table_calls import Item, forget_event, item_of, number_of, pages, tried, written_if

_PAGE = 100
# A page is at most 1 MB, some thousand cases: no customer has more of them than a few pages.
_PAGES = 10


@dataclass(frozen=True, slots=True)
class CaseRows:
    """The table ``table`` (caseId) behind ``client`` (boto3 "dynamodb")."""

    client: Any
    table: str

    def get(self, case_id: str) -> Case | None:
        """The case as of now; None where there is none. Raises Retryable."""
        key = {"caseId": {"S": case_id}}
        answer = tried(self.client.get_item, TableName=self.table, Key=key, ConsistentRead=True)
        return _case(answer["Item"]) if "Item" in answer else None

    def add(self, case: Case) -> Case:
        """Keeps a new case with its event; answers what stands there, which is an earlier one where there was one.

        Raises Retryable.
        """
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
        standing = self.get(case.case_id)
        if standing is None:
            raise Retryable(f"{self.table}: case {case.case_id} was there and is gone")
        return standing

    def escalate(self, after: Case) -> bool:
        """Writes that an open case is a person's now, with its event, where the events before it are out.

        False, and nothing written, where it is closed, or was escalated before. Raises Retryable.
        """
        texts = {
            "escalatedAt": after.escalated_at,
            "escalatedBecause": after.escalated_because,
            "eventToPublish": after.event_to_publish,
        }
        said = {name: text for name, text in texts.items() if text is not None}
        return self._updated(
            after.case_id,
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in said),
            ConditionExpression=(
                "#status = :open AND attribute_not_exists(eventToPublish) AND attribute_not_exists(escalatedAt)"
            ),
            ExpressionAttributeNames={"#status": "status", **{f"#{name}": name for name in said}},
            ExpressionAttributeValues={":open": {"S": "open"}, **{f":{name}": {"S": said[name]} for name in said}},
        )

    def note_totals(self, case_id: str, totals: Totals) -> None:
        """Writes what an investigation took, so far or in all, onto its case's row. Raises Retryable."""
        numbers = {
            "steps": totals.steps,
            "inputTokens": totals.input_tokens,
            "outputTokens": totals.output_tokens,
            "costMicroDollars": totals.cost_micro_dollars,
        }
        self._updated(
            case_id,
            UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in numbers),
            ConditionExpression="attribute_exists(caseId)",
            ExpressionAttributeValues={f":{name}": {"N": str(number)} for name, number in numbers.items()},
        )

    def close(self, after: Case) -> bool:
        """Writes how an open case ends, with its event, where the events before it are out.

        False, and nothing written, where somebody else closed it meanwhile. Raises Retryable, after which nothing is
        known.
        """
        texts = {
            "status": after.status,
            "outcome": after.outcome,
            "closedBy": after.closed_by,
            "closedByRole": after.closed_by_role,
            "closedAt": after.closed_at,
            "note": after.note,
            "eventToPublish": after.event_to_publish,
        }
        said = {name: text for name, text in texts.items() if text is not None}
        return self._updated(
            after.case_id,
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in said),
            ConditionExpression="#status = :open AND attribute_not_exists(eventToPublish)",
            ExpressionAttributeNames={f"#{name}": name for name in said},
            ExpressionAttributeValues={":open": {"S": "open"}, **{f":{name}": {"S": said[name]} for name in said}},
        )

    def note_published(self, case: Case) -> None:
        """The bus has the case's event: the row forgets it, if it is still the one there. Raises Retryable.

        With its CaseClosed out a case is closed for the outbox too.
        """
        if case.status != "closing":
            forget_event(self.client, self.table, {"caseId": {"S": case.case_id}}, case.event_to_publish)
            return
        self._updated(
            case.case_id,
            UpdateExpression="SET #status = :closed REMOVE eventToPublish",
            ConditionExpression="eventToPublish = :published",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":published": {"S": case.event_to_publish}, ":closed": {"S": "closed"}},
        )

    def _updated(self, case_id: str, **update: Any) -> bool:
        """Whether the row was changed; False where the condition did not hold."""
        return written_if(self.client.update_item, TableName=self.table, Key={"caseId": {"S": case_id}}, **update)


@dataclass(frozen=True, slots=True)
class CaseIndex:
    """The indexes of ``table``: ``by_status`` (status, openedAt) and ``by_customer`` (customerId, openedAt).

    They may be a moment behind: who changes what they find reads the row again. Each method raises Retryable.
    """

    client: Any
    table: str
    by_status: str
    by_customer: str = ""

    def open(self, at_most: int) -> list[Case]:
        """The newest open cases, newest first."""
        answer = tried(self.client.query, **self._with_status("open"), ScanIndexForward=False, Limit=at_most)
        return [_case(item) for item in answer["Items"]]

    def open_of(self, customer_id: str, at_most: int, opened_by_role: str | None = None) -> list[Case]:
        """A customer's newest open cases, newest first; only those opened in a role where one is named."""
        query: dict[str, Any] = {
            "TableName": self.table,
            "IndexName": self.by_customer,
            "KeyConditionExpression": "customerId = :customer",
            "FilterExpression": "#status = :open",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":customer": {"S": customer_id}, ":open": {"S": "open"}},
            "ScanIndexForward": False,
        }
        if opened_by_role is not None:
            query["FilterExpression"] += " AND openedByRole = :role"
            query["ExpressionAttributeValues"][":role"] = {"S": opened_by_role}
        found: list[Case] = []
        for items, _ in pages(self.client, _PAGES, **query):
            found += map(_case, items)
            if len(found) >= at_most:
                break
        return found[:at_most]

    def of(self, customer_id: str) -> list[Case]:
        """All of a customer's cases, newest first; of a customer with thousands of them the newest."""
        query = {
            "TableName": self.table,
            "IndexName": self.by_customer,
            "KeyConditionExpression": "customerId = :customer",
            "ExpressionAttributeValues": {":customer": {"S": customer_id}},
            "ScanIndexForward": False,
        }
        return [_case(item) for items, _ in pages(self.client, _PAGES, **query) for item in items]

    def closing(self) -> Iterator[Case]:
        """Those that are closed while the bus may not have their CaseClosed, the one opened first before the others."""
        for items, _ in pages(self.client, None, **self._with_status("closing"), Limit=_PAGE):
            yield from map(_case, items)

    def _with_status(self, status: Status) -> dict[str, Any]:
        return {
            "TableName": self.table,
            "IndexName": self.by_status,
            "KeyConditionExpression": "#status = :status",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":status": {"S": status}},
        }


def _case(item: Item) -> Case:
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    return Case(
        case_id=text["caseId"],
        customer_id=text["customerId"],
        subject=text["subject"],
        kind=text["kind"],
        status=cast(Status, text["status"]),
        opened_by=text["openedBy"],
        opened_by_role=text["openedByRole"],
        opened_at=text["openedAt"],
        correlation_id=text["correlationId"],
        transaction_id=text.get("transactionId"),
        outcome=cast("Outcome | None", text.get("outcome")),
        closed_by=text.get("closedBy"),
        closed_by_role=cast("Closer | None", text.get("closedByRole")),
        closed_at=text.get("closedAt"),
        note=text.get("note"),
        causation_depth=number_of(item, "causationDepth"),
        event_to_publish=text.get("eventToPublish"),
        goal=text.get("goal"),
        escalated_at=text.get("escalatedAt"),
        escalated_because=cast("Reason | None", text.get("escalatedBecause")),
    )
