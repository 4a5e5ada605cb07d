"""Made-up traffic: it ends now, is young enough for the stream, and its plan has frauds that must be flagged."""

import pytest

from card_rows import CardRows
from local.traffic import backfill_cards, make_traffic
from local.transaction_flow import PLAYED_TRANSACTIONS, make_plan
from stream_records import MAXIMUM_AGE_SECONDS
from tests.unit.resources import Resources

NOW = 1_795_000_000.0


def test_traffic_is_in_order_and_ends_now() -> None:
    traffic = make_traffic(customers=50, transactions=100, now=NOW, seed=1)

    times = [transaction.occurred_at for transaction in traffic.transactions]
    assert len(times) >= 100
    assert times == sorted(times)
    assert times[-1] <= NOW
    assert NOW - times[0] <= MAXIMUM_AGE_SECONDS


def test_traffic_is_refused_when_its_first_would_be_too_old_for_the_stream() -> None:
    with pytest.raises(ValueError, match="more customers"):
        make_traffic(customers=50, transactions=1000, now=NOW, seed=1)


@pytest.mark.parametrize("days_later", [0, 0.4, 1, 2.7, 3, 5])
def test_plan_has_alerts_on_any_day(days_later: float) -> None:
    plan = make_plan(NOW + days_later * 86_400, trickled=100)

    flagged = [plan.verdicts[transaction.transaction_id] for transaction in plan.played]
    assert sum(verdict.flagged and verdict.severity in ("medium", "high") for verdict in flagged) >= 2
    assert len(plan.played) == PLAYED_TRANSACTIONS
    assert len(plan.trickled) >= 100


def test_every_card_of_the_made_up_world_is_in_the_registry_as_its_customers(resources: Resources) -> None:
    traffic = make_traffic(customers=50, transactions=100, now=NOW, seed=1)
    dynamodb = resources.client("dynamodb")

    assert backfill_cards(dynamodb, "cards", customers=50) == 50

    registry = CardRows(dynamodb, "cards", "CustomerCards")
    owners = {one.card_id: one.customer_id for one in traffic.transactions}
    assert len(owners) > 20
    for card_id, customer_id in owners.items():
        (card,), _ = registry.of_customer(customer_id, 20)
        assert (card.card_id, card.status, card.label) == (card_id, "active", f"Debit card ending {card_id[-4:]}")
    assert all(registry.get(card_id) for card_id in traffic.history.cards)
