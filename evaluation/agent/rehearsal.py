"""Scripts played to the deployed chat over its WebSocket, and what was seen of each message beside the answer.

What an agent did is not taken from its words. Of each turn are looked at: the calls in the turn's row; what agent_tools
logged under the turn's correlation id; the rows of cards, cases and actions before and after. A tool's results are kept
nowhere, so where they matter each reading call is made once more, with the same arguments and the same session.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent_port import Session, ToolState
from agent_tools_client import action_group_event, read_answer
from backbone.conversations import Conversation as ConversationRow
from backbone.conversations import ConversationRows, Turn
from backbone.tool_catalogue import find_tool
from evaluation.agent.scripts import HOSTILE, Attack, Conversation, ToolUse
from evaluation.agent.world import Change, World, changes, until
from local.chat_answers import Answered
from local.chat_client import ChatClient, ChatError, ChatRefusedError, ticket_url
from local.stack import Stack

# Under this correlation id calls are made once more, so that no log confuses them with the agent's.
_LOOKED_AGAIN = "evaluation"
_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RanTool(ToolUse):
    """A tool that ran. ``state`` is done, refused, proposed or failed."""

    state: str = "done"


@dataclass(frozen=True, slots=True)
class SeenTurn:
    """What became of one message.

    ``asked`` is the change that the person was asked about. ``results`` are the texts of what the reading tools tell
    (only where they were looked at again). ``logged`` are the names of the tools that agent_tools says it ran.
    ``customer_id`` is whose conversation it was. ``problem`` says why there was no answer: the chat's refusal, or
    silence. ``first_delta_ms`` is by the client's clock.
    """

    said: str
    answer: str = ""
    outcome: str = ""
    ran: tuple[RanTool, ...] = ()
    asked: ToolUse | None = None
    changes: tuple[Change, ...] = ()
    results: tuple[str, ...] = ()
    cited: frozenset[str] = frozenset()
    logged: tuple[str, ...] = ()
    customer_id: str = ""
    correlation_id: str = ""
    problem: str = ""
    first_delta_ms: float | None = None


@dataclass(frozen=True, slots=True)
class SeenAttack:
    """What became of an attack's messages; ``note`` is the id of the document that was uploaded for it."""

    turns: tuple[SeenTurn, ...]
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where scripts are played. ``patience`` (seconds) is how long an answer may take."""

    world: World
    patience: float

    def play(self, conversation: Conversation) -> tuple[SeenTurn, ...]:
        """Says the conversation's messages, each after the answer to the one before; the world is as before after it.

        Results are looked at too where it is hostile.
        """
        said = [turn.say for turn in conversation.turns]
        return self._say(said, looks_again=conversation.kind == HOSTILE)

    def attack(self, attack: Attack) -> SeenAttack:
        """Uploads the attack's document, says its messages; the cards are as before after it."""
        note = self.world.add_note(attack.document) if attack.document else None
        return SeenAttack(self._say(attack.says, looks_again=True, about=attack.about_customer_id), note)

    def _say(self, messages: Sequence[str], *, looks_again: bool, about: str | None = None) -> tuple[SeenTurn, ...]:
        stack, customer = self.world.stack, self.world.customer
        tickets = stack.outputs["ChatTicketsUrl"]
        try:
            with ChatClient(lambda: ticket_url(tickets, customer.token()), about_customer_id=about) as client:
                return tuple(self._see(client, message, looks_again=looks_again) for message in messages)
        finally:
            self.world.restore()

    def _see(self, client: ChatClient, message: str, *, looks_again: bool) -> SeenTurn:
        before = self.world.rows()
        try:
            answered = client.ask(message, seconds=self.patience)
        except ChatRefusedError as refused:
            return SeenTurn(message, problem=refused.code, changes=changes(before, self.world.rows()))
        except ChatError as failed:
            return SeenTurn(message, problem=str(failed), changes=changes(before, self.world.rows()))
        stack = self.world.stack
        rows = ConversationRows(stack.client("dynamodb"), stack.outputs["ConversationsTableName"])
        conversation = rows.get(answered.conversation_id)
        turn = rows.get_turn(answered.conversation_id, answered.turn)
        if conversation is None or turn is None:
            raise LookupError(f"There is no row of turn {answered.turn} of {answered.conversation_id}")
        seen = _seen(message, answered, conversation, turn)
        seen = replace(seen, changes=changes(before, self.world.rows()))
        if not looks_again:
            return seen
        session = _session(conversation, turn)
        results = tuple(tool_answer(stack, use, session)[0] for use in seen.ran if _reads(use))
        return replace(seen, results=results)


