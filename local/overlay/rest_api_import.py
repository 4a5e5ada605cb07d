"""An OpenAPI definition becomes the methods, models, validators and integrations of a REST API.

The engine imports paths, authorizers and an integration's type and address, and drops the rest. Follows
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html. What API Gateway
refuses while it imports is refused here, so that it shows when the stack is deployed: a model whose name is not
alphanumeric or whose schema is invalid, an integration response without its method response, an AWS integration without
credentials.
Extensions that are neither imported here nor by the engine are refused too, rather than dropped.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import SchemaError
from ministack.services import apigateway_v1

from local.overlay.engine_hooks import original

type Document = Mapping[str, Any]

_ANY_METHOD = "x-amazon-apigateway-any-method"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", _ANY_METHOD)
_SCHEMAS = ("#/components/schemas/", "#/definitions/")
_PLACES = {"query": "querystring", "header": "header", "path": "path"}
_INTEGRATION_TYPES = ("AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK")
_PASSTHROUGH = ("WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER")
_KNOWN_EXTENSIONS = {
    "x-amazon-apigateway-request-validators",
    "x-amazon-apigateway-request-validator",
    "x-amazon-apigateway-gateway-responses",
    "x-amazon-apigateway-binary-media-types",
    "x-amazon-apigateway-api-key-source",
    "x-amazon-apigateway-policy",
}


def import_definition(api_id: str, definition: Document) -> None:
    """Gives the API, which has only its root yet, everything in ``definition``; raises ValueError with the reason.

    ``definition`` is OpenAPI 3.0, or the Swagger 2.0 that SAM writes, with API Gateway's extensions.
    """
    unknown = {key for key in definition if key.startswith("x-amazon-apigateway")} - _KNOWN_EXTENSIONS
    if unknown:
        raise ValueError(f"Not imported by the local API Gateway: {', '.join(sorted(unknown))}.")
    api = apigateway_v1._rest_apis[api_id]
    api["binaryMediaTypes"] = definition.get("x-amazon-apigateway-binary-media-types", api["binaryMediaTypes"])
    api["apiKeySource"] = definition.get("x-amazon-apigateway-api-key-source", api["apiKeySource"])
    api["policy"] = definition.get("x-amazon-apigateway-policy", api["policy"])
    _import_models(api_id, definition)
    validators = _import_validators(api_id, definition)
    for kind, response in definition.get("x-amazon-apigateway-gateway-responses", {}).items():
        _require(apigateway_v1._put_gateway_response(api_id, kind, response), f"gateway response {kind}")
    schemes = original(apigateway_v1, "_import_security_schemes")(api_id, definition)
    for path, item in (definition.get("paths") or {}).items():
        original(apigateway_v1, "_import_path_item")(
            api_id, path, _engine_item(item), schemes, definition.get("security")
        )
        resource = _resource_at(api_id, path)
        for method in _METHODS:
            if method in item:
                operation = {**_inherited(definition, item), **item[method]}
                _import_operation(api_id, resource, verb=method, operation=operation, validators=validators)


def clear_definition(api_id: str) -> None:
    """Takes everything away that ``import_definition`` gave, and keeps the API, its stages and its deployments."""
    resources = apigateway_v1._resources[api_id]
    root = next(resource for resource in resources.values() if resource["path"] == "/")
    root["resourceMethods"] = {}
    apigateway_v1._resources[api_id] = {root["id"]: root}
    for store in ("_models", "_authorizers_v1", "_request_validators", "_gateway_responses"):
        original(apigateway_v1, store)[api_id] = {}


def _engine_item(item: Document) -> dict[str, Any]:
    """The path item without what is no method (``parameters``, ``summary``), which the engine would trip over."""
    return {method: operation for method, operation in item.items() if method in _METHODS}


def _inherited(definition: Document, item: Document) -> dict[str, Any]:
    inherited = {"parameters": item.get("parameters", [])}
    name = "x-amazon-apigateway-request-validator"
    return inherited | ({name: definition[name]} if name in definition else {})


def _import_operation(
    api_id: str, resource: dict[str, Any], *, verb: str, operation: Document, validators: Mapping[str, str]
) -> None:
    methods = resource["resourceMethods"]
    name = "ANY" if verb == _ANY_METHOD else verb.upper()
    where = f"{name} {resource['path']}"
    method = methods[name] = methods.pop(verb.upper())
    method["httpMethod"] = name
    method["operationName"] = operation.get("operationId", "")
    method["requestParameters"] = _request_parameters(operation)
    method["requestModels"] = _request_models(api_id, where, operation)
    validator = operation.get("x-amazon-apigateway-request-validator")
    if validator is not None and validator not in validators:
        raise ValueError(f"{where}: there is no request validator {validator!r}.")
    method["requestValidatorId"] = validators.get(validator) if validator else None
    for status in operation.get("responses", {}):
        apigateway_v1._put_method_response(api_id, resource["id"], name, str(status), {})
    integration = operation.get("x-amazon-apigateway-integration")
    if integration is None:
        raise ValueError(f"No integration defined for method {where}.")
    _require(
        apigateway_v1._put_integration(api_id, resource["id"], name, _integration(where, integration)),
        f"integration of {where}",
    )
    _import_integration_responses(api_id, resource["id"], name, where, integration)


def _integration(where: str, integration: Document) -> dict[str, Any]:
    kind = str(integration.get("type", "")).upper()
    if kind not in _INTEGRATION_TYPES:
        raise ValueError(f"{where}: integration type {kind!r} is not one of {', '.join(_INTEGRATION_TYPES)}.")
    passthrough = str(integration.get("passthroughBehavior", "WHEN_NO_MATCH")).upper()
    if passthrough not in _PASSTHROUGH:
        raise ValueError(f"{where}: passthroughBehavior {passthrough} is not one of {', '.join(_PASSTHROUGH)}.")
    uri = integration.get("uri", "")
    if kind == "AWS" and ":lambda:" not in uri and not integration.get("credentials"):
        raise ValueError(f"{where}: an AWS integration needs credentials, the ARN of a role that it assumes.")
    timeout = int(integration.get("timeoutInMillis", 29_000))
    if not 50 <= timeout <= 29_000:
        raise ValueError(f"{where}: timeoutInMillis is 50 to 29000, not {timeout}.")
    return {
        "type": kind,
        "httpMethod": integration.get("httpMethod"),
        "uri": uri,
        "credentials": integration.get("credentials"),
        "requestParameters": dict(integration.get("requestParameters") or {}),
        "requestTemplates": dict(integration.get("requestTemplates") or {}),
        "passthroughBehavior": passthrough,
        "timeoutInMillis": timeout,
        "contentHandling": integration.get("contentHandling"),
    }


def _import_integration_responses(
    api_id: str, resource_id: str, method: str, where: str, integration: Document
) -> None:
    known = apigateway_v1._resources[api_id][resource_id]["resourceMethods"][method]["methodResponses"]
    seen: set[str] = set()
    for pattern, response in (integration.get("responses") or {}).items():
        status = str(response.get("statusCode", ""))
        if status not in known:
            raise ValueError(
                f"Unable to put integration response on '{where}': Invalid Response status code specified: {status} is "
                "not among the operation's responses."
            )
        if status in seen:
            raise ValueError(
                f"{where}: status code {status} is mapped twice; a pattern may name both (4\\d{{2}}|5\\d{{2}})."
            )
        seen.add(status)
        apigateway_v1._put_integration_response(
            api_id,
            resource_id,
            method,
            status,
            {
                "selectionPattern": "" if pattern == "default" else pattern,
                "responseParameters": dict(response.get("responseParameters") or {}),
                "responseTemplates": dict(response.get("responseTemplates") or {}),
                "contentHandling": response.get("contentHandling"),
            },
        )


def _import_models(api_id: str, definition: Document) -> None:
    schemas = (definition.get("components") or {}).get("schemas") or definition.get("definitions") or {}
    for name, schema in schemas.items():
        _add_model(api_id, name, _self_contained(schema, schemas))


def _add_model(api_id: str, name: str, schema: Document) -> None:
    if not re.fullmatch(r"[A-Za-z0-9]+", name):
        raise ValueError(f"Model name must be alphanumeric: {name}")
    try:
        Draft4Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"Invalid model specified: {name}: {error.json_path}: {error.message}") from error
    _require(apigateway_v1._create_model(api_id, {"name": name, "schema": json.dumps(schema)}), f"model {name}")


def _self_contained(schema: Document, schemas: Document) -> dict[str, Any]:
    """The schema with all that it may refer to, as a model of API Gateway is: its references are to definitions."""
    whole = {**schema, "definitions": dict(schemas)}
    moved: dict[str, Any] = json.loads(json.dumps(whole).replace("#/components/schemas/", "#/definitions/"))
    return moved


def _import_validators(api_id: str, definition: Document) -> dict[str, str]:
    """Identifiers of the validators by name."""
    identifiers = {}
    for name, settings in definition.get("x-amazon-apigateway-request-validators", {}).items():
        _, _, body = apigateway_v1._create_request_validator(api_id, {"name": name, **settings})
        identifiers[name] = json.loads(body)["id"]
    return identifiers


def _request_parameters(operation: Document) -> dict[str, bool]:
    return {
        f"method.request.{_PLACES[parameter['in']]}.{parameter['name']}": bool(parameter.get("required", False))
        for parameter in operation.get("parameters", [])
        if parameter.get("in") in _PLACES
    }


def _request_models(api_id: str, where: str, operation: Document) -> dict[str, str]:
    models = {}
    for media_type, schema in _body_schemas(operation).items():
        reference = schema.get("$ref", "")
        if reference.startswith(_SCHEMAS):
            name = reference.rpartition("/")[2]
            if name not in apigateway_v1._models[api_id]:
                raise ValueError(f"{where}: there is no schema {reference}.")
        else:
            name = f"Model{len(apigateway_v1._models[api_id])}"
            _add_model(api_id, name, schema)
        models[media_type] = name
    return models


def _body_schemas(operation: Document) -> dict[str, Document]:
    """The body's schema by media type: of OpenAPI 3.0, or of the Swagger 2.0 that SAM writes for an implicit API."""
    content = (operation.get("requestBody") or {}).get("content", {})
    schemas = {media_type: entry["schema"] for media_type, entry in content.items() if "schema" in entry}
    for parameter in operation.get("parameters", []):
        if parameter.get("in") == "body":
            schemas["application/json"] = parameter["schema"]
    return schemas


def _resource_at(api_id: str, path: str) -> dict[str, Any]:
    wanted = "/" + path.strip("/")
    found: dict[str, Any] = next(
        resource for resource in apigateway_v1._resources[api_id].values() if resource["path"] == wanted
    )
    return found


def _require(answer: tuple[int, dict[str, str], bytes], what: str) -> None:
    status, _, body = answer
    if status >= 400:
        raise ValueError(f"{what}: {json.loads(body).get('message', body.decode())}")
