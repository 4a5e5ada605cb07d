"""Runs the bank's tools: the function agent_tools, spoken to as a Bedrock agent speaks to its action group.

https://docs.aws.amazon.com/bedrock/latest/userguide/agents-lambda.html (event and response with function details)

The session goes as ``sessionAttributes``, made from rows; nothing that a model wrote is among them. The answer's TEXT
body is JSON: {"state", "facts", "data", "citations"}. Anything else is a tool that failed, and so is one that is away,
throttled or slow: the reason is logged, the person is told in plain words.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent_port import Citation, Session, ToolResult, ToolState
from backbone.tool_catalogue import ACTION_GROUP

# Told to the person (and to the model, which answers from it) where a tool did not answer.
AWAY = "That could not be looked up or done just now, because a system of the bank did not answer."
_STATES: Mapping[str, ToolState] = {"done": "done", "refused": "refused", "proposed": "proposed"}
# A function details event names an agent; ours is not one of Bedrock's.
_AGENT = {"name": "answer_chat", "id": "CONVERSE", "alias": "CONVERSE", "version": "1"}


class _UnreadableAnswerError(Exception):
    """The function answered something else than a tool does; the message says what."""


@dataclass(frozen=True, slots=True)
class AgentToolsClient:
    """The function ``function_name`` behind ``client`` (boto3 "lambda").

    ``measure`` is told ToolMilliseconds and ToolsFailed, ``log`` why a tool failed.
    """

    client: Any
    function_name: str
    measure: Callable[[str, float], None]
    log: Callable[..., None]

    def run(self, name: str, arguments: Mapping[str, Any], session: Session) -> ToolResult:
        """What the tool ``name`` answers to the session's person; never raises, see ``agent_port.Tools``."""
        started = time.monotonic()
        try:
            return self._ask(action_group_event(name, arguments, session))
        except (ClientError, BotoCoreError, _UnreadableAnswerError) as failed:
            self.log("A tool failed.", tool=name, reason=str(failed))
            self.measure("ToolsFailed", 1)
            return ToolResult("failed", (AWAY,))
        finally:
            self.measure("ToolMilliseconds", (time.monotonic() - started) * 1000)

    def _ask(self, event: Mapping[str, Any]) -> ToolResult:
        answer = self.client.invoke(FunctionName=self.function_name, Payload=json.dumps(event).encode())
        said = answer["Payload"].read()
        if "FunctionError" in answer:
            raise _UnreadableAnswerError(f"the function failed: {said[:500]!r}")
        return read_answer(said)


def action_group_event(name: str, arguments: Mapping[str, Any], session: Session) -> dict[str, Any]:
    """The event of an action group with function details; every value is a text, as Bedrock sends it."""
    return {
        "messageVersion": "1.0",
        "agent": _AGENT,
        "inputText": "",
        "sessionId": session.conversation_id,
        "actionGroup": ACTION_GROUP,
        "function": name,
        "parameters": [
            {"name": key, "type": "integer" if type(value) is int else "string", "value": str(value)}
            for key, value in arguments.items()
        ],
        "sessionAttributes": session.attributes(),
        "promptSessionAttributes": {},
    }


def read_answer(said: bytes) -> ToolResult:
    """The result in the function's answer; raises _UnreadableAnswerError for what is none."""
    try:
        answer = json.loads(said)["response"]["functionResponse"]
        text = answer["responseBody"]["TEXT"]["body"]
        if "responseState" in answer:
            raise _UnreadableAnswerError(f"{answer['responseState']}: {text[:500]}")
        return read_result(text)
    except (ValueError, KeyError, TypeError) as broken:
        # What it says may be a customer's: no log keeps it.
        raise _UnreadableAnswerError(f"not the answer of a tool, {len(said)} bytes: {broken!r}") from broken


def read_result(text: str) -> ToolResult:
    """The result in a TEXT body, however it came here; raises ValueError, KeyError or TypeError for what is none."""
    body = json.loads(text)
    return ToolResult(
        state=_STATES[body["state"]],
        facts=tuple(str(fact) for fact in body["facts"]),
        data=dict(body.get("data") or {}),
        citations=tuple(_citation(said) for said in body.get("citations") or ()),
        text=text,
    )


def _citation(said: Mapping[str, Any]) -> Citation:
    return Citation(said["documentId"], said["fileName"], said["passage"], said.get("page"), said.get("text", ""))
