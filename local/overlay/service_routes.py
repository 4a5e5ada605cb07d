"""Services that the engine does not have at all: how requests reach them, and how REST-JSON ones are read and written.

Paths, places of parameters, and names on the wire all come from botocore's model of the service, so that a module that
adds one consists of its operations only. Protocol: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from botocore.model import OperationModel, ServiceModel, StructureShape
from ministack import app
from ministack.core import router

from local.overlay.authorization import Response

type Query = Mapping[str, list[str]]
type Handler = Callable[[str, str, dict[str, str], bytes, dict[str, list[str]]], Awaitable[Response]]
_PARAMETER = re.compile(r"\{([^}]+)\}")


class ServiceError(Exception):
    """An answer that is an error of the service: its code, its HTTP status, and a message for the caller."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message


def invalid(message: str) -> ServiceError:
    """ValidationException, as the services of Bedrock have it."""
    return ServiceError("ValidationException", 400, message)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a request body is; raises ServiceError (ValidationException) where it is none."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise invalid(f"The request body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise invalid("The request body is not a JSON object.")
    return document


def json_answer(document: Mapping[str, Any]) -> Response:
    """The response 200 that carries ``document`` as it is."""
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


@dataclass(frozen=True)
class Call:
    """One request, understood: the operation of the model and its parameters under the model's names."""

    operation: OperationModel
    parameters: dict[str, Any]


def add_service(signing_name: str, handler: Handler, target_prefix: str = "") -> None:
    """Gives ``handler`` every request signed for ``signing_name``, or whose X-Amz-Target begins with the prefix.

    The engine authenticates such a request before the handler sees it; what the caller may do is the handler's to ask.
    """
    router.SERVICE_PATTERNS[signing_name] = {"target_prefixes": [target_prefix] if target_prefix else []}
    app.SERVICE_HANDLERS[signing_name] = handler


def understand(service: ServiceModel, method: str, path: str, query: Query, body: bytes) -> Call:
    """The call that a REST-JSON request makes; raises ServiceError where the service has no such operation."""
    for name in service.operation_names:
        operation = service.operation_model(name)
        if operation.http["method"] != method:
            continue
        values = _match(operation.http["requestUri"].partition("?")[0], path)
        if values is not None:
            return Call(operation, _parameters(operation.input_shape, values, query, body))
    raise ServiceError("UnknownOperationException", 404, f"{service.service_name} has no operation {method} {path}")


def answer(operation: OperationModel, result: Mapping[str, Any]) -> Response:
    """The response that carries ``result``, which uses the model's names; times are ISO 8601."""
    shape = operation.output_shape
    members = shape.members if isinstance(shape, StructureShape) else {}
    on_wire = {members[key].serialization.get("name", key): value for key, value in result.items() if key in members}
    body = json.dumps(on_wire, default=_encode).encode() if members else b""
    return int(operation.http.get("responseCode", 200)), {"Content-Type": "application/json"}, body


def refuse(error: ServiceError) -> Response:
    """The response that a client library turns into the exception named ``error.code``."""
    body = json.dumps({"Code": error.code, "Message": error.message}).encode()
    return error.status, {"Content-Type": "application/json", "x-amzn-errortype": error.code}, body


def _match(template: str, path: str) -> dict[str, str] | None:
    pattern = "".join(
        "([^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(_PARAMETER.split(template))
    )
    found = re.fullmatch(pattern, path)
    if found is None:
        return None
    names = _PARAMETER.findall(template)
    return dict(zip(names, map(unquote, found.groups()), strict=True))


def _parameters(shape: object, values: Mapping[str, str], query: Query, body: bytes) -> dict[str, Any]:
    if not isinstance(shape, StructureShape):
        return {}
    try:
        document = json.loads(body) if body else {}
    except ValueError as error:
        raise ServiceError("BadRequestException", 400, f"The request body is not JSON: {error}") from error
    read: dict[str, Any] = {}
    for name, member in shape.members.items():
        on_wire = member.serialization.get("name", name)
        place = member.serialization.get("location")
        if place == "uri":
            read[name] = values[on_wire]
        elif place == "querystring" and on_wire in query:
            read[name] = query[on_wire] if member.type_name == "list" else query[on_wire][0]
        elif place is None and on_wire in document:
            read[name] = document[on_wire]
    return read


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    raise TypeError(f"{type(value).__name__} has no place in a JSON answer")
