"""The simulated world: the recipe's properties, the same world from the same seed, and what producers send."""

import json
from dataclasses import replace

import numpy as np
import pytest

from features import Movement
from fraud_rules import distance_kilometres
from models.fraud.simulate import (
    HANDBOOK_START,
    World,
    WorldParameters,
    as_stream_record,
    labelled_transactions,
    position_at,
    simulate,
)

SMALL = WorldParameters(customers=400, terminals=800, days=60, seed=3)


@pytest.fixture(scope="module")
def world() -> World:
    return simulate(SMALL)


def test_world_is_the_same_when_simulated_again(world: World) -> None:
    again = simulate(SMALL)

    assert all(
        np.array_equal(getattr(world, column), getattr(again, column))
        for column in ("occurred_at", "customer", "terminal", "amount_minor", "scenario", "terminal_latitude")
    )


def test_world_is_another_when_the_seed_is_another(world: World) -> None:
    assert not np.array_equal(simulate(replace(SMALL, seed=4)).amount_minor[:100], world.amount_minor[:100])


def test_transactions_are_in_order_of_time_and_within_the_days(world: World) -> None:
    assert (np.diff(world.occurred_at) >= 0).all()
    assert world.occurred_at[0] >= SMALL.start
    assert world.occurred_at[-1] < SMALL.start + SMALL.days * 86_400


def test_customers_pay_about_twice_a_day_as_in_the_recipe(world: World) -> None:
    assert len(world) / SMALL.customers / SMALL.days == pytest.approx(2 * 0.97, rel=0.1)  # 3 % fall outside the day


@pytest.mark.parametrize("size", [(5_000, 10_000), (400, 800)])
def test_share_of_fraud_is_near_the_recipes_whatever_the_size_of_the_world(size: tuple[int, int]) -> None:
    customers, terminals = size
    shares = [
        simulate(WorldParameters(customers=customers, terminals=terminals, days=60, seed=seed)).is_fraud.mean()
        for seed in range(2)
    ]

    assert 0.004 < np.mean(shares) < 0.012


def test_every_amount_above_220_is_a_fraud_and_every_amount_is_at_least_a_cent(world: World) -> None:
    assert world.is_fraud[world.amount_minor > 22_000].all()
    assert world.amount_minor.min() >= 1
    assert set(np.unique(world.scenario)) == {0, 1, 2, 3}


def test_compromised_terminal_has_nothing_but_fraud_for_28_days(world: World) -> None:
    day = (world.occurred_at - SMALL.start) // 86_400
    terminals = np.unique(world.terminal[(world.scenario == 2) & (day < SMALL.days - 28)])

    assert len(terminals) > 0
    for terminal in terminals:
        own = np.flatnonzero(world.terminal == terminal)
        frauds = day[own][world.scenario[own] == 2]
        between = own[(day[own] >= frauds.min()) & (day[own] <= min(frauds.max(), frauds.min() + 20))]
        assert world.is_fraud[between].all()


def test_card_stays_in_its_region(world: World) -> None:
    for customer in range(50):
        terminals = np.unique(world.terminal[world.customer == customer])
        places = [Movement(0, world.terminal_latitude[one], world.terminal_longitude[one]) for one in terminals]
        assert all(distance_kilometres(places[0], place) < 50 for place in places)


def test_transaction_ids_are_unique_and_belong_to_one_world_only(world: World) -> None:
    ids = {labelled.transaction.transaction_id for labelled in labelled_transactions(world)}
    others = labelled_transactions(simulate(replace(SMALL, customers=401)), 0, 1_000)

    assert len(ids) == len(world)
    assert ids.isdisjoint(labelled.transaction.transaction_id for labelled in others)


def test_iterator_yields_what_the_arrays_say(world: World) -> None:
    (labelled,) = labelled_transactions(world, 17, 18)
    transaction = labelled.transaction

    assert transaction.card_id == f"CARD-{world.customer[17]:06d}"
    assert transaction.customer_id == f"CUST-{world.customer[17]:06d}"
    assert transaction.terminal_id == f"TERM-{world.terminal[17]:05d}"
    assert (transaction.amount_minor, transaction.occurred_at) == (world.amount_minor[17], world.occurred_at[17])
    assert labelled.is_fraud == (labelled.scenario > 0) == world.is_fraud[17]
    assert type(transaction.amount_minor) is type(transaction.occurred_at) is int


def test_history_can_end_at_any_second(world: World) -> None:
    now = 1_800_000_123
    moved = simulate(replace(SMALL, start=now - 60 * 86_400))
    position = position_at(moved, now - 3_600)

    assert moved.occurred_at[position - 1] < now - 3_600 <= moved.occurred_at[position]
    assert moved.occurred_at[-1] < now
    assert np.array_equal(moved.occurred_at - moved.parameters.start, world.occurred_at - HANDBOOK_START)


def test_stream_record_is_the_json_that_producers_send(world: World) -> None:
    (labelled,) = labelled_transactions(world, 0, 1)
    transaction = replace(labelled.transaction, transaction_id="TX-1", occurred_at=HANDBOOK_START + 61)

    assert json.loads(json.dumps(as_stream_record(transaction))) == {
        "transactionId": "TX-1",
        "cardId": transaction.card_id,
        "customerId": transaction.customer_id,
        "terminalId": transaction.terminal_id,
        "amountMinor": transaction.amount_minor,
        "currency": "EUR",
        "occurredAt": "2018-04-01T00:01:01Z",
        "location": {"latitude": transaction.latitude, "longitude": transaction.longitude},
    }
