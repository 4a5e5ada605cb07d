"""Telling a customer: one notice and one event for each fact, both with ids made from the fact's."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from backbone import contracts
from backbone.contracts import Cause, Event
from backbone.errors import Rejected, Retryable
from notifications import TEXTS, Notice, notice_for, notify, read_event
from tests.unit.decision_builder import a_flagged_event
from tests.unit.fake_adapters import FakeBus
from tests.unit.transaction_builder import NOON


@dataclass
class FakeInbox:
    """Keeps notices under their id; ``away`` fails the next put."""

    away: bool = False
    notices: dict[str, Notice] = field(default_factory=dict)

    def put(self, notice: Notice) -> None:
        if self.away:
            raise Retryable("inbox away")
        self.notices[notice.notification_id] = notice


def test_a_flag_becomes_a_notice_in_the_customers_inbox() -> None:
    flagged, inbox = a_flagged_event(), FakeInbox()
    notice = notify(flagged, inbox=inbox, bus=FakeBus(), now=NOON)
    assert inbox.notices == {flagged.metadata.event_id: notice}
    assert (notice.customer_id, notice.transaction_id, notice.severity) == ("CUST-000001", "TX-1", "medium")


def test_the_event_says_who_was_told_of_what_and_what_led_to_it() -> None:
    flagged, bus = a_flagged_event(), FakeBus()
    notify(flagged, inbox=FakeInbox(), bus=bus, now=NOON + 0.5)
    (event,) = bus.published
    assert event.data == {
        "notificationId": flagged.metadata.event_id,
        "customerId": "CUST-000001",
        "transactionId": "TX-1",
        "cardId": "CARD-000001",
        "channel": "in-app",
    }
    assert event.metadata.event_id == contracts.event_id("CustomerNotified", flagged.metadata.event_id)
    assert event.metadata.correlation_id == flagged.metadata.correlation_id
    assert event.metadata.causation_id == flagged.metadata.event_id
    assert event.metadata.occurred_at == "2023-11-15T12:00:00.500Z"


@pytest.mark.parametrize("own", [f"00-{'c' * 32}-{'d' * 16}-01", None], ids=["own trace", "no trace of its own"])
def test_the_trace_goes_on(own: str | None) -> None:
    flagged = a_flagged_event()
    flagged = replace(flagged, metadata=replace(flagged.metadata, traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    bus = FakeBus()
    notify(flagged, inbox=FakeInbox(), bus=bus, now=NOON, traceparent=own)
    assert bus.published[0].metadata.traceparent == (own or flagged.metadata.traceparent)


def test_a_refused_event_is_retryable_and_the_second_try_tells_nothing_twice() -> None:
    inbox, refusing, bus = FakeInbox(), FakeBus(refuses=lambda _: True), FakeBus()
    with pytest.raises(Retryable, match="CustomerNotified was not taken: ThrottlingException"):
        notify(a_flagged_event(), inbox=inbox, bus=refusing, now=NOON)
    notify(a_flagged_event(), inbox=inbox, bus=bus, now=NOON)
    assert (len(inbox.notices), len(bus.published)) == (1, 1)


def test_nothing_is_published_where_the_inbox_could_not_keep_the_notice() -> None:
    bus = FakeBus()
    with pytest.raises(Retryable, match="inbox away"):
        notify(a_flagged_event(), inbox=FakeInbox(away=True), bus=bus, now=NOON)
    assert bus.published == []


@pytest.mark.parametrize(
    ("amount_minor", "said"),
    [(1, "0.01 EUR"), (99, "0.99 EUR"), (100, "1.00 EUR"), (123_456, "1234.56 EUR"), (100_000_000, "1000000.00 EUR")],
)
def test_the_amount_is_written_as_money(amount_minor: int, said: str) -> None:
    assert (
        f"payment of {said} with your card CARD-000001 on 2023-11-15."
        in notice_for(a_flagged_event(1, amountMinor=amount_minor), NOON).text
    )


def test_a_notice_tells_a_thief_neither_score_nor_reasons() -> None:
    flagged: Event = a_flagged_event()
    text = notice_for(flagged, NOON).text
    assert "0.9" not in text
    assert flagged.data["reasons"][0]["explanation"] not in text


# ---- what was done

ID = "0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11"
CARD = {"cardId": "CARD-000042", "customerId": "CUST-000042"}
PAID = CARD | {"transactionId": "TX-1", "amountMinor": 31_200, "currency": "EUR"}
FACTS = [
    ("CardBlocked", CARD | {"reason": "fraud", "blockedBy": "analyst"}, "blocked your card CARD-000042 on 2023-11-15"),
    ("CardUnblocked", CARD | {"actionId": ID, "caseId": ID}, "CARD-000042 works again"),
    ("TransactionReleased", PAID | {"releaseId": ID, "releasedBy": "agent"}, "payment of 312.00 EUR"),
    ("TransactionRefunded", PAID | {"actionId": ID}, "paid back 312.00 EUR"),
    ("RefundReversed", PAID | {"actionId": ID, "caseId": ID}, "took back the refund of 312.00 EUR"),
]


def a_fact(detail_type: str, data: Mapping[str, object], depth: int = 3) -> Event:
    return Cause("order-1", "cause", depth, NOON, "tests").event(detail_type, "1", dict(data))


@pytest.mark.parametrize(("detail_type", "data", "said"), FACTS, ids=[fact[0] for fact in FACTS])
def test_what_was_done_is_told_in_plain_words(detail_type: str, data: dict[str, object], said: str) -> None:
    inbox, bus, fact = FakeInbox(), FakeBus(), a_fact(detail_type, data)
    notice = notify(fact, inbox=inbox, bus=bus, now=NOON)
    assert inbox.notices == {fact.metadata.event_id: notice}
    assert said in notice.text
    (event,) = bus.published
    assert event.metadata.causation_id == fact.metadata.event_id
    assert event.metadata.causation_depth == 4
    assert event.data["cardId"] == "CARD-000042"
    assert (event.metadata.event_version, event.data.get("transactionId")) == (
        (1, "TX-1") if "transactionId" in data else (2, None)
    )


def test_every_fact_that_customers_are_told_of_has_its_words_and_its_test() -> None:
    assert TEXTS.keys() == {"TransactionFlagged"} | {detail_type for detail_type, _, _ in FACTS}


def test_block_for_a_transaction_is_told_with_it() -> None:
    bus = FakeBus()
    data = CARD | {"reason": "fraud", "blockedBy": "analyst", "transactionId": "TX-1", "caseId": ID}
    notify(a_fact("CardBlocked", data), inbox=FakeInbox(), bus=bus, now=NOON)
    assert (bus.published[0].metadata.event_version, bus.published[0].data["transactionId"]) == (1, "TX-1")


@pytest.mark.parametrize("envelope", [None, "text", {}, {"detail-type": 1}, {"detail-type": "CaseClosed"}], ids=str)
def test_what_customers_are_not_told_of_is_rejected(envelope: object) -> None:
    with pytest.raises(Rejected):
        read_event(envelope)
