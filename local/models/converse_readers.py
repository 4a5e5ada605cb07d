"""Readers of a model's answer, which make ConverseStream's events of its pieces as they come.

An answer is text, the input of one forced tool, or a choice between words and tools. Where the choice is written in
JSON (``converse_tools.written_request``), the words of {"answer": "..."} are told as they come, before the object is
whole; a tool is told when its arguments are, for half of an argument is of no use.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from local.models.openai_client import BrokenError

type Json = dict[str, Any]
type Event = tuple[str, Json]

ANSWER_OPENING = re.compile(r'\s*\{\s*"answer"\s*:\s*"')
_WHOLE_CHARACTERS = re.compile(r'(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_HALF_OF_A_PAIR = re.compile(r"(?<!\\)(?:\\\\)*(\\u[dD][89abAB][0-9a-fA-F]{2})$")


class AnswerReader(Protocol):
    """Reads one answer: ``begin``, ``take`` for each delta of the protocol, ``end`` with its finish_reason."""

    def begin(self) -> Iterator[Event]: ...
    def take(self, delta: Mapping[str, Any]) -> Iterator[Event]: ...
    def end(self, finish: str) -> Iterator[Event]: ...
    def stop_reason(self) -> str:
        """What a model that came to its end has made: end_turn, tool_use, malformed_..."""


@dataclass(slots=True)
class SingleAnswer:
    """Reads an answer without a choice: text, or the input of the one tool that is forced."""

    tool: str | None
    text: str = ""

    def begin(self) -> Iterator[Event]:
        if self.tool:
            start = {"toolUse": {"toolUseId": tool_use_id(), "name": self.tool}}
            yield "contentBlockStart", {"contentBlockIndex": 0, "start": start}

    def take(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        piece = delta.get("content")
        if piece:
            self.text += piece
            said = {"toolUse": {"input": piece}} if self.tool else {"text": piece}
            yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": said}

    def end(self, finish: str) -> Iterator[Event]:  # noqa: ARG002 - the readers of a choice look at it
        yield "contentBlockStop", {"contentBlockIndex": 0}

    def stop_reason(self) -> str:
        if self.tool is None:
            return "end_turn"
        return "malformed_tool_use" if _object(self.text) is None else "tool_use"


@dataclass(slots=True)
class Blocks:
    """Content blocks in the making: one open at a time, numbered from 0."""

    number: int = -1
    open: bool = False
    is_text: bool = False

    def text(self, piece: str) -> Iterator[Event]:
        """``piece`` said in a text block, which has no start of its own."""
        if not piece:
            return
        if not (self.open and self.is_text):
            yield from self.close()
            self.number, self.open, self.is_text = self.number + 1, True, True
        yield "contentBlockDelta", {"contentBlockIndex": self.number, "delta": {"text": piece}}

    def tool(self, name: str) -> Iterator[Event]:
        """The start of a use of the tool ``name``."""
        yield from self.close()
        self.number, self.open, self.is_text = self.number + 1, True, False
        use = {"toolUseId": tool_use_id(), "name": name}
        yield "contentBlockStart", {"contentBlockIndex": self.number, "start": {"toolUse": use}}

    def input(self, piece: str) -> Iterator[Event]:
        """``piece`` of the JSON that is the input of the tool begun last."""
        if piece:
            yield "contentBlockDelta", {"contentBlockIndex": self.number, "delta": {"toolUse": {"input": piece}}}

    def close(self) -> Iterator[Event]:
        if self.open:
            self.open = False
            yield "contentBlockStop", {"contentBlockIndex": self.number}


@dataclass(slots=True)
class WrittenChoice:
    """Reads a choice that is written in JSON, piece by piece. ``tools``: the names that may be chosen.

    What ``is_cut`` finds cut off by a greatest length in its schema is no whole choice: it ends as at max_tokens.
    """

    tools: frozenset[str]
    is_cut: Callable[[Json], bool] = lambda _: False
    blocks: Blocks = field(default_factory=Blocks)
    written: str = ""
    told: int = 0  # characters of ``written`` that are told, where it is an answer

    def begin(self) -> Iterator[Event]:
        yield from ()

    def take(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        self.written += delta.get("content") or ""
        opening = ANSWER_OPENING.match(self.written)
        if opening:
            yield from self.blocks.text(self._newly_whole(opening.end()))
        elif self._is_prose():
            piece, self.told = self.written[self.told :], len(self.written)
            yield from self.blocks.text(piece)

    def end(self, finish: str) -> Iterator[Event]:
        if finish == "stop" and not self.blocks.open:
            chosen = self._chosen()
            if chosen:
                yield from self.blocks.tool(chosen["tool"])
                yield from self.blocks.input(json.dumps(chosen["arguments"], ensure_ascii=False))
        yield from self.blocks.close()

    def stop_reason(self) -> str:
        if self._chosen():
            return "tool_use"
        if self._is_prose():
            return "end_turn"
        document = _object(self.written)
        if document is None:
            return "malformed_model_output"
        if self.is_cut(document):
            return "max_tokens"
        if not isinstance(document.get("answer"), str):
            return "malformed_tool_use"
        return "end_turn"

    def _newly_whole(self, start: int) -> str:
        """The text of the answer that is whole and not yet told: no half of an escape, or of a character."""
        whole = _WHOLE_CHARACTERS.match(self.written, start)
        raw = whole[0] if whole else ""
        half = _HALF_OF_A_PAIR.search(raw)
        raw = raw[: half.start(1)] if half else raw
        begin = max(self.told, start)
        self.told = start + len(raw)
        piece: str = json.loads(f'"{self.written[begin : self.told]}"', strict=False)
        return piece

    def _is_prose(self) -> bool:
        """Whether a server that does not keep to schemas answers in plain words."""
        return bool(self.written.strip()) and self.written.lstrip()[0] not in "{[`"

    def _chosen(self) -> Json | None:
        document = _object(self.written)
        if (
            document is None
            or document.get("tool") not in self.tools
            or not isinstance(document.get("arguments"), dict)
            or self.is_cut(document)
        ):
            return None
        return document


@dataclass(slots=True)
class NativeCalls:
    """Reads an answer in the protocol's own ``content`` and ``tool_calls``, piece by piece."""

    blocks: Blocks = field(default_factory=Blocks)
    call: int = -1  # the protocol's number of the call that is being told

    def begin(self) -> Iterator[Event]:
        yield from ()

    def take(self, delta: Mapping[str, Any]) -> Iterator[Event]:
        yield from self.blocks.text(delta.get("content") or "")
        for call in delta.get("tool_calls") or ():
            if call["index"] != self.call:
                self.call = call["index"]
                yield from self.blocks.tool(call["function"]["name"])
            yield from self.blocks.input(call["function"].get("arguments") or "")

    def end(self, finish: str) -> Iterator[Event]:  # noqa: ARG002 - what it reads is told already
        yield from self.blocks.close()

    def stop_reason(self) -> str:
        return "tool_use" if self.call >= 0 else "end_turn"


def whole_content(events: Iterable[Event]) -> list[Json]:
    """The content blocks that the events of a stream make, as Converse has them."""
    blocks: dict[int, Json] = {}
    inputs: dict[int, str] = {}
    for name, event in events:
        place = event["contentBlockIndex"]
        if name == "contentBlockStart":
            blocks[place], inputs[place] = {"toolUse": dict(event["start"]["toolUse"])}, ""
        elif name == "contentBlockDelta" and "text" in event["delta"]:
            blocks[place] = {"text": blocks.get(place, {}).get("text", "") + event["delta"]["text"]}
        elif name == "contentBlockDelta":
            inputs[place] += event["delta"]["toolUse"]["input"]
    for place, written in inputs.items():
        blocks[place]["toolUse"]["input"] = _input(written)
    return [blocks[place] for place in sorted(blocks)]


def tool_use_id() -> str:
    """A new id of a tool's use, of Bedrock's form."""
    return f"tooluse_{uuid4().hex[:22]}"


def _input(written: str) -> Json:
    document = _object(written or "{}")
    if document is None:
        raise BrokenError(f"The model server called a tool with what is no JSON object: {written[:200]!r}")
    return document


def _object(written: str) -> Json | None:
    try:
        document = json.loads(written)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
