"""The backfill: what a bank knows on the day it goes live, and nothing that it cannot know."""

import time

from features import SECONDS_PER_DAY
from models.fraud.history import history_until
from models.fraud.simulate import HANDBOOK_START, WorldParameters, labelled_transactions, simulate

WORLD = simulate(WorldParameters(customers=300, terminals=600, days=46))
CUT = HANDBOOK_START + 44 * SECONDS_PER_DAY


def test_history_contains_nothing_from_after_the_cut() -> None:
    history = history_until(WORLD, CUT)

    assert max(movement.occurred_at for card in history.cards.values() for movement in card.movements) < CUT
    assert max(day for terminal in history.terminals.values() for day in terminal.days) < CUT // SECONDS_PER_DAY


def test_history_knows_frauds_only_when_their_labels_have_arrived() -> None:
    history = history_until(WORLD, CUT)
    last_known = CUT // SECONDS_PER_DAY - 7
    known = {day for terminal in history.terminals.values() for day, (_, frauds) in terminal.days.items() if frauds}
    happened = {
        one.transaction.occurred_at // SECONDS_PER_DAY
        for one in labelled_transactions(WORLD)
        if one.is_fraud and one.transaction.occurred_at < CUT
    }

    assert max(known) == last_known
    assert max(happened) > last_known


def test_history_of_300_cards_and_44_days_is_made_in_seconds() -> None:
    started = time.process_time()

    history_until(WORLD, CUT)

    assert time.process_time() - started < 5  # about 0.7 s on an idle core
