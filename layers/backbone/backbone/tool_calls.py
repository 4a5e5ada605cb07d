"""Calls of ``agent_tools``: spoken to as a Bedrock agent speaks to its action group.

https://docs.aws.amazon.com/bedrock/latest/userguide/agents-lambda.html (event and response with function details)

On whose behalf a tool runs goes as ``sessionAttributes``, made by the caller from its own rows; nothing that a model
wrote is among them. The answer's TEXT body is JSON: {"state", "facts", "data", "citations"}.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable
from backbone.tool_catalogue import ACTION_GROUP

STATES = frozenset({"done", "refused", "proposed"})
_CITED = {"documentId", "fileName", "passage"}


class UnreadableAnswerError(Exception):
    """The function answered something else than a tool does; the message says what, and nothing of a customer's."""


@dataclass(frozen=True, slots=True)
class ToolReply:
    """What a tool answered: ``state`` is one of ``STATES``, ``text`` the whole body as it came."""

    state: str
    facts: tuple[str, ...]
    data: Mapping[str, Any]
    citations: tuple[Mapping[str, Any], ...]
    text: str


@dataclass(frozen=True, slots=True)
class ToolFunction:
    """The function ``function_name`` behind ``client`` (boto3 "lambda"), as ``caller`` calls it."""

    client: Any
    function_name: str
    caller: str

    def run(self, tool: str, arguments: Mapping[str, Any], attributes: Mapping[str, str]) -> ToolReply:
        """What ``tool`` answers; raises Retryable where it is away, failed, or answered what is no answer."""
        event = action_group_event(tool, arguments, attributes, self.caller)
        try:
            answer = self.client.invoke(FunctionName=self.function_name, Payload=json.dumps(event).encode())
            said = answer["Payload"].read()
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"{tool}: {failed}") from failed
        if "FunctionError" in answer:
            raise Retryable(f"{tool}: the function failed: {said[:500]!r}")
        try:
            return read_answer(said)
        except UnreadableAnswerError as failed:
            raise Retryable(f"{tool}: {failed}") from failed


def action_group_event(
    tool: str, arguments: Mapping[str, Any], attributes: Mapping[str, str], caller: str
) -> dict[str, Any]:
    """The event of an action group with function details; every value is a text, as Bedrock sends it.

    It names an agent; ``caller`` is not one of Bedrock's.
    """
    return {
        "messageVersion": "1.0",
        "agent": {"name": caller, "id": "CONVERSE", "alias": "CONVERSE", "version": "1"},
        "inputText": "",
        "sessionId": attributes["conversationId"],
        "actionGroup": ACTION_GROUP,
        "function": tool,
        "parameters": [
            {"name": key, "type": "integer" if type(value) is int else "string", "value": str(value)}
            for key, value in arguments.items()
        ],
        "sessionAttributes": dict(attributes),
        "promptSessionAttributes": {},
    }


def read_answer(said: bytes) -> ToolReply:
    """The reply in the function's answer; raises UnreadableAnswerError for what is none."""
    try:
        answer = json.loads(said)["response"]["functionResponse"]
        text = answer["responseBody"]["TEXT"]["body"]
        if "responseState" in answer:
            raise UnreadableAnswerError(f"{answer['responseState']}: {text[:500]}")
        return read_reply(text)
    except (ValueError, KeyError, TypeError, AttributeError) as broken:
        # What it says may be a customer's: no log keeps it.
        raise UnreadableAnswerError(f"not the answer of a tool, {len(said)} bytes: {broken!r}") from broken


def read_reply(text: str) -> ToolReply:
    """The reply in a TEXT body, however it came here; raises ValueError, KeyError, TypeError or AttributeError else."""
    body = json.loads(text)
    if body["state"] not in STATES:
        raise ValueError(f"no state of a tool: {body['state']!r}")
    if not isinstance(body["facts"], list):  # a text would come apart into its characters
        raise TypeError(f"facts are no list but {type(body['facts']).__name__}")
    citations = tuple(body.get("citations") or ())
    if any(not citation.keys() >= _CITED for citation in citations):
        raise ValueError("a citation without its document or passage")
    return ToolReply(
        state=body["state"],
        facts=tuple(str(fact) for fact in body["facts"]),
        data=dict(body.get("data") or {}),
        citations=citations,
        text=text,
    )
