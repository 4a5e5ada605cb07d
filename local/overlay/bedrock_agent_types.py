"""AWS::Bedrock::Agent, ::AgentAlias, ::Guardrail, ::GuardrailVersion, ::KnowledgeBase and ::DataSource.

Over the engine's control plane as ``bedrock_agents`` completes it; the engine has the API and none of the types. See
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/AWS_Bedrock.html. Of a knowledge base the records
are kept, and its data source can be ingested; its vector store is not looked for (``bedrock_knowledge_bases``).

An alias without RoutingConfiguration gets a new version of the agent when it is created and whenever it is updated, and
not when only the agent is: a template that changes an agent changes the alias's Description with it, as on AWS.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel
from botocore.session import Session
from ministack.services import bedrock, bedrock_agent

from local.overlay.authorization import Response
from local.overlay.cloudformation_requests import request_from
from local.overlay.cloudformation_types import Properties, Provisioned, ResourceType
from local.overlay.engine_hooks import original

_DRAFT = "DRAFT"


# --- Agents


def _create_agent(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    agent_id = _called(bedrock_agent, "_create_agent", _body("CreateAgent", properties))["agent"]["agentId"]
    try:
        _complete_agent(agent_id, properties)
    except Exception:
        _called(bedrock_agent, "_delete_agent", agent_id, {})
        raise
    return _provisioned_agent(agent_id)


def _update_agent(agent_id: str, properties: Properties) -> Provisioned:
    request = request_from(_operation("bedrock-agent", "UpdateAgent"), properties, agentId=agent_id)
    gone = dict.fromkeys(("guardrailConfiguration", "memoryConfiguration", "promptOverrideConfiguration"))
    _called(bedrock_agent, "_update_agent", agent_id, _wire({"description": "", **gone} | request))
    for group in _called(bedrock_agent, "_list_agent_action_groups", agent_id, _DRAFT, b"{}")["actionGroupSummaries"]:
        _called(bedrock_agent, "_delete_agent_action_group", agent_id, _DRAFT, group["actionGroupId"], {})
    for base in _called(bedrock_agent, "_list_agent_kbs", agent_id, _DRAFT, b"{}")["agentKnowledgeBaseSummaries"]:
        _called(bedrock_agent, "_disassociate_agent_kb", agent_id, _DRAFT, base["knowledgeBaseId"])
    _complete_agent(agent_id, properties)
    return _provisioned_agent(agent_id)


def _complete_agent(agent_id: str, properties: Properties) -> None:
    place = {"agentId": agent_id, "agentVersion": _DRAFT}
    for group in properties.get("ActionGroups") or []:
        body = _body("CreateAgentActionGroup", group, **place)
        _called(bedrock_agent, "_create_agent_action_group", agent_id, _DRAFT, body)
    for base in properties.get("KnowledgeBases") or []:
        body = _body("AssociateAgentKnowledgeBase", base, **place)
        _called(bedrock_agent, "_associate_agent_kb", agent_id, _DRAFT, body)
    if str(properties.get("AutoPrepare", False)).lower() == "true":
        _called(bedrock_agent, "_prepare_agent", agent_id)


def _delete_agent(agent_id: str) -> None:
    if agent_id in bedrock_agent._agents:
        _called(bedrock_agent, "_delete_agent", agent_id, {})


def _provisioned_agent(agent_id: str) -> Provisioned:
    agent = _called(bedrock_agent, "_get_agent", agent_id)["agent"]
    named = ("agentArn", "agentId", "agentStatus", "agentVersion", "createdAt", "updatedAt", "preparedAt")
    return Provisioned(agent_id, _attributes(agent, *named))


# --- Aliases


def _create_alias(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    agent_id = str(properties["AgentId"])
    made = _called(bedrock_agent, "_create_agent_alias", agent_id, _body("CreateAgentAlias", properties))
    return _provisioned_alias(made["agentAlias"])


def _update_alias(physical_id: str, properties: Properties) -> Provisioned:
    agent_id, alias_id = physical_id.split("|")
    request = request_from(_operation("bedrock-agent", "UpdateAgentAlias"), properties, agentAliasId=alias_id)
    body = _wire({"description": ""} | request)
    return _provisioned_alias(_called(bedrock_agent, "_update_agent_alias", agent_id, alias_id, body)["agentAlias"])


def _delete_alias(physical_id: str) -> None:
    agent_id, alias_id = physical_id.split("|")
    if f"{agent_id}/{alias_id}" in bedrock_agent._agent_aliases:
        _called(bedrock_agent, "_delete_agent_alias", agent_id, alias_id)


def _provisioned_alias(alias: Mapping[str, Any]) -> Provisioned:
    named = ("agentAliasArn", "agentAliasId", "agentAliasStatus", "createdAt", "updatedAt")
    return Provisioned(f"{alias['agentId']}|{alias['agentAliasId']}", _attributes(alias, *named))


# --- Guardrails


def _create_guardrail(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    made = _called(bedrock, "_create_guardrail", _wire(_guardrail_request("CreateGuardrail", properties)))
    return _provisioned_guardrail(made["guardrailArn"])


def _update_guardrail(arn: str, properties: Properties) -> Provisioned:
    policies = ("topic", "content", "word", "sensitiveInformation", "contextualGrounding")
    gone = {f"{name}PolicyConfig": None for name in policies} | {"description": ""}
    request = _guardrail_request("UpdateGuardrail", properties, guardrailIdentifier=arn)
    _called(bedrock, "_update_guardrail", arn, _wire(gone | request))
    return _provisioned_guardrail(arn)


def _guardrail_request(name: str, properties: Properties, **more: Any) -> dict[str, Any]:
    key = {"kmsKeyId": properties["KmsKeyArn"]} if "KmsKeyArn" in properties else {}
    return request_from(_operation("bedrock", name), properties, **key, **more)


def _delete_guardrail(arn: str) -> None:
    if any(record["GuardrailArn"] == arn for record in bedrock._guardrails.values()):
        _called(bedrock, "_delete_guardrail", arn, {})


def _provisioned_guardrail(arn: str) -> Provisioned:
    guardrail = _called(bedrock, "_get_guardrail", arn, {})
    named = ("guardrailArn", "guardrailId", "status", "version", "createdAt", "updatedAt")
    return Provisioned(arn, _attributes(guardrail, *named))


def _create_guardrail_version(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    identifier = str(properties["GuardrailIdentifier"])
    description = {"description": properties["Description"]} if "Description" in properties else {}
    made = _called(bedrock, "_create_guardrail_version", identifier, _wire(description))
    return _provisioned_guardrail_version(f"{made['guardrailId']}|{made['version']}")


def _provisioned_guardrail_version(physical_id: str) -> Provisioned:
    identifier, version = physical_id.split("|")
    guardrail = _called(bedrock, "_get_guardrail", identifier, {"guardrailVersion": [version]})
    return Provisioned(physical_id, _attributes(guardrail, "guardrailArn", "guardrailId", "version"))


def _delete_guardrail_version(physical_id: str) -> None:
    bedrock._guardrail_versions.pop(physical_id.replace("|", "/"), None)


# --- Knowledge bases


def _create_knowledge_base(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    made = _called(bedrock_agent, "_create_kb", _body("CreateKnowledgeBase", properties))
    return _provisioned_knowledge_base(made["knowledgeBase"])


def _update_knowledge_base(knowledge_base_id: str, properties: Properties) -> Provisioned:
    operation = _operation("bedrock-agent", "UpdateKnowledgeBase")
    request = request_from(operation, properties, knowledgeBaseId=knowledge_base_id)
    made = _called(bedrock_agent, "_update_kb", knowledge_base_id, _wire({"description": ""} | request))
    return _provisioned_knowledge_base(made["knowledgeBase"])


def _delete_knowledge_base(knowledge_base_id: str) -> None:
    if knowledge_base_id in bedrock_agent._knowledge_bases:
        _called(bedrock_agent, "_delete_kb", knowledge_base_id)


def _provisioned_knowledge_base(base: Mapping[str, Any]) -> Provisioned:
    named = ("knowledgeBaseArn", "knowledgeBaseId", "status", "createdAt", "updatedAt")
    return Provisioned(base["knowledgeBaseId"], _attributes(base, *named))


def _create_data_source(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    base_id = str(properties["KnowledgeBaseId"])
    made = _called(bedrock_agent, "_create_ds", base_id, _body("CreateDataSource", properties))
    return _provisioned_data_source(made["dataSource"])


def _update_data_source(physical_id: str, properties: Properties) -> Provisioned:
    base_id, source_id = physical_id.split("|")
    request = request_from(_operation("bedrock-agent", "UpdateDataSource"), properties, dataSourceId=source_id)
    made = _called(bedrock_agent, "_update_ds", base_id, source_id, _wire({"description": ""} | request))
    return _provisioned_data_source(made["dataSource"])


def _delete_data_source(physical_id: str) -> None:
    base_id, source_id = physical_id.split("|")
    if f"{base_id}/{source_id}" in bedrock_agent._data_sources:
        _called(bedrock_agent, "_delete_ds", base_id, source_id)


def _provisioned_data_source(source: Mapping[str, Any]) -> Provisioned:
    attributes = _attributes(source, "dataSourceId", "createdAt", "updatedAt")
    physical_id = f"{source['knowledgeBaseId']}|{source['dataSourceId']}"
    return Provisioned(physical_id, attributes | {"DataSourceStatus": str(source["status"])})


RESOURCE_TYPES = (
    ResourceType("AWS::Bedrock::Agent", _create_agent, _update_agent, _delete_agent, ()),
    ResourceType("AWS::Bedrock::AgentAlias", _create_alias, _update_alias, _delete_alias, ("AgentId",)),
    ResourceType("AWS::Bedrock::Guardrail", _create_guardrail, _update_guardrail, _delete_guardrail, ()),
    ResourceType(
        "AWS::Bedrock::GuardrailVersion",
        _create_guardrail_version,
        lambda physical_id, _properties: _provisioned_guardrail_version(physical_id),
        _delete_guardrail_version,
        ("GuardrailIdentifier", "Description"),
    ),
    ResourceType(
        "AWS::Bedrock::KnowledgeBase",
        _create_knowledge_base,
        _update_knowledge_base,
        _delete_knowledge_base,
        ("KnowledgeBaseConfiguration", "StorageConfiguration"),
    ),
    ResourceType(
        "AWS::Bedrock::DataSource", _create_data_source, _update_data_source, _delete_data_source, ("KnowledgeBaseId",)
    ),
)


# --- The engine's control plane, called in this process


def _called(service: Any, name: str, *arguments: Any) -> dict[str, Any]:
    """What the engine's operation answers; raises ValueError with the service's message where it refuses."""
    answered: Response = original(service, name)(*arguments)
    status, _, body = answered
    answer: dict[str, Any] = json.loads(body or b"{}")
    if status >= 400:
        raise ValueError(answer.get("message") or body.decode())
    return answer


def _body(name: str, properties: Properties, **more: Any) -> bytes:
    return _wire(request_from(_operation("bedrock-agent", name), properties, **more))


def _wire(request: Mapping[str, Any]) -> bytes:
    return json.dumps(request).encode()


@functools.cache
def _operation(service: str, name: str) -> OperationModel:
    return Session().get_service_model(service).operation_model(name)


def _attributes(record: Mapping[str, Any], *names: str) -> dict[str, str]:
    """What Fn::GetAtt gives: the record's members, with CloudFormation's capital first."""
    return {name[0].upper() + name[1:]: str(record[name]) for name in names if record.get(name) is not None}
