"""AWS::BedrockAgentCore::Harness, GetHarness and ListHarnesses: the engine has AgentCore's runtimes, but no harness.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-bedrockagentcore-harness.html
https://docs.aws.amazon.com/bedrock-agentcore-control/latest/APIReference/API_Harness.html
A template's properties are read by botocore's model of CreateHarness, which is the protocol. ``Ref`` is the ARN.

What invoking (``agentcore_harness``) serves is taken: a Bedrock model, a system prompt, inline functions, allowedTools,
limits, memory. A harness that asks for what does not run here (gateways, MCP servers, a browser, code interpreters,
skills, hooks, images, inbound OAuth) is refused with the reason, not made without it.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.session import Session
from botocore.validate import ParamValidator
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from local.overlay.authorization import Response, access_denied, refusal_of_assumption, refusal_of_caller
from local.overlay.cloudformation_types import Properties, Provisioned, ResourceType, register
from local.overlay.engine_hooks import Engine
from local.overlay.service_routes import ServiceError, answer, understand

SERVICE_PRINCIPAL = "bedrock-agentcore.amazonaws.com"
_CONTROL = Session().get_service_model("bedrock-agentcore-control")
_NOT_SERVED = ("skills", "hooks", "environmentArtifact", "authorizerConfiguration")
_ONLY_TOOL_TYPE = "inline_function"
_DEFAULT_IDLE_SECONDS = 900
# What a harness is made of; the rest of CreateHarness's input (client token, tags) is about the making.
_SETTINGS = (
    *("model", "systemPrompt", "tools", "allowedTools", "truncation", "memory", "environmentVariables"),
    *("maxIterations", "maxTokens", "timeoutSeconds"),
)


@dataclass
class Harness:
    """``settings`` are CreateHarness's parameters; ``version`` counts the updates, from 1."""

    name: str
    harness_id: str
    role_arn: str
    settings: dict[str, Any]
    environment: dict[str, Any]
    created: datetime
    updated: datetime
    version: int = 1

    @property
    def arn(self) -> str:
        return f"arn:aws:bedrock-agentcore:{get_region()}:{get_account_id()}:harness/{self.harness_id}"

    @property
    def idle_seconds(self) -> int:
        """How long a session lives with nobody calling it."""
        lifecycle = self.environment.get("lifecycleConfiguration") or {}
        return int(lifecycle.get("idleRuntimeSessionTimeout", _DEFAULT_IDLE_SECONDS))


_harnesses = AccountRegionScopedDict()


def install(_engine: Engine) -> None:
    register(
        ResourceType(
            "AWS::BedrockAgentCore::Harness",
            create=_create,
            update=_update,
            delete=_delete,
            replaced_by=("HarnessName",),
            named_by="HarnessName",
        )
    )


def find_harness(arn: str) -> Harness:
    """The harness at ``arn``; raises ServiceError where there is none."""
    harness: Harness | None = _harnesses.get(arn.rpartition("/")[2])
    if harness is None or harness.arn != arn:
        raise ServiceError("ResourceNotFoundException", 404, f"The harness {arn} was not found.")
    return harness


def refuse_what_does_not_run(settings: Mapping[str, Any]) -> None:
    """Raises ValueError, naming it, where ``settings`` ask for what only AWS has."""
    asked = [name for name in _NOT_SERVED if settings.get(name)]
    asked += [f"a tool of type {tool['type']}" for tool in settings.get("tools", ()) if tool["type"] != _ONLY_TOOL_TYPE]
    asked += [f"a model by {kind}" for kind in settings.get("model", ()) if kind != "bedrockModelConfig"]
    if asked:
        raise ValueError(f"The local harness runs Bedrock models with inline functions; it has no {', '.join(asked)}.")


def refusal_of_parameters(operation: OperationModel, parameters: Mapping[str, Any]) -> str | None:
    """What the operation's model does not take of ``parameters``, or None."""
    if operation.input_shape is None:
        return None
    report = ParamValidator().validate(parameters, operation.input_shape)
    return str(report.generate_report()) if report.has_errors() else None


# --- Describing


