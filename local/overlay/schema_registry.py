"""The EventBridge schema registry: the ``schemas`` API and AWS::EventSchemas::Registry, ::Schema and ::Discoverer.

The engine has neither. Follows https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-registry.html and
botocore's model of the service. A schema keeps every version of its content: new content, new version. What the
registry refuses on AWS is refused here when the template is deployed: a type other than OpenApi3 and JSONSchemaDraft4,
content that is not JSON, a JSON Schema that is not one of draft 4, an OpenAPI document without its required parts.

A discoverer is a record here and nothing more: it can be made, described, started and stopped, and says STARTED, but it
infers no schema from the events that pass. Code bindings and resource policies are answered with an error.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from botocore.session import Session
from jsonschema import Draft4Validator
from jsonschema.exceptions import SchemaError
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from local.overlay.authorization import Response, access_denied, refusal_of_caller
from local.overlay.cloudformation_types import Properties, Provisioned, ResourceType, generated_name, register
from local.overlay.engine_hooks import Engine
from local.overlay.service_routes import Call, ServiceError, add_service, answer, refuse, understand

_DRAFT_4 = "http://json-schema.org/draft-04/schema"
_PAGE = 100
type Parameters = Mapping[str, Any]
type Result = dict[str, Any]


@dataclass
class Version:
    number: str
    content: str
    kind: str
    created: datetime


@dataclass
class Schema:
    registry: str
    name: str
    description: str
    tags: dict[str, str]
    versions: list[Version]
    modified: datetime

    @property
    def arn(self) -> str:
        return _arn(f"schema/{self.registry}/{self.name}")

    @property
    def latest(self) -> Version:
        return self.versions[-1]


@dataclass
class Registry:
    name: str
    description: str
    tags: dict[str, str]
    schemas: dict[str, Schema] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return _arn(f"registry/{self.name}")


@dataclass
class Discoverer:
    identifier: str
    source_arn: str
    description: str
    cross_account: bool
    tags: dict[str, str]
    state: str = "STARTED"

    @property
    def arn(self) -> str:
        return _arn(f"discoverer/{self.identifier}")


_registries = AccountRegionScopedDict()
_discoverers = AccountRegionScopedDict()


def install(_engine: Engine) -> None:
    service = Session().get_service_model("schemas")

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        try:
            call = understand(service, method, path, query, body)
            refusal = refusal_of_caller(headers, query, f"schemas:{call.operation.name}", _resource_arn(call))
            if refusal:
                return access_denied(refusal)
            return answer(call.operation, _operation(call.operation.name)(call.parameters))
        except ServiceError as error:
            return refuse(error)

    add_service("schemas", handle)
    for kind in _RESOURCE_TYPES:
        register(kind)


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


# --- Operations of the API: parameters and results under the names of botocore's model


def _create_registry(parameters: Parameters) -> Result:
    name = parameters["RegistryName"]
    if name in _registries:
        raise ServiceError("ConflictException", 409, f"Registry with name {name} already exists.")
    registry = Registry(name, parameters.get("Description", ""), dict(parameters.get("Tags") or {}))
    _registries[name] = registry
    return _describe(registry)


def _describe_registry(parameters: Parameters) -> Result:
    return _describe(_registry(parameters))


def _update_registry(parameters: Parameters) -> Result:
    registry = _registry(parameters)
    registry.description = parameters.get("Description", registry.description)
    return _describe(registry)


def _delete_registry(parameters: Parameters) -> Result:
    registry = _registry(parameters)
    if registry.schemas:
        raise _bad_request(f"Registry {registry.name} still holds schemas: delete them first.")
    del _registries[registry.name]
    return {}


def _list_registries(parameters: Parameters) -> Result:
    prefix = parameters.get("RegistryNamePrefix", "")
    found = [
        {"RegistryArn": registry.arn, "RegistryName": name, "tags": registry.tags}
        for name, registry in sorted(_registries.items())
        if name.startswith(prefix) and parameters.get("Scope", "LOCAL") == "LOCAL"
    ]
    return _page("Registries", found, parameters)


def _create_schema(parameters: Parameters) -> Result:
    registry, name = _registry(parameters), parameters["SchemaName"]
    if name in registry.schemas:
        raise ServiceError("ConflictException", 409, f"Schema with name {name} already exists.")
    validate_content(parameters["Type"], parameters["Content"])
    now = datetime.now(UTC)
    first = Version("1", parameters["Content"], parameters["Type"], now)
    tags = dict(parameters.get("Tags") or {})
    schema = Schema(registry.name, name, parameters.get("Description", ""), tags, [first], now)
    registry.schemas[name] = schema
    return _describe_version(schema, first)


def _update_schema(parameters: Parameters) -> Result:
    schema = _schema(parameters)
    schema.description = parameters.get("Description", schema.description)
    schema.modified = datetime.now(UTC)
    content, kind = parameters.get("Content", schema.latest.content), parameters.get("Type", schema.latest.kind)
    if (content, kind) != (schema.latest.content, schema.latest.kind):
        validate_content(kind, content)
        schema.versions.append(Version(str(int(schema.latest.number) + 1), content, kind, schema.modified))
    return _describe_version(schema, schema.latest)


def _describe_schema(parameters: Parameters) -> Result:
    schema = _schema(parameters)
    version = _version(schema, parameters)
    return _describe_version(schema, version) | {"Content": version.content}


def _export_schema(parameters: Parameters) -> Result:
    schema = _schema(parameters)
    version = _version(schema, parameters)
    wanted = parameters["Type"]
    if wanted != "JSONSchemaDraft4":
        raise _bad_request(f"A schema is exported as JSONSchemaDraft4, not as {wanted}.")
    exported = version.content if version.kind == wanted else json.dumps(_draft_4_of(json.loads(version.content)))
    return _summary(schema) | {"Content": exported, "SchemaVersion": version.number, "Type": wanted}


def _delete_schema(parameters: Parameters) -> Result:
    schema = _schema(parameters)
    del _registry(parameters).schemas[schema.name]
    return {}


def _list_schemas(parameters: Parameters) -> Result:
    prefix = parameters.get("SchemaNamePrefix", "")
    found = [
        _summary(schema) | {"LastModified": schema.modified, "VersionCount": len(schema.versions), "tags": schema.tags}
        for name, schema in sorted(_registry(parameters).schemas.items())
        if name.startswith(prefix)
    ]
    return _page("Schemas", found, parameters)


def _list_schema_versions(parameters: Parameters) -> Result:
    schema = _schema(parameters)
    found = [
        _summary(schema) | {"SchemaVersion": version.number, "Type": version.kind}
        for version in reversed(schema.versions)
    ]
    return _page("SchemaVersions", found, parameters)


def _search_schemas(parameters: Parameters) -> Result:
    words = parameters["Keywords"].lower().split()
    found = []
    for name, schema in sorted(_registry(parameters).schemas.items()):
        matching = [
            {"SchemaVersion": version.number, "CreatedDate": version.created, "Type": version.kind}
            for version in reversed(schema.versions)
            if all(word in f"{name} {version.content}".lower() for word in words)
        ]
        if matching:
            found.append(_summary(schema) | {"RegistryName": schema.registry, "SchemaVersions": matching})
    return _page("Schemas", found, parameters)


def _create_discoverer(parameters: Parameters) -> Result:
    source = parameters["SourceArn"]
    if any(existing.source_arn == source for existing in _discoverers.values()):
        raise ServiceError("ConflictException", 409, f"A discoverer for {source} already exists.")
    discoverer = Discoverer(
        f"events-event-bus-{source.rpartition('/')[2]}-{uuid4().hex[:8]}",
        source,
        parameters.get("Description", ""),
        bool(parameters.get("CrossAccount", True)),
        dict(parameters.get("Tags") or {}),
    )
    _discoverers[discoverer.identifier] = discoverer
    return _describe_one(discoverer)


def _describe_discoverer(parameters: Parameters) -> Result:
    return _describe_one(_discoverer(parameters))


def _update_discoverer(parameters: Parameters) -> Result:
    discoverer = _discoverer(parameters)
    discoverer.description = parameters.get("Description", discoverer.description)
    discoverer.cross_account = bool(parameters.get("CrossAccount", discoverer.cross_account))
    return _describe_one(discoverer)


def _start_discoverer(parameters: Parameters) -> Result:
    return _set_state(_discoverer(parameters), "STARTED")


def _stop_discoverer(parameters: Parameters) -> Result:
    return _set_state(_discoverer(parameters), "STOPPED")


def _delete_discoverer(parameters: Parameters) -> Result:
    del _discoverers[_discoverer(parameters).identifier]
    return {}


def _list_discoverers(parameters: Parameters) -> Result:
    prefix = parameters.get("DiscovererIdPrefix", "")
    found = [
        {
            "DiscovererArn": discoverer.arn,
            "DiscovererId": name,
            "SourceArn": discoverer.source_arn,
            "State": discoverer.state,
            "CrossAccount": discoverer.cross_account,
            "tags": discoverer.tags,
        }
        for name, discoverer in sorted(_discoverers.items())
        if name.startswith(prefix)
    ]
    return _page("Discoverers", found, parameters)


_OPERATIONS: dict[str, Callable[[Parameters], Result]] = {
    "CreateRegistry": _create_registry,
    "DescribeRegistry": _describe_registry,
    "UpdateRegistry": _update_registry,
    "DeleteRegistry": _delete_registry,
    "ListRegistries": _list_registries,
    "CreateSchema": _create_schema,
    "UpdateSchema": _update_schema,
    "DescribeSchema": _describe_schema,
    "ExportSchema": _export_schema,
    "DeleteSchema": _delete_schema,
    "ListSchemas": _list_schemas,
    "ListSchemaVersions": _list_schema_versions,
    "SearchSchemas": _search_schemas,
    "CreateDiscoverer": _create_discoverer,
    "DescribeDiscoverer": _describe_discoverer,
    "UpdateDiscoverer": _update_discoverer,
    "StartDiscoverer": _start_discoverer,
    "StopDiscoverer": _stop_discoverer,
    "DeleteDiscoverer": _delete_discoverer,
    "ListDiscoverers": _list_discoverers,
}


def _operation(name: str) -> Callable[[Parameters], Result]:
    if name not in _OPERATIONS:
        raise ServiceError("BadRequestException", 400, f"The local schema registry has no {name}.")
    return _OPERATIONS[name]


def _resource_arn(call: Call) -> str:
    """What the caller needs a grant on: the schema, the registry, the discoverer, or all of a list."""
    registry, schema = call.parameters.get("RegistryName"), call.parameters.get("SchemaName")
    if schema:
        return _arn(f"schema/{registry}/{schema}")
    if registry:
        return _arn(f"registry/{registry}")
    if "DiscovererId" in call.parameters:
        return _arn(f"discoverer/{call.parameters['DiscovererId']}")
    return "*"


# --- CloudFormation


def _create_registry_resource(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("RegistryName") or generated_name(stack_name, logical_id, 64)
    made = _create_registry({**properties, "RegistryName": name, "Tags": _tags(properties)})
    return Provisioned(made["RegistryArn"], {"RegistryArn": made["RegistryArn"], "RegistryName": name})


def _update_registry_resource(arn: str, properties: Properties) -> Provisioned:
    registry: Registry = _registries[_last(arn)]
    registry.description, registry.tags = properties.get("Description", ""), _tags(properties)
    return Provisioned(arn, {"RegistryArn": arn, "RegistryName": registry.name})


def _delete_registry_resource(arn: str) -> None:
    if _last(arn) in _registries:
        _delete_registry({"RegistryName": _last(arn)})


def _create_schema_resource(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("SchemaName") or generated_name(stack_name, logical_id, 64)
    _create_schema({**properties, "RegistryName": _registry_named(properties), "SchemaName": name, "Tags": {}})
    return _provisioned_schema(_registry_named(properties), name, properties)


def _update_schema_resource(arn: str, properties: Properties) -> Provisioned:
    registry, name = arn.rpartition(":schema/")[2].split("/")
    _update_schema({"Description": "", **properties, "RegistryName": registry, "SchemaName": name})
    return _provisioned_schema(registry, name, properties)


def _delete_schema_resource(arn: str) -> None:
    registry, name = arn.rpartition(":schema/")[2].split("/")
    if registry in _registries and name in _registries[registry].schemas:
        _delete_schema({"RegistryName": registry, "SchemaName": name})


def _provisioned_schema(registry: str, name: str, properties: Properties) -> Provisioned:
    schema = _schema({"RegistryName": registry, "SchemaName": name})
    schema.tags = _tags(properties)
    return Provisioned(
        schema.arn,
        {
            "SchemaArn": schema.arn,
            "SchemaName": name,
            "SchemaVersion": schema.latest.number,
            "LastModified": schema.modified.isoformat(timespec="seconds"),
            "VersionCreatedDate": schema.latest.created.isoformat(timespec="seconds"),
        },
    )


def _create_discoverer_resource(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    made = _create_discoverer({**properties, "Tags": _tags(properties)})
    return _provisioned_discoverer(_discoverers[made["DiscovererId"]])


def _update_discoverer_resource(arn: str, properties: Properties) -> Provisioned:
    discoverer: Discoverer = _discoverers[_last(arn)]
    discoverer.description, discoverer.tags = properties.get("Description", ""), _tags(properties)
    discoverer.cross_account = bool(properties.get("CrossAccount", True))
    return _provisioned_discoverer(discoverer)


def _delete_discoverer_resource(arn: str) -> None:
    if _last(arn) in _discoverers:
        del _discoverers[_last(arn)]


def _provisioned_discoverer(discoverer: Discoverer) -> Provisioned:
    return Provisioned(
        discoverer.arn,
        {"DiscovererArn": discoverer.arn, "DiscovererId": discoverer.identifier, "State": discoverer.state},
    )


_RESOURCE_TYPES = (
    ResourceType(
        "AWS::EventSchemas::Registry",
        create=_create_registry_resource,
        update=_update_registry_resource,
        delete=_delete_registry_resource,
        replaced_by=("RegistryName",),
        named_by="RegistryName",
    ),
    ResourceType(
        "AWS::EventSchemas::Schema",
        create=_create_schema_resource,
        update=_update_schema_resource,
        delete=_delete_schema_resource,
        replaced_by=("RegistryName", "SchemaName"),
    ),
    ResourceType(
        "AWS::EventSchemas::Discoverer",
        create=_create_discoverer_resource,
        update=_update_discoverer_resource,
        delete=_delete_discoverer_resource,
        replaced_by=("SourceArn",),
    ),
)


# --- Looking up and describing


def _registry(parameters: Parameters) -> Registry:
    name = parameters["RegistryName"]
    if name not in _registries:
        raise _not_found(f"Registry with name {name} does not exist.")
    registry: Registry = _registries[name]
    return registry


def _schema(parameters: Parameters) -> Schema:
    registry, name = _registry(parameters), parameters["SchemaName"]
    if name not in registry.schemas:
        raise _not_found(f"Schema with name {name} does not exist in registry {registry.name}.")
    return registry.schemas[name]


def _version(schema: Schema, parameters: Parameters) -> Version:
    wanted = parameters.get("SchemaVersion", schema.latest.number)
    for version in schema.versions:
        if version.number == wanted:
            return version
    raise _not_found(f"Schema {schema.name} has no version {wanted}.")


def _discoverer(parameters: Parameters) -> Discoverer:
    identifier = parameters["DiscovererId"]
    if identifier not in _discoverers:
        raise _not_found(f"Discoverer with id {identifier} does not exist.")
    discoverer: Discoverer = _discoverers[identifier]
    return discoverer


def _set_state(discoverer: Discoverer, state: str) -> Result:
    discoverer.state = state
    return {"DiscovererId": discoverer.identifier, "State": state}


def _describe(registry: Registry) -> Result:
    return {
        "Description": registry.description,
        "RegistryArn": registry.arn,
        "RegistryName": registry.name,
        "Tags": registry.tags,
    }


def _summary(schema: Schema) -> Result:
    return {"SchemaArn": schema.arn, "SchemaName": schema.name}


def _describe_version(schema: Schema, version: Version) -> Result:
    return _summary(schema) | {
        "Description": schema.description,
        "LastModified": schema.modified,
        "SchemaVersion": version.number,
        "Tags": schema.tags,
        "Type": version.kind,
        "VersionCreatedDate": version.created,
    }


def _describe_one(discoverer: Discoverer) -> Result:
    return {
        "Description": discoverer.description,
        "DiscovererArn": discoverer.arn,
        "DiscovererId": discoverer.identifier,
        "SourceArn": discoverer.source_arn,
        "State": discoverer.state,
        "CrossAccount": discoverer.cross_account,
        "Tags": discoverer.tags,
    }


def _page(name: str, found: list[Result], parameters: Parameters) -> Result:
    """One page of a list; the token is the index of the next page's first element."""
    start, size = int(parameters.get("NextToken") or 0), int(parameters.get("Limit") or _PAGE)
    page: Result = {name: found[start : start + size]}
    return page | {"NextToken": str(start + size)} if start + size < len(found) else page


def _draft_4_of(openapi: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI document's components as one draft 4 schema; its root is ``AWSEvent``, the registry's name for it."""
    components = json.dumps((openapi.get("components") or {}).get("schemas") or {})
    definitions: dict[str, Any] = json.loads(components.replace("#/components/schemas/", "#/definitions/"))
    root = definitions.pop("AWSEvent", {})
    return {"$schema": f"{_DRAFT_4}#", **root, "definitions": definitions}


def _registry_named(properties: Properties) -> str:
    name = str(properties["RegistryName"])
    if ":" in name:
        raise _bad_request(
            f"RegistryName is {name}: Ref of a registry is its ARN, its name is Fn::GetAtt RegistryName."
        )
    return name


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def _tags(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}


def _arn(resource: str) -> str:
    return f"arn:aws:schemas:{get_region()}:{get_account_id()}:{resource}"


def _bad_request(message: str) -> ServiceError:
    return ServiceError("BadRequestException", 400, message)


def _not_found(message: str) -> ServiceError:
    return ServiceError("NotFoundException", 404, message)
