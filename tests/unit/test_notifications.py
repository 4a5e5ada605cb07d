"""Telling a customer: one notice and one event for each flag, both with ids made from the flag's."""

from dataclasses import dataclass, field, replace

import pytest

from backbone import contracts
from backbone.contracts import Event
from backbone.errors import Retryable
from notifications import Notice, notice_for, notify
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
