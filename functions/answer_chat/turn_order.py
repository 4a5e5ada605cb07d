"""Every turn of a conversation is answered once, in order, and ChatAnswered is published for each.

A chat request names a turn, but whoever holds the conversation's lease answers all that wait, one after another, and
frees the lease only if none came meanwhile: so a request that finds the lease held can come back later, and will find
itself answered. A holder that died is followed by its own request's next delivery, which heals what it left undone: a
turn half answered (begun again), an answer that is stored but was not told to its end, or not published.

Knows no AWS.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent_port import DEPTH_AFTER_A_MESSAGE, Meter
from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.conversations import Conversation, Turn
from backbone.errors import Rejected, Retryable
from backbone.summary_writing import Writer
from conversation_lease import Claim, ComeBackError, LeaseLostError, Taken
from conversation_memory import HISTORY_TOKENS, recall, summarise
from turn_answering import Answering, answer_turn

PRODUCER = "answer_chat"
ANSWERED = "ChatAnswered"
# No further turn is begun with less than this left before the deadline; another invocation does.
_SECONDS_FOR_A_TURN = 30
# A summary's model call can take as long as a model call may (its client's read timeout).
_SECONDS_FOR_A_SUMMARY = 65
_SECONDS_UNTIL_THE_BUS_IS_ASKED_AGAIN = 10


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: Sequence[Event]) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class ChatWork:
    """What answering a conversation takes; ``writer`` and ``meter`` are for its summary."""

    answering: Answering
    bus: Bus
    writer: Writer
    meter: Meter
    traceparent: Callable[[], str | None] = lambda: None
    clock: Callable[[], float] = time.monotonic


def answer_waiting(claim: Claim, deadline: float, work: ChatWork) -> None:
    """Answers every turn that waits; ``deadline`` (monotonic) is when the agent must be done with the last one.

    Raises ComeBackError (and LeaseHeldError) where the request must come again in so many seconds, Retryable where it
    must come again, Rejected where there is no such conversation.
    """
    conversations = work.answering.conversations
    taken = conversations.take(claim, int(work.answering.now() * 1000))
    is_done = False
    try:
        if taken.was_left:
            _tell_end_again(taken.conversation, work)
        _answer_all(claim, taken, deadline, work)
        is_done = True
    finally:
        if not is_done:
            conversations.give_up(claim)


def _answer_all(claim: Claim, taken: Taken, deadline: float, work: ChatWork) -> None:
    conversations = work.answering.conversations
    conversation, is_published, has_answered = taken.conversation, not taken.was_left, False
    while True:
        while conversation.answered_turn < conversation.received_turn:
            if has_answered and work.clock() + _SECONDS_FOR_A_TURN > deadline:
                raise ComeBackError("no time is left for the next turn", 0)
            recalled = answer_turn(claim, conversation, deadline, work.answering)
            conversation, has_answered = conversations.reread(claim), True
            is_published = publish_answers(conversation, work)
            if recalled.overflows:
                _remember(claim, conversation, deadline, work)
        if not is_published and not publish_answers(conversation, work):
            raise ComeBackError("the bus does not take ChatAnswered", _SECONDS_UNTIL_THE_BUS_IS_ASKED_AGAIN)
        if conversations.release(claim, conversation.answered_turn):
            return
        conversation = conversations.reread(claim)


def publish_answers(conversation: Conversation, work: ChatWork) -> bool:
    """Publishes ChatAnswered for the newest answers that nobody is known to have published; whether all were taken."""
    conversations = work.answering.conversations
    unpublished: list[Turn] = []
    for number in range(conversation.answered_turn, 0, -1):
        turn = conversations.turn(conversation.conversation_id, number)
        if turn is None or turn.published_at is not None:
            break
        unpublished.insert(0, turn)
    now = work.answering.now()
    events = [chat_answered(conversation, one, work.answering.engine, now, work.traceparent()) for one in unpublished]
    refused = work.bus.publish(events) if events else {}
    for turn, event in zip(unpublished, events, strict=True):
        if event.metadata.event_id not in refused:
            conversations.mark_published(turn.conversation_id, turn.turn)
    for reason in refused.values():
        work.answering.log("ChatAnswered was not taken; it is published again.", reason=reason)
    return not refused


def chat_answered(
    conversation: Conversation, turn: Turn, engine: str, now: float, traceparent: str | None = None
) -> Event:
    """ChatAnswered for an answered turn; its id is made from conversation and turn. ``now`` in epoch seconds."""
    data = {
        "conversationId": turn.conversation_id,
        "messageId": turn.message_id,
        "turn": turn.turn,
        "customerId": conversation.customer_id,
        "outcome": turn.status,
        "tools": [call["name"] for call in json.loads(turn.tool_calls or "[]") if call["state"] is not None],
        "engine": engine,
        "inputTokens": turn.input_tokens,
        "outputTokens": turn.output_tokens,
    }
    if turn.model_id:
        data["modelId"] = turn.model_id
    return contracts.build(
        ANSWERED,
        data,
        Metadata(
            event_id=contracts.event_id(ANSWERED, f"{turn.conversation_id}:{turn.turn}"),
            event_version=1,
            correlation_id=turn.correlation_id,
            causation_id=turn.event_id,
            occurred_at=contracts.timestamp(now),
            producer=PRODUCER,
            traceparent=traceparent,
            causation_depth=DEPTH_AFTER_A_MESSAGE,
        ),
    )


def _tell_end_again(conversation: Conversation, work: ChatWork) -> None:
    """Posts the last answer's last frame: whoever answered may have died before that; the client knows it by number."""
    answering = work.answering
    turn = answering.conversations.turn(conversation.conversation_id, conversation.answered_turn)
    if turn is None or not turn.frames:
        return
    try:
        answering.poster.post(conversation.connection_id, turn.frames[-1])
    except Retryable as failed:
        answering.log("A last frame was not posted again; the client can ask for it.", reason=str(failed))


def _remember(claim: Claim, conversation: Conversation, deadline: float, work: ChatWork) -> None:
    """Folds the oldest turns into the summary, so that the newer ones take half the budget at most."""
    answering = work.answering
    if work.clock() + _SECONDS_FOR_A_SUMMARY > deadline:
        answering.log("No time is left for a summary; it is made after the next answer.")
        return
    conversations = answering.conversations
    newest_first = list(
        conversations.turns_before(
            conversation.conversation_id, conversation.answered_turn + 1, conversation.summarized_through
        )
    )
    kept = recall(newest_first, HISTORY_TOKENS // 2)
    oldest_first = newest_first[len(kept.turns) :][::-1]
    if not oldest_first:
        return
    try:
        summary = summarise(work.writer, conversation.summary, oldest_first)
        conversations.keep_summary(claim, summary.text, summary.through)
    except LeaseLostError:
        raise
    except (Retryable, Rejected) as failed:
        answering.log("A conversation was not summarised; the next answer goes on with what fits.", reason=str(failed))
        answering.measure("SummariesFailed", 1)
        return
    said = summary.answer
    work.meter.model_call(said.model_id, input_tokens=said.input_tokens, output_tokens=said.output_tokens)
