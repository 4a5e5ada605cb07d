"""A card's counters in the Profiles table, as far as others than score_transactions read them.

score_transactions keeps a card's profile under profileId "card#<id>" as JSON in attribute ``profile``. Its ``days`` are
[UTC day since the epoch, payments, sum in minor units], of the newest 31 days.
"""

import json
from collections.abc import Mapping
from typing import Any


def card_key(card_id: str) -> dict[str, dict[str, str]]:
    """The key of a card's item."""
    return {"profileId": {"S": f"card#{card_id}"}}


def payments_in(item: Mapping[str, Any]) -> dict[int, tuple[int, int]]:
    """(payments, sum in minor units) per day, from an item in DynamoDB's typed JSON."""
    return {day: (count, total) for day, count, total in json.loads(item["profile"]["S"])["days"]}