def control_plane(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
) -> Response:
    """The answer to a request for GetHarness or ListHarnesses; raises ServiceError for any other operation."""
    call = understand(_CONTROL, method, path, query, body)
    name = call.operation.name
    if name not in ("GetHarness", "ListHarnesses"):
        raise ServiceError(
            "UnknownOperationException", 404, f"Here harnesses are made by CloudFormation, not by {name}."
        )
    wanted = call.parameters.get("harnessId", "")
    harness: Harness | None = _harnesses.get(wanted)
    arn = f"arn:aws:bedrock-agentcore:{get_region()}:{get_account_id()}:harness/{wanted}" if wanted else "*"
    if refusal := refusal_of_caller(headers, query, f"bedrock-agentcore:{name}", arn):
        return access_denied(refusal)
    if name == "ListHarnesses":
        listed = sorted(_harnesses.values(), key=lambda found: found.name)
        return answer(call.operation, {"harnesses": [_summary(found) for found in listed]})
    if harness is None:
        raise ServiceError("ResourceNotFoundException", 404, f"The harness {wanted} was not found.")
    return answer(call.operation, {"harness": _described(harness)})


def _summary(harness: Harness) -> dict[str, Any]:
    return {
        "harnessId": harness.harness_id,
        "harnessName": harness.name,
        "arn": harness.arn,
        "status": "READY",
        "createdAt": harness.created,
        "updatedAt": harness.updated,
        "harnessVersion": str(harness.version),
    }


def _described(harness: Harness) -> dict[str, Any]:
    """API_Harness has these always: without an allow list every tool is allowed."""
    always = {"systemPrompt": [], "tools": [], "skills": [], "allowedTools": ["*"]}
    environment = {"agentCoreRuntimeEnvironment": harness.environment}
    roles = {"executionRoleArn": harness.role_arn, "environment": environment}
    return _summary(harness) | roles | always | harness.settings


# --- CloudFormation


def _create(_logical_id: str, properties: Properties, _stack_name: str) -> Provisioned:
    parameters = _parameters(properties)
    name, now = parameters["harnessName"], datetime.now(UTC)
    if any(harness.name == name for harness in _harnesses.values()):
        raise ValueError(f"ConflictException: a harness named {name} already exists.")
    harness = Harness(name, f"{name}-{secrets.token_hex(5)}", "", {}, {}, now, now)
    _apply(harness, parameters)
    _harnesses[harness.harness_id] = harness
    return _provisioned(harness)


def _update(arn: str, properties: Properties) -> Provisioned:
    harness = find_harness(arn)
    _apply(harness, _parameters(properties))
    harness.version += 1
    harness.updated = datetime.now(UTC)
    return _provisioned(harness)


def _delete(arn: str) -> None:
    del _harnesses[find_harness(arn).harness_id]


def _apply(harness: Harness, parameters: Mapping[str, Any]) -> None:
    """Checks first, so that what AWS would refuse leaves the harness as it was."""
    refuse_what_does_not_run(parameters)
    role_arn = parameters["executionRoleArn"]
    if refusal := refusal_of_assumption(role_arn, SERVICE_PRINCIPAL, harness.arn):
        raise ValueError(f"Role validation failed for {role_arn}. {refusal}")
    environment = (parameters.get("environment") or {}).get("agentCoreRuntimeEnvironment") or {}
    harness.role_arn, harness.environment = role_arn, environment
    harness.settings = {name: parameters[name] for name in _SETTINGS if name in parameters}


def _parameters(properties: Properties) -> dict[str, Any]:
    """CreateHarness's parameters; raises ValueError for what its model does not take."""
    create = _CONTROL.operation_model("CreateHarness")
    parameters: dict[str, Any] = _as_api(properties, create.input_shape)
    parameters.pop("tags", None)  # a list in a template, a map in the API; nothing here reads them
    if refusal := refusal_of_parameters(create, parameters):
        raise ValueError(f"ValidationException: {refusal}")
    return parameters


def _as_api(value: Any, shape: Shape | None) -> Any:
    """A template's value under the API's names, with its numbers as numbers: a template may hold them as text."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping) and not shape.is_document_type:
        named = {key[:1].lower() + key[1:]: inner for key, inner in value.items()}
        return {key: _as_api(inner, shape.members.get(key)) for key, inner in named.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_as_api(inner, shape.member) for inner in value]
    if isinstance(shape, MapShape) or shape is None or not isinstance(value, str):
        return value
    if shape.type_name in ("integer", "float"):
        return json.loads(value)
    return value


def _provisioned(harness: Harness) -> Provisioned:
    times = {"CreatedAt": harness.created.isoformat(), "UpdatedAt": harness.updated.isoformat()}
    names = {"Arn": harness.arn, "HarnessId": harness.harness_id}
    return Provisioned(harness.arn, names | times | {"Status": "READY", "Version": str(harness.version)})
