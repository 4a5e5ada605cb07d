"""A tool's arguments, which a model has written: read strictly, so that what is not understood is refused in words."""

import re
from collections.abc import Iterable, Mapping

from backbone.tool_catalogue import Parameter, ToolSpec

type Arguments = Mapping[str, str | int]

# An id, or a sentence: what is longer is no argument of these tools.
_MAXIMUM_CHARACTERS = 500
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_INTEGER = re.compile(r"-?[0-9]{1,9}")


class ArgumentRefusedError(Exception):
    """An argument is missing, unknown or not what it should be; the message is a sentence for the person."""


def read_arguments(tool: ToolSpec, given: Iterable[tuple[str, object]]) -> Arguments:
    """The arguments of ``tool`` from names and values as a model gave them; raises ArgumentRefusedError.

    An optional argument that is empty counts as not given, for models fill in what they have nothing to say on.
    """
    known = {parameter.name: parameter for parameter in tool.parameters}
    arguments: dict[str, str | int] = {}
    for name, value in given:
        if name not in known:
            raise ArgumentRefusedError(f"{tool.name} takes no argument of that name; it takes {_names(tool)}.")
        if name in arguments:
            raise ArgumentRefusedError(f"{name} was given twice; give it once.")
        text = _text(name, value)
        if text:
            arguments[name] = _typed(known[name], text)
    for parameter in tool.parameters:
        if parameter.required and parameter.name not in arguments:
            raise ArgumentRefusedError(f"{tool.name} needs {parameter.name}: {parameter.description}")
    return arguments


def _names(tool: ToolSpec) -> str:
    return ", ".join(parameter.name for parameter in tool.parameters) or "none"


def _text(name: str, value: object) -> str:
    """One line without control characters. Bedrock sends every value as text; an engine of ours may send a number."""
    if type(value) not in (str, int):  # not isinstance: True is no number
        raise ArgumentRefusedError(f"{name} is neither a text nor a whole number.")
    text = " ".join("".join(one if one.isprintable() else " " for one in str(value)).split())
    if len(text) > _MAXIMUM_CHARACTERS:
        raise ArgumentRefusedError(f"{name} is longer than {_MAXIMUM_CHARACTERS} characters; say it shorter.")
    return text


def _typed(parameter: Parameter, text: str) -> str | int:
    name = parameter.name
    if parameter.type == "integer":
        return _integer(parameter, text)
    if parameter.enum:
        if text.lower() not in parameter.enum:
            raise ArgumentRefusedError(f"{name} is one of {', '.join(parameter.enum)}.")
        return text.lower()
    if name.endswith("Id") and not _ID.fullmatch(text):
        raise ArgumentRefusedError(f"{name} is not an id; ids have letters, digits and any of _ . : - only.")
    return text


def _integer(parameter: Parameter, text: str) -> int:
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or _outside(parameter, number):
        bounds = "" if parameter.minimum is None else f" from {parameter.minimum} to {parameter.maximum}"
        raise ArgumentRefusedError(f"{parameter.name} is a whole number{bounds}.")
    return number


def _outside(parameter: Parameter, number: int) -> bool:
    return (parameter.minimum is not None and number < parameter.minimum) or (
        parameter.maximum is not None and number > parameter.maximum
    )
