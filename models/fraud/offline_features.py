"""The same fifteen features over a whole world at once, for training: a second, independent implementation.

It shares nothing with the online path but the names in ``features.FEATURE_NAMES``: windows are differences of
cumulative sums, not walks over profiles. Sums are integers, so both paths can be, and are tested to be, equal to
the last bit.
"""

import numpy as np

from features import FEATURE_NAMES
from models.fraud.simulate import Flags, Integers, Numbers, World

LABEL_DELAY_DAYS = 7
WINDOW_DAYS = (1, 7, 30)


def offline_features(world: World, labels_before_day: int | None = None) -> Numbers:
    """Return an array (transactions, features) in the order of the world and of ``FEATURE_NAMES``.

    ``labels_before_day`` is a UTC day since the epoch: frauds from that day on are never learned. It tells what
    the online path sees after a backfill when nobody reports labels any more; None means that every label arrives
    on time.
    """
    day = world.occurred_at // 86_400
    hour = world.occurred_at // 3_600
    counts_1d, sums_1d = _card_window(world, hour, 24)
    counts_7d, sums_7d = _card_window(world, day, 7)
    counts_30d, sums_30d = _card_window(world, day, 30)
    known = world.is_fraud if labels_before_day is None else world.is_fraud & (day < labels_before_day)
    columns = {
        "amount": world.amount_minor,
        "is_weekend": (day + 3) % 7 >= 5,  # day 0 was a Thursday
        "is_night": hour % 24 <= 6,
        "card_count_1d": counts_1d,
        "card_mean_amount_1d": sums_1d / counts_1d,
        "card_count_7d": counts_7d,
        "card_mean_amount_7d": sums_7d / counts_7d,
        "card_count_30d": counts_30d,
        "card_mean_amount_30d": sums_30d / counts_30d,
        **_terminal_columns(world, day, known),
    }
    return np.column_stack([columns[name] for name in FEATURE_NAMES]).astype(np.float64)


def _card_window(world: World, bucket: Integers, width: int) -> tuple[Integers, Integers]:
    """Count and sum a card's transactions in the bucket of each and the ``width`` - 1 before, itself included."""
    by_card = np.argsort(world.customer, kind="stable")  # stays in order of time within a card
    span = int(bucket.max()) + 1
    position_in_time = world.customer[by_card] * span + bucket[by_card]
    first = np.searchsorted(position_in_time, position_in_time - (width - 1), side="left")
    first = np.maximum(first, np.searchsorted(world.customer[by_card], world.customer[by_card], side="left"))
    own = np.arange(len(by_card))
    running = np.concatenate(([0], np.cumsum(world.amount_minor[by_card])))

    counts = np.empty_like(own)
    sums = np.empty_like(own)
    counts[by_card] = own + 1 - first
    sums[by_card] = running[own + 1] - running[first]
    return counts, sums


def _terminal_columns(world: World, day: Integers, known: Flags) -> dict[str, Numbers]:
    """Count transactions and known frauds of each transaction's terminal in windows that end a week before."""
    relative = day - day.min()
    days = int(relative.max()) + 1
    cell = world.terminal * days + relative
    shape = (world.parameters.terminals, days)
    transactions = np.bincount(cell, minlength=shape[0] * days).reshape(shape)
    frauds = np.bincount(cell[known], minlength=shape[0] * days).reshape(shape)
    transactions_before, frauds_before = (
        np.concatenate((np.zeros((shape[0], 1), dtype=np.int64), table.cumsum(axis=1)), axis=1)
        for table in (transactions, frauds)
    )

    columns = {}
    end = np.maximum(relative - LABEL_DELAY_DAYS + 1, 0)
    for width in WINDOW_DAYS:
        begin = np.maximum(end - width, 0)
        count = transactions_before[world.terminal, end] - transactions_before[world.terminal, begin]
        fraud = frauds_before[world.terminal, end] - frauds_before[world.terminal, begin]
        columns[f"terminal_count_{width}d"] = count.astype(np.float64)
        columns[f"terminal_risk_{width}d"] = fraud / np.maximum(count, 1)
    return columns
