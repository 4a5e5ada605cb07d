"""A small bank in moto for the agent's tools: cards, transactions as scoring writes them, indexed documents."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backbone.documents import DocumentBucket, index_key
from backbone.retrieval import build_index
from backbone.tool_catalogue import ACTION_GROUP
from stream_records import read_transaction
from tests.unit.decision_builder import a_decision
from tests.unit.document_builder import passages_of, word_vector
from tests.unit.resources import Resources
from tests.unit.stream_record_builder import a_document, a_record
from tool_session import Session
from transaction_store import TransactionStore

OWNER, STRANGER = "CUST-000042", "CUST-000043"
CONVERSATION = "3f0c7a52-6d1b-4c58-9a3e-0d5f6a7b8c9d"
SESSION = {
    "personId": "8f3b5c1e-0000-4000-8000-000000000001",
    "role": "customer",
    "customerId": OWNER,
    "conversationId": CONVERSATION,
    "turn": "3",
    "correlationId": "chat-1",
}
DAY = 86_400


def a_session(**changes: Any) -> Session:
    """Customer CUST-000042 in the third turn of a conversation."""
    return replace(
        Session("8f3b5c1e-0000-4000-8000-000000000001", "customer", OWNER, CONVERSATION, 3, "chat-1"), **changes
    )


def a_call(tool: str, arguments: Mapping[str, object] | None = None, **session: object) -> dict[str, Any]:
    """The event of an action group; ``session`` replaces attributes, and None takes one away."""
    attributes = {name: value for name, value in (SESSION | session).items() if value is not None}
    return {
        "messageVersion": "1.0",
        "agent": {"name": "bank", "id": "AGENT12345", "alias": "ALIAS12345", "version": "1"},
        "inputText": "",
        "sessionId": CONVERSATION,
        "actionGroup": ACTION_GROUP,
        "function": tool,
        "parameters": [{"name": name, "type": "string", "value": value} for name, value in (arguments or {}).items()],
        "sessionAttributes": attributes,
        "promptSessionAttributes": {},
    }


def put_card(resources: Resources, card_id: str = "CARD-000042", customer_id: str = OWNER, **more: str) -> None:
    """A card as the registry is loaded with it; ``more`` are texts on its row."""
    texts = {"cardId": card_id, "customerId": customer_id, "status": "active"}
    texts |= {"label": f"Debit card ending {card_id[-4:]}"} | more
    item = {name: {"S": value} for name, value in texts.items()} | {"version": {"N": "1"}}
    resources.client("dynamodb").put_item(TableName="cards", Item=item)


def put_transaction(
    resources: Resources,
    number: int = 1,
    *,
    days_ago: float = 1.0,
    amount_minor: int = 2_000,
    flagged: bool = False,
    card_id: str = "CARD-000042",
    customer_id: str = OWNER,
    **document: Any,
) -> None:
    """The row of TX-<number>, written by score_transactions' own store."""
    occurred_at = int(time.time() - days_ago * DAY)
    document |= {"cardId": card_id, "customerId": customer_id, "amountMinor": amount_minor}
    said = a_document(number, occurred_at=occurred_at, **document)
    received = read_transaction(a_record(said, arrived_at=occurred_at + 0.25))
    decision = replace(a_decision(number, flagged=flagged, **document), received=received)
    store = TransactionStore(resources.client("dynamodb"), "transactions", "profiles", 90)
    known = store.load({card_id}, {decision.transaction.terminal_id}, set())
    store.commit(known, [decision], time.time())


def put_document(
    resources: Resources,
    document_id: str,
    texts: Sequence[str],
    *,
    customer_id: str = OWNER,
    index_of: str | None = None,
    status: str = "summarized",
    created_at: str = "2026-01-01T12:00:00.000Z",
) -> None:
    """A document that the flow has finished; ``index_of`` names another customer in the index than in the row."""
    file_name = f"{document_id.lower()}.pdf"
    row = {"documentId": document_id, "customerId": customer_id, "fileName": file_name, "status": status}
    item = {name: {"S": value} for name, value in (row | {"createdAt": created_at}).items()}
    resources.client("dynamodb").put_item(TableName="documents", Item=item)
    index = build_index(
        passages_of(*texts),
        [word_vector(text) for text in texts],
        document_id=document_id,
        customer_id=index_of or customer_id,
        file_name=file_name,
        model="fake",
    )
    DocumentBucket(resources.client("s3"), "documents").write(index_key(document_id), index)


def row_of(resources: Resources, table: str) -> dict[str, Any]:
    """The one row of a table, its attributes without their types."""
    (row,) = resources.rows(table)
    return {name: next(iter(value.values())) for name, value in row.items()}


def body_of(answer: dict[str, Any]) -> dict[str, Any]:
    """The tool's answer in the function's: TEXT is decoded once."""
    body = json.loads(answer["response"]["functionResponse"]["responseBody"]["TEXT"]["body"])
    assert isinstance(body, dict)
    return body
