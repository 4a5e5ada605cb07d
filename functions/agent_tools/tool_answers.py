"""What a tool answers: a state, facts in whole sentences that may be quoted to a person, data, and citations.

The words for money, moments and names stand here too, so that every tool speaks alike. Money stays an integer of minor
units up to the moment in which it is written out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

# ISO 4217: currencies whose minor unit is not a hundredth.
_DECIMALS = dict.fromkeys(("BIF", "CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0) | (
    dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
)


@dataclass(frozen=True, slots=True)
class Citation:
    """The passage of a document that a fact comes from; ``page`` is None where there are no pages."""

    document_id: str
    file_name: str
    passage: str
    page: int | None
    text: str


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """``state`` is done; refused: an argument, or what the person may not; proposed: somebody else must approve first;
    failed: a service is away, or the caller is not to be understood, and nothing is known."""

    state: Literal["done", "refused", "proposed", "failed"]
    facts: tuple[str, ...]
    data: dict[str, Any] = field(default_factory=dict)
    citations: tuple[Citation, ...] = ()


def done(facts: Sequence[str], data: dict[str, Any], citations: Sequence[Citation] = ()) -> ToolAnswer:
    return ToolAnswer("done", tuple(facts), data, tuple(citations))


def refused(why: str) -> ToolAnswer:
    return ToolAnswer("refused", (why,))


def proposed(facts: Sequence[str], data: dict[str, Any]) -> ToolAnswer:
    return ToolAnswer("proposed", tuple(facts), data)


def failed(what: str) -> ToolAnswer:
    return ToolAnswer("failed", (what,))


def money(amount_minor: int, currency: str) -> str:
    """ "312.00 EUR" for 31200 and EUR; thousands have a comma."""
    decimals = _DECIMALS.get(currency, 2)
    whole, part = divmod(amount_minor, 10**decimals)
    return f"{whole:,}.{part:0{decimals}} {currency}" if decimals else f"{whole:,} {currency}"


def moment(epoch_seconds: float) -> str:
    """ "21 November 2026, 14:05 UTC"."""
    at = datetime.fromtimestamp(epoch_seconds, UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def counted(number: int, noun: str) -> str:
    """ "1 card", "2 cards"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning."""
    return text[:1].upper() + text[1:]
