"""Bedrock's Converse said in the OpenAI protocol, and the answer said in Converse's.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and _ConverseStream.html. A forced
tool becomes a response_format with the tool's schema, so that the server's decoder cannot leave it, and the JSON that
comes back becomes the tool's use: small local models answer ``tools`` with prose. What is not translated is refused.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from local.models.openai_client import BrokenError

_UNTRANSLATED = ("guardrailConfig", "additionalModelRequestFields", "promptVariables", "outputConfig")
_SETTINGS = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
_STOP_REASONS = {"length": "max_tokens", "content_filter": "content_filtered"}

type Json = dict[str, Any]
type Event = tuple[str, Json]


class UntranslatableError(Exception):
    """The request is malformed, or asks for something that the local models do not do; the message says what."""


@dataclass(frozen=True, slots=True)
class Question:
    """A chat completion request, and the name of the tool that its answer is the input of, if any."""

    request: Json
    tool: str | None


def translate(converse: Mapping[str, Any], model_name: str) -> Question:
    """The question that a Converse request body asks; raises UntranslatableError."""
    for name in _UNTRANSLATED:
        if converse.get(name):
            raise UntranslatableError(f"The local models do not serve {name}.")
    messages = [_message(message, number) for number, message in enumerate(converse.get("messages") or ())]
    if not messages or messages[0]["role"] != "user":
        raise UntranslatableError("A conversation must start with a user message. Try again with one.")
    tool = _forced_tool(converse.get("toolConfig") or {})
    system = [_text(block, "system") for block in converse.get("system") or ()] + ([_instruction(tool)] if tool else [])
    if system:
        messages.insert(0, {"role": "system", "content": "\n\n".join(system)})
    settings = converse.get("inferenceConfig") or {}
    request: Json = {"model": model_name, "messages": messages}
    request |= {theirs: settings[ours] for ours, theirs in _SETTINGS.items() if ours in settings}
    if tool is None:
        return Question(request, None)
    schema = {"name": tool["name"], "schema": tool["inputSchema"]["json"], "strict": True}
    return Question(request | {"response_format": {"type": "json_schema", "json_schema": schema}}, tool["name"])


def answer(completion: Mapping[str, Any], tool: str | None, latency_ms: int) -> Json:
    """Converse's answer from a chat completion; raises BrokenError where that is not one."""
    try:
        (choice,) = completion["choices"]
        text, finish = choice["message"].get("content") or "", choice["finish_reason"]
        usage = _usage(completion["usage"])
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenError(f"The model server's answer is no chat completion: {error!r}") from error
    stop_reason = _stop_reason(finish, text, tool)
    block: Json = {"text": text}
    if tool and stop_reason == "tool_use":
        block = {"toolUse": {"toolUseId": _tool_use_id(), "name": tool, "input": json.loads(text)}}
    return {
        "output": {"message": {"role": "assistant", "content": [block] if text else []}},
        "stopReason": stop_reason,
        "usage": usage,
        "metrics": {"latencyMs": latency_ms},
    }


def stream(chunks: Iterable[Mapping[str, Any]], tool: str | None) -> Iterator[Event]:
    """ConverseStream's events, as they come, from the chunks of a chat completion; raises BrokenError.

    The first chunk is taken before the first event, so that a refusal comes before anything was said.
    """
    started, rest = time.monotonic(), iter(chunks)
    first = next(rest, {})
    yield "messageStart", {"role": "assistant"}
    if tool:
        start = {"toolUse": {"toolUseId": _tool_use_id(), "name": tool}}
        yield "contentBlockStart", {"contentBlockIndex": 0, "start": start}
    text, finish, usage = "", None, None
    for chunk in itertools.chain((first,), rest):
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            finish = choice.get("finish_reason") or finish
            piece = choice["delta"].get("content")
            if piece:
                text += piece
                delta = {"toolUse": {"input": piece}} if tool else {"text": piece}
                yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}
    yield "contentBlockStop", {"contentBlockIndex": 0}
    yield "messageStop", {"stopReason": _stop_reason(finish, text, tool)}
    if usage is None:
        raise BrokenError("The model server's stream did not tell its usage.")
    yield "metadata", {"usage": _usage(usage), "metrics": {"latencyMs": int((time.monotonic() - started) * 1000)}}


def _message(message: Mapping[str, Any], number: int) -> Json:
    blocks = message.get("content") or ()
    texts = [_text(block, f"messages.{number}.content.{place}") for place, block in enumerate(blocks)]
    if message.get("role") not in ("user", "assistant") or not texts:
        raise UntranslatableError(f"messages.{number} needs a role (user or assistant) and content.")
    return {"role": message["role"], "content": "\n\n".join(texts)}


def _text(block: Mapping[str, Any], where: str) -> str:
    if set(block) != {"text"}:
        raise UntranslatableError(
            f"The local models read text only; {where} has {', '.join(sorted(block)) or 'nothing'}."
        )
    text = str(block["text"])
    if not text.strip():
        raise UntranslatableError(f"The text field in the ContentBlock object at {where} is blank.")
    return text


def _forced_tool(config: Mapping[str, Any]) -> Json | None:
    """The one tool that must be used; None where there are no tools."""
    tools: dict[str, Json] = {
        tool["toolSpec"]["name"]: tool["toolSpec"] for tool in config.get("tools") or () if "toolSpec" in tool
    }
    if not tools:
        return None
    choice = config.get("toolChoice") or {"auto": {}}
    if "any" in choice and len(tools) == 1:
        return next(iter(tools.values()))
    if "tool" not in choice:
        raise UntranslatableError(
            f"The local models serve tools only where toolChoice forces one of them, not {', '.join(choice)}."
        )
    name = choice["tool"].get("name")
    if name not in tools:
        raise UntranslatableError(f"The tool {name!r} that toolChoice forces is not among toolConfig.tools.")
    return tools[name]


def _instruction(tool: Mapping[str, Any]) -> str:
    schema = json.dumps(tool["inputSchema"]["json"], separators=(",", ":"))
    return f"Answer with one JSON object, the input of {tool['name']} ({tool.get('description', '')}): {schema}"


def _stop_reason(finish: object, text: str, tool: str | None) -> str:
    if finish in _STOP_REASONS:
        return _STOP_REASONS[str(finish)]
    if finish != "stop":
        raise BrokenError(f"The model server stopped for a reason that is not of the protocol: {finish!r}")
    if tool is None:
        return "end_turn"
    return "tool_use" if _is_object(text) else "malformed_tool_use"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _usage(usage: Mapping[str, Any]) -> Json:
    asked, answered = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    return {"inputTokens": asked, "outputTokens": answered, "totalTokens": asked + answered}


def _tool_use_id() -> str:
    return f"tooluse_{uuid4().hex[:22]}"
