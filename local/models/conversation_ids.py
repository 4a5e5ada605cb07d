"""The ids that occur in a conversation, and which of them can be meant by a tool's parameter.

Small language models make ids up ("CARD-1234"), the more so where a grammar makes them write one. So a parameter named
...Id takes only what the person wrote, a tool returned, or an earlier answer showed; in every profile.

An id is a word with a digit and a separator ("CARD-000042", "TX-SAMPLE-4"), one in capitals whose first part names what
it is of ("CARD-SHARED"), or a UUID. What kind it is, its first part says; ids of JSON say it by their key. One of
unknown kind could be anything's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_KINDS = {
    "card": "card",
    "tx": "transaction",
    "txn": "transaction",
    "trx": "transaction",
    "transaction": "transaction",
    "payment": "transaction",
    "cust": "customer",
    "customer": "customer",
    "case": "case",
    "doc": "document",
    "document": "document",
    "term": "terminal",
    "terminal": "terminal",
}
_WITH_DIGIT = r"[A-Za-z]{1,12}[-_:](?=[\w:.-]*\d)\w+(?:[-_:.]\w+)*"
_IN_CAPITALS = rf"(?:{'|'.join(_KINDS).upper()})(?:[-_:][A-Z]+)+"
_ID = re.compile(rf"(?<![\w-])(?:{_UUID}|{_WITH_DIGIT}|{_IN_CAPITALS})(?![\w-])")
_NOUNS = {"action": "action", "booking": "transaction", "person": "person"} | _KINDS
_NOUN_BEFORE = re.compile(r"(\w+)\W{1,2}$")
_PARAMETER = re.compile(r"(?P<kind>[A-Za-z]+?)(?:_?[Ii]d|ID)s?")


@dataclass(frozen=True, slots=True)
class FoundId:
    """An id; ``kind`` is "card", "transaction", ..., or "" where nothing tells it."""

    text: str
    kind: str


def kind_of_parameter(name: str) -> str | None:
    """What a parameter's ids are ids of: "card" for cardId or card_id; None where it takes no id."""
    found = _PARAMETER.fullmatch(name)
    return found["kind"].lower() if found else None


def ids_in_text(text: str) -> list[FoundId]:
    """The ids of ``text`` in order. One that is written all small is taken for what a hurried person makes of it."""
    return [_found(token[0], text[: token.start()]) for token in _ID.finditer(text)]


def ids_in_json(document: Any) -> list[FoundId]:
    """The ids of a JSON document in order: the values of keys named ...Id, and those in its texts."""
    return list(_walk(document, None))


def ids_for(parameter: str, found: Iterable[FoundId]) -> list[str]:
    """Those of ``found`` that the parameter could mean, each once, in order."""
    kind = kind_of_parameter(parameter)
    return list(dict.fromkeys(one.text for one in found if one.kind in (kind, "")))


def _walk(document: Any, key: str | None) -> Iterator[FoundId]:
    if isinstance(document, Mapping):
        for name, value in document.items():
            yield from _walk(value, str(name))
    elif isinstance(document, list):
        for value in document:
            yield from _walk(value, key)
    elif isinstance(document, str):
        kind = kind_of_parameter(key) if key else None
        if kind and document and not any(character.isspace() for character in document):
            yield FoundId(document, kind)
        else:
            yield from ids_in_text(document)


def _found(token: str, before: str) -> FoundId:
    """The id ``token``, whose kind its prefix or the noun before it tells: "case 0f8c..."."""
    prefix = "" if re.fullmatch(_UUID, token) else re.split(r"[-_:]", token)[0].lower()
    noun = _NOUN_BEFORE.search(before)
    kind = _KINDS.get(prefix) or (_NOUNS.get(noun[1].lower(), "") if noun else "")
    return FoundId(token.upper() if prefix in _KINDS and token.islower() else token, kind)
