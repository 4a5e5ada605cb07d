"""Builders for decisions, as the scoring domain hands them to a store."""

from typing import Any

from backbone import contracts
from backbone.contracts import Event, Metadata
from features import FEATURE_NAMES, CardProfile, add_to_card
from scoring import Decision
from tests.unit.stream_record_builder import a_document, a_received
from verdict import Driver, Reason, Verdict


def a_flagged_event(number: int = 1, **changes: Any) -> Event:
    """The TransactionFlagged of transaction TX-<number>; ``changes`` replace fields of its data."""
    document = a_document(number)
    del document["location"]
    reason = {"code": "MODEL_SCORE", "severity": "medium", "explanation": "The score reaches the threshold."}
    data = document | {
        "score": 0.9,
        "severity": "medium",
        "reasons": [reason],
        "drivers": [{"feature": "amount", "value": 2000.0, "reference": 1500.0, "contribution": 0.4}],
        "modelVersion": "0123456789ab",
    }
    metadata = Metadata(
        event_id=contracts.event_id("TransactionFlagged", f"TX-{number}"),
        event_version=1,
        correlation_id=f"order-{number}",
        causation_id="shardId-000000000000:1",
        occurred_at="2023-11-15T12:00:01.000Z",
        producer="score_transactions",
    )
    return contracts.build("TransactionFlagged", data | changes, metadata)


def a_decision(
    number: int = 1, *, card_before: CardProfile | None = None, flagged: bool = False, **document: Any
) -> Decision:
    """A decision on transaction TX-<number>; ``document`` replaces fields of what the producer said."""
    received = a_received(a_document(number, **document))
    return Decision(
        received,
        Verdict(
            transaction_id=received.transaction.transaction_id,
            score=0.9 if flagged else 0.1,
            flagged=flagged,
            severity="medium" if flagged else "low",
            reasons=(Reason("MODEL_SCORE", "medium", "The score reaches the threshold."),) if flagged else (),
            drivers=(Driver("amount", 2000.0, 1500.0, 0.4),) if flagged else (),
            features=dict.fromkeys(FEATURE_NAMES, 1.0),
            model_version="0123456789ab",
        ),
        add_to_card(card_before or CardProfile(), received.transaction),
        a_flagged_event(number) if flagged else None,
    )
