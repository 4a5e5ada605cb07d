"""What the light profile asks where something is missing, and what a short message must have in it to answer that."""

import re

WHICH_CARD = "Which card do you mean? Please tell me its id."
WHICH_OF_THESE = "Which of these cards do you mean?"
WHICH_TRANSACTION = "Which transaction do you mean? Please tell me its id."
WHAT_SUBJECT = "What is the case about?"
WHAT_QUESTION = "What shall I look for in your documents?"
ONE_MORE_THING = "I need one more thing"
BEFORE_A_BLOCK = (
    "Shall I block card"  # what whoever runs the tools asks: "no, the other one" answers it with another card
)

_NAMES_A_CARD = re.compile(
    r"\d{2,}|\b(?:debit|credit|ending|ends|other|one|the (?:first|second|third|last)|(?:first|second|third) card|both"
    r"|visa|master\s?card|maestro|gold|business|virtual)\b",
    re.IGNORECASE,
)
# "Not lost, stolen": the same card for another reason.
_CARD_OR_REASON = re.compile(rf"{_NAMES_A_CARD.pattern}|\b(?:lost|stolen|fraud)\b", re.IGNORECASE)
# "How long does a new one take?" asks back; "what about the other one?" does not.
_ASKS_BACK = re.compile(r"\W*(?:and\W+|but\W+)?(?:how|what|why|when|who|where)\b(?!\s+about\b)", re.IGNORECASE)
_ANYTHING = re.compile(r"\w")
_ANSWERS = {
    WHICH_CARD: _NAMES_A_CARD,
    WHICH_OF_THESE: _NAMES_A_CARD,
    BEFORE_A_BLOCK: _CARD_OR_REASON,
    WHICH_TRANSACTION: re.compile(r"\d"),
    WHAT_SUBJECT: _ANYTHING,
    WHAT_QUESTION: _ANYTHING,
    ONE_MORE_THING: _ANYTHING,
}


def may_answer(said: str, asked: str) -> bool:
    """Whether ``asked`` asks one of the questions, and ``said`` has what its answer must have."""
    needed = [pattern for question, pattern in _ANSWERS.items() if question in asked]
    if BEFORE_A_BLOCK in asked and _ASKS_BACK.match(said):
        return False
    return bool(needed) and all(pattern.search(said) for pattern in needed)
