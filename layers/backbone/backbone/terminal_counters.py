"""A terminal's counters in the Profiles table: its transactions, and the frauds known among them, per UTC day.

score_transactions counts a transaction when it writes its row, learn_from_outcome a fraud when a case says so. Both
only ever add, so they may come in any order. An item is profileId "terminal#<id>", n<day> transactions, f<day> known
frauds (days since the epoch; a day without frauds may lack its f<day>) and expiresAt.

A day that has left the horizon is removed whole and never comes back: transactions that old are not taken any more
(stream_records.py). So n<day> says whether there is still something that a fraud of that day could be counted among.
"""

from collections.abc import Mapping
from typing import Any

_KINDS = "nf"


def terminal_key(terminal_id: str) -> dict[str, dict[str, str]]:
    """The key of a terminal's item."""
    return {"profileId": {"S": f"terminal#{terminal_id}"}}


def transactions_on(day: int) -> str:
    """The attribute that counts a day's transactions."""
    return f"n{day}"


def frauds_on(day: int) -> str:
    """The attribute that counts the frauds known among them."""
    return f"f{day}"


def counts_in(item: Mapping[str, Any]) -> dict[int, tuple[int, int]]:
    """(transactions, known frauds) per day, from an item in DynamoDB's typed JSON."""
    counts: dict[int, list[int]] = {}
    for name, value in item.items():
        if name[0] in _KINDS and name[1:].isdigit():
            counts.setdefault(int(name[1:]), [0, 0])[_KINDS.index(name[0])] = int(value["N"])
    return {day: (count, frauds) for day, (count, frauds) in counts.items()}
