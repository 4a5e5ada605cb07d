"""The card transaction as the stream carries it and as the rest of this function sees it.

Money is an integer number of minor units (cents) and time an integer number of seconds since the epoch
(UTC), so that neither a binary fraction nor a time zone can change a decision.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transaction:
    """One card payment at a terminal.

    ``amount_minor`` is in minor units of ``currency`` (ISO 4217), ``occurred_at`` in whole seconds since
    the epoch, ``latitude`` and ``longitude`` in degrees (WGS 84) and say where the terminal stands.
    """

    transaction_id: str
    card_id: str
    customer_id: str
    terminal_id: str
    amount_minor: int
    currency: str
    occurred_at: int
    latitude: float
    longitude: float
