"""Proposed actions in moto, written by the code that agent_tools proposes them by, and analysts who decide."""

import json
import time
from dataclasses import replace
from typing import Any
from uuid import uuid4

from backbone import contracts
from backbone.action_rows import ActionRows
from backbone.actions import Action, seen_digest
from backbone.contracts import Metadata
from backbone.outbox import as_text
from tests.unit.api_events import as_person, claims_of
from tests.unit.bank_builder import OWNER
from tests.unit.lambda_events import sample
from tests.unit.resources import Resources

CUSTOMER = "8f3b5c1e-0000-4000-8000-000000000001"
ANNA, BEN = "8f3b5c1e-0000-4000-8000-00000000000a", "8f3b5c1e-0000-4000-8000-00000000000b"
CORRELATION = "chat-1"


def put_action(resources: Resources, *, keeps_its_event: bool = False, **changes: Any) -> str:
    """Proposes to block CARD-000042, whose customer asked for it with 1,200.00 EUR spent lately; returns its id.

    ``keeps_its_event``: the bus did not take ActionProposed. ``changes`` are fields of the action.
    """
    action = Action(
        action_id=str(uuid4()),
        action="block_card",
        customer_id=OWNER,
        card_id="CARD-000042",
        reason="stolen",
        amount_minor=120_000,
        spent="1,200.00 EUR",
        proposed_by="customer",
        person_id=CUSTOMER,
        case_id=None,
        correlation_id=CORRELATION,
        status="proposed",
        created_at=contracts.timestamp(time.time()),
        expires_at=int(time.time()) + 86_400,
    )
    action = replace(action, **changes)
    if keeps_its_event:
        action = replace(action, event_to_publish=proposal_of(action.action_id))
    ActionRows(resources.client("dynamodb"), "actions").add(action)
    return action.action_id


def proposal_of(action_id: str) -> str:
    """An ActionProposed as agent_tools keeps it."""
    data = {"actionId": action_id, "action": "block_card", "customerId": OWNER, "reason": "-", "proposedBy": "customer"}
    event_id = contracts.event_id("ActionProposed", action_id)
    metadata = Metadata(event_id, 1, CORRELATION, "turn", "2026-01-01T12:00:00.000Z", "agent_tools")
    return as_text(contracts.build("ActionProposed", data, metadata))


def action_in(resources: Resources, action_id: str) -> Action:
    """The action as its row has it now."""
    found = ActionRows(resources.client("dynamodb"), "actions").get(action_id)
    assert found is not None
    return found


def seen_of(resources: Resources, action_id: str) -> str:
    """The digest that GET /approvals/{actionId} answers now."""
    return seen_digest(action_in(resources, action_id))


def attempts_on(resources: Resources, action_id: str) -> list[tuple[str, str, str, str]]:
    """Who tried to decide: person, role, decision and outcome, in the order of the trail."""
    rows = sorted(resources.rows("approval-attempts"), key=lambda row: row["attempt"]["S"])
    return [
        (row["personId"]["S"], row["role"]["S"], row["decision"]["S"], row["outcome"]["S"])
        for row in rows
        if row["actionId"]["S"] == action_id
    ]


def an_analyst(person_id: str) -> dict[str, str]:
    """The claims of an analyst's id token."""
    return claims_of("analyst", sub=person_id)


def a_decision(claims: dict[str, str] | None, action_id: str, body: object) -> dict[str, Any]:
    """POST /approvals/{actionId}; a body that is no text is sent as JSON."""
    event = as_person(sample("decide_action", "good"), claims)
    text = body if isinstance(body, str | None) else json.dumps(body)
    return event | {"pathParameters": {"actionId": action_id}, "body": text}


def an_approval(action: Action, /, **changes: Any) -> dict[str, Any]:
    """ActionApproved as the bus delivers it, for what stands on an approved action's row."""
    data = {
        "actionId": action.action_id,
        "action": action.action,
        "customerId": action.customer_id,
        "cardId": action.card_id,
        "transactionId": action.transaction_id,
        "decidedBy": list(action.decided_by) or [ANNA],
        "decidedAt": action.decided_at or "2026-01-01T12:05:00.000Z",
    } | changes
    event_id = contracts.event_id("ActionApproved", action.action_id)
    metadata = Metadata(event_id, 1, action.correlation_id, "x", "2026-01-01T12:05:00.000Z", "decide_action")
    said = {name: value for name, value in data.items() if value is not None}
    event = contracts.build("ActionApproved", said, metadata)
    return {"detail-type": event.detail_type, "source": event.source, "detail": event.detail()}
