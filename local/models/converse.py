"""Bedrock's Converse said in the OpenAI protocol, and the answer said in Converse's.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and _ConverseStream.html. A forced
tool becomes a response_format with the tool's schema, so that the server's decoder cannot leave it, and the JSON that
comes back becomes the tool's use: small local models answer ``tools`` with prose. Tools among which the model chooses
are the matter of ``converse_tools`` and ``converse_readers``. What is not translated is refused.
"""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from local.models.advice import narrowed, settled
from local.models.converse_messages import UntranslatableError, read_messages, text_of
from local.models.converse_readers import (
    AnswerReader,
    Event,
    NativeCalls,
    SingleAnswer,
    WrittenChoice,
    tool_use_id,
    whole_content,
)
from local.models.converse_tools import (
    Tool,
    ToolChoice,
    is_cut,
    native_request,
    read_tools,
    written_message,
    written_request,
)
from local.models.openai_client import BrokenError

__all__ = ["Question", "UntranslatableError", "advised", "answer", "as_chunks", "stream", "translate"]

_UNTRANSLATED = ("guardrailConfig", "additionalModelRequestFields", "promptVariables", "outputConfig")
_SETTINGS = {"maxTokens": "max_tokens", "temperature": "temperature", "topP": "top_p", "stopSequences": "stop"}
_STOP_REASONS = {"length": "max_tokens", "content_filter": "content_filtered"}

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """A chat completion request, and how to read its answer.

    ``tool``: the one tool that its answer is the input of. ``choice``: the names of the tools that its answer may
    choose, written in JSON; ``calls``: they are called in the protocol's own way. With none of them it is text.
    ``settled``: the completion that answers it, so that nobody need be asked.
    """

    request: Json
    tool: str | None = None
    choice: frozenset[str] = frozenset()
    calls: bool = False
    settled: Json | None = None

    def reader(self) -> AnswerReader:
        """What reads the answer."""
        if self.calls:
            return NativeCalls()
        return WrittenChoice(self.choice, partial(is_cut, self.request)) if self.choice else SingleAnswer(self.tool)


def advised(question: Question, completion: Mapping[str, Any]) -> Question:
    """``question`` answered by the light server's ``completion`` about the same words, or narrowed to it."""
    if settled(question.request, completion):
        return Question(question.request, calls=True, settled=dict(completion))
    return replace(question, request=narrowed(question.request, completion))


def translate(converse: Mapping[str, Any], model_name: str, *, calls_tools: bool = False) -> Question:
    """The question that a Converse request body asks; raises UntranslatableError.

    ``calls_tools``: the server is ours and takes ``tools``; others are asked for their choice in JSON.
    """
    for name in _UNTRANSLATED:
        if converse.get(name):
            raise UntranslatableError(f"The local models do not serve {name}.")
    config = converse.get("toolConfig") or {}
    tools = read_tools(config)
    conversation = read_messages(converse.get("messages") or (), has_tools=bool(tools))
    system = [text_of(block, "system") for block in converse.get("system") or ()]
    settings = converse.get("inferenceConfig") or {}
    said = {theirs: settings[ours] for ours, theirs in _SETTINGS.items() if ours in settings}
    asked = _choice(tools, config)
    if isinstance(asked, ToolChoice):
        instructions = "\n\n".join(system)
        if calls_tools:
            request = native_request(asked, conversation)
            if instructions:
                request["messages"].insert(0, {"role": "system", "content": instructions})
            return Question({"model": model_name} | request | said, calls=True)
        request = written_request(asked, conversation, instructions)
        return Question({"model": model_name} | request | said, choice=frozenset(tool.name for tool in tools))
    messages = [
        written_message(one) if one.uses or one.results else {"role": one.role, "content": one.text}
        for one in conversation
    ]
    system += [_instruction(asked)] if asked else []
    if system:
        messages.insert(0, {"role": "system", "content": "\n\n".join(system)})
    request = {"model": model_name, "messages": messages} | said
    if asked is None:
        return Question(request)
    schema = {"name": asked.name, "schema": asked.schema, "strict": True}
    return Question(request | {"response_format": {"type": "json_schema", "json_schema": schema}}, asked.name)


