"""The messages of a Converse request, read and checked: who said what, used which tool, and what that answered.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html. The checks of tool uses and their
results are Bedrock's own; what the local models cannot read (images, documents, ...) is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

type Json = dict[str, Any]

_ROLES = ("user", "assistant")


class UntranslatableError(Exception):
    """The request is malformed, or asks for something that the local models do not do; the message says what."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the model asked for."""

    id: str
    name: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the use of the tool ``name`` answered: text, or JSON as text; ``failed`` where its status is error."""

    id: str
    name: str
    content: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Said:
    """One message: its texts, and the tool uses (of the assistant) or tool results (of the user) in it."""

    role: str
    texts: tuple[str, ...]
    uses: tuple[ToolUse, ...] = ()
    results: tuple[ToolResult, ...] = ()

    @property
    def text(self) -> str:
        return "\n\n".join(self.texts)


def read_messages(messages: Sequence[Mapping[str, Any]], *, has_tools: bool) -> list[Said]:
    """The conversation in ``messages``; raises UntranslatableError.

    ``has_tools``: the request has tools, without which no message may speak of their use.
    """
    read: list[Said] = []
    for number, message in enumerate(messages):
        read.append(_read(message, number, read[-1].uses if read else (), has_tools=has_tools))
    if not read or read[0].role != "user":
        raise UntranslatableError("A conversation must start with a user message. Try again with one.")
    if read[-1].uses:
        raise UntranslatableError(f"Expected toolResult blocks after messages.{len(read) - 1}, which uses tools.")
    return read


def text_of(block: Mapping[str, Any], where: str) -> str:
    """The text of a content block that must have nothing else; raises UntranslatableError."""
    if set(block) != {"text"}:
        raise UntranslatableError(
            f"The local models read text only; {where} has {', '.join(sorted(block)) or 'nothing'}."
        )
    text = str(block["text"])
    if not text.strip():
        raise UntranslatableError(f"The text field in the ContentBlock object at {where} is blank.")
    return text


def _read(message: Mapping[str, Any], number: int, asked: Sequence[ToolUse], *, has_tools: bool) -> Said:
    role, blocks = message.get("role"), message.get("content") or ()
    if role not in _ROLES or not blocks:
        raise UntranslatableError(f"messages.{number} needs a role (user or assistant) and content.")
    texts, uses, results = [], [], []
    for place, block in enumerate(blocks):
        where = f"messages.{number}.content.{place}"
        if set(block) in ({"toolUse"}, {"toolResult"}) and not has_tools:
            raise UntranslatableError(
                "The toolConfig field must be defined when using toolUse and toolResult content blocks."
            )
        if set(block) == {"toolUse"} and role == "assistant":
            uses.append(_use(block["toolUse"], where))
        elif set(block) == {"toolResult"} and role == "user":
            results.append(_result(block["toolResult"], asked, where))
        else:
            texts.append(text_of(block, where))
    _check_results(results, asked, number)
    return Said(str(role), tuple(texts), tuple(uses), tuple(results))


def _use(block: Mapping[str, Any], where: str) -> ToolUse:
    if not block.get("toolUseId") or not block.get("name") or not isinstance(block.get("input"), dict):
        raise UntranslatableError(f"The toolUse at {where} needs a toolUseId, a name, and an input that is an object.")
    return ToolUse(block["toolUseId"], block["name"], block["input"])


def _result(block: Mapping[str, Any], asked: Sequence[ToolUse], where: str) -> ToolResult:
    use = next((use for use in asked if use.id == block.get("toolUseId")), None)
    if use is None:
        raise UntranslatableError(f"The toolResult at {where} answers no toolUse of the previous turn.")
    failed = block.get("status", "success") == "error"
    parts = block.get("content") or ()
    if failed and not parts:
        raise UntranslatableError(
            f"The content field at {where}.toolResult cannot be empty when status value is error."
        )
    told = [_told(part, f"{where}.toolResult.content.{place}") for place, part in enumerate(parts)]
    return ToolResult(use.id, use.name, "\n".join(told), failed)


def _told(part: Mapping[str, Any], where: str) -> str:
    if set(part) == {"json"}:
        return json.dumps(part["json"], ensure_ascii=False)
    return text_of(part, where)


def _check_results(results: Sequence[ToolResult], asked: Sequence[ToolUse], number: int) -> None:
    answered = [result.id for result in results]
    missing = [use.id for use in asked if use.id not in answered]
    if missing:
        raise UntranslatableError(
            f"Expected toolResult blocks at messages.{number}.content for the following Ids: {', '.join(missing)}"
        )
    if len(set(answered)) != len(answered):
        raise UntranslatableError(f"messages.{number}.content answers one toolUse twice.")
