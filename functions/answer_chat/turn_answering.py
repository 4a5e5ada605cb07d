"""Answering one turn of a conversation: yes, no or a message; an answer, or plain words that there is none.

Knows no AWS. Every turn ends: as answered, refused or failed, after three attempts at the latest. What a person reads
where an answer failed says what happened, whether anything was changed, what to do, and what was looked up.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from agent_port import Agent, Citation, PendingAction, Reply, Session, so_far
from backbone.chat_frames import DoneFrame, FrameCitation, FrameQuestion, TurnFrames
from backbone.contracts import timestamp
from backbone.conversations import Conversation, Turn
from backbone.errors import Rejected, Retryable
from confirmation_reader import read_confirmation
from conversation_lease import Claim, ComeBackError, Conversations, Ending, LeaseLostError
from conversation_memory import Recalled, history_of, recall
from frame_stream import FrameStream, Poster
from pending_actions import AskedAction, decode_pending, encode_pending

MAXIMUM_ATTEMPTS = 3
# Before the second and the third attempt: a throttled model is asked again soon, for a person waits.
_SECONDS_BEFORE_AGAIN = {1: 2, 2: 10}
# A done frame holds these at most, so that it fits its 24 KB.
_MAXIMUM_CITATIONS = 10
# Of the facts that a model did not come to tell: as much as a person reads through.
_MAXIMUM_FACTS, _MAXIMUM_FACTS_CHARACTERS = 6, 2_000

LEFT_AS_IT_IS = "I leave it as it is. Nothing was changed."
WRITTEN_BEFORE = "You wrote that before I asked, so I ask again."
NOT_NOW = "I am sorry, I cannot answer just now. Nothing was changed. Please send your message again in a few minutes."
NOT_THIS = (
    "I am sorry, I could not finish an answer to that. Nothing was changed. "
    "Please ask again in other words, or ask for one thing at a time."
)
LOOKED_UP = "This is what I looked up:"
THERE_IS_MORE = "There is more."
UNSURE = (
    "I am sorry, I could not find out whether that was done. "
    "Please ask me how things stand before you ask for it again."
)


@dataclass(frozen=True, slots=True)
class Answering:
    """What answering takes. ``engine`` is the agent's name; ``measure`` takes milliseconds and counts by name."""

    conversations: Conversations
    agent: Agent
    engine: str
    poster: Poster
    measure: Callable[[str, float], None]
    log: Callable[..., None]
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Reading:
    """A turn with all that its answer depends on. ``asked`` is the question that the person was asked just before."""

    turn: Turn
    session: Session
    recalled: Recalled
    summary: str
    asked: AskedAction | None


def answer_turn(claim: Claim, conversation: Conversation, deadline: float, answering: Answering) -> Recalled:
    """Answers the conversation's next turn, stores the answer, tells the person; what was recalled of the turns before.

    ``deadline`` (monotonic) is when the agent must be done. Raises ComeBackError where another attempt may do better,
    LeaseLostError where another answers, Retryable where the table cannot.
    """
    number = conversation.answered_turn + 1
    turn = answering.conversations.begin(claim, number)
    reading = _read(conversation, turn, deadline, answering)
    stream = _stream(claim, conversation, turn, answering)
    reply = _reply(reading, stream, answering)
    pending = None
    if reply.pending is not None:
        pending = encode_pending(AskedAction(reply.pending, timestamp(answering.now())))
    frames = TurnFrames(conversation.conversation_id, turn.message_id, number)
    made = stream.end(lambda sequence: _done(frames, sequence, reply, answering.engine))
    answering.conversations.finish(claim, Ending(number, reply, made, pending))
    stream.post_end()
    answering.measure("AnswerMilliseconds", _milliseconds_since(turn.received_at, answering.now()))
    answering.measure(f"Turns{reply.outcome.capitalize()}", 1)
    return reading.recalled


def _read(conversation: Conversation, turn: Turn, deadline: float, answering: Answering) -> _Reading:
    before = answering.conversations.turns_before(
        conversation.conversation_id, turn.turn, conversation.summarized_through
    )
    asked = decode_pending(conversation.pending_action) if conversation.pending_action else None
    if asked is not None and asked.action.asked_in_turn != turn.turn - 1:
        asked = None
    session = Session(
        person_id=conversation.person_id,
        role=conversation.role,
        customer_id=conversation.customer_id,
        conversation_id=conversation.conversation_id,
        turn=turn.turn,
        correlation_id=turn.correlation_id,
        deadline=deadline,
    )
    return _Reading(turn, session, recall(before), conversation.summary, asked)


