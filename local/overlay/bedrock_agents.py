"""Bedrock Agents, control plane: an agent is prepared, a version is what was prepared, an alias points at a version.

The engine keeps the records of agents, action groups and aliases, but prepares nothing, makes no version, lets an alias
point nowhere, and takes an agent that could never run. Follows
https://docs.aws.amazon.com/bedrock/latest/userguide/agents-deploy.html and the API reference of ``bedrock-agent``:

- PrepareAgent takes the draft as it stands for the test alias TSTALIASID, and refuses a draft that cannot be run;
- an alias that names no version gets a new one of the prepared draft, at its creation and at each update;
- an edited draft counts as not prepared; an agent that has aliases is deleted only where the caller insists.

The types of CloudFormation are in ``bedrock_agent_types``, running is in ``bedrock_agent_runtime``.
"""

import copy
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import bedrock_agent

from local.overlay import bedrock_agent_types
from local.overlay.agent_definition import Agent, agent_from, require_runnable
from local.overlay.authorization import Response
from local.overlay.cloudformation_types import register
from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.service_routes import ServiceError, invalid, json_object

TEST_ALIAS_ID = "TSTALIASID"
_DRAFT = "DRAFT"
_EDITS = (
    "_update_agent",
    "_update_agent_action_group",
    "_delete_agent_action_group",
    "_associate_agent_kb",
    "_update_agent_kb",
    "_disassociate_agent_kb",
)

type Operation = Callable[..., Response]

_prepared = AccountRegionScopedDict()  # "<agent id>/<version>": Agent


def install(_engine: Engine) -> None:
    for name, gap in (
        ("_prepare_agent", _prepare_agent),
        ("_create_agent_alias", _create_alias),
        ("_update_agent_alias", _update_alias),
        ("_create_agent_action_group", _create_action_group),
        ("_delete_agent", _delete_agent),
    ):
        _fill(name, gap)
    for name in _EDITS:
        _fill(name, _edit)
    for kind in bedrock_agent_types.RESOURCE_TYPES:
        register(kind)


def version_behind(agent_id: str, alias_id: str) -> Agent:
    """The version that an alias points at; raises ServiceError where there is no such alias, or nothing prepared."""
    if agent_id not in bedrock_agent._agents:
        raise _missing()
    if alias_id == TEST_ALIAS_ID:
        return _found(agent_id, _DRAFT)
    alias = bedrock_agent._agent_aliases.get(f"{agent_id}/{alias_id}")
    if alias is None:
        raise _missing()
    return _found(agent_id, alias["RoutingConfiguration"][0]["agentVersion"])


def _fill(name: str, gap: Callable[..., Response]) -> None:
    """Puts ``gap``, which gets the engine's operation first, in the operation's place; its errors become answers."""
    operation = original(bedrock_agent, name)

    @functools.wraps(operation)
    def filled(*arguments: Any) -> Response:
        try:
            return gap(operation, *arguments)
        except ServiceError as error:
            body = json.dumps({"message": error.message}).encode()
            return error.status, {"Content-Type": "application/json", "x-amzn-errortype": error.code}, body

    replace(bedrock_agent, name, filled)


def _prepare_agent(operation: Operation, agent_id: str) -> Response:
    agent = bedrock_agent._agents.get(agent_id)
    if agent is not None:
        prefix = f"{agent_id}/{_DRAFT}/"
        _prepared[f"{agent_id}/{_DRAFT}"] = agent_from(
            copy.deepcopy(agent),
            copy.deepcopy(_below(bedrock_agent._agent_action_groups, prefix)),
            copy.deepcopy(_below(bedrock_agent._agent_knowledge_bases, prefix)),
        )
        agent["PreparedAt"] = datetime.now(UTC).isoformat()
    return operation(agent_id)


def _create_action_group(operation: Operation, agent_id: str, version: str, body: bytes) -> Response:
    if agent_id not in bedrock_agent._agents:
        raise _missing()
    if version != _DRAFT:
        raise invalid("Only the DRAFT version of an agent can be edited.")
    asked = json_object(body or b"{}")
    require_runnable(
        {
            "ActionGroupName": asked.get("actionGroupName"),
            "ParentActionSignature": asked.get("parentActionGroupSignature"),
            "ApiSchema": asked.get("apiSchema"),
            "ActionGroupExecutor": asked.get("actionGroupExecutor"),
            "FunctionSchema": asked.get("functionSchema"),
        }
    )
    return _edit(operation, agent_id, version, body)


