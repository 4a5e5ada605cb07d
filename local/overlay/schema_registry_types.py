"""AWS::EventSchemas::Registry, ::Schema and ::Discoverer over the local schema registry.

Follows https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/AWS_EventSchemas.html;
``Ref`` of each is its ARN.
"""

from local.overlay.cloudformation_types import Properties, Provisioned, ResourceType, generated_name
from local.overlay.schema_store import (
    Discoverer,
    Registry,
    create_discoverer,
    create_registry,
    create_schema,
    delete_registry,
    delete_schema,
    discoverers,
    find_schema,
    registries,
    update_schema,
)
from local.overlay.service_routes import ServiceError


def _create_registry_resource(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("RegistryName") or generated_name(stack_name, logical_id, 64)
    made = create_registry({**properties, "RegistryName": name, "Tags": _tags(properties)})
    return Provisioned(made["RegistryArn"], {"RegistryArn": made["RegistryArn"], "RegistryName": name})


def _update_registry_resource(arn: str, properties: Properties) -> Provisioned:
    registry: Registry = registries[_last(arn)]
    registry.description, registry.tags = properties.get("Description", ""), _tags(properties)
    return Provisioned(arn, {"RegistryArn": arn, "RegistryName": registry.name})


def _delete_registry_resource(arn: str) -> None:
    if _last(arn) in registries:
        delete_registry({"RegistryName": _last(arn)})


def _create_schema_resource(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("SchemaName") or generated_name(stack_name, logical_id, 64)
    create_schema({**properties, "RegistryName": _registry_named(properties), "SchemaName": name, "Tags": {}})
    return _provisioned_schema(_registry_named(properties), name, properties)


def _update_schema_resource(arn: str, properties: Properties) -> Provisioned:
    registry, name = arn.rpartition(":schema/")[2].split("/")
    update_schema({"Description": "", **properties, "RegistryName": registry, "SchemaName": name})
    return _provisioned_schema(registry, name, properties)


def _delete_schema_resource(arn: str) -> None:
    registry, name = arn.rpartition(":schema/")[2].split("/")
    if registry in registries and name in registries[registry].schemas:
        delete_schema({"RegistryName": registry, "SchemaName": name})


def _provisioned_schema(registry: str, name: str, properties: Properties) -> Provisioned:
    schema = find_schema({"RegistryName": registry, "SchemaName": name})
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
    made = create_discoverer({**properties, "Tags": _tags(properties)})
    return _provisioned_discoverer(discoverers[made["DiscovererId"]])


def _update_discoverer_resource(arn: str, properties: Properties) -> Provisioned:
    discoverer: Discoverer = discoverers[_last(arn)]
    discoverer.description, discoverer.tags = properties.get("Description", ""), _tags(properties)
    discoverer.cross_account = bool(properties.get("CrossAccount", True))
    return _provisioned_discoverer(discoverer)


def _delete_discoverer_resource(arn: str) -> None:
    if _last(arn) in discoverers:
        del discoverers[_last(arn)]


def _provisioned_discoverer(discoverer: Discoverer) -> Provisioned:
    return Provisioned(
        discoverer.arn,
        {"DiscovererArn": discoverer.arn, "DiscovererId": discoverer.identifier, "State": discoverer.state},
    )


RESOURCE_TYPES = (
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


def _registry_named(properties: Properties) -> str:
    name = str(properties["RegistryName"])
    if ":" in name:
        raise ServiceError(
            "BadRequestException",
            400,
            f"RegistryName is {name}: Ref of a registry is its ARN, its name is Fn::GetAtt RegistryName.",
        )
    return name


def _last(arn: str) -> str:
    return arn.rpartition("/")[2]


def _tags(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}
