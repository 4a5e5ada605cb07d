"""Builders for tests of the scoring domain: a test names what it is about and leaves the rest to them."""

from collections.abc import Iterable

from features import CardProfile, add_to_card
from transaction import Transaction

NOON = 1_700_049_600  # 2023-11-15T12:00:00Z, a Wednesday
HOUR = 3_600
DAY = 86_400


def a_transaction(
    *, amount_minor: int = 2_000, occurred_at: int = NOON, latitude: float = 50.85, longitude: float = 4.35
) -> Transaction:
    """A small payment in Brussels on a Wednesday at noon."""
    return Transaction(
        transaction_id=f"TX-{occurred_at}",
        card_id="CARD-000001",
        customer_id="CUST-000001",
        terminal_id="TERM-00001",
        amount_minor=amount_minor,
        currency="EUR",
        occurred_at=occurred_at,
        latitude=latitude,
        longitude=longitude,
    )


def a_card(transactions: Iterable[Transaction] = ()) -> CardProfile:
    """The profile of a card with these transactions behind it, added in the order given."""
    card = CardProfile()
    for transaction in transactions:
        card = add_to_card(card, transaction)
    return card
