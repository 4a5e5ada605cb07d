"""A function's settings, read once from its environment and typed.

A function declares a frozen dataclass whose fields are its variables in lower case; ``from_environment`` fills it while
the function initialises, so that a missing or malformed variable fails the deployment's first start and not a customer.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from typing import get_type_hints


class SettingsError(Exception):
    """A variable is missing or malformed; the message names it."""


def from_environment[T](kind: type[T], environment: Mapping[str, str] | None = None) -> T:
    """An instance of the dataclass ``kind``; fields are ``str`` or ``int``, those with a default may be absent.

    Raises SettingsError, naming every variable that is missing or malformed at once.
    """
    source = os.environ if environment is None else environment
    types = get_type_hints(kind)
    values: dict[str, str | int] = {}
    problems: list[str] = []
    for field in dataclasses.fields(kind):  # type: ignore[arg-type] # T is a dataclass, which types cannot say
        variable = field.name.upper()
        text = source.get(variable, "")
        if not text:
            if field.default is dataclasses.MISSING:
                problems.append(f"{variable} is missing")
            continue
        if types[field.name] is int:
            if not re.fullmatch("-?[0-9]+", text):
                problems.append(f"{variable} is not a whole number: {text!r}")
                continue
            values[field.name] = int(text)
            continue
        values[field.name] = text
    if problems:
        raise SettingsError("; ".join(problems))
    return kind(**values)
