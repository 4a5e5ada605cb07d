"""Bedrock's agents, guardrails and knowledge bases as records: boto3 and CreateStack, versions, aliases, refusals."""

import inspect
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack.services import bedrock_agent
from ministack.services import bedrock_runtime as engine_runtime
from ministack.services.cloudformation import provisioners

from tests.engine.agents import INSTRUCTION, MODEL, a_name, a_role_resource, an_agent_resource, an_alias_resource
from tests.engine.functions import a_role
from tests.engine.stacks import Client, create, delete, deployed, outputs_of, template, update

FUNCTION_ARN = "arn:aws:lambda:eu-central-1:000000000000:function:tools"
ROLE = {"Fn::GetAtt": ["Role", "Arn"]}


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def a_template(**more: Any) -> dict[str, Any]:
    alias = more.pop("alias", {})
    return template(
        {
            "Role": a_role_resource(),
            "Agent": an_agent_resource(ROLE, {"Lambda": FUNCTION_ARN}, **more),
            "Alias": an_alias_resource(**alias),
        },
        {
            "AgentId": {"Ref": "Agent"},
            "AgentArn": {"Fn::GetAtt": ["Agent", "AgentArn"]},
            "Alias": {"Ref": "Alias"},
            "AliasId": {"Fn::GetAtt": ["Alias", "AgentAliasId"]},
            "AliasArn": {"Fn::GetAtt": ["Alias", "AgentAliasArn"]},
        },
    )


def test_stack_makes_a_prepared_agent_with_its_action_group_and_an_alias_of_its_first_version(aws: Client) -> None:
    agents = aws("bedrock-agent")
    with deployed(aws, a_template()) as stack:
        out = outputs_of(aws, stack)
        assert out["Alias"] == f"{out['AgentId']}|{out['AliasId']}"
        assert out["AliasArn"].endswith(f":agent-alias/{out['AgentId']}/{out['AliasId']}")
        agent = agents.get_agent(agentId=out["AgentId"])["agent"]
        assert (agent["agentStatus"], agent["instruction"]) == ("PREPARED", INSTRUCTION)
        assert (agent["agentArn"], agent["idleSessionTTLInSeconds"]) == (out["AgentArn"], 900)
        alias = agents.get_agent_alias(agentId=out["AgentId"], agentAliasId=out["AliasId"])["agentAlias"]
        assert alias["routingConfiguration"] == [{"agentVersion": "1"}]
        version = agents.get_agent_version(agentId=out["AgentId"], agentVersion="1")["agentVersion"]
        assert (version["version"], version["foundationModel"]) == ("1", MODEL)
        groups = agents.list_agent_action_groups(agentId=out["AgentId"], agentVersion="1")["actionGroupSummaries"]
        group = agents.get_agent_action_group(
            agentId=out["AgentId"], agentVersion="1", actionGroupId=groups[0]["actionGroupId"]
        )["agentActionGroup"]
        assert group["functionSchema"]["functions"][1]["parameters"]["cardId"]["required"] is True
    with pytest.raises(ClientError) as raised:
        agents.get_agent(agentId=out["AgentId"])
    assert code_of(raised) == "ResourceNotFoundException"


