"""What of a conversation a model is told again: the newest turns as they were, the older ones as a summary.

Tokens are estimated at four characters each, which is a rule of thumb for English; other scripts take up to six times
as many, so the budget stays far below any model's context. A turn's texts are cut at 4,000 characters, so that one long
answer cannot push out all else.

The summary is made by a model, after an answer and not before it: nobody waits for it. If that fails, the next answer
goes on with what fits, and it is tried again after that.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent_port import Exchange, History
from backbone.conversations import Turn
from backbone.model import Answer
from backbone.summary_writing import Source, Writer, write_sentences

HISTORY_TOKENS = 4_000
_CHARACTERS_PER_TOKEN = 4
_LONGEST_TEXT = 4_000
# What one summary is made from at most; the rest waits for the next one.
_SUMMARIZED_CHARACTERS = 24_000
_SUMMARY_SENTENCES = 8
_EARLIER = "earlier"
_INSTRUCTIONS = (
    "You summarise a conversation between a person and a bank's assistant, so that the assistant can go on with it. "
    "Each passage is one exchange, oldest first; the first may be the summary so far. Say what the person wanted, what "
    "was found out, and what was done or refused, in the past tense. Keep the ids of cards, transactions and cases "
    "exactly."
)


@dataclass(frozen=True, slots=True)
class Recalled:
    """The turns that fit the budget, oldest first; ``overflows``: older ones are neither here nor in a summary."""

    turns: tuple[Turn, ...]
    overflows: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary of the turns up to ``through``, and the model's answer that it came in."""

    text: str
    through: int
    answer: Answer


def estimated_tokens(text: str) -> int:
    """How many tokens ``text`` takes, about."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def recall(newest_first: Iterable[Turn], budget: int = HISTORY_TOKENS) -> Recalled:
    """As many of the turns as fit ``budget`` tokens; it reads one more than these at most."""
    kept: list[Turn] = []
    left = budget
    for turn in newest_first:
        left -= sum(map(estimated_tokens, _texts(turn)))
        if left < 0:
            return Recalled(tuple(reversed(kept)), overflows=True)
        kept.append(turn)
    return Recalled(tuple(reversed(kept)), overflows=False)


def history_of(summary: str, turns: Sequence[Turn]) -> History:
    """What an agent is told; a turn without an answer (there should be none) is left out, for a model wants both."""
    exchanges = (Exchange(*_texts(turn)) for turn in turns if turn.answer)
    return History(summary, tuple(exchanges))


def summarise(writer: Writer, summary: str, oldest_first: Iterable[Turn]) -> Summary:
    """The summary so far and the oldest of the turns (at least one must be there) in a few sentences.

    Raises what ``writer`` raises: Retryable, and Rejected for what is no summary.
    """
    sources = [Source(_EARLIER, summary)] if summary else []
    size, through = 0, 0
    for turn in oldest_first:
        question, answer = _texts(turn)
        size += len(question) + len(answer)
        if size > _SUMMARIZED_CHARACTERS and through:
            break
        sources.append(Source(f"turn-{turn.turn}", f"The person wrote: {question}\nThe assistant answered: {answer}"))
        through = turn.turn
    sentences, answered = write_sentences(writer, _INSTRUCTIONS, sources, at_most=_SUMMARY_SENTENCES)
    return Summary(" ".join(sentence.text for sentence in sentences), through, answered)


def _texts(turn: Turn) -> tuple[str, str]:
    return _cut(turn.text), _cut(turn.answer or "")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]} ..."
