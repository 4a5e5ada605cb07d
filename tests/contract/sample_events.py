"""An event of each kind as the bus delivers it, made through the contract."""

import json
from typing import Any

from backbone import contracts
from backbone.contracts import Metadata
from tests.contract.schema_files import sample_envelopes

FLAGGED: dict[str, Any] = json.loads(sample_envelopes("good")[0])
_ID = "0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11"
_MESSAGE = {"conversationId": _ID, "messageId": "message-0001", "turn": 1, "customerId": "CUST-000042"}
_DECIDED: dict[str, Any] = {
    "actionId": _ID,
    "action": "block_card",
    "customerId": "CUST-000042",
    "cardId": "CARD-000042",
    "caseId": _ID,
}
_DECIDED |= {"amountMinor": 120_000, "decidedAt": "2026-01-01T12:05:00.000Z"}
_PAID: dict[str, Any] = {
    "transactionId": "TX-SAMPLE-3",
    "customerId": "CUST-000042",
    "cardId": "CARD-000042",
    "amountMinor": 150_000,
    "currency": "EUR",
}
_DATA: dict[str, dict[str, Any]] = {
    "CustomerNotified": {
        "notificationId": FLAGGED["detail"]["metadata"]["eventId"],
        "customerId": "CUST-000042",
        "transactionId": "TX-SAMPLE-3",
        "channel": "in-app",
    },
    "DocumentSummarized": {
        "documentId": "DOC-SAMPLE",
        "customerId": "CUST-000042",
        "status": "summarized",
        "sentences": 8,
        "supportRate": 1.0,
        "summaryKey": "summaries/DOC-SAMPLE.json",
        "modelId": "amazon.nova-lite-v1:0",
    },
    "DocumentRejected": {
        "documentId": "DOC-SAMPLE",
        "customerId": "CUST-000042",
        "code": "NO_TEXT",
        "reason": "The file has no text, only pictures of it.",
    },
    "CardBlocked": {"cardId": "CARD-000042", "customerId": "CUST-000042", "reason": "stolen", "blockedBy": "analyst"},
    "CardUnblocked": {"cardId": "CARD-000042", "customerId": "CUST-000042", "actionId": _ID, "caseId": _ID},
    "TransactionReleased": _PAID | {"releaseId": _ID, "releasedBy": "agent"},
    "TransactionReleaseWithdrawn": _PAID | {"releaseId": _ID, "caseId": _ID},
    "TransactionRefunded": _PAID | {"actionId": _ID},
    "RefundReversed": _PAID | {"actionId": _ID, "caseId": _ID},
    "ChatMessageReceived": _MESSAGE | {"role": "customer"},
    "ChatAnswered": _MESSAGE | {"outcome": "answered", "tools": ["list_cards"], "engine": "converse"},
    "ActionProposed": {
        "actionId": _ID,
        "action": "block_card",
        "customerId": "CUST-000042",
        "cardId": "CARD-000042",
        "amountMinor": 120_000,
        "reason": "The customer says that the card is stolen.",
        "proposedBy": "customer",
    },
    "ActionApproved": _DECIDED | {"decidedBy": ["8f3b5c1e-0000-4000-8000-000000000002"]},
    "ActionRejected": _DECIDED | {"decidedBy": [], "cause": "expired"},
    "CaseOpened": {"caseId": _ID, "customerId": "CUST-000042", "kind": "chat", "openedBy": "customer"},
    "CaseClosed": {
        "caseId": _ID,
        "customerId": "CUST-000042",
        "transactionId": "TX-SAMPLE-3",
        "kind": "chat",
        "openedBy": "customer",
        "outcome": "confirmed_fraud",
        "closedBy": "analyst",
        "closedAt": "2026-01-02T12:00:00.000Z",
    },
    "CaseEscalated": {
        "caseId": _ID,
        "customerId": "CUST-000042",
        "transactionId": "TX-SAMPLE-3",
        "reason": "asked",
        "escalatedAt": "2026-01-02T12:00:00.000Z",
    },
}


def an_envelope(detail_type: str) -> dict[str, Any]:
    """The event; ValueError where what stands above breaks its schema."""
    if detail_type == "TransactionFlagged":
        return FLAGGED
    event_id = contracts.event_id(detail_type, "sample")
    metadata = Metadata(event_id, 1, "order-1", event_id, "2026-01-01T12:00:00.000Z", "tests/contract")
    event = contracts.build(detail_type, _DATA[detail_type], metadata)
    return FLAGGED | {"detail-type": detail_type, "source": event.source, "detail": event.detail()}
