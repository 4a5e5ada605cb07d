"""The agent port: what answers a person's message, and what it may use.

Three engines stand behind it (setting AGENT_ENGINE): ``converse`` (our own loop, converse_agent.py), ``bedrock-agent``
(bedrock_agent.py) and ``agentcore`` (agentcore_agent.py). One behaviour suite holds for all three:

* Who speaks stands in the ``Session``, which is made from rows; nothing that a person, a document or a model wrote gets
  into it. Every tool is given the session and decides for itself what the caller may see or do.
* A tool that changes something (``ToolSpec.changes``) never runs in ``reply``. Its use becomes the reply's ``pending``
  and the reply's text ends with the question to the person (confirmation_question.question_for). Only ``confirm``,
  which answer_chat calls after a strict yes, runs it, with the arguments that were asked about.
* What is not a whole answer is never an answer. Throttled, away, late: Retryable (the turn is given back and begun
  again, at most three times). Cut off, malformed, over a bound: Rejected("MODEL_FAILED: ..."), and the person is told
  in plain words. Withheld by a guardrail or a content filter: a Reply whose outcome is "refused". What ran and what it
  took until then is not lost: the error of ``reply`` tells it (``cut_short``, ``so_far``).

Knows no AWS. Times are milliseconds in measures, and seconds of ``time.monotonic`` in deadlines.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from backbone.contracts import depth_after
from backbone.errors import Rejected, Retryable

# The depth (contracts.Metadata) of what comes of a ChatMessageReceived: a person wrote it, so its own is 0.
DEPTH_AFTER_A_MESSAGE = depth_after(0)

type Role = Literal["customer", "analyst"]
type Outcome = Literal["answered", "refused", "failed"]
type ToolState = Literal["done", "refused", "proposed", "failed"]
type Progress = Literal["started", "done", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Session:
    """Who speaks, about whose affairs, in which conversation and turn (counted from 1).

    ``deadline``: the ``time.monotonic()`` after which no call may be under way any more. It is not part of who somebody
    is, but every engine and every tool needs both.
    """

    person_id: str
    role: Role
    customer_id: str
    conversation_id: str
    turn: int
    correlation_id: str
    deadline: float = math.inf

    def attributes(self) -> dict[str, str]:
        """``sessionAttributes`` of the action-group event: all texts."""
        return {
            "personId": self.person_id,
            "role": self.role,
            "customerId": self.customer_id,
            "conversationId": self.conversation_id,
            "turn": str(self.turn),
            "correlationId": self.correlation_id,
            "causationDepth": str(DEPTH_AFTER_A_MESSAGE),
        }


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier turn: what the person wrote and what they were answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class History:
    """What was said before: the oldest turns as a summary ("" for none), then the newer ones, oldest first.

    An engine whose service keeps the session itself may leave it unused.
    """

    summary: str = ""
    exchanges: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage behind an answer: ``passage`` is its id in the document; ``page`` counts from 1, None without pages."""

    document_id: str
    file_name: str
    passage: str
    page: int | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered.

    ``facts`` are whole sentences that a person can read. "refused": the caller may not, or the arguments are wrong; the
    facts say why. "proposed": an analyst must approve first. "failed": the tool or the way to it is away; the facts say
    so in plain words. ``text`` is the body as the tool sent it ("" where nothing came).
    """

    state: ToolState
    facts: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    citations: tuple[Citation, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the agent asked for; ``result`` is None for one that waits for the person's yes."""

    name: str
    arguments: Mapping[str, Any]
    result: ToolResult | None = None


@dataclass(frozen=True, slots=True)
class PendingAction:
    """A change that waits for the person's yes.

    ``engine_state`` is what the engine needs to go on (JSON; e.g. InvokeAgent's invocationId); nobody else reads it.
    """

    tool: str
    arguments: Mapping[str, Any]
    question: str
    asked_in_turn: int
    engine_state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. ``text`` is exactly what went to the sink, joined; tokens are summed over all model calls.

    ``profile`` says which local model answered on the embedded AWS, None on AWS itself.
    """

    text: str
    outcome: Outcome
    tool_calls: tuple[ToolCall, ...] = ()
    citations: tuple[Citation, ...] = ()
    pending: PendingAction | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    model_id: str = ""
    profile: str | None = None


class RejectedTurn(Rejected):
    """Rejected after ``so_far``."""

    def __init__(self, reason: str, so_far: Reply) -> None:
        super().__init__(reason)
        self.so_far = so_far


class RetryableTurn(Retryable):
    """Retryable after ``so_far``."""

    def __init__(self, reason: str, so_far: Reply) -> None:
        super().__init__(reason)
        self.so_far = so_far


class Sink(Protocol):
    """Where an answer goes while it is made. Called from one thread only; may raise, and then the turn ends there."""

    def text(self, piece: str) -> None:
        """The next piece of the answer, as it comes from the model; an empty one is passed over."""

    def tool(self, name: str, state: Progress) -> None:
        """A tool began or ended; a proposed action is told as "done"."""


class Tools(Protocol):
    """Runs a tool of the catalogue for the session's person. May be called from several threads at once."""

    def run(self, name: str, arguments: Mapping[str, Any], session: Session) -> ToolResult:
        """Never raises for what the tool or the way to it does: that is the state "failed"."""


class Meter(Protocol):
    """What model calls took, also those of a turn that fails later: each engine reports each call as it ends."""

    def model_call(
        self, model_id: str, *, input_tokens: int, output_tokens: int, first_token_milliseconds: float | None = None
    ) -> None: ...


class Agent(Protocol):
    """An engine. Raises Retryable and Rejected as the module says."""

    def reply(self, session: Session, history: History, text: str, sink: Sink) -> Reply:
        """The answer to ``text``, which went to ``sink`` piece by piece."""

    def confirm(self, session: Session, history: History, pending: PendingAction, sink: Sink) -> Reply:
        """Runs ``pending``, which the person has just said yes to, and tells what came of it.

        Raises Retryable where the tool failed: the same turn runs the same change once only (the tools' idempotency key
        is conversation, turn, tool and arguments), so that trying again is safe.
        """


def cut_short(failed: Exception, made: Reply) -> Exception:
    """``failed``, telling ``made``: the calls and tokens until then. Only the port's own two errors do, none of a
    sink's kinds of them."""
    if type(failed) is Rejected:
        return RejectedTurn(failed.reason, made)
    if type(failed) is Retryable:
        return RetryableTurn(str(failed), made)
    return failed


def so_far(failed: Exception) -> Reply:
    """What ran and what it took before ``failed`` ended the turn; nothing where it does not tell."""
    return failed.so_far if isinstance(failed, RejectedTurn | RetryableTurn) else Reply("", "failed")


def progress_of(result: ToolResult) -> Progress:
    """What a sink is told at a tool's end."""
    return "done" if result.state == "proposed" else result.state


def outcome_of(calls: Sequence[ToolCall]) -> Outcome:
    """How a whole answer counts: refused where tools refused and none did anything, failed likewise, else answered."""
    states = {call.result.state for call in calls if call.result is not None}
    if states & {"done", "proposed"} or not states:
        return "answered"
    return "refused" if "refused" in states else "failed"


def citations_of(calls: Sequence[ToolCall]) -> tuple[Citation, ...]:
    """The passages that the tools found, each once, in their order."""
    found = (citation for call in calls if call.result is not None for citation in call.result.citations)
    return tuple(dict.fromkeys(found))
