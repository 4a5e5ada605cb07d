"""One stream through both implementations of the features: they must be equal to the last bit."""

from dataclasses import replace

import numpy as np
import pytest

from features import (
    FEATURE_NAMES,
    SECONDS_PER_DAY,
    CardProfile,
    TerminalProfile,
    add_known_fraud,
    add_to_card,
    add_to_terminal,
    compute_features,
)
from models.fraud.history import History, history_until
from models.fraud.offline_features import offline_features
from models.fraud.simulate import Numbers, World, WorldParameters, labelled_transactions, position_at, simulate

PARAMETERS = WorldParameters(customers=150, terminals=60, days=58, seed=11)
CUT_DAY = 44


def replay(world: World, history: History, first: int, *, with_labels: bool) -> Numbers:
    """Score the stream from ``first`` as the function does; labels arrive when their day is seven days ago."""
    cards, terminals = dict(history.cards), dict(history.terminals)
    frauds = [one.transaction for one in labelled_transactions(world) if one.is_fraud]
    learned_day = world.occurred_at[first] // SECONDS_PER_DAY - 7
    rows = []
    for transaction, _, _ in labelled_transactions(world, first):
        known_day = transaction.occurred_at // SECONDS_PER_DAY - 7
        if with_labels and known_day > learned_day:
            for fraud in frauds:
                if learned_day < fraud.occurred_at // SECONDS_PER_DAY <= known_day:
                    terminals[fraud.terminal_id] = add_known_fraud(terminals[fraud.terminal_id], fraud.occurred_at)
            learned_day = known_day
        card = cards.get(transaction.card_id, CardProfile())
        terminal = terminals.get(transaction.terminal_id, TerminalProfile())
        rows.append(compute_features(card, terminal, transaction))
        cards[transaction.card_id] = add_to_card(card, transaction)
        terminals[transaction.terminal_id] = add_to_terminal(terminal, transaction)
    return np.array(rows)


@pytest.fixture(scope="module", params=[0, 12_345], ids=["days from midnight", "days from any second"])
def world(request: pytest.FixtureRequest) -> World:
    return simulate(replace(PARAMETERS, start=PARAMETERS.start + request.param))


def test_online_features_equal_the_offline_ones_when_the_whole_stream_is_replayed(world: World) -> None:
    online = replay(world, History({}, {}), 0, with_labels=True)

    assert np.array_equal(online, offline_features(world))


def test_online_features_equal_the_offline_ones_after_a_backfill(world: World) -> None:
    cut = PARAMETERS.start + CUT_DAY * SECONDS_PER_DAY + 50_000
    first = position_at(world, cut)

    online = replay(world, history_until(world, cut), first, with_labels=True)

    assert len(online) > 3_000
    assert np.array_equal(online, offline_features(world)[first:])


def test_online_features_equal_the_offline_ones_after_a_backfill_when_no_more_labels_arrive(world: World) -> None:
    cut = PARAMETERS.start + CUT_DAY * SECONDS_PER_DAY
    first = position_at(world, cut)

    online = replay(world, history_until(world, cut), first, with_labels=False)

    first_unknown_day = cut // SECONDS_PER_DAY - 6
    assert np.array_equal(online, offline_features(world, labels_before_day=first_unknown_day)[first:])
    assert not np.array_equal(online, offline_features(world)[first:])


def test_replayed_stream_gives_every_feature_something_to_do(world: World) -> None:
    features = offline_features(world)

    assert dict(zip(FEATURE_NAMES, features.std(axis=0) > 0, strict=True)) == dict.fromkeys(FEATURE_NAMES, True)
