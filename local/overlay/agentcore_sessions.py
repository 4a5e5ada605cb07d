"""What a harness's model is asked, and what a harness's session remembers: plain data, no engine.

A session remembers whole turns. A turn that stopped at an inline function is not whole, so the use of the tool is not
remembered: who answers it sends two messages, the assistant's with the same toolUse and the user's with the toolResult.
A toolResult alone is refused by the model's provider, as is JSON in a toolResult: it goes as text. (The developer guide
says that the harness pauses and takes the result in the next call; these two rules are told by those who built on it:
the module documentation of req_managed_agents, ReqManagedAgents.AgentCore.Converse, on hex.pm.)
https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/harness-tools.html
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

type Message = dict[str, Any]


class ConversationError(Exception):
    """The model's provider would refuse these messages; the text is the reason as the provider words it."""


@dataclass
class Session:
    """``used``: when it was last called, in seconds of the clock."""

    messages: tuple[Message, ...]
    used: float


@dataclass
class Sessions:
    """Sessions by harness and id, each forgotten when nobody has called it for as long as its harness says."""

    clock: Callable[[], float] = time.monotonic
    _sessions: dict[tuple[str, str], Session] = field(default_factory=dict)

    def recall(self, harness_arn: str, session_id: str, idle_seconds: int) -> tuple[Message, ...]:
        """What was said in the session; nothing where it is new or forgotten."""
        session = self._sessions.get((harness_arn, session_id))
        if session is None or self.clock() - session.used > idle_seconds:
            return ()
        return session.messages

    def remember(self, harness_arn: str, session_id: str, messages: Sequence[Message]) -> None:
        self._sessions[harness_arn, session_id] = Session(tuple(messages), self.clock())


def converse_request(
    settings: Mapping[str, Any], remembered: Sequence[Message], said: Sequence[Message]
) -> dict[str, Any]:
    """Converse's request for ``settings`` (the harness's, overridden by the call's); raises ConversationError."""
    messages = [*remembered, *map(_for_converse, said)]
    _refuse_results_without_use(messages)
    request: dict[str, Any] = {"messages": messages}
    if settings.get("systemPrompt"):
        request["system"] = list(settings["systemPrompt"])
    if tools := _tools(settings):
        request["toolConfig"] = {"tools": tools, "toolChoice": {"auto": {}}}
    if inference := _inference(settings):
        request["inferenceConfig"] = inference
    return request


def _tools(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    allowed = settings.get("allowedTools") or ["*"]
    return [
        {
            "toolSpec": {
                "name": tool["name"],
                "description": tool["config"]["inlineFunction"]["description"],
                "inputSchema": {"json": tool["config"]["inlineFunction"]["inputSchema"]},
            }
        }
        for tool in settings.get("tools") or ()
        if any(fnmatchcase(tool["name"], pattern.removeprefix("@")) for pattern in allowed)
    ]


def _inference(settings: Mapping[str, Any]) -> dict[str, Any]:
    """One model call answers an invocation here, so the invocation's bound on tokens is the call's as well."""
    model = settings["model"]["bedrockModelConfig"]
    bounds = [bound for bound in (model.get("maxTokens"), settings.get("maxTokens")) if bound]
    chosen = {name: model[name] for name in ("temperature", "topP") if name in model}
    return chosen | ({"maxTokens": min(bounds)} if bounds else {})


def _for_converse(message: Mapping[str, Any]) -> Message:
    return {"role": message["role"], "content": [_block(block) for block in message["content"]]}


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    if "toolUse" in block:
        use = block["toolUse"]
        return {"toolUse": {name: use[name] for name in ("toolUseId", "name", "input")}}
    if "toolResult" not in block:
        return dict(block)
    result = block["toolResult"]
    if any("text" not in content for content in result["content"]):
        raise ConversationError("content_type=<json> | unsupported type")
    kept = {"toolUseId": result["toolUseId"], "content": list(result["content"])}
    return {"toolResult": kept | ({"status": result["status"]} if "status" in result else {})}


def _refuse_results_without_use(messages: Sequence[Message]) -> None:
    asked: set[str] = set()
    for number, message in enumerate(messages):
        answered = {block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block}
        if not answered <= asked:
            raise ConversationError(
                f"The number of toolResult blocks at messages.{number}.content exceeds the number of toolUse blocks "
                "of previous turn."
            )
        asked = {block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block}
