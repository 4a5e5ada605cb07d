"""True statements made false, in the ways in which a model's summaries go wrong: another number, another name, a
"not" too many or too few.

Repeatable: the same statement and the same random source give the same corruption.
"""

import random
import re
from collections.abc import Callable, Sequence

_SPELLED = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen twenty thirty forty"
_WORD_NUMBERS = _SPELLED.split()
_NUMBER = re.compile(rf"\d[\d,]*(?:\.\d+)?|\b(?:{'|'.join(_WORD_NUMBERS)})\b", re.IGNORECASE)
_NAME = re.compile(r"(?<=\w[ ,])(?:[A-Z][a-z]{3,})(?:'s)?(?: [A-Z][a-z]{3,})*\b|^[A-Z][a-z]{3,} [A-Z][a-z]{3,}\b")
_NOT_NAMES = {"January", "March", "September", "October", "December"}
_AUXILIARY = re.compile(r"\b(is|are|was|were|must|may|can|could|will|shall|has|had|should|would|does|did)\b")
_NEGATION = re.compile(r"\b(is|are|was|were|must|may|can|could|will|shall|has|had|does|did) not\b|\b(?:no|not) ", re.I)
_NOBODY = re.compile(r"^(?:Nobody|No one)\b")
# Turning these round leaves them true, or makes no sense.
_NOT_TO_NEGATE = re.compile(r"\b(?:whether|never|neither)\b")

type Corruption = Callable[[str, Sequence[str], random.Random], str | None]
"""A statement, names of its document and a random source to a false statement, or None where there is nothing to do."""


def change_number(statement: str, _: Sequence[str], chance: random.Random) -> str | None:
    """The statement with one number, amount or year changed."""
    found = list(_NUMBER.finditer(statement))
    if not found:
        return None
    match = chance.choice(found)
    return statement[: match.start()] + _other_number(match[0], chance) + statement[match.end() :]


def swap_name(statement: str, names: Sequence[str], chance: random.Random) -> str | None:
    """The statement about another person, place or thing of the same document."""
    found = [match for match in _NAME.finditer(statement) if match[0] not in _NOT_NAMES]
    others = [name for name in names if name not in statement]
    if not found or not others:
        return None
    match = chance.choice(found)
    return statement[: match.start()] + chance.choice(others) + statement[match.end() :]


def negate(statement: str, _: Sequence[str], __: random.Random) -> str | None:
    """The statement with a "not" that was not there, or without the one that was."""
    if _NOT_TO_NEGATE.search(statement):
        return None
    if _NOBODY.search(statement):
        return _NOBODY.sub("Everybody", statement)
    if denied := _NEGATION.search(statement):
        return statement[: denied.start()] + (f"{denied[1]}" if denied[1] else "") + statement[denied.end() :]
    if auxiliary := _AUXILIARY.search(statement):
        return statement[: auxiliary.end()] + " not" + statement[auxiliary.end() :]
    return None


CORRUPTIONS: dict[str, Corruption] = {
    "number changed": change_number,
    "name swapped": swap_name,
    "negated": negate,
}


def _other_number(written: str, chance: random.Random) -> str:
    if written.lower() in _WORD_NUMBERS:
        return chance.choice([word for word in _WORD_NUMBERS if word != written.lower()])
    digits = [position for position, character in enumerate(written) if character.isdigit()]
    position = chance.choice(digits)
    other = chance.choice([digit for digit in "123456789" if digit != written[position]])
    return written[:position] + other + written[position + 1 :]
