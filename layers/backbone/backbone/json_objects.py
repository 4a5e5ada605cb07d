"""Dataclasses as JSON objects: what one function writes is what the next one reads, checked field by field.

A field ``document_id: str`` stands in JSON as ``"documentId": "..."``. Fields may be str, int, float, bool, another
such dataclass, ``tuple[X, ...]`` of these, or any of them ``| None`` (absent reads as None). Fields that a reader does
not know are passed over, so that a writer can add one first.
"""

import dataclasses
import re
import types
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from backbone.errors import Rejected


class MalformedObjectError(Exception):
    """A JSON value is not what its reader expects; the message names the field."""


def encode(value: Any) -> Any:
    """The JSON value (dicts, lists, numbers, texts) of a dataclass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value


def decode[T](kind: type[T], value: object, place: str = "") -> T:
    """An instance of the dataclass ``kind`` from a JSON value; MalformedObjectError names what does not fit."""
    if not isinstance(value, Mapping):
        raise MalformedObjectError(f"{place or 'the object'} is no object but {type(value).__name__}")
    hints = get_type_hints(kind)
    fields = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type] # T is a dataclass, which types cannot say
        name = _camel(field.name)
        if name not in value and field.default is not dataclasses.MISSING:
            continue
        fields[field.name] = _decode_field(hints[field.name], value.get(name), f"{place}.{name}".lstrip("."))
    return kind(**fields)


def request[T](kind: type[T], payload: object) -> T:
    """A step's payload as the dataclass ``kind``; raises Rejected (INTERNAL) where the state machine sent another."""
    try:
        return decode(kind, payload)
    except MalformedObjectError as malformed:
        raise Rejected(f"INTERNAL: a step was asked for something that it does not understand: {malformed}") from None


def _decode_field(hint: Any, value: object, place: str) -> Any:
    if isinstance(hint, types.UnionType):
        (hint,) = [one for one in get_args(hint) if one is not types.NoneType]
        return None if value is None else _decode_field(hint, value, place)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise MalformedObjectError(f"{place} is no list but {type(value).__name__}")
        return tuple(_decode_field(get_args(hint)[0], item, f"{place}[{n}]") for n, item in enumerate(value))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return decode(hint, value, place)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:  # not isinstance: True is no number of pages
        raise MalformedObjectError(f"{place} is no {hint.__name__} but {type(value).__name__}")
    return value


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)
