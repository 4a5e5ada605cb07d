"""Cases in moto, as agent_tools opens them, and people who close them."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

from backbone import contracts
from backbone.case_rows import CaseRows
from backbone.cases import Case
from backbone.contracts import Metadata
from backbone.outbox import as_text
from tests.unit.api_events import as_person
from tests.unit.bank_builder import OWNER
from tests.unit.lambda_events import sample
from tests.unit.resources import Resources

CUSTOMER = "8f3b5c1e-0000-4000-8000-000000000001"
CORRELATION = "chat-1"


def put_case(resources: Resources, *, keeps_its_event: bool = False, **changes: Any) -> str:
    """Opens a case about TX-1, as its customer asked for; returns its id.

    ``keeps_its_event``: the bus did not take CaseOpened. ``changes`` are fields of Case.
    """
    case = Case(
        case_id=str(uuid4()),
        customer_id=OWNER,
        subject="I did not pay this",
        transaction_id="TX-1",
        kind="chat",
        status="open",
        opened_by=CUSTOMER,
        opened_by_role="customer",
        opened_at="2026-01-01T12:00:00.000Z",
        correlation_id=CORRELATION,
    )
    case = replace(case, **changes)
    if keeps_its_event:
        case = replace(case, event_to_publish=opening_of(case.case_id))
    CaseRows(resources.client("dynamodb"), "cases").add(case)
    return case.case_id


def opening_of(case_id: str) -> str:
    """A CaseOpened as agent_tools keeps it."""
    data = {"caseId": case_id, "customerId": OWNER, "kind": "chat", "openedBy": "customer"}
    event_id = contracts.event_id("CaseOpened", case_id)
    metadata = Metadata(event_id, 1, CORRELATION, "turn", "2026-01-01T12:00:00.000Z", "agent_tools")
    return as_text(contracts.build("CaseOpened", data, metadata))


def case_in(resources: Resources, case_id: str) -> Case:
    """The case as its row has it now."""
    found = CaseRows(resources.client("dynamodb"), "cases").get(case_id)
    assert found is not None
    return found


def a_closing(claims: dict[str, str] | None, case_id: str, body: object) -> dict[str, Any]:
    """POST /cases/{caseId}/close; a body that is no text is sent as JSON."""
    event = as_person(sample("close_case", "good"), claims)
    text = body if isinstance(body, str | None) else json.dumps(body)
    return event | {"pathParameters": {"caseId": case_id}, "body": text}


def put_closed_case(resources: Resources, outcome: str = "genuine", *, minute: int = 0, **changes: Any) -> str:
    """A case about TX-1 that an analyst closed at that minute, with nothing left to publish; returns its id."""
    case_id = put_case(resources, status="closed", **changes)
    said = {"outcome": outcome, "closedBy": "anna", "closedByRole": "analyst", "closedAt": _closed_at(minute)}
    resources.client("dynamodb").update_item(
        TableName="cases",
        Key={"caseId": {"S": case_id}},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in said),
        ExpressionAttributeValues={f":{name}": {"S": text} for name, text in said.items()},
    )
    return case_id


def closing_of(resources: Resources, case_id: str, **changes: Any) -> dict[str, Any]:
    """The CaseClosed of a closed case, as the bus delivers it; ``changes`` are what a forger says instead."""
    case = case_in(resources, case_id)
    said = {"transaction_id": case.transaction_id, "outcome": case.outcome, "customerId": case.customer_id}
    return a_closed_case(**said | {"caseId": case_id, "closedAt": case.closed_at} | changes)


def _closed_at(minute: int) -> str:
    return f"2026-01-02T12:{minute:02}:00.000Z"


def a_closed_case(
    transaction_id: str | None = "TX-1", outcome: str = "confirmed_fraud", *, minute: int = 0, **changes: Any
) -> dict[str, Any]:
    """CaseClosed as the bus delivers it, of a case of its own that was closed at that minute."""
    data = {
        "caseId": str(uuid4()),
        "customerId": OWNER,
        "transactionId": transaction_id,
        "kind": "chat",
        "openedBy": "customer",
        "outcome": outcome,
        "closedBy": "analyst",
        "closedAt": _closed_at(minute),
    } | changes
    event_id = contracts.event_id("CaseClosed", data["caseId"])
    metadata = Metadata(event_id, 1, CORRELATION, "x", data["closedAt"], "close_case")
    said = {name: value for name, value in data.items() if value is not None}
    event = contracts.build("CaseClosed", said, metadata)
    return {"detail-type": event.detail_type, "source": event.source, "detail": event.detail()}
