"""Bedrock agents in a test: templates of them, what an invocation streams, and what a scripted model is made to say."""

import json
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.engine.openai_servers import Reply, a_completion

MODEL = "amazon.nova-lite-v1:0"
MODEL_ARN = f"arn:aws:bedrock:eu-central-1::foundation-model/{MODEL}"
INSTRUCTION = "You answer for the operations desk of a bank, and you look things up before you answer."
FUNCTIONS = [
    {"Name": "list_cards", "Description": "Lists the customer's cards."},
    {
        "Name": "block_card",
        "Description": "Blocks a card for good.",
        "RequireConfirmation": "ENABLED",
        "Parameters": {"cardId": {"Type": "string", "Description": "Which card.", "Required": "true"}},
    },
]


@dataclass
class Said:
    """What one invocation streamed."""

    text: str = ""
    chunks: list[dict[str, Any]] = field(default_factory=list)
    traces: list[dict[str, Any]] = field(default_factory=list)
    returned: list[dict[str, Any]] = field(default_factory=list)


def heard(stream: Any) -> Said:
    """Reads an InvokeAgent completion to its end; botocore raises where it ends in an exception."""
    said = Said()
    with closing(stream):  # an exception in it would leave the connection open
        for event in stream:
            if "chunk" in event:
                said.chunks.append(event["chunk"])
                said.text += event["chunk"]["bytes"].decode()
            elif "trace" in event:
                said.traces.append(event["trace"])
            else:
                said.returned.append(event["returnControl"])
    return said


def a_name() -> str:
    return f"agent-{uuid4().hex[:8]}"


def a_role_resource(*statements: dict[str, Any], **condition: Any) -> dict[str, Any]:
    """An agent's role as a resource; ``condition`` are operators of the trust policy."""
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}}
    trust |= {"Action": "sts:AssumeRole"} | ({"Condition": condition} if condition else {})
    policy = {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": list(statements)}}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [policy] if statements else [],
        },
    }


def an_agent_resource(role: Any, executor: Any = None, **more: Any) -> dict[str, Any]:
    """An agent as a resource, with FUNCTIONS behind ``executor`` if there is one."""
    group = {
        "ActionGroupName": "Bank",
        "ActionGroupExecutor": executor,
        "FunctionSchema": {"Functions": FUNCTIONS},
    }
    return {
        "Type": "AWS::Bedrock::Agent",
        "Properties": {
            "AgentName": a_name(),
            "AgentResourceRoleArn": role,
            "FoundationModel": MODEL,
            "Instruction": INSTRUCTION,
            "IdleSessionTTLInSeconds": "900",
            "AutoPrepare": True,
            **({"ActionGroups": [group]} if executor else {}),
            **more,
        },
    }


def an_alias_resource(agent: str = "Agent", **more: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Bedrock::AgentAlias",
        "Properties": {"AgentId": {"Ref": agent}, "AgentAliasName": "live", **more},
    }


def the_model_uses(tool: str, **arguments: Any) -> Reply:
    """The model server decides for a tool, in the protocol that ``local.models`` constrains it to."""
    return a_completion(json.dumps({"tool": tool, "arguments": arguments}))


def the_model_says(text: str, *, with_tools: bool = True) -> Reply:
    """The model server answers; in JSON where it may choose between tools and an answer."""
    return a_completion(json.dumps({"answer": text}) if with_tools else text)
