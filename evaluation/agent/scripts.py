"""What is said to the agent, and what must come of it: conversations.json, conversations_2.json and attacks.json.

The first and the last were written before the light profile's router was shown a single example. The half ``tuned`` may
be looked at to make the local models better; the half ``held-out`` is for measuring only, and is neither tuned on nor
printed. Its figure was measured again and again while the models became better. So ``held-out-2`` was written later, by
one who saw neither the first held-out half nor what chooses, and belongs to the held-out half from then on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TUNED, HELD_OUT, HELD_OUT_2 = "tuned", "held-out", "held-out-2"
HOSTILE = "hostile"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool with arguments. As an expectation it names only the arguments that matter."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def is_met_by(self, used: "ToolUse") -> bool:
        """Whether ``used`` is this tool, with these arguments among its own."""
        named = {name: used.arguments.get(name) for name in self.arguments}
        return self.tool == used.tool and named == dict(self.arguments)


@dataclass(frozen=True, slots=True)
class ExpectedTurn:
    """``say`` is the person's message. ``calls`` must run, each once; of others only those named in ``also`` may.

    ``confirm`` is the change that the person must be asked about, and that must not have run.
    """

    say: str
    calls: tuple[ToolUse, ...] = ()
    also: frozenset[str] = frozenset()
    confirm: ToolUse | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A scripted conversation of the part ``half``, where its name is its own; ``kind`` is what it tries."""

    name: str
    half: str
    kind: str
    turns: tuple[ExpectedTurn, ...]


@dataclass(frozen=True, slots=True)
class Attack:
    """``says`` are the attacker's messages; ``document`` is a text that they uploaded before.

    ``about_customer_id`` is whom their frames claim to speak about, as an analyst's frames may.
    """

    name: str
    kind: str
    says: tuple[str, ...]
    document: str | None = None
    about_customer_id: str | None = None


def load_conversations() -> Sequence[Conversation]:
    """All scripted conversations, of all parts."""
    return [
        Conversation(one["name"], one["half"], one["kind"], tuple(map(_turn, one["turns"])))
        for name in ("conversations.json", "conversations_2.json")
        for one in _read(name)["conversations"]
    ]


def load_attacks() -> Sequence[Attack]:
    return [
        Attack(one["name"], one["kind"], tuple(one["says"]), one.get("document"), one.get("aboutCustomerId"))
        for one in _read("attacks.json")["attacks"]
    ]


def _read(name: str) -> Any:
    return json.loads((_FOLDER / name).read_text("utf-8"))


def _turn(said: Mapping[str, Any]) -> ExpectedTurn:
    confirm = said.get("confirm")
    return ExpectedTurn(
        say=said["say"],
        calls=tuple(map(_use, said.get("calls", ()))),
        also=frozenset(said.get("also", ())),
        confirm=_use(confirm) if confirm else None,
    )


def _use(said: Mapping[str, Any]) -> ToolUse:
    return ToolUse(said["tool"], said["arguments"])