def _seen(message: str, answered: Answered, conversation: ConversationRow, turn: Turn) -> SeenTurn:
    calls = json.loads(turn.tool_calls or "[]")
    asked = answered.confirm
    return SeenTurn(
        said=message,
        answer=answered.text,
        outcome=answered.outcome,
        ran=tuple(RanTool(one["name"], one["arguments"], one["state"]) for one in calls if one["state"] is not None),
        asked=ToolUse(asked["tool"], asked["arguments"]) if asked else None,
        cited=frozenset(one["documentId"] for one in answered.citations),
        customer_id=conversation.customer_id,
        correlation_id=turn.correlation_id,
        first_delta_ms=answered.first_delta_ms,
    )


def _reads(use: ToolUse) -> bool:
    tool = find_tool(use.tool)
    return tool is not None and not tool.changes


def _session(conversation: ConversationRow, turn: Turn) -> Session:
    """The session of the turn, but for the correlation id."""
    return Session(
        person_id=conversation.person_id,
        role=conversation.role,
        customer_id=conversation.customer_id,
        conversation_id=conversation.conversation_id,
        turn=turn.turn,
        correlation_id=_LOOKED_AGAIN,
    )


def tool_answer(stack: Stack, use: ToolUse, session: Session) -> tuple[str, ToolState]:
    """What agent_tools answers to the call ``use`` for ``session``: all of it as JSON, and the state."""
    event = json.dumps(action_group_event(use.tool, use.arguments, session)).encode()
    name = stack.outputs["AgentToolsFunctionName"]
    said: bytes = stack.client("lambda").invoke(FunctionName=name, Payload=event)["Payload"].read()
    return said.decode(), read_answer(said).state


def log_lines(stack: Stack, log_group: str, since: float) -> Sequence[Mapping[str, Any]]:
    """The JSON lines that a function logged since ``since`` (epoch seconds), in order."""
    pages = stack.client("logs").get_paginator("filter_log_events")
    found = []
    for page in pages.paginate(logGroupName=stack.resources[log_group], startTime=int(since * 1000)):
        for event in page["events"]:
            try:
                line = json.loads(event["message"])
            except ValueError:
                continue  # Lambda's own lines, START and REPORT
            if isinstance(line, dict):
                found.append(line)
    return found


def with_logged_tools(stack: Stack, since: float, turns: Sequence[SeenTurn]) -> list[SeenTurn]:
    """``turns`` with what agent_tools logged of each since ``since`` (epoch seconds)."""

    def logged() -> Mapping[str, list[str]] | None:
        tools: dict[str, list[str]] = defaultdict(list)
        for line in log_lines(stack, "AgentToolsLogGroup", since):
            if line.get("message") == "Tool ran.":
                tools[str(line.get("correlation_id"))].append(str(line["tool"]))
        told = sum(use.state != "failed" for turn in turns for use in turn.ran)
        ran = sum(len(tools[turn.correlation_id]) for turn in turns if turn.correlation_id)
        return tools if ran >= told else None

    tools = until(logged, _PATIENCE_SECONDS, "The log of all the tools that ran")
    return [replace(turn, logged=tuple(tools.get(turn.correlation_id, ()))) for turn in turns]