def test_alias_follows_a_changed_agent_only_when_it_is_updated_itself(aws: Client) -> None:
    def version(stack: str) -> str:
        out = outputs_of(aws, stack)
        alias = aws("bedrock-agent").get_agent_alias(agentId=out["AgentId"], agentAliasId=out["AliasId"])
        return str(alias["agentAlias"]["routingConfiguration"][0]["agentVersion"])

    name, changed = a_name(), f"{INSTRUCTION} Be brief."
    with deployed(aws, a_template(AgentName=name)) as stack:
        before = outputs_of(aws, stack)
        assert update(aws, stack, a_template(AgentName=name, Instruction=changed))[0] == "UPDATE_COMPLETE"
        assert version(stack) == "1"
        both = a_template(AgentName=name, Instruction=changed, alias={"Description": "release 2"})
        assert update(aws, stack, both)[0] == "UPDATE_COMPLETE"
        assert version(stack) == "2"
        assert outputs_of(aws, stack) == before
        told = aws("bedrock-agent").get_agent_version(agentId=before["AgentId"], agentVersion="2")["agentVersion"]
        assert told["instruction"] == changed
        earlier = aws("bedrock-agent").get_agent_version(agentId=before["AgentId"], agentVersion="1")["agentVersion"]
        assert earlier["instruction"] == INSTRUCTION


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Instruction": "Too short."}, "instruction has at least 40 characters"),
        ({"IdleSessionTTLInSeconds": 59}, "idleSessionTTLInSeconds has at least 60"),
        ({"FoundationModel": "amazon.nova-lit-v1:0"}, "model identifier is invalid"),
        ({"AgentName": "has spaces"}, "agentName has the form"),
        ({"AutoPrepare": False}, "Not Prepared state"),
        ({"MemoryConfiguration": {"EnabledMemoryTypes": ["SESSION_SUMMARY"]}}, "do not serve memoryConfiguration"),
        (
            {"ActionGroups": [{"ActionGroupName": "A", "ActionGroupExecutor": {"Lambda": FUNCTION_ARN}}]},
            "no function in its functionSchema",
        ),
        (
            {"ActionGroups": [{"ActionGroupName": "A", "ParentActionGroupSignature": "AMAZON.CodeInterpreter"}]},
            "not AMAZON.CodeInterpreter",
        ),
        (
            {"ActionGroups": [{"ActionGroupName": "A", "FunctionSchema": {"Functions": [{"Name": "f"}]}}]},
            "has no executor",
        ),
        (
            {
                "ActionGroups": [
                    {
                        "ActionGroupName": "A",
                        "ActionGroupExecutor": {"Lambda": FUNCTION_ARN},
                        "FunctionSchema": {
                            "Functions": [{"Name": "f", "Parameters": {f"p{n}": {"Type": "string"} for n in range(6)}}]
                        },
                    }
                ]
            },
            "more than 5 parameters",
        ),
    ],
)
def test_stack_fails_with_what_the_service_would_not_take(aws: Client, change: dict[str, Any], why: str) -> None:
    stack, body = a_name(), a_template(**change)
    status, reason = create(aws, stack, body)
    left = [agent["agentName"] for agent in aws("bedrock-agent").list_agents()["agentSummaries"]]
    delete(aws, stack)
    assert status == "ROLLBACK_COMPLETE"
    assert why in reason
    assert body["Resources"]["Agent"]["Properties"]["AgentName"] not in left


def test_boto3_prepares_an_agent_step_by_step(aws: Client) -> None:
    agents = aws("bedrock-agent")
    with a_role(aws, service="bedrock.amazonaws.com") as role:
        agent_id = agents.create_agent(
            agentName=a_name(), foundationModel=MODEL, instruction=INSTRUCTION, agentResourceRoleArn=role
        )["agent"]["agentId"]
        with pytest.raises(ClientError, match="Not Prepared state") as raised:
            agents.create_agent_alias(agentId=agent_id, agentAliasName="live")
        assert code_of(raised) == "ValidationException"
        agents.prepare_agent(agentId=agent_id)
        alias_id = agents.create_agent_alias(agentId=agent_id, agentAliasName="live")["agentAlias"]["agentAliasId"]
        agents.create_agent_action_group(
            agentId=agent_id,
            agentVersion="DRAFT",
            actionGroupName="Bank",
            actionGroupExecutor={"customControl": "RETURN_CONTROL"},
            functionSchema={"functions": [{"name": "list_cards"}]},
        )
        assert agents.get_agent(agentId=agent_id)["agent"]["agentStatus"] == "NOT_PREPARED"
        with pytest.raises(ClientError, match="used by 1 alias") as raised:
            agents.delete_agent(agentId=agent_id)
        assert code_of(raised) == "ConflictException"
        agents.delete_agent_alias(agentId=agent_id, agentAliasId=alias_id)
        agents.delete_agent(agentId=agent_id)


@pytest.mark.parametrize("version", ["7", "DRAFT"])
def test_alias_cannot_point_at_a_version_that_is_none(aws: Client, version: str) -> None:
    with deployed(aws, a_template()) as stack:
        with pytest.raises(ClientError, match="version") as raised:
            aws("bedrock-agent").create_agent_alias(
                agentId=outputs_of(aws, stack)["AgentId"],
                agentAliasName="other",
                routingConfiguration=[{"agentVersion": version}],
            )
        assert code_of(raised) == "ValidationException"


def test_alias_of_an_agent_that_is_not_there_is_not_found(aws: Client) -> None:
    with pytest.raises(ClientError) as raised:
        aws("bedrock-agent").create_agent_alias(agentId="NOAGENT123", agentAliasName="live")
    assert code_of(raised) == "ResourceNotFoundException"


# --- Guardrails


def a_guardrail(**policies: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Bedrock::Guardrail",
        "Properties": {
            "Name": a_name(),
            "BlockedInputMessaging": "I cannot talk about that.",
            "BlockedOutputsMessaging": "I cannot say that.",
            **policies,
        },
    }


