"""What answer_chat works with, in memory: conversations, connections, an agent; and builders of their rows.

``FakeConversations`` passes the real store's contract (test_conversation_store). Everything here takes a ``step``,
called before and after each piece of work with its name: what that raises is what the caller sees, so a test can let a
service be away, lose an answer after the work was done, or let the process die.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent_port import History, Outcome, PendingAction, Reply, Session, Sink, ToolCall
from backbone.chat_frames import AnswerFrame
from backbone.contracts import Event
from backbone.conversations import Conversation, Turn
from backbone.errors import Rejected
from conversation_lease import Claim, Ending, LeaseHeldError, LeaseLostError, Taken
from turn_answering import Answering, frame_citation
from turn_order import ChatWork

CONVERSATION = "0b0f7a52-2c7c-5f6e-9f6e-1d9a4c1d2e3f"
NOW = 1_767_268_800.0
NOON = "2026-01-01T12:00:00.000Z"

type Step = Callable[[str], None]


def no_step(_: str) -> None:
    """Nothing goes wrong."""


def a_conversation(**changes: Any) -> Conversation:
    """A customer's conversation whose first turn waits."""
    conversation = Conversation(
        conversation_id=CONVERSATION,
        person_id="8f3b5c1e",
        role="customer",
        customer_id="C-000001",
        connection_id="connection-1",
        received_turn=1,
        created_at=NOON,
        updated_at=NOON,
    )
    return replace(conversation, **changes)


def a_turn(turn: int = 1, **changes: Any) -> Turn:
    """A turn as receive_chat_message adds it."""
    return replace(
        Turn(
            conversation_id=CONVERSATION,
            turn=turn,
            message_id=f"message-{turn:04}",
            text=f"question {turn}",
            received_at=NOON,
            correlation_id=f"correlation-{turn}",
            event_id=f"event-{turn}",
        ),
        **changes,
    )


def a_claim(owner: str = "request-1", receive: int = 1, until: int = int((NOW + 125) * 1000)) -> Claim:
    return Claim(CONVERSATION, owner, receive, until)


def a_reply(text: str, outcome: Outcome = "answered", **changes: Any) -> Reply:
    return replace(Reply(text, outcome, model_id="model", input_tokens=10, output_tokens=5), **changes)


def _state(call: ToolCall) -> str | None:
    return None if call.result is None else call.result.state


def an_ending(turn: int, text: str = "An answer.", pending: str | None = None) -> Ending:
    return Ending(turn, a_reply(text), (), pending)


@dataclass
class ConversationRowsInMemory:
    """What FakeConversations keeps, shared by all who look at it."""

    conversations: dict[str, Conversation] = field(default_factory=dict)
    turns: dict[int, Turn] = field(default_factory=dict)
    holders: dict[int, tuple[str, int]] = field(default_factory=dict)
    endings: list[Ending] = field(default_factory=list)

    def receive(self, turn: Turn) -> None:
        """Adds a turn, as receive_chat_message does."""
        self.turns[turn.turn] = turn
        conversation = self.conversations.get(turn.conversation_id, a_conversation(received_turn=0))
        self.conversations[turn.conversation_id] = replace(conversation, received_turn=turn.turn)