def answer(completion: Mapping[str, Any], question: Question, latency_ms: int) -> Json:
    """Converse's answer from a chat completion; raises BrokenError where that is not one."""
    try:
        (choice,) = completion["choices"]
        message, finish = choice["message"], choice["finish_reason"]
        usage = _usage(completion["usage"])
        text = message.get("content") or ""
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BrokenError(f"The model server's answer is no chat completion: {error!r}") from error
    reader = question.reader()
    calls = [{**call, "index": number} for number, call in enumerate(message.get("tool_calls") or ())]
    events = [*reader.take({"content": text, "tool_calls": calls}), *reader.end(finish)]
    stop_reason = _stop_reason(finish, reader, question)
    content = _forced_content(text, question.tool, stop_reason) if question.tool else whole_content(events)
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        "usage": usage,
        "metrics": {"latencyMs": latency_ms},
    }


def as_chunks(completion: Mapping[str, Any]) -> Iterator[Json]:
    """A whole chat completion as the one chunk of its stream."""
    (choice,) = completion["choices"]
    message = choice["message"]
    calls = [{**call, "index": number} for number, call in enumerate(message.get("tool_calls") or ())]
    delta = {"content": message.get("content"), "tool_calls": calls}
    yield {"choices": [{"delta": delta, "finish_reason": choice["finish_reason"]}], "usage": completion["usage"]}


def stream(chunks: Iterable[Mapping[str, Any]], question: Question, profile: str) -> Iterator[Event]:
    """ConverseStream's events, as they come, from the chunks of a chat completion; raises BrokenError.

    The first chunk is taken before the first event, so that a refusal comes before anything was said. ``profile`` is
    told where Converse tells it: in additionalModelResponseFields.
    """
    started, rest = time.monotonic(), iter(chunks)
    first = next(rest, {})
    reader = question.reader()
    yield "messageStart", {"role": "assistant"}
    yield from reader.begin()
    finish, usage = None, None
    for chunk in itertools.chain((first,), rest):
        usage = chunk.get("usage") or usage
        for choice in chunk.get("choices") or ():
            finish = choice.get("finish_reason") or finish
            yield from reader.take(choice["delta"])
    yield from reader.end(str(finish))
    fields = {"localProfile": profile}
    stop_reason = _stop_reason(finish, reader, question)
    yield "messageStop", {"stopReason": stop_reason, "additionalModelResponseFields": fields}
    if usage is None:
        raise BrokenError("The model server's stream did not tell its usage.")
    yield "metadata", {"usage": _usage(usage), "metrics": {"latencyMs": int((time.monotonic() - started) * 1000)}}


def _choice(tools: tuple[Tool, ...], config: Mapping[str, Any]) -> ToolChoice | Tool | None:
    """What the model may choose among, the one tool that it must use, or None where there are no tools."""
    if not tools:
        return None
    choice = config.get("toolChoice") or {"auto": {}}
    if "any" in choice:
        return tools[0] if len(tools) == 1 else ToolChoice(tools, must_use=True)
    if "auto" in choice:
        return ToolChoice(tools, must_use=False)
    if "tool" not in choice:
        raise UntranslatableError(f"toolChoice is auto, any or tool, not {', '.join(choice)}.")
    name = choice["tool"].get("name")
    forced = next((tool for tool in tools if tool.name == name), None)
    if forced is None:
        raise UntranslatableError(f"The tool {name!r} that toolChoice forces is not among toolConfig.tools.")
    return forced


def _instruction(tool: Tool) -> str:
    schema = json.dumps(tool.schema, separators=(",", ":"))
    return f"Answer with one JSON object, the input of {tool.name} ({tool.description}): {schema}"


def _forced_content(text: str, tool: str, stop_reason: str) -> list[Json]:
    """The use of a forced tool; what is no whole input of it is shown as text."""
    if stop_reason == "tool_use":
        return [{"toolUse": {"toolUseId": tool_use_id(), "name": tool, "input": json.loads(text)}}]
    return [{"text": text}] if text else []


def _stop_reason(finish: object, reader: AnswerReader, question: Question) -> str:
    """Converse's word for ``finish``, or what the model made where it came to its end."""
    if finish in _STOP_REASONS:
        return _STOP_REASONS[str(finish)]
    if finish != "stop" and not (question.calls and finish == "tool_calls"):
        raise BrokenError(f"The model server stopped for a reason that is not of the protocol: {finish!r}")
    return reader.stop_reason()


def _usage(usage: Mapping[str, Any]) -> Json:
    asked, answered = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    return {"inputTokens": asked, "outputTokens": answered, "totalTokens": asked + answered}
