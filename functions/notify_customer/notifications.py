"""Telling a customer, in the bank's own app, that a transaction of theirs was flagged.

Knows no AWS: where notices are kept and how events are published are arguments.
"""

from dataclasses import dataclass
from typing import Protocol

from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.errors import Retryable

PRODUCER = "notify_customer"
NOTIFIED = "CustomerNotified"
CHANNEL = "in-app"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the customer reads. ``notification_id`` is the flagging event's id: one flag, one notice."""

    notification_id: str
    customer_id: str
    transaction_id: str
    severity: str
    text: str
    created_at: float


class Inbox(Protocol):
    """Keeps notices. Raises Retryable where it cannot now; the same notice twice is kept once."""

    def put(self, notice: Notice) -> None: ...


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: list[Event]) -> dict[str, str]: ...


def notify(flagged: Event, *, inbox: Inbox, bus: Bus, now: float, traceparent: str | None = None) -> Notice:
    """Keeps the notice for ``flagged`` (a TransactionFlagged) and publishes CustomerNotified; ``now`` in epoch seconds.

    Raises Retryable where either could not be done; doing it again is safe, for both carry ids made from the flag's.
    """
    notice = notice_for(flagged, now)
    inbox.put(notice)
    event = contracts.build(
        NOTIFIED,
        {
            "notificationId": notice.notification_id,
            "customerId": notice.customer_id,
            "transactionId": notice.transaction_id,
            "channel": CHANNEL,
        },
        Metadata(
            event_id=contracts.event_id(NOTIFIED, notice.notification_id),
            event_version=1,
            correlation_id=flagged.metadata.correlation_id,
            causation_id=flagged.metadata.event_id,
            occurred_at=contracts.timestamp(now),
            producer=PRODUCER,
            traceparent=traceparent or flagged.metadata.traceparent,
        ),
    )
    refused = bus.publish([event])
    if refused:
        raise Retryable(f"CustomerNotified was not taken: {refused[event.metadata.event_id]}")
    return notice


def notice_for(flagged: Event, now: float) -> Notice:
    """The notice for a TransactionFlagged: what was flagged and what to do, and nothing that helps a thief."""
    data = flagged.data
    amount = f"{data['amountMinor'] // 100}.{data['amountMinor'] % 100:02d} {data['currency']}"
    text = (
        f"We noticed an unusual payment of {amount} with your card {data['cardId']} on {data['occurredAt'][:10]}. "
        "If it was not you, block the card in this app or call the number on its back. If it was, you need do nothing."
    )
    return Notice(
        notification_id=flagged.metadata.event_id,
        customer_id=data["customerId"],
        transaction_id=data["transactionId"],
        severity=data["severity"],
        text=text,
        created_at=now,
    )
