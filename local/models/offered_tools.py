"""The tools that a request offers, and what is known here of those with a name that has examples."""

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READING_VERBS = re.compile(
    r"(?:get|list|find|search|show|read|describe|explain|check|look|query|fetch|count|view|knowledge|retrieve)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool of a request. ``name`` is as the request has it, ``description`` in the words of whoever offers it."""

    name: str
    description: str

    @property
    def bare_name(self) -> str:
        """The name without its group: Bedrock's agents may offer BankOperations__block_card."""
        return self.name.rpartition("__")[2]

    @property
    def changes(self) -> bool:
        """Whether it changes something; of a tool that is not known, its first word must say that it only reads."""
        known = known_tools().get(self.bare_name)
        return bool(known["changes"]) if known else _READING_VERBS.match(self.bare_name) is None

    @property
    def can(self) -> str:
        """What it can do, to follow "I can"."""
        known = known_tools().get(self.bare_name)
        return str(known["can"]) if known else f"use {self.bare_name.replace('_', ' ')}"


def known_tools() -> dict[str, Any]:
    """The tools that have examples: what each can do, whether it changes something, its examples and cues."""
    tools: dict[str, Any] = examples()["tools"]
    return tools


@functools.cache
def examples() -> dict[str, Any]:
    """``tool_examples.json``: example utterances of tools, and of talk that needs none."""
    document: dict[str, Any] = json.loads((Path(__file__).parent / "tool_examples.json").read_text("utf-8"))
    return document
