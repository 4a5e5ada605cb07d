"""Telling a customer, in the bank's own app, what became of a transaction or a card of theirs.

Of a transaction: that it was flagged, let go, paid back, or that the refund was taken back. Of a card: that the bank
blocked it, or that it works again. Knows no AWS: where notices are kept and how events are published are arguments.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backbone import contracts
from backbone.contracts import Event
from backbone.errors import Rejected, Retryable

PRODUCER = "notify_customer"
NOTIFIED = "CustomerNotified"
CHANNEL = "in-app"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the customer reads. ``notification_id`` is the id of the event that it tells of: one event, one notice.

    ``severity`` is a flag's. What is about a card has no transaction, unless one led to it.
    """

    notification_id: str
    customer_id: str
    text: str
    created_at: float
    transaction_id: str | None = None
    card_id: str | None = None
    severity: str | None = None


class Inbox(Protocol):
    """Keeps notices. Raises Retryable where it cannot now; the same notice twice is kept once."""

    def put(self, notice: Notice) -> None: ...


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: list[Event]) -> dict[str, str]: ...


def read_event(envelope: object) -> Event:
    """The event in an EventBridge ``envelope``; raises Rejected where it is none that customers are told of."""
    detail_type = envelope.get("detail-type") if isinstance(envelope, Mapping) else None
    if not isinstance(detail_type, str) or detail_type not in TEXTS:
        raise Rejected(f"customers are not told of {detail_type!r}")
    return contracts.parse(detail_type, envelope)


def notify(told_of: Event, *, inbox: Inbox, bus: Bus, now: float, traceparent: str | None = None) -> Notice:
    """Keeps the notice for ``told_of`` and publishes CustomerNotified; ``now`` in epoch seconds.

    Raises Retryable where either could not be done; doing it again is safe, for both carry ids made from the event's.
    """
    notice = notice_for(told_of, now)
    inbox.put(notice)
    data = {
        "notificationId": notice.notification_id,
        "customerId": notice.customer_id,
        "transactionId": notice.transaction_id,
        "cardId": notice.card_id,
        "channel": CHANNEL,
    }
    # Version 1 promises a transaction; version 2 is for a card alone.
    version = 1 if notice.transaction_id is not None else 2
    cause = contracts.caused_by(told_of, now, PRODUCER, traceparent)
    event = cause.event(NOTIFIED, notice.notification_id, data, version)
    refused = bus.publish([event])
    if refused:
        raise Retryable(f"CustomerNotified was not taken: {refused[event.metadata.event_id]}")
    return notice


def notice_for(told_of: Event, now: float) -> Notice:
    """The notice for an event: what became of what, and what to do; nothing that helps a thief."""
    data = told_of.data
    return Notice(
        notification_id=told_of.metadata.event_id,
        customer_id=data["customerId"],
        transaction_id=data.get("transactionId"),
        card_id=data.get("cardId"),
        severity=data.get("severity"),
        text=TEXTS[told_of.detail_type](told_of),
        created_at=now,
    )


def _flagged(event: Event) -> str:
    data = event.data
    return (
        f"We noticed an unusual payment of {_amount(data)} with your card {data['cardId']} on "
        f"{data['occurredAt'][:10]}. If it was not you, block the card in this app or call the number on its back. "
        "If it was, you need do nothing."
    )


def _blocked(event: Event) -> str:
    return (
        f"We blocked your card {event.data['cardId']} on {event.metadata.occurred_at[:10]}, so that nobody pays with "
        "it any more. If you did not expect that, call the number on its back."
    )


def _unblocked(event: Event) -> str:
    return (
        f"Your card {event.data['cardId']} works again: what we had blocked it for turned out to be in order. "
        "We are sorry for the trouble."
    )


def _released(event: Event) -> str:
    return (
        f"We looked at the unusual payment of {_amount(event.data)} with your card {event.data['cardId']} and found it "
        "in order. If it was not you, call the number on the card's back."
    )


def _refunded(event: Event) -> str:
    return f"We paid back {_amount(event.data)} for a payment with your card {event.data['cardId']} that was not yours."


def _reversed(event: Event) -> str:
    return (
        f"We took back the refund of {_amount(event.data)}, because the payment with your card "
        f"{event.data['cardId']} turned out to be in order. If you do not agree, write to us in this app's chat."
    )


def _amount(data: Mapping[str, Any]) -> str:
    return f"{data['amountMinor'] // 100}.{data['amountMinor'] % 100:02d} {data['currency']}"


# What customers are told of, and in which words.
TEXTS: dict[str, Callable[[Event], str]] = {
    "TransactionFlagged": _flagged,
    "CardBlocked": _blocked,
    "CardUnblocked": _unblocked,
    "TransactionReleased": _released,
    "TransactionRefunded": _refunded,
    "RefundReversed": _reversed,
}
