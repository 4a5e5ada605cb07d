"""Made-up traffic: it ends now, is young enough for the stream, and its plan has frauds that must be flagged."""

import pytest

from local.traffic import make_traffic
from local.transaction_flow import PLAYED_TRANSACTIONS, make_plan
from stream_records import MAXIMUM_AGE_SECONDS

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
