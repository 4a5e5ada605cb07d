"""What the bank does about a paid transaction: letting it go, paying it back, and taking either back again.

    release:  none -> released -> withdrawn
    refund:   none -> refunded -> reversed       each again, by another action, once it was taken back

And what stands: the outcome of the case about it that was closed last (``compensate_outcome`` keeps it). Everything
that changes a transaction is held to that: nothing is paid back for what stands as genuine, nothing let go that stands
as fraud. Outcome and changes lie on one row, so whichever comes first, the other one sees it.

Each step is one conditional write with its event. Knows no AWS: ``transaction_change_rows`` keeps them.
"""

from dataclasses import dataclass, replace
from typing import Literal

from backbone.cases import closing_order
from backbone.contracts import Cause, timestamp
from backbone.outbox import as_text

type Verdict = Literal["confirmed_fraud", "genuine"]
type Releaser = Literal["agent", "analyst"]

FRAUD: Verdict = "confirmed_fraud"
GENUINE: Verdict = "genuine"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a transaction turned out to be: by which case, and when that was closed (RFC 3339)."""

    verdict: Verdict
    case_id: str
    closed_at: str

    def is_later_than(self, other: "Standing") -> bool:
        """Whether this takes the other's place."""
        return closing_order(self.closed_at, self.case_id) > closing_order(other.closed_at, other.case_id)


@dataclass(frozen=True, slots=True)
class Release:
    """That a flagged transaction was let go: ``release_id`` is the change, or the action, that did it; RFC 3339."""

    release_id: str
    at: str
    by: Releaser
    withdrawn_at: str | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """That a transaction was paid back, in minor units of its currency, by the action ``refund_id``; RFC 3339."""

    refund_id: str
    at: str
    amount_minor: int
    reversed_at: str | None = None


@dataclass(frozen=True, slots=True)
class PaidTransaction:
    """A transaction as its row has it; ``event_to_publish`` is an event about it that the bus may not have yet."""

    transaction_id: str
    customer_id: str
    card_id: str
    amount_minor: int
    currency: str
    is_flagged: bool
    release: Release | None = None
    refund: Refund | None = None
    standing: Standing | None = None
    event_to_publish: str | None = None

    @property
    def is_released(self) -> bool:
        return self.release is not None and self.release.withdrawn_at is None

    @property
    def is_refunded(self) -> bool:
        return self.refund is not None and self.refund.reversed_at is None

    def stands_as(self, verdict: Verdict) -> bool:
        return self.standing is not None and self.standing.verdict == verdict


def released(
    paid: PaidTransaction, release_id: str, by: Releaser, cause: Cause, *, case_id: str | None = None
) -> PaidTransaction:
    """The transaction once it is let go, with its TransactionReleased."""
    data = {
        **_said(paid),
        "releaseId": release_id,
        "releasedBy": by,
        "caseId": case_id,
    }
    event = cause.event("TransactionReleased", f"{paid.transaction_id}:{release_id}", data)
    release = Release(release_id, timestamp(cause.now), by)
    return replace(paid, release=release, event_to_publish=as_text(event))


def release_withdrawn(paid: PaidTransaction, case_id: str, cause: Cause) -> PaidTransaction:
    """The transaction once its release is withdrawn, because ``case_id`` found it a fraud, with the event of that."""
    if paid.release is None:
        raise ValueError(f"{paid.transaction_id} was not released")
    data = {**_said(paid), "releaseId": paid.release.release_id, "caseId": case_id}
    event = cause.event("TransactionReleaseWithdrawn", f"{paid.transaction_id}:{paid.release.release_id}", data)
    release = replace(paid.release, withdrawn_at=timestamp(cause.now))
    return replace(paid, release=release, event_to_publish=as_text(event))


def refunded(
    paid: PaidTransaction, action_id: str, amount_minor: int, cause: Cause, *, case_id: str | None = None
) -> PaidTransaction:
    """The transaction once ``amount_minor`` of it is paid back, with its TransactionRefunded."""
    data = {**_said(paid), "amountMinor": amount_minor, "actionId": action_id, "caseId": case_id}
    event = cause.event("TransactionRefunded", f"{paid.transaction_id}:{action_id}", data)
    refund = Refund(action_id, timestamp(cause.now), amount_minor)
    return replace(paid, refund=refund, event_to_publish=as_text(event))


def refund_reversed(paid: PaidTransaction, case_id: str, cause: Cause) -> PaidTransaction:
    """The transaction once its refund is taken back, because ``case_id`` found it genuine, with its RefundReversed."""
    if paid.refund is None:
        raise ValueError(f"{paid.transaction_id} was not refunded")
    said = {"amountMinor": paid.refund.amount_minor, "actionId": paid.refund.refund_id, "caseId": case_id}
    event = cause.event("RefundReversed", f"{paid.transaction_id}:{paid.refund.refund_id}", {**_said(paid), **said})
    refund = replace(paid.refund, reversed_at=timestamp(cause.now))
    return replace(paid, refund=refund, event_to_publish=as_text(event))


def _said(paid: PaidTransaction) -> dict[str, str | int | None]:
    return {
        "transactionId": paid.transaction_id,
        "customerId": paid.customer_id,
        "cardId": paid.card_id,
        "amountMinor": paid.amount_minor,
        "currency": paid.currency,
    }