def _edit(operation: Operation, agent_id: str, *arguments: Any) -> Response:
    answered = operation(agent_id, *arguments)
    agent = bedrock_agent._agents.get(agent_id)
    if agent is not None and answered[0] < 300:
        agent["AgentStatus"] = "NOT_PREPARED"
    return answered


def _create_alias(operation: Operation, agent_id: str, body: bytes) -> Response:
    if agent_id not in bedrock_agent._agents:
        raise _missing()
    return operation(agent_id, json.dumps(_routed(agent_id, json_object(body or b"{}"))).encode())


def _update_alias(operation: Operation, agent_id: str, alias_id: str, body: bytes) -> Response:
    if f"{agent_id}/{alias_id}" not in bedrock_agent._agent_aliases:
        raise _missing()
    return operation(agent_id, alias_id, json.dumps(_routed(agent_id, json_object(body or b"{}"))).encode())


def _routed(agent_id: str, alias: dict[str, Any]) -> dict[str, Any]:
    """``alias`` with a version to point at: the one that it names, else a new one."""
    routes = alias.get("routingConfiguration") or []
    if not routes:
        return alias | {"routingConfiguration": [{"agentVersion": _new_version(agent_id)}]}
    version = routes[0].get("agentVersion")
    if len(routes) != 1 or version == _DRAFT or f"{agent_id}/{version}" not in _prepared:
        raise invalid(f"An alias points at one version of the agent; version {version} is none.")
    return alias


def _new_version(agent_id: str) -> str:
    record = bedrock_agent._agents[agent_id]
    if record["AgentStatus"] != "PREPARED":
        raise invalid(
            "Create operation can't be performed on AgentAlias when Agent is in Not Prepared state. "
            "Prepare the agent and try again."
        )
    numbers = [int(key.partition("/")[2]) for key in bedrock_agent._agent_versions if key.startswith(f"{agent_id}/")]
    version = str(max(numbers, default=0) + 1)
    _prepared[f"{agent_id}/{version}"] = dataclasses.replace(_found(agent_id, _DRAFT), version=version)
    for store in (bedrock_agent._agent_action_groups, bedrock_agent._agent_knowledge_bases):
        for key, drafted in list(store.items()):
            if key.startswith(f"{agent_id}/{_DRAFT}/"):
                place = key.replace(f"/{_DRAFT}/", f"/{version}/", 1)
                store[place] = copy.deepcopy(drafted) | {"AgentVersion": version}
    described = {name: value for name, value in record.items() if name != "AgentVersion"}
    bedrock_agent._agent_versions[f"{agent_id}/{version}"] = copy.deepcopy(described) | {"Version": version}
    return version


def _delete_agent(operation: Operation, agent_id: str, query: Mapping[str, list[str]]) -> Response:
    in_use = _below(bedrock_agent._agent_aliases, f"{agent_id}/")
    if in_use and query.get("skipResourceInUseCheck", ["false"])[0] != "true":
        raise ServiceError("ConflictException", 409, f"Agent {agent_id} is used by {len(in_use)} aliases.")
    answered = operation(agent_id, query)
    for store in (
        _prepared,
        bedrock_agent._agent_aliases,
        bedrock_agent._agent_versions,
        bedrock_agent._agent_action_groups,
        bedrock_agent._agent_knowledge_bases,
    ):
        for key in [key for key in store if key.startswith(f"{agent_id}/")]:
            del store[key]
    return answered


def _found(agent_id: str, version: str) -> Agent:
    agent: Agent | None = _prepared.get(f"{agent_id}/{version}")
    if agent is None:
        raise invalid(f"Agent {agent_id} is not prepared. Prepare the agent and try again.")
    return agent


def _below(store: AccountRegionScopedDict, prefix: str) -> list[dict[str, Any]]:
    return [record for key, record in store.items() if key.startswith(prefix)]


def _missing() -> ServiceError:
    return ServiceError(
        "ResourceNotFoundException",
        404,
        "Failed to retrieve resource because it doesn't exist. "
        "Retry your request with a different resource identifier.",
    )
