"""One version of a Bedrock agent, as it was prepared: what an invocation runs, whatever is edited meanwhile.

Not an overlay by itself. Read from the records of ``bedrock-agent``; what an agent here could not run is refused when
the agent is prepared, with a word why, and not left out at run time. Limits are those of
https://docs.aws.amazon.com/general/latest/gr/bedrock.html (functions of an agent, parameters of a function).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import get_account_id, get_region

from local.overlay.bedrock_runtime import foundation_model
from local.overlay.service_routes import invalid

_MOST_PARAMETERS = 5
_MOST_FUNCTIONS = 11
_ASKS_THE_USER = "AMAZON.UserInput"  # every model here may answer with a question, so it changes nothing
_UNSERVED = ("memoryConfiguration", "promptOverrideConfiguration", "customerEncryptionKeyArn", "customOrchestration")

type Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """``type``: string, number, integer, boolean or array."""

    name: str
    type: str
    description: str
    required: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A function of an action group, which the model knows as a tool of the same name.

    ``lambda_arn`` is empty where the caller of InvokeAgent runs the function; ``needs_confirmation`` where the caller
    must confirm it first.
    """

    action_group: str
    name: str
    description: str
    parameters: tuple[Parameter, ...]
    lambda_arn: str
    needs_confirmation: bool

    @property
    def input_schema(self) -> dict[str, Any]:
        properties = {
            parameter.name: {"type": parameter.type, "description": parameter.description}
            for parameter in self.parameters
        }
        required = [parameter.name for parameter in self.parameters if parameter.required]
        return {"type": "object", "properties": properties, "required": required}


@dataclass(frozen=True, slots=True)
class KnowledgeBaseUse:
    """A knowledge base that the agent may search; ``description`` tells the model what for."""

    knowledge_base_id: str
    description: str

    @property
    def tool_name(self) -> str:
        return f"x_amz_knowledgebase_{self.knowledge_base_id}__Search"


@dataclass(frozen=True, slots=True)
class GuardrailUse:
    identifier: str
    version: str


@dataclass(frozen=True, slots=True)
class Agent:
    agent_id: str
    name: str
    version: str
    role_arn: str
    foundation_model: str
    instruction: str
    idle_seconds: int
    functions: tuple[Function, ...]
    knowledge_bases: tuple[KnowledgeBaseUse, ...]
    guardrail: GuardrailUse | None

    @property
    def arn(self) -> str:
        return f"arn:aws:bedrock:{get_region()}:{get_account_id()}:agent/{self.agent_id}"


def agent_from(agent: Record, action_groups: Iterable[Record], knowledge_bases: Iterable[Record]) -> Agent:
    """The working draft that the records say; raises ServiceError (ValidationException) where it cannot be run."""
    for wanted in _UNSERVED:
        if agent.get(wanted[0].upper() + wanted[1:]):
            raise invalid(f"The local Bedrock Agents do not serve {wanted}.")
    if agent.get("AgentCollaboration") not in (None, "DISABLED"):
        raise invalid("The local Bedrock Agents do not serve agentCollaboration.")
    for name in ("Instruction", "FoundationModel", "AgentResourceRoleArn"):
        if not agent.get(name):
            raise invalid(f"Failed to prepare agent: {name[0].lower() + name[1:]} is missing.")
    foundation_model(agent["FoundationModel"])
    guardrail = agent.get("GuardrailConfiguration") or {}
    return Agent(
        agent_id=agent["AgentId"],
        name=agent["AgentName"],
        version="DRAFT",
        role_arn=agent["AgentResourceRoleArn"],
        foundation_model=agent["FoundationModel"],
        instruction=agent["Instruction"],
        idle_seconds=int(agent.get("IdleSessionTTLInSeconds") or 600),
        functions=_functions(action_groups),
        knowledge_bases=tuple(
            KnowledgeBaseUse(use["KnowledgeBaseId"], use.get("Description", ""))
            for use in knowledge_bases
            if use["KnowledgeBaseState"] == "ENABLED"
        ),
        guardrail=(
            GuardrailUse(guardrail["guardrailIdentifier"], guardrail["guardrailVersion"]) if guardrail else None
        ),
    )


def require_runnable(group: Record) -> None:
    """Raises ServiceError (ValidationException) for an action group, in its record's names, that cannot be run here."""
    signature = group.get("ParentActionSignature")
    if signature == _ASKS_THE_USER:
        return
    if signature or group.get("ApiSchema"):
        what = signature or "an API schema"
        raise invalid(f"Action group {group['ActionGroupName']}: the local agents serve function schemas, not {what}.")
    executor = group.get("ActionGroupExecutor") or {}
    if not executor.get("lambda") and executor.get("customControl") != "RETURN_CONTROL":
        raise invalid(f"Action group {group['ActionGroupName']} has no executor: a Lambda function or RETURN_CONTROL.")
    functions = (group.get("FunctionSchema") or {}).get("functions") or []
    if not functions:
        raise invalid(f"Action group {group['ActionGroupName']} has no function in its functionSchema.")
    for function in functions:
        if len(function.get("parameters") or {}) > _MOST_PARAMETERS:
            raise invalid(f"Function {function['name']} has more than {_MOST_PARAMETERS} parameters.")


def _functions(action_groups: Iterable[Record]) -> tuple[Function, ...]:
    found: list[Function] = []
    for group in action_groups:
        if group["ActionGroupState"] == "ENABLED" and not group.get("ParentActionSignature"):
            require_runnable(group)
            found.extend(_function(group, function) for function in group["FunctionSchema"]["functions"])
    names = [function.name for function in found]
    if len(names) != len(set(names)):
        raise invalid("Two functions of the agent have the same name; give each a name of its own.")
    if len(names) > _MOST_FUNCTIONS:
        raise invalid(f"The agent has {len(names)} functions; the quota is {_MOST_FUNCTIONS} enabled ones.")
    return tuple(found)


def _function(group: Record, function: Record) -> Function:
    return Function(
        action_group=group["ActionGroupName"],
        name=function["name"],
        description=function.get("description", ""),
        parameters=tuple(
            Parameter(name, detail["type"], detail.get("description", ""), bool(detail.get("required", False)))
            for name, detail in (function.get("parameters") or {}).items()
        ),
        lambda_arn=group["ActionGroupExecutor"].get("lambda", ""),
        needs_confirmation=function.get("requireConfirmation", "DISABLED") == "ENABLED",
    )
