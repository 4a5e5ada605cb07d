"""The profiles that a bank would backfill before going live: a world's past, as the online path would have left it."""

from dataclasses import dataclass

from features import (
    CARD_DAYS_KEPT,
    LABEL_DELAY_DAYS,
    SECONDS_PER_DAY,
    TERMINAL_DAYS_KEPT,
    CardProfile,
    TerminalProfile,
    add_known_fraud,
    add_to_card,
    add_to_terminal,
)
from models.fraud.simulate import World, labelled_transactions, position_at


@dataclass(frozen=True, slots=True)
class History:
    """Profiles by card id and by terminal id, as known at the moment of the cut."""

    cards: dict[str, CardProfile]
    terminals: dict[str, TerminalProfile]


def history_until(world: World, cut: int) -> History:
    """Return the profiles from all transactions before ``cut`` (epoch seconds).

    Labels are known of UTC days that ended up to seven days ago: those that a transaction on the day of the cut
    may look at (day - 7 and earlier), and none after.
    """
    cards: dict[str, CardProfile] = {}
    terminals: dict[str, TerminalProfile] = {}
    last_known_day = cut // SECONDS_PER_DAY - LABEL_DELAY_DAYS
    reach = max(CARD_DAYS_KEPT, TERMINAL_DAYS_KEPT) * SECONDS_PER_DAY
    first = position_at(world, cut - reach)
    for transaction, is_fraud, _ in labelled_transactions(world, first, position_at(world, cut)):
        card = cards.get(transaction.card_id, CardProfile())
        cards[transaction.card_id] = add_to_card(card, transaction)
        terminal = add_to_terminal(terminals.get(transaction.terminal_id, TerminalProfile()), transaction)
        if is_fraud and transaction.occurred_at // SECONDS_PER_DAY <= last_known_day:
            terminal = add_known_fraud(terminal, transaction.occurred_at)
        terminals[transaction.terminal_id] = terminal
    return History(cards, terminals)
