"""A conversation as the light profile reads it from a chat completion request with tools."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from local.models.conversation_ids import FoundId, ids_in_json, ids_in_text
from local.models.sentences import split_sentences

type Json = dict[str, Any]

_SUMMARY = re.compile(r"[^<>]{0,100}<(\w+)>[^<>]*</\1>")  # of what was said before, in a part of its own
_STATES = frozenset({"done", "refused", "proposed", "failed"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool answered: its ``state`` (done, refused, proposed, failed) and whole sentences that may be told."""

    tool: str
    arguments: Json
    state: str
    facts: tuple[str, ...]
    document: Any = None
    quotes: bool = False  # whether the facts are words of somebody else's, as a document's are

    def ids(self) -> list[FoundId]:
        """The ids that it tells, in order."""
        return ids_in_json(self.document) + [found for fact in self.facts for found in ids_in_text(fact)]

    def records(self, key: str) -> list[Json]:
        """The JSON objects in it that have ``key``: the cards of list_cards by "cardId"."""
        return list(_records(self.document, key))


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a person said, what was looked up for it, and what was answered, as far as it is."""

    said: str
    outcomes: tuple[Outcome, ...] = ()
    answer: str = ""

    def ids(self) -> list[FoundId]:
        """The ids in it, in order."""
        told = [found for outcome in self.outcomes for found in outcome.ids()]
        return ids_in_text(self.said) + told + ids_in_text(self.answer)


@dataclass(frozen=True, slots=True)
class Conversation:
    """``now`` is the exchange that waits for its answer; ``background`` is the system prompt and the summary."""

    background: str
    earlier: tuple[Exchange, ...]
    now: Exchange


@dataclass(slots=True)
class _Reading:
    background: list[str] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    calls: dict[str, tuple[str, Json]] = field(default_factory=dict)


def read_conversation(messages: Sequence[Mapping[str, Any]]) -> Conversation:
    """The conversation in OpenAI's ``messages``; raises ValueError where a person said nothing in it."""
    reading = _Reading()
    for message in messages:
        _read(reading, message)
    if not reading.exchanges:
        raise ValueError("No message of the conversation is the user's.")
    *earlier, now = reading.exchanges
    return Conversation("\n\n".join(reading.background), tuple(earlier), now)


def _read(reading: _Reading, message: Mapping[str, Any]) -> None:
    role, texts = message["role"], _parts(message.get("content"))
    if role == "system":
        reading.background += texts
        return
    if role == "user":
        reading.background += [text for text in texts[:-1] if _SUMMARY.fullmatch(text)]
        said = [text for text in texts if text is texts[-1] or not _SUMMARY.fullmatch(text)]
        reading.exchanges.append(Exchange("\n\n".join(said)))
        return
    if not reading.exchanges:
        raise ValueError(f"A message of role {role} comes before the user's first.")
    last = reading.exchanges[-1]
    if role == "tool":
        name, arguments = reading.calls[message["tool_call_id"]]
        outcome = outcome_of(name, arguments, "\n".join(texts), failed=bool(message.get("failed")))
        reading.exchanges[-1] = replace(last, outcomes=(*last.outcomes, outcome))
        return
    for call in message.get("tool_calls") or ():
        reading.calls[call["id"]] = (call["function"]["name"], json.loads(call["function"]["arguments"]))
    reading.exchanges[-1] = replace(last, answer="\n".join([last.answer, *texts]).strip())


def _parts(content: Any) -> list[str]:
    """The texts of a message's content, which is one or a list of parts."""
    if isinstance(content, list):
        return [str(part["text"]) for part in content]
    return [str(content)] if content else []


def outcome_of(tool: str, arguments: Json, content: str, *, failed: bool = False) -> Outcome:
    """The outcome in a tool's answer: {"state", "facts", ...}; of any other its sentences are told."""
    state = "failed" if failed else "done"
    try:
        document = json.loads(content)
    except ValueError:
        return Outcome(tool, arguments, state, tuple(split_sentences(content)), quotes=True)
    if not isinstance(document, dict) or document.get("state") not in _STATES:
        return Outcome(tool, arguments, state, tuple(_texts(document)), document, quotes=True)
    facts = tuple(str(fact) for fact in document.get("facts") or ())
    quotes = bool(document.get("citations"))
    return Outcome(tool, arguments, "failed" if failed else document["state"], facts, document, quotes)


def _texts(document: Any, name: str = "") -> list[str]:
    """What JSON of no known shape tells: its sentences, and its other values at their names."""
    if isinstance(document, Mapping):
        return [text for key, value in document.items() for text in _texts(value, str(key))]
    if isinstance(document, list):
        return [text for value in document for text in _texts(value, name)]
    if isinstance(document, str) and len(document.split()) > 2:
        return split_sentences(document)
    told = document if isinstance(document, str) else json.dumps(document)
    return [f"{name}: {told}." if name else f"{told}."]


def _records(document: Any, key: str) -> list[Json]:
    if isinstance(document, list):
        return [record for part in document for record in _records(part, key)]
    if not isinstance(document, Mapping):
        return []
    own = [dict(document)] if key in document else []
    return own + [record for part in document.values() for record in _records(part, key)]
