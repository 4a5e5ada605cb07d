"""What the EventBridge schema registry takes as a schema, and how it exports one.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-registry.html: OpenAPI 3.0 or JSON Schema draft 4.
"""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import SchemaError

from local.overlay.service_routes import ServiceError

_DRAFT_4 = "http://json-schema.org/draft-04/schema"


def validate_content(kind: str, content: str) -> None:
    """Raises ServiceError, saying what is wrong, where the registry would not take ``content`` as a schema."""
    if kind not in ("OpenApi3", "JSONSchemaDraft4"):
        raise _bad_request(f"Type {kind!r} is not one of OpenApi3, JSONSchemaDraft4.")
    if not isinstance(content, str):
        raise _bad_request("Content is a string that holds the schema as JSON, not an object.")
    try:
        document = json.loads(content)
    except ValueError as error:
        raise _bad_request(f"Content is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise _bad_request("Content is not a JSON object.")
    if kind == "JSONSchemaDraft4":
        _require_draft_4(document, "Content")
        return
    _require_openapi_3(document)


def _require_draft_4(document: Mapping[str, Any], where: str) -> None:
    declared = str(document.get("$schema", _DRAFT_4)).rstrip("#")
    if declared != _DRAFT_4:
        raise _bad_request(f"{where} declares $schema {declared}, which is not draft 4 ({_DRAFT_4}#).")
    try:
        Draft4Validator.check_schema(document)
    except SchemaError as error:
        raise _bad_request(f"{where} is not a valid draft 4 schema: {error.json_path}: {error.message}") from error


def _require_openapi_3(document: Mapping[str, Any]) -> None:
    if not str(document.get("openapi", "")).startswith("3.0"):
        raise _bad_request("Content is not an OpenAPI 3.0 document: its 'openapi' is not 3.0.x.")
    information = document.get("info")
    if not isinstance(information, dict) or not {"title", "version"} <= information.keys():
        raise _bad_request("Content is not an OpenAPI 3.0 document: 'info' needs 'title' and 'version'.")
    if not isinstance(document.get("paths"), dict):
        raise _bad_request("Content is not an OpenAPI 3.0 document: 'paths' is missing.")
    for name, schema in (document.get("components") or {}).get("schemas", {}).items():
        _require_draft_4(schema, f"components.schemas.{name}")


def draft_4_of(openapi: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI document's components as one draft 4 schema; its root is ``AWSEvent``, the registry's name for it."""
    components = json.dumps((openapi.get("components") or {}).get("schemas") or {})
    definitions: dict[str, Any] = json.loads(components.replace("#/components/schemas/", "#/definitions/"))
    root = definitions.pop("AWSEvent", {})
    return {"$schema": f"{_DRAFT_4}#", **root, "definitions": definitions}


def _bad_request(message: str) -> ServiceError:
    return ServiceError("BadRequestException", 400, message)
