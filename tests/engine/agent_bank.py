"""A small bank for agents in a test: its tools as a function, an agent and a harness that use them, what was called.

The tools answer as functions/agent_tools does, out of one customer's made-up facts: two cards, two payments, a policy.
"""

import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from agent_port import Agent, Meter, Session
from agent_tools_client import AgentToolsClient
from agentcore_agent import AgentCoreAgent
from backbone.tool_catalogue import ACTION_GROUP, TOOLS, ToolSpec
from bedrock_agent import BedrockAgent
from converse_agent import ConverseAgent
from tests.engine.functions import logged
from tests.engine.stacks import Client, Template, deployed, outputs_of, template

ENGINES = ("converse", "bedrock-agent", "agentcore")
MODEL = "eu.amazon.nova-lite-v1:0"
MODEL_ARNS = [
    f"arn:aws:bedrock:eu-central-1:000000000000:inference-profile/{MODEL}",
    "arn:aws:bedrock:*::foundation-model/amazon.nova-lite-v1:0",
]
CUSTOMER = "CUST-000001"
CARDS = ("Debit card ending 0042 (CARD-000042) is active.", "Credit card ending 0043 (CARD-000043) is blocked.")
PAYMENT = (
    "On 21 November 2026 312.00 EUR were paid at Larkspur Electronics with CARD-000042 (TXN-000007); it was flagged."
)
PASSAGE = "The travel policy covers lost baggage up to 1,500.00 EUR."
BLOCKED = "The debit card ending 0042 (CARD-000042) is blocked now."
NO_SUCH_CARD = "You have no card CARD-000099."
_CODE = """
    import json

    CARDS = __CARDS__
    ROWS = [{"cardId": "CARD-000042", "status": "active"}, {"cardId": "CARD-000043", "status": "blocked"}]
    PASSAGE = {"documentId": "DOC-1", "fileName": "travel-policy.pdf", "passage": "p3", "page": 2, "text": __PASSAGE__}

    def handler(event, context):
        arguments = {said["name"]: said["value"] for said in event["parameters"]}
        called = {"tool": event["function"], "arguments": arguments, "session": event["sessionAttributes"]}
        print(json.dumps({"called": called}))
        answer, failure = told(event["function"], arguments), {}
        if answer is None:
            answer, failure = {"away": "the table"}, {"responseState": "FAILURE"}
        body = {"responseBody": {"TEXT": {"body": json.dumps(answer)}}}
        response = {"actionGroup": event["actionGroup"], "function": event["function"]}
        return {"messageVersion": "1.0", "response": response | {"functionResponse": body | failure}}

    def told(tool, arguments):
        if tool == "list_cards":
            return done(CARDS, {"cards": ROWS})
        if tool == "list_transactions":
            return done([__PAYMENT__], {"transactions": [{"transactionId": "TXN-000007", "cardId": "CARD-000042"}]})
        if tool == "search_documents":
            return done([__PASSAGE__], {}, [PASSAGE])
        if tool == "block_card" and arguments["cardId"] == "CARD-000042":
            return done([__BLOCKED__], {})
        if tool == "block_card":
            return {"state": "refused", "facts": [__NO_SUCH_CARD__], "data": {}, "citations": []}
        return None  # explain_flag and open_case: what they need is away

    def done(facts, data, citations=()):
        return {"state": "done", "facts": facts, "data": data, "citations": list(citations)}
"""


@dataclass(frozen=True)
class Bank:
    """A deployed bank. ``agent("converse", meter)`` is the engine of that name before it."""

    aws: Client
    outputs: dict[str, str]

    def agent(self, engine: str, meter: Meter) -> Agent:
        function = self.outputs["Function"]
        tools = AgentToolsClient(self.aws("lambda"), function, lambda *_: None, lambda *_, **__: None)
        agents: dict[str, Callable[[], Agent]] = {
            "converse": lambda: ConverseAgent(self.aws("bedrock-runtime"), MODEL, tools, meter),
            "bedrock-agent": lambda: BedrockAgent(
                self.aws("bedrock-agent-runtime"), self.outputs["Agent"], self.outputs["Alias"], meter
            ),
            "agentcore": lambda: AgentCoreAgent(
                self.aws("bedrock-agentcore"), self.outputs["Harness"], MODEL, tools, meter
            ),
        }
        return agents[engine]()

    def called(self, session: Session) -> list[dict[str, Any]]:
        """What the tools were asked for in this conversation: tool, arguments, session."""
        lines = [line for line in logged(self.aws, self.outputs["Function"]) if '"called"' in line]
        calls = [json.loads(line[line.index("{") :])["called"] for line in lines]
        return [call for call in calls if call["session"]["conversationId"] == session.conversation_id]


