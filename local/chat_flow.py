"""The chat flow as a customer sees it: a conversation over the WebSocket, and what the bus carried meanwhile."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.bus_queue import bus_queue
from local.chat_answers import Answered, Frame
from local.chat_client import ChatClient, ChatError, ticket_url
from local.stack import Stack

_RECEIVED, _ANSWERED, _BLOCKED, _PROPOSED = "ChatMessageReceived", "ChatAnswered", "CardBlocked", "ActionProposed"
_PATIENCE_SECONDS = 60.0
_BUS_SECONDS = 10.0

type Envelope = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """What the customer writes, and what must come of it: a tool that runs, or a change that is asked about first."""

    says: str
    tool: str | None = None
    asks_to: str | None = None


@dataclass
class Exchange:
    """A line and its answer; ``problem`` says what of it is not as it must be."""

    line: Line
    answered: Answered | None = None
    problem: str | None = None


@dataclass
class Conversation:
    """All that was said, and the events seen on the bus, each with its time in seconds since the first line."""

    exchanges: list[Exchange] = field(default_factory=list)
    events: list[tuple[float, Envelope]] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What must have happened and did not."""
        found = [f"{one.line.says!r}: {one.problem}" for one in self.exchanges if one.problem]
        seen = [envelope["detail-type"] for _, envelope in self.events]
        messages = len(self.exchanges)
        counts = {kind: seen.count(kind) for kind in (_RECEIVED, _ANSWERED)}
        found += [f"{count} {kind} for {messages} messages" for kind, count in counts.items() if count != messages]
        if seen.count(_BLOCKED) + seen.count(_PROPOSED) != 1:
            found.append(f"{_BLOCKED} and {_PROPOSED} came {seen.count(_BLOCKED)} and {seen.count(_PROPOSED)} times")
        return found


def lines(card_id: str) -> Sequence[Line]:
    """A customer asks why a payment was stopped, what the contract says, and has the card blocked."""
    return (
        Line("Which cards do I have?", tool="list_cards"),
        Line("Why was my card stopped?", tool="explain_flag"),
        Line("What do my documents say about late payments?", tool="search_documents"),
        Line(f"Block {card_id}, it was stolen.", asks_to="block_card"),
        Line("yes", tool="block_card"),
    )


def play_chat(
    stack: Stack,
    token: str,
    script: Sequence[Line],
    *,
    on_line: Callable[[Line], None],
    on_frame: Callable[[Frame], None],
    on_answer: Callable[[Exchange], None],
) -> Conversation:
    """Has the conversation; the callbacks are told what happens as it does."""
    conversation = Conversation()
    with bus_queue(stack, (_RECEIVED, _ANSWERED, _BLOCKED, _PROPOSED)) as queue:
        began = time.monotonic()
        try:
            with ChatClient(lambda: ticket_url(stack.outputs["ChatTicketsUrl"], token)) as client:
                for line in script:
                    exchange = Exchange(line)
                    conversation.exchanges.append(exchange)
                    on_line(line)
                    exchange.answered = client.ask(line.says, seconds=_PATIENCE_SECONDS, on_frame=on_frame)
                    exchange.problem = _problem(line, exchange.answered)
                    on_answer(exchange)
        except ChatError as failed:
            conversation.exchanges[-1].problem = str(failed)
        conversation.events = _events(stack, queue, began, 2 * len(conversation.exchanges) + 1)
    return conversation


def _problem(line: Line, answered: Answered) -> str | None:
    ran = [tool for tool, state in answered.tools if state == "done"]
    asked_to = answered.confirm["tool"] if answered.confirm else None
    if answered.outcome != "answered":
        return f"the answer's outcome is {answered.outcome}"
    if asked_to != line.asks_to:
        return f"it asks to {asked_to}, not to {line.asks_to}"
    if line.tool not in ran and line.tool is not None:
        return f"{line.tool} did not run, but {ran or 'nothing'} did"
    return None


def _events(stack: Stack, queue: str, began: float, expected: int) -> list[tuple[float, Envelope]]:
    """What the bus carried, in the order of its arrival; ends with the last that is expected, or when patience does."""
    sqs, found = stack.client("sqs"), list[tuple[float, Envelope]]()
    deadline = time.monotonic() + _BUS_SECONDS
    while len(found) < expected and time.monotonic() < deadline:
        answer = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["SentTimestamp"]
        )
        for message in answer.get("Messages", []):
            sent = int(message["Attributes"]["SentTimestamp"]) / 1000 - time.time() + time.monotonic()
            found.append((sent - began, json.loads(message["Body"])))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return sorted(found, key=lambda one: one[0])
