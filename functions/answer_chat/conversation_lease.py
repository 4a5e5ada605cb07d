"""Who answers a conversation: one at a time, and what they write while they do.

A function that takes a chat request claims the conversation. The claim's lease lasts as long as the function can run;
so a lease that is over belongs to nobody who is still at work. Whoever was given the same SQS message again (a higher
receive count) takes over at once: the message comes again only when its function ended.

Every write of an answer is made under the condition that the lease is still held.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent_port import Reply
from backbone.chat_frames import AnswerFrame
from backbone.conversations import Conversation, Turn
from backbone.errors import Retryable


@dataclass(frozen=True, slots=True)
class Claim:
    """``owner`` is the SQS message's id, ``receive`` counts its receives from 1, ``until`` in epoch milliseconds."""

    conversation_id: str
    owner: str
    receive: int
    until: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A conversation whose lease was taken; ``was_left``: the holder before did not release it, it may have died."""

    conversation: Conversation
    was_left: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of a turn. ``frames`` are all of its last attempt's; ``pending`` is JSON, None for nothing."""

    turn: int
    reply: Reply
    frames: tuple[AnswerFrame, ...]
    pending: str | None


class ComeBackError(Retryable):
    """The chat request is given back, to come again in ``seconds``."""

    def __init__(self, reason: str, seconds: int) -> None:
        super().__init__(reason)
        self.seconds = seconds


class LeaseHeldError(ComeBackError):
    """Another answers this conversation; by when the request comes again it is answered, or the lease is over."""


class LeaseLostError(Retryable):
    """Another took over: nothing of what is under way here counts."""


class Conversations(Protocol):
    """The conversations' rows. Every method raises Retryable where the table cannot now."""

    def take(self, claim: Claim, now: int) -> Taken:
        """Takes the lease (``now`` in epoch milliseconds); the conversation as it stands.

        Raises LeaseHeldError, and Rejected where there is no such conversation.
        """

    def reread(self, claim: Claim) -> Conversation:
        """The conversation as it stands now; raises LeaseLostError."""

    def turn(self, conversation_id: str, turn: int) -> Turn | None:
        """A turn as it stands now; None where there is none."""

    def turns_before(self, conversation_id: str, turn: int, after: int) -> Iterator[Turn]:
        """The turns between ``after`` and ``turn``, both excluded, newest first, read as they are asked for."""

    def begin(self, claim: Claim, turn: int) -> Turn:
        """Counts another attempt at the turn; the turn with it. Raises LeaseLostError, also where it was answered."""

    def keep_frames(self, claim: Claim, turn: int, frames: Sequence[AnswerFrame]) -> None:
        """Stores the frames that were made so far; raises LeaseLostError."""

    def finish(self, claim: Claim, ending: Ending) -> None:
        """Stores the turn's answer, the conversation's answered turn and pending action, all or none.

        Raises LeaseLostError.
        """

    def mark_published(self, conversation_id: str, turn: int) -> None:
        """Notes that the bus took the turn's ChatAnswered."""

    def keep_summary(self, claim: Claim, summary: str, through: int) -> None:
        """Stores the summary of the turns up to ``through``; raises LeaseLostError."""

    def release(self, claim: Claim, answered: int) -> bool:
        """Frees the lease if ``answered`` is still the last turn that was received; False where it is not."""

    def give_up(self, claim: Claim) -> None:
        """Ends the lease with work left to do; does nothing where it is another's by now."""