@contextmanager
def a_bank(aws: Client) -> Iterator[Bank]:
    with deployed(aws, _template()) as stack:
        yield Bank(aws, outputs_of(aws, stack))


def a_customer(turn: int = 1, conversation_id: str = "") -> Session:
    """A customer of the bank, in a conversation of their own."""
    return Session("person-1", "customer", CUSTOMER, conversation_id or str(uuid4()), turn, "correlation-1")


def _code() -> str:
    told = {"CARDS": CARDS, "PASSAGE": PASSAGE, "PAYMENT": PAYMENT, "BLOCKED": BLOCKED, "NO_SUCH_CARD": NO_SUCH_CARD}
    code = _CODE
    for name, value in told.items():
        code = code.replace(f"__{name}__", repr(list(value) if isinstance(value, tuple) else value))
    return textwrap.dedent(code)


def _template() -> Template:
    return template(
        {
            "ToolsRole": _role("lambda.amazonaws.com", ["logs:*"], ["*"]),
            "Tools": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Role": {"Fn::GetAtt": ["ToolsRole", "Arn"]},
                    "Code": {"ZipFile": _code()},
                    "Timeout": 20,
                },
            },
            "ToolsLog": {  # there before the first call, so that it can be asked whether there was one
                "Type": "AWS::Logs::LogGroup",
                "Properties": {"LogGroupName": {"Fn::Sub": "/aws/lambda/${Tools}"}},
            },
            "AgentMayUseTools": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": {"Ref": "Tools"},
                    "Principal": "bedrock.amazonaws.com",
                    "SourceArn": {"Fn::GetAtt": ["Agent", "AgentArn"]},
                },
            },
            "AgentRole": _role("bedrock.amazonaws.com", ["bedrock:InvokeModel"], MODEL_ARNS),
            "Agent": {
                "Type": "AWS::Bedrock::Agent",
                "Properties": {
                    "AgentName": f"bank-{uuid4().hex[:8]}",
                    "AgentResourceRoleArn": {"Fn::GetAtt": ["AgentRole", "Arn"]},
                    "FoundationModel": MODEL,
                    "Instruction": "You are the assistant of a bank's operations desk. Look things up; do not guess.",
                    "IdleSessionTTLInSeconds": 900,
                    "AutoPrepare": True,
                    "ActionGroups": [
                        {
                            "ActionGroupName": ACTION_GROUP,
                            "ActionGroupExecutor": {"Lambda": {"Fn::GetAtt": ["Tools", "Arn"]}},
                            "FunctionSchema": {"Functions": [_function(tool) for tool in TOOLS]},
                        }
                    ],
                },
            },
            "Alias": {
                "Type": "AWS::Bedrock::AgentAlias",
                "Properties": {"AgentId": {"Ref": "Agent"}, "AgentAliasName": "live"},
            },
            "HarnessRole": _role(
                "bedrock-agentcore.amazonaws.com", ["bedrock:InvokeModelWithResponseStream"], MODEL_ARNS
            ),
            "Harness": {
                "Type": "AWS::BedrockAgentCore::Harness",
                "Properties": {
                    "HarnessName": f"bank_{uuid4().hex[:8]}",
                    "ExecutionRoleArn": {"Fn::GetAtt": ["HarnessRole", "Arn"]},
                    "Model": {"BedrockModelConfig": {"ModelId": MODEL, "Temperature": 0}},
                    "Memory": {"Disabled": {}},
                },
            },
        },
        {
            "Function": {"Ref": "Tools"},
            "Agent": {"Fn::GetAtt": ["Agent", "AgentId"]},
            "Alias": {"Fn::GetAtt": ["Alias", "AgentAliasId"]},
            "Harness": {"Ref": "Harness"},
        },
    )


def _function(tool: ToolSpec) -> dict[str, Any]:
    """The tool as an action group has it."""
    return {
        "Name": tool.name,
        "Description": tool.description,
        "RequireConfirmation": "ENABLED" if tool.changes else "DISABLED",
        "Parameters": {
            parameter.name: {
                "Type": parameter.type,
                "Description": parameter.description,
                "Required": parameter.required,
            }
            for parameter in tool.parameters
        },
    }


def _role(service: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    grant = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [{"PolicyName": "test", "PolicyDocument": {"Version": "2012-10-17", "Statement": [grant]}}],
        },
    }
