"""CloudFormation resource types that the engine lacks: how to add one, and AWS::Events::Archive.

The engine refuses a template with a type that it does not know. ``register`` adds one to the engine's own table, from
where change sets, updates with replacement, rollbacks and deletes treat it as they treat the engine's types. A type
lives in the module of its service; AWS::Events::Archive lives here because the engine has its service already (the
archive API works, only the type is missing):
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-events-archive.html
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.services import eventbridge
from ministack.services.cloudformation import provisioners, stacks

from local.overlay.engine_hooks import Engine, original, replace

type Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Provisioned:
    """What CloudFormation keeps of a resource: what ``Ref`` gives, and what ``Fn::GetAtt`` gives by attribute."""

    physical_id: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class ResourceType:
    """A resource type. A handler that raises fails its resource with the exception's text as the reason.

    ``create(logical_id, properties, stack_name)``, ``update(physical_id, properties)``, ``delete(physical_id)``.
    ``replaced_by`` names the properties whose change replaces the resource instead of updating it; ``named_by`` the one
    that names it: CloudFormation refuses to replace a resource that the template names and does not rename.
    ``slow`` types are provisioned on a thread of their own, so that the engine goes on answering meanwhile.
    """

    name: str
    create: Callable[[str, Properties, str], Provisioned]
    update: Callable[[str, Properties], Provisioned]
    delete: Callable[[str], None]
    replaced_by: tuple[str, ...]
    named_by: str | None = None
    slow: bool = False


_slow_types: set[str] = set()


def install(_engine: Engine) -> None:
    runs_on_thread = original(stacks, "_runs_on_worker_thread")
    replace(stacks, "_runs_on_worker_thread", lambda name: name in _slow_types or runs_on_thread(name))
    register(
        ResourceType(
            "AWS::Events::Archive",
            create=_create_archive,
            update=_update_archive,
            delete=_delete_archive,
            replaced_by=("ArchiveName", "SourceArn"),
            named_by="ArchiveName",
        )
    )


def register(kind: ResourceType) -> None:
    """Makes the engine's CloudFormation know ``kind``."""

    def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, str]]:
        made = kind.create(logical_id, properties, stack_name)
        return made.physical_id, made.attributes

    def update(physical_id: str, _old: Properties, new: Properties, _stack_name: str) -> tuple[str, dict[str, str]]:
        made = kind.update(physical_id, new)
        return made.physical_id, made.attributes

    def delete(physical_id: str, _properties: Properties) -> None:
        kind.delete(physical_id)

    handlers = original(provisioners, "_RESOURCE_HANDLERS")
    handlers[kind.name] = {"create": create, "update": update, "delete": delete}
    original(provisioners, "_REPLACING_PROPERTIES")[kind.name] = kind.replaced_by
    if kind.named_by:
        original(provisioners, "_CUSTOM_NAME_REPLACEMENT")[kind.name] = {"name": kind.named_by}
    if kind.slow:
        _slow_types.add(kind.name)


def generated_name(stack_name: str, logical_id: str, longest: int) -> str:
    """The name that CloudFormation gives a resource which the template does not name, of ``longest`` characters."""
    return str(original(provisioners, "_physical_name")(stack_name, logical_id, max_len=longest))


def _create_archive(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("ArchiveName") or generated_name(stack_name, logical_id, 48)
    answer = _archive_api("_create_archive", name, {**properties, "EventSourceArn": properties["SourceArn"]})
    return Provisioned(name, {"Arn": answer["ArchiveArn"]})


def _update_archive(name: str, properties: Properties) -> Provisioned:
    # A property that left the template goes back to its default; the API alone would keep the old value.
    answer = _archive_api(
        "_update_archive", name, {"Description": "", "EventPattern": "", "RetentionDays": 0, **properties}
    )
    return Provisioned(name, {"Arn": answer["ArchiveArn"]})


def _delete_archive(name: str) -> None:
    status, _, body = eventbridge._delete_archive({"ArchiveName": name})
    if status >= 400 and b"ResourceNotFoundException" not in body:
        raise ValueError(body.decode())


def _archive_api(function: str, name: str, properties: Properties) -> dict[str, Any]:
    """Calls the engine's archive operation; raises ValueError with the service's message where it refuses."""
    pattern = properties.get("EventPattern", "")
    request = {
        **properties,
        "ArchiveName": name,
        "EventPattern": pattern if isinstance(pattern, str) else json.dumps(pattern),
        "RetentionDays": int(properties.get("RetentionDays", 0)),
    }
    status, _, body = original(eventbridge, function)(request)
    answer: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise ValueError(f"{answer.get('__type', 'error')}: {answer.get('message') or answer.get('Message')}")
    return answer