@dataclass
class FakeConversations:
    """``conversation_lease.Conversations`` over dictionaries, for one process."""

    rows: ConversationRowsInMemory = field(default_factory=ConversationRowsInMemory)
    step: Step = no_step

    def take(self, claim: Claim, now: int) -> Taken:
        self.step("before take")
        before = self.rows.conversations.get(claim.conversation_id)
        if before is None:
            raise Rejected(f"there is no conversation {claim.conversation_id}")
        is_again = before.lease_owner == claim.owner and before.lease_receive < claim.receive
        if before.lease_owner is not None and before.lease_until >= now and not is_again:
            raise LeaseHeldError("held", max(0, before.lease_until - now) // 1000 + 1)
        self._write(before, lease_owner=claim.owner, lease_receive=claim.receive, lease_until=claim.until)
        self.step("after take")
        return Taken(before, was_left=before.lease_owner is not None)

    def reread(self, claim: Claim) -> Conversation:
        self.step("before reread")
        return self._mine(claim)

    def turn(self, conversation_id: str, turn: int) -> Turn | None:  # noqa: ARG002 - there is one conversation
        self.step("before turn")
        return self.rows.turns.get(turn)

    def turns_before(self, conversation_id: str, turn: int, after: int) -> Iterator[Turn]:  # noqa: ARG002 - as above
        self.step("before turns_before")
        for number in range(turn - 1, after, -1):
            if number in self.rows.turns:
                yield self.rows.turns[number]

    def begin(self, claim: Claim, turn: int) -> Turn:
        self.step("before begin")
        self._mine(claim)
        before = self.rows.turns[turn]
        if before.status not in {"received", "answering"}:
            raise LeaseLostError("answered")
        self.rows.turns[turn] = replace(before, status="answering", attempts=before.attempts + 1)
        self.rows.holders[turn] = (claim.owner, claim.receive)
        self.step("after begin")
        return self.rows.turns[turn]

    def keep_frames(self, claim: Claim, turn: int, frames: Sequence[AnswerFrame]) -> None:
        self.step("before keep_frames")
        if self.rows.holders.get(turn) != (claim.owner, claim.receive):
            raise LeaseLostError("another")
        self.rows.turns[turn] = replace(self.rows.turns[turn], frames=tuple(frames))
        self.step("after keep_frames")

    def finish(self, claim: Claim, ending: Ending) -> None:
        self.step("before finish")
        conversation = self._mine(claim)
        if self.rows.holders.get(ending.turn) != (claim.owner, claim.receive):
            raise LeaseLostError("another")
        if conversation.answered_turn != ending.turn - 1:
            raise LeaseLostError("answered")
        del self.rows.holders[ending.turn]
        self.rows.turns[ending.turn] = replace(
            self.rows.turns[ending.turn],
            status=ending.reply.outcome,
            answer=ending.reply.text,
            frames=ending.frames,
            tool_calls=json.dumps([{"name": one.name, "state": _state(one)} for one in ending.reply.tool_calls]),
            citations=str([frame_citation(one) for one in ending.reply.citations]),
            model_id=ending.reply.model_id,
            input_tokens=ending.reply.input_tokens,
            output_tokens=ending.reply.output_tokens,
        )
        self._write(conversation, answered_turn=ending.turn, pending_action=ending.pending)
        self.rows.endings.append(ending)
        self.step("after finish")

    def mark_published(self, conversation_id: str, turn: int) -> None:  # noqa: ARG002 - there is one conversation
        self.step("before mark_published")
        self.rows.turns[turn] = replace(self.rows.turns[turn], published_at=NOON)
        self.step("after mark_published")

    def keep_summary(self, claim: Claim, summary: str, through: int) -> None:
        self.step("before keep_summary")
        self._write(self._mine(claim), summary=summary, summarized_through=through)

    def release(self, claim: Claim, answered: int) -> bool:
        self.step("before release")
        conversation = self.rows.conversations[claim.conversation_id]
        if not _is_held(conversation, claim) or conversation.received_turn != answered:
            return False
        self._write(conversation, lease_owner=None, lease_receive=0, lease_until=0)
        self.step("after release")
        return True

    def give_up(self, claim: Claim) -> None:
        self.step("before give_up")
        conversation = self.rows.conversations.get(claim.conversation_id)
        if conversation is not None and _is_held(conversation, claim):
            self._write(conversation, lease_until=0)
        self.step("after give_up")

    def _mine(self, claim: Claim) -> Conversation:
        conversation = self.rows.conversations[claim.conversation_id]
        if not _is_held(conversation, claim):
            raise LeaseLostError("another")
        return conversation

    def _write(self, conversation: Conversation, **changes: Any) -> None:
        self.rows.conversations[conversation.conversation_id] = replace(conversation, **changes)


def _is_held(conversation: Conversation, claim: Claim) -> bool:
    return (conversation.lease_owner, conversation.lease_receive) == (claim.owner, claim.receive)


@dataclass
class FakePoster:
    """Connections that keep what they got, in order; those in ``gone`` are gone."""

    step: Step = no_step
    gone: set[str] = field(default_factory=set)
    posted: list[tuple[str, AnswerFrame]] = field(default_factory=list)

    def post(self, connection_id: str, frame: AnswerFrame) -> bool:
        self.step("before post")
        if connection_id in self.gone:
            return False
        self.posted.append((connection_id, frame))
        self.step("after post")
        return True

    def on(self, connection_id: str) -> list[AnswerFrame]:
        return [frame for at, frame in self.posted if at == connection_id]


@dataclass
class FakeBus:
    """Keeps what was published; ``refusals`` so many calls are refused first."""

    step: Step = no_step
    refusals: int = 0
    published: list[Event] = field(default_factory=list)

    def publish(self, events: Sequence[Event]) -> dict[str, str]:
        self.step("before publish")
        if self.refusals:
            self.refusals -= 1
            return {event.metadata.event_id: "ThrottlingException: " for event in events}
        self.published += events
        self.step("after publish")
        return {}


@dataclass
class FakeAgent:
    """Says ``pieces`` and what it was asked, or does what ``script`` says; keeps what it was asked to do."""

    step: Step = no_step
    pieces: tuple[str, ...] = ("To ", "you: ")
    script: Callable[[str, Sink], Reply] | None = None
    confirmed: list[PendingAction] = field(default_factory=list)
    asked: list[tuple[Session, History, str]] = field(default_factory=list)

    def reply(self, session: Session, history: History, text: str, sink: Sink) -> Reply:
        self.asked.append((session, history, text))
        if self.script is not None:
            return self.script(text, sink)
        said = [*self.pieces, text]
        for piece in said:
            self.step("before piece")
            sink.text(piece)
        return a_reply("".join(said))

    def confirm(self, session: Session, history: History, pending: PendingAction, sink: Sink) -> Reply:  # noqa: ARG002 - the port's
        self.step("before confirm")
        self.confirmed.append(pending)
        sink.text("Done.")
        return a_reply("Done.")


@dataclass
class Measured:
    """A Meter and a place for values, which keeps both; and a log."""

    values: dict[str, list[float]] = field(default_factory=dict)
    model_calls: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    def value(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def model_call(
        self,
        model_id: str,
        *,
        input_tokens: int,  # noqa: ARG002 - the port's
        output_tokens: int,  # noqa: ARG002 - the port's
        first_token_milliseconds: float | None = None,  # noqa: ARG002 - the port's
    ) -> None:
        self.model_calls.append(model_id)

    def log(self, message: str, **fields: object) -> None:
        self.logged.append(f"{message} {fields}")


class NoWriter:
    """A model that must not be asked for a summary."""

    def generate(self, **_: object) -> Any:
        raise AssertionError("nobody asked for a summary")


def some_work(
    rows: ConversationRowsInMemory,
    agent: FakeAgent,
    poster: FakePoster,
    bus: FakeBus,
    *,
    step: Step = no_step,
    measured: Measured | None = None,
    now: Callable[[], float] = lambda: NOW,
    clock: Callable[[], float] = lambda: 0.0,
    writer: Any = None,
) -> ChatWork:
    """What one process of answer_chat works with."""
    told = measured or Measured()
    answering = Answering(
        conversations=FakeConversations(rows, step),
        agent=agent,
        engine="converse",
        poster=poster,
        measure=told.value,
        log=told.log,
        now=now,
        clock=clock,
    )
    return ChatWork(answering, bus, writer or NoWriter(), told, clock=clock)


def text_as_seen(frames: Sequence[AnswerFrame], turn: int) -> tuple[str, bool]:
    """What a client makes of the frames that it got, in any order and twice: a turn's text, and whether it is whole.

    Its rule is that of backbone.chat_frames: a frame under a number that it has is passed over, a restart throws away
    what came before, and what comes late from before a restart counts no more.
    """
    mine = {frame["sequence"]: frame for frame in reversed(frames) if frame["turn"] == turn}
    restarts = [number for number, frame in mine.items() if frame["type"] == "restart"]
    newest = max(restarts, default=0)
    shown = [frame for number, frame in sorted(mine.items()) if number > newest]
    text = "".join(frame["text"] for frame in shown if frame["type"] == "delta")
    return text, any(frame["type"] == "done" for frame in shown)
