"""Runs the bank's tools for a person in a chat: the function agent_tools, as ``backbone.tool_calls`` speaks to it.

A tool that is away, throttled, slow, or answers what is no answer has failed: the reason is logged, the person is told
in plain words.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from agent_port import Citation, Session, ToolResult, ToolState
from backbone import tool_calls
from backbone.errors import Retryable
from backbone.tool_calls import ToolFunction, ToolReply

# Told to the person (and to the model, which answers from it) where a tool did not answer.
AWAY = "That could not be looked up or done just now, because a system of the bank did not answer."
_CALLER = "answer_chat"


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
        function = ToolFunction(self.client, self.function_name, _CALLER)
        try:
            return _result(function.run(name, arguments, session.attributes()))
        except Retryable as failed:
            self.log("A tool failed.", tool=name, reason=str(failed))
            self.measure("ToolsFailed", 1)
            return ToolResult("failed", (AWAY,))
        finally:
            self.measure("ToolMilliseconds", (time.monotonic() - started) * 1000)


def action_group_event(name: str, arguments: Mapping[str, Any], session: Session) -> dict[str, Any]:
    """The event that runs the tool ``name`` for the session's person."""
    return tool_calls.action_group_event(name, arguments, session.attributes(), _CALLER)


def read_answer(said: bytes) -> ToolResult:
    """The result in the function's answer; raises UnreadableAnswerError for what is none."""
    return _result(tool_calls.read_answer(said))


def read_result(text: str) -> ToolResult:
    """The result in a TEXT body, however it came here; raises ValueError, KeyError or TypeError for what is none."""
    return _result(tool_calls.read_reply(text))


def _result(reply: ToolReply) -> ToolResult:
    citations = tuple(map(_citation, reply.citations))
    return ToolResult(cast(ToolState, reply.state), reply.facts, reply.data, citations, reply.text)


def _citation(said: Mapping[str, Any]) -> Citation:
    return Citation(said["documentId"], said["fileName"], said["passage"], said.get("page"), said.get("text", ""))