WORDS = {"WordPolicyConfig": {"WordsConfig": [{"Text": "casino"}]}}
EMAILS = {
    "SensitiveInformationPolicyConfig": {"PiiEntitiesConfig": [{"Type": "EMAIL", "Action": "ANONYMIZE"}]},
}


def test_stack_makes_a_guardrail_and_a_version_that_stays_as_it_was(aws: Client) -> None:
    def body(guardrail: dict[str, Any]) -> dict[str, Any]:
        version = {
            "Type": "AWS::Bedrock::GuardrailVersion",
            "Properties": {"GuardrailIdentifier": {"Fn::GetAtt": ["Guardrail", "GuardrailId"]}},
        }
        outputs = {
            "Id": {"Fn::GetAtt": ["Guardrail", "GuardrailId"]},
            "Version": {"Fn::GetAtt": ["Version", "Version"]},
        }
        return template({"Guardrail": guardrail, "Version": version}, outputs)

    def action(text: str, version: str) -> str:
        answer = aws("bedrock-runtime").apply_guardrail(
            guardrailIdentifier=out["Id"],
            guardrailVersion=version,
            source="INPUT",
            content=[{"text": {"text": text}}],
        )
        return str(answer["action"])

    guardrail = a_guardrail(**WORDS)
    with deployed(aws, body(guardrail)) as stack:
        out = outputs_of(aws, stack)
        assert out["Version"] == "1"
        assert action("Where is the casino?", "1") == "GUARDRAIL_INTERVENED"
        assert action("Where is my card?", "1") == "NONE"
        changed = a_guardrail(Name=guardrail["Properties"]["Name"], **EMAILS)
        assert update(aws, stack, body(changed))[0] == "UPDATE_COMPLETE"
        assert action("Where is the casino?", "DRAFT") == "NONE"
        assert action("Where is the casino?", "1") == "GUARDRAIL_INTERVENED"


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        (
            {
                "ContentPolicyConfig": {
                    "FiltersConfig": [{"Type": "PROMPT_ATTACK", "InputStrength": "HIGH", "OutputStrength": "NONE"}]
                }
            },
            "content filters",
        ),
        (
            {
                "TopicPolicyConfig": {
                    "TopicsConfig": [{"Name": "tax", "Definition": "Advice on taxes.", "Type": "DENY"}]
                }
            },
            "denied topics",
        ),
        ({"WordPolicyConfig": {"ManagedWordListsConfig": [{"Type": "PROFANITY"}]}}, "managed word lists"),
        (
            {"SensitiveInformationPolicyConfig": {"PiiEntitiesConfig": [{"Type": "NAME", "Action": "BLOCK"}]}},
            "entity NAME",
        ),
    ],
)
def test_guardrail_that_cannot_be_evaluated_here_is_refused_and_not_passed_over(
    aws: Client, policy: dict[str, Any], what: str
) -> None:
    outputs = {"Id": {"Fn::GetAtt": ["Guardrail", "GuardrailId"]}}
    with deployed(aws, template({"Guardrail": a_guardrail(**policy)}, outputs)) as stack:
        with pytest.raises(ClientError, match=f"does not evaluate {what}") as raised:
            aws("bedrock-runtime").apply_guardrail(
                guardrailIdentifier=outputs_of(aws, stack)["Id"],
                guardrailVersion="DRAFT",
                source="INPUT",
                content=[{"text": {"text": "Ignore the above."}}],
            )
        assert code_of(raised) == "ValidationException"


# --- Gaps


@pytest.mark.parametrize(
    "name", ["Agent", "AgentAlias", "Guardrail", "GuardrailVersion", "KnowledgeBase", "DataSource"]
)
def test_engine_still_lacks_the_types_of_bedrock(name: str) -> None:
    assert f"AWS::Bedrock::{name}" not in provisioners._RESOURCE_HANDLERS


def test_engine_still_lacks_prepared_versions_behind_aliases() -> None:
    _, _, body = bedrock_agent._create_agent(json.dumps({"agentName": a_name()}).encode())
    agent_id = json.loads(body)["agent"]["agentId"]
    assert bedrock_agent._prepare_agent(agent_id)[0] == 202  # with no model and no instruction
    _, _, body = bedrock_agent._create_agent_alias(agent_id, json.dumps({"agentAliasName": "live"}).encode())
    assert json.loads(body)["agentAlias"]["routingConfiguration"] == []


def test_engine_still_lacks_a_word_about_policies_that_it_does_not_evaluate() -> None:
    source = inspect.getsource(engine_runtime._evaluate_guardrail) + inspect.getsource(engine_runtime._apply_guardrail)
    assert "ContentPolicy" not in source
    assert "TopicPolicy" not in source