def _stream(claim: Claim, conversation: Conversation, turn: Turn, answering: Answering) -> FrameStream:
    return FrameStream(
        TurnFrames(conversation.conversation_id, turn.message_id, turn.turn),
        turn.attempts,
        conversation.connection_id,
        poster=answering.poster,
        find_connection=lambda: answering.conversations.reread(claim).connection_id,
        keep=lambda frames: answering.conversations.keep_frames(claim, turn.turn, frames),
        on_first=lambda: answering.measure(
            "FirstTokenMilliseconds", _milliseconds_since(turn.received_at, answering.now())
        ),
        log=answering.log,
        clock=answering.clock,
    )


def _reply(reading: _Reading, stream: FrameStream, answering: Answering) -> Reply:
    """The answer, or the plain words that there is none."""
    attempts = reading.turn.attempts
    is_confirming = reading.asked is not None and read_confirmation(reading.turn.text) == "yes"
    try:
        if attempts > MAXIMUM_ATTEMPTS:
            raise Rejected(f"INTERNAL: its function died {attempts - 1} times while it answered this turn")
        return _answer(reading, stream, answering.agent)
    except LeaseLostError:
        raise
    except Rejected as rejected:
        answering.log("A turn failed.", reason=rejected.reason, attempts=attempts)
        return _failed(UNSURE if is_confirming else NOT_THIS, rejected, stream)
    except Retryable as failed:
        answering.log("An attempt at a turn failed.", reason=str(failed), attempts=attempts)
        if attempts < MAXIMUM_ATTEMPTS:
            raise ComeBackError(str(failed), _SECONDS_BEFORE_AGAIN[attempts]) from failed
        return _failed(UNSURE if is_confirming else NOT_NOW, failed, stream)


def _answer(reading: _Reading, stream: FrameStream, agent: Agent) -> Reply:
    history = history_of(reading.summary, reading.recalled.turns)
    turn, asked = reading.turn, reading.asked
    verdict = "other" if asked is None else read_confirmation(turn.text)
    if asked is None or verdict == "other":
        return agent.reply(reading.session, history, turn.text, stream)
    if turn.received_at < asked.asked_at:
        return _asked_again(asked.action, turn.turn, stream)
    if verdict == "yes":
        return agent.confirm(reading.session, history, asked.action, stream)
    stream.text(LEFT_AS_IT_IS)
    return Reply(LEFT_AS_IT_IS, "answered")


def _asked_again(action: PendingAction, turn: int, stream: FrameStream) -> Reply:
    """Two messages at once: what was sent before the question was asked cannot be meant as its answer."""
    text = f"{WRITTEN_BEFORE} {action.question}"
    stream.text(text)
    return Reply(text, "answered", pending=replace(action, asked_in_turn=turn))


def _failed(words: str, failed: Exception, stream: FrameStream) -> Reply:
    """``words``, and what was looked up before ``failed`` ended the turn; with its calls and tokens, for the row."""
    made = so_far(failed)
    text = "\n\n".join([words, *_looked_up(made)])
    stream.text(f"\n\n{text}" if stream.said else text)
    return replace(made, text=stream.said, outcome="failed", pending=None)


def _looked_up(made: Reply) -> list[str]:
    """The facts that the model did not come to tell, in a paragraph; none where there are none."""
    results = [call.result for call in made.tool_calls if call.result is not None and call.result.state == "done"]
    facts = list(dict.fromkeys(fact for result in results for fact in result.facts))
    told, characters = [], 0
    for fact in facts[:_MAXIMUM_FACTS]:
        characters += len(fact)
        if characters > _MAXIMUM_FACTS_CHARACTERS:
            break
        told.append(fact)
    if not told:
        return []
    return [" ".join([LOOKED_UP, *told, *([THERE_IS_MORE] if len(told) < len(facts) else [])])]


def _done(frames: TurnFrames, sequence: int, reply: Reply, engine: str) -> DoneFrame:
    return frames.done(
        sequence,
        reply.outcome,
        citations=[frame_citation(one) for one in reply.citations[:_MAXIMUM_CITATIONS]],
        confirm=_question(reply.pending),
        model={"engine": engine, "modelId": reply.model_id, "profile": reply.profile},
        usage={"inputTokens": reply.input_tokens, "outputTokens": reply.output_tokens},
    )


def frame_citation(citation: Citation) -> FrameCitation:
    """The citation as clients get it: where to look, not the passage itself."""
    return {
        "documentId": citation.document_id,
        "fileName": citation.file_name,
        "passage": citation.passage,
        "page": citation.page,
    }


def _question(pending: PendingAction | None) -> FrameQuestion | None:
    if pending is None:
        return None
    return {"tool": pending.tool, "arguments": dict(pending.arguments), "question": pending.question}


def _milliseconds_since(moment: str, now: float) -> float:
    return (now - datetime.fromisoformat(moment).timestamp()) * 1000
