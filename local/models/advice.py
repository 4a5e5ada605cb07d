"""What the light server would do about the same words, as advice for a small language model.

A model of a billion parameters chooses tools worse than a router does, and takes seconds for it. So where the advice
leaves nothing open it is the answer, and the model is not asked (``settled``); else the model is asked for what is open
(``narrowed``): the words of an answer, of a search or of a case, and, where the light server did not understand, the
choice among the tools that may be meant. The advice cannot widen what the conversation allows (``converse_tools``).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from local.models.composed_answers import MORE
from local.models.conversation_ids import kind_of_parameter
from local.models.converse_tools import ANSWER_SCHEMA, BRIEFLY, NO_TOOL

type Json = dict[str, Any]

# Characters. A small model that begins to repeat itself goes on until it is stopped, for minutes: of an answer five
# short sentences are asked, and few questions or subjects are longer than a line.
_LONGEST_ANSWER, _LONGEST_ARGUMENT = 1_500, 300
# Three cards and since when one is blocked are six; a flagged transaction with its reasons some twenty.
_MOST_FIGURES = 10
_FIGURE = re.compile(r"(?<![\w-])\d[\d.,:]*")  # no part of an id


def settled(request: Mapping[str, Any], completion: Mapping[str, Any]) -> bool:
    """Whether the light server's ``completion`` leaves a model that is asked ``request`` nothing to add.

    So does a question or a refusal in its own words; a long list of facts, or of figures; calls whose arguments are
    ids, numbers and choices; several calls at once, whose texts are then the person's own.
    """
    message = _message(completion)
    limit = request.get("max_tokens")
    if limit and completion["usage"]["completion_tokens"] > limit:
        return False
    calls = message["tool_calls"]
    if not calls:
        return message["kind"] in ("asked", "declined") or (
            message["kind"] == "told" and _is_figures(message["content"])
        )
    offered = _calls_offered(request)
    names = [call["function"]["name"] for call in calls]
    return all(name in offered for name in names) and (len(names) > 1 or not _has_free_text(calls[0], offered))


def narrowed(request: Mapping[str, Any], completion: Mapping[str, Any]) -> Json:
    """``request``, whose choice is narrowed to what the light server's ``completion`` does.

    Where it calls tools, one of them with the arguments that it found; words to search for or to write down are the
    model's. Where it asks for something or declines, just that is said; where it talks or tells results, the model
    does. What it did not understand is the model's choice, among the tools that it holds possible and an answer. No
    text can be endless.
    """
    message = _message(completion)
    called = {call["function"]["name"]: json.loads(call["function"]["arguments"]) for call in message["tool_calls"]}
    offered = _calls_offered(request)
    left = [_held_to(offered[name], arguments) for name, arguments in called.items() if name in offered]
    schema, messages = request["response_format"]["json_schema"], request["messages"]
    if message["kind"] == "unclear" or (called and not left):
        possible = message.get("possible", offered)
        left = [one for name, one in offered.items() if name in possible]
        messages = messages if left or not offered else _told_that_no_tool_fits(messages)
        left += _answers_offered(schema["schema"])
    elif not left:
        messages = _told_to_be_short(messages) if message["kind"] == "told" else messages
        left = [_answer(message["content"] if message["kind"] in ("asked", "declined") else None)]
    left = [_bounded(one) for one in left]
    held = {**schema, "schema": {"anyOf": left} if len(left) > 1 else left[0]}
    return {**request, "messages": messages, "response_format": {**request["response_format"], "json_schema": held}}


def _told_that_no_tool_fits(messages: Sequence[Json]) -> list[Json]:
    """``messages`` for a model that can only answer; without this it answers with the names of tools."""
    return _reminded(messages, NO_TOOL)


def _told_to_be_short(messages: Sequence[Json]) -> list[Json]:
    """``messages`` for a model that tells results: what the instructions ask for stands far from where it begins."""
    return _reminded(messages, BRIEFLY)


def _reminded(messages: Sequence[Json], of: str) -> list[Json]:
    *before, last = messages
    return [*before, {**last, "content": f"{last['content']}\n\n{of}"}]


def _answer(exactly: str | None) -> Json:
    said = {"type": "string"} | ({"enum": [exactly]} if exactly is not None else {})
    return {**ANSWER_SCHEMA, "properties": {"answer": said}}


def _bounded(alternative: Json) -> Json:
    """``alternative``, an answer or a call, with a greatest length for each text that the model words itself."""
    properties = alternative["properties"]
    if "answer" in properties:
        return {**alternative, "properties": {"answer": _shortened("", properties["answer"], _LONGEST_ANSWER)}}
    arguments = properties["arguments"]
    texts = {name: _shortened(name, one, _LONGEST_ARGUMENT) for name, one in arguments["properties"].items()}
    return {**alternative, "properties": {**properties, "arguments": {**arguments, "properties": texts}}}


def _shortened(name: str, parameter: Json, characters: int) -> Json:
    if not _is_free_text(name, parameter):
        return parameter
    return {"maxLength": characters, **parameter}


def _is_figures(told: str) -> bool:
    """A model this small takes a minute to copy a list, and of many figures it says what none of them says: a payment
    of 249.00 EUR, typically 45.98 EUR, was "typical for a small purchase"."""
    return MORE in told or len(_FIGURE.findall(told)) > _MOST_FIGURES


def _message(completion: Mapping[str, Any]) -> Json:
    return {"kind": "calls", "tool_calls": [], **completion["choices"][0]["message"]}


def _calls_offered(request: Mapping[str, Any]) -> dict[str, Json]:
    """The schemas of the tools' uses that ``request`` leaves, by the tool's name."""
    schema = request["response_format"]["json_schema"]["schema"]
    alternatives = schema.get("anyOf") or [schema]
    return {one["properties"]["tool"]["enum"][0]: one for one in alternatives if "tool" in one["properties"]}


def _answers_offered(schema: Json) -> list[Json]:
    return [one for one in schema.get("anyOf") or [schema] if "answer" in one["properties"]]


def _has_free_text(call: Mapping[str, Any], offered: Mapping[str, Json]) -> bool:
    parameters = offered[call["function"]["name"]]["properties"]["arguments"]["properties"]
    filled = json.loads(call["function"]["arguments"])
    return any(_is_free_text(name, parameters[name]) for name in filled if name in parameters)


def _held_to(call: Json, arguments: Json) -> Json:
    """The schema ``call`` of a tool's use, which takes just ``arguments``; a text of its own is left to the model."""
    schema = call["properties"]["arguments"]
    properties = {
        name: one if _is_free_text(name, one) else one | {"enum": [arguments[name]]}
        for name, one in schema["properties"].items()
        if name in arguments
    }
    held = {**schema, "properties": properties, "required": list(properties)}
    return {**call, "properties": {**call["properties"], "arguments": held}}


def _is_free_text(name: str, parameter: Mapping[str, Any]) -> bool:
    return parameter.get("type") == "string" and not parameter.get("enum") and kind_of_parameter(name) is None
