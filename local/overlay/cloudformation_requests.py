"""A resource's properties in the words of the service's API, checked as the API checks them.

Not an overlay by itself. CloudFormation's properties of newer services are the API's members with a capital first, with
numbers and booleans that a template may write as text. Names, types and bounds come from botocore's model of the
operation, so that what the service would refuse at CreateStack is refused here, with the property's name.
"""

import re
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape


def request_from(operation: OperationModel, properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The operation's parameters from ``properties``, and from ``more`` under the API's own names.

    Properties that the operation does not take are left to the caller; raises ValueError where one does not fit.
    """
    shape = operation.input_shape
    if not isinstance(shape, StructureShape):
        raise TypeError(f"{operation.name} takes no parameters.")
    names = {name.lower(): name for name in shape.members}
    known = {names[key.lower()]: value for key, value in properties.items() if key.lower() in names}
    request = {name: _converted(shape.members[name], value, name) for name, value in known.items()} | more
    missing = [name for name in shape.required_members if name not in request]
    if missing:
        raise ValueError(f"{operation.name} needs {', '.join(missing)}.")
    return request


def _converted(shape: Shape, value: Any, where: str) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, value, where)
    if isinstance(shape, ListShape):
        _check(isinstance(value, list), where, "is a list")
        _check_bounds(shape, len(value), where)
        return [_converted(shape.member, item, f"{where}[{place}]") for place, item in enumerate(value)]
    if isinstance(shape, MapShape):
        _check(isinstance(value, dict), where, "is an object")
        return {key: _converted(shape.value, item, f"{where}.{key}") for key, item in value.items()}
    return _scalar(shape, value, where)


def _structure(shape: StructureShape, value: Any, where: str) -> dict[str, Any]:
    _check(isinstance(value, dict), where, "is an object")
    names = {name.lower(): name for name in shape.members}
    unknown = [key for key in value if key.lower() not in names]
    _check(not unknown, where, f"has no {', '.join(unknown)}")
    found = {
        names[key.lower()]: _converted(shape.members[names[key.lower()]], item, f"{where}.{key}")
        for key, item in value.items()
    }
    missing = [name for name in shape.required_members if name not in found]
    _check(not missing, where, f"needs {', '.join(missing)}")
    return found


def _scalar(shape: Shape, value: Any, where: str) -> Any:
    if shape.type_name == "boolean":
        _check(str(value).lower() in ("true", "false"), where, "is true or false")
        return str(value).lower() == "true"
    if shape.type_name in ("integer", "long", "float", "double"):
        number = _number(shape, value, where)
        _check_bounds(shape, number, where)
        return number
    text = str(value)
    _check_bounds(shape, len(text), where, " characters")
    choices = shape.metadata.get("enum")
    _check(not choices or text in choices, where, f"is one of {', '.join(choices or [])}")
    pattern = shape.metadata.get("pattern")
    _check(not pattern or re.fullmatch(pattern, text) is not None, where, f"has the form {pattern}")
    return text


def _number(shape: Shape, value: Any, where: str) -> float:
    try:
        return int(value) if shape.type_name in ("integer", "long") else float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is a number, not {value!r}.") from error


def _check_bounds(shape: Shape, size: float, where: str, unit: str = "") -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    _check(least is None or size >= least, where, f"has at least {least}{unit}, not {size}")
    _check(most is None or size <= most, where, f"has at most {most}{unit}, not {size}")


def _check(holds: bool, where: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{where} {what}.")
