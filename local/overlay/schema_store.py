"""The registries, schemas, versions and discoverers, and the operations of the ``schemas`` API on them.

Parameters and results have the names of botocore's model of the service. A schema keeps every version of its content:
new content, new version. A discoverer is a record and nothing more: it infers no schema from the events that pass.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from local.overlay.schema_content import draft_4_of, validate_content
from local.overlay.service_routes import ServiceError

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
        return arn_of(f"schema/{self.registry}/{self.name}")

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
        return arn_of(f"registry/{self.name}")


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
        return arn_of(f"discoverer/{self.identifier}")


registries = AccountRegionScopedDict()
discoverers = AccountRegionScopedDict()


def create_registry(parameters: Parameters) -> Result:
    name = parameters["RegistryName"]
    if name in registries:
        raise ServiceError("ConflictException", 409, f"Registry with name {name} already exists.")
    registry = Registry(name, parameters.get("Description", ""), dict(parameters.get("Tags") or {}))
    registries[name] = registry
    return _describe(registry)


def _describe_registry(parameters: Parameters) -> Result:
    return _describe(_registry(parameters))


def _update_registry(parameters: Parameters) -> Result:
    registry = _registry(parameters)
    registry.description = parameters.get("Description", registry.description)
    return _describe(registry)


def delete_registry(parameters: Parameters) -> Result:
    registry = _registry(parameters)
    if registry.schemas:
        raise _bad_request(f"Registry {registry.name} still holds schemas: delete them first.")
    del registries[registry.name]
    return {}


def _list_registries(parameters: Parameters) -> Result:
    prefix = parameters.get("RegistryNamePrefix", "")
    found = [
        {"RegistryArn": registry.arn, "RegistryName": name, "tags": registry.tags}
        for name, registry in sorted(registries.items())
        if name.startswith(prefix) and parameters.get("Scope", "LOCAL") == "LOCAL"
    ]
    return _page("Registries", found, parameters)


def create_schema(parameters: Parameters) -> Result:
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


def update_schema(parameters: Parameters) -> Result:
    schema = find_schema(parameters)
    schema.description = parameters.get("Description", schema.description)
    schema.modified = datetime.now(UTC)
    content, kind = parameters.get("Content", schema.latest.content), parameters.get("Type", schema.latest.kind)
    if (content, kind) != (schema.latest.content, schema.latest.kind):
        validate_content(kind, content)
        schema.versions.append(Version(str(int(schema.latest.number) + 1), content, kind, schema.modified))
    return _describe_version(schema, schema.latest)


def _describe_schema(parameters: Parameters) -> Result:
    schema = find_schema(parameters)
    version = _version(schema, parameters)
    return _describe_version(schema, version) | {"Content": version.content}


def _export_schema(parameters: Parameters) -> Result:
    schema = find_schema(parameters)
    version = _version(schema, parameters)
    wanted = parameters["Type"]
    if wanted != "JSONSchemaDraft4":
        raise _bad_request(f"A schema is exported as JSONSchemaDraft4, not as {wanted}.")
    exported = version.content if version.kind == wanted else json.dumps(draft_4_of(json.loads(version.content)))
    return _summary(schema) | {"Content": exported, "SchemaVersion": version.number, "Type": wanted}


def delete_schema(parameters: Parameters) -> Result:
    schema = find_schema(parameters)
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
    schema = find_schema(parameters)
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


def create_discoverer(parameters: Parameters) -> Result:
    source = parameters["SourceArn"]
    if any(existing.source_arn == source for existing in discoverers.values()):
        raise ServiceError("ConflictException", 409, f"A discoverer for {source} already exists.")
    discoverer = Discoverer(
        f"events-event-bus-{source.rpartition('/')[2]}-{uuid4().hex[:8]}",
        source,
        parameters.get("Description", ""),
        bool(parameters.get("CrossAccount", True)),
        dict(parameters.get("Tags") or {}),
    )
    discoverers[discoverer.identifier] = discoverer
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
    del discoverers[_discoverer(parameters).identifier]
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
        for name, discoverer in sorted(discoverers.items())
        if name.startswith(prefix)
    ]
    return _page("Discoverers", found, parameters)


OPERATIONS: dict[str, Callable[[Parameters], Result]] = {
    "CreateRegistry": create_registry,
    "DescribeRegistry": _describe_registry,
    "UpdateRegistry": _update_registry,
    "DeleteRegistry": delete_registry,
    "ListRegistries": _list_registries,
    "CreateSchema": create_schema,
    "UpdateSchema": update_schema,
    "DescribeSchema": _describe_schema,
    "ExportSchema": _export_schema,
    "DeleteSchema": delete_schema,
    "ListSchemas": _list_schemas,
    "ListSchemaVersions": _list_schema_versions,
    "SearchSchemas": _search_schemas,
    "CreateDiscoverer": create_discoverer,
    "DescribeDiscoverer": _describe_discoverer,
    "UpdateDiscoverer": _update_discoverer,
    "StartDiscoverer": _start_discoverer,
    "StopDiscoverer": _stop_discoverer,
    "DeleteDiscoverer": _delete_discoverer,
    "ListDiscoverers": _list_discoverers,
}


# --- Looking up and describing


def _registry(parameters: Parameters) -> Registry:
    name = parameters["RegistryName"]
    if name not in registries:
        raise _not_found(f"Registry with name {name} does not exist.")
    registry: Registry = registries[name]
    return registry


def find_schema(parameters: Parameters) -> Schema:
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
    if identifier not in discoverers:
        raise _not_found(f"Discoverer with id {identifier} does not exist.")
    discoverer: Discoverer = discoverers[identifier]
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


def arn_of(resource: str) -> str:
    return f"arn:aws:schemas:{get_region()}:{get_account_id()}:{resource}"


def _bad_request(message: str) -> ServiceError:
    return ServiceError("BadRequestException", 400, message)


def _not_found(message: str) -> ServiceError:
    return ServiceError("NotFoundException", 404, message)
