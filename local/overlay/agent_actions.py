"""An agent's call of the function behind an action group: the event that it sends, and what the answer may be.

Not an overlay by itself. https://docs.aws.amazon.com/bedrock/latest/userguide/agents-lambda.html: the function's
resource policy must let bedrock.amazonaws.com invoke it for the agent's ARN; FAILURE fails the invocation, REPROMPT
gives the text to the model as something to work on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ministack.core.responses import get_account_id, get_region

from local.overlay.agent_definition import Agent, Function, Parameter
from local.overlay.service_calls import Caller, CallError, call_function
from local.overlay.service_routes import ServiceError

_PRINCIPAL = "bedrock.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a function is told about the conversation that calls it."""

    alias_id: str
    session_id: str
    input_text: str
    session_attributes: Mapping[str, str]
    prompt_session_attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ActionAnswer:
    """A function's answer; None for attributes that it left as they are."""

    text: str
    state: Literal["", "REPROMPT"]
    session_attributes: dict[str, str] | None
    prompt_session_attributes: dict[str, str] | None


def parameters_of(function: Function, arguments: Mapping[str, Any]) -> list[dict[str, str]]:
    """The arguments as AWS writes them, all as text; raises ValueError, for the model to read, where they misfit."""
    known = {parameter.name: parameter for parameter in function.parameters}
    unknown = sorted(arguments.keys() - known.keys())
    missing = [name for name, parameter in known.items() if parameter.required and arguments.get(name) is None]
    if unknown:
        raise ValueError(f"{function.name} has no parameter {', '.join(unknown)}.")
    if missing:
        raise ValueError(f"{function.name} needs {', '.join(missing)}. Ask the user where you do not know it.")
    return [
        {"name": name, "type": known[name].type, "value": _written(value, known[name])}
        for name, value in arguments.items()
        if value is not None
    ]


def run_action(
    agent: Agent, function: Function, parameters: list[dict[str, str]], conversation: Conversation
) -> ActionAnswer:
    """Invokes the function; raises ServiceError where it may not be, fails, or answers what AWS would not take."""
    caller = Caller(_PRINCIPAL, agent.arn, get_account_id(), get_region())
    try:
        result = call_function(caller, function.lambda_arn, _event(agent, function, parameters, conversation))
    except CallError as error:
        if error.code == "NO_RESOURCE":
            raise _failed(str(error)) from error
        raise ServiceError(
            "AccessDeniedException",
            403,
            f"Access denied while invoking Lambda function {function.lambda_arn}. Check the permissions on the Lambda "
            f"function and retry the request. ({error})",
        ) from error
    if result.get("throttle"):
        raise ServiceError("ThrottlingException", 429, f"Lambda function {function.lambda_arn} was throttled.")
    if result.get("error"):
        raise _failed(
            f"Your request couldn't be completed. Lambda function {function.lambda_arn} encountered a problem while "
            f"processing request. The error message from the Lambda function is {_reason(result.get('body'))}."
        )
    return read_answer(function, result.get("body"))


def read_answer(function: Function, body: Any) -> ActionAnswer:
    """What the function's answer says; raises ServiceError where it says FAILURE or is not of the documented form."""
    try:
        answer = json.loads(body) if isinstance(body, str | bytes) else body
        response = answer["response"]
        functional = response["functionResponse"]
        text = functional["responseBody"]["TEXT"]["body"]
        named = (response["actionGroup"], response["function"])
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"{error!r} in {str(body)[:200]!r}") from error
    if named != (function.action_group, function.name):
        raise _unreadable(f"it answers for {named}")
    if not isinstance(text, str):
        raise _unreadable("the body of TEXT is no text")
    state = functional.get("responseState", "")
    if state == "FAILURE":
        raise _failed(f"{function.name} of action group {function.action_group} failed: {text}")
    if state not in ("", "REPROMPT"):
        raise _unreadable(f"responseState is {state!r}")
    return ActionAnswer(text, state, answer.get("sessionAttributes"), answer.get("promptSessionAttributes"))


def _event(
    agent: Agent, function: Function, parameters: list[dict[str, str]], conversation: Conversation
) -> dict[str, Any]:
    return {
        "messageVersion": "1.0",
        "agent": {
            "name": agent.name,
            "id": agent.agent_id,
            "alias": conversation.alias_id,
            "version": agent.version,
        },
        "inputText": conversation.input_text,
        "sessionId": conversation.session_id,
        "actionGroup": function.action_group,
        "function": function.name,
        "parameters": parameters,
        "sessionAttributes": dict(conversation.session_attributes),
        "promptSessionAttributes": dict(conversation.prompt_session_attributes),
    }


def _written(value: Any, parameter: Parameter) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and parameter.type == "integer":
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def _reason(body: Any) -> str:
    return str(body.get("errorMessage", body)) if isinstance(body, dict) else str(body)


def _unreadable(why: str) -> ServiceError:
    return _failed(
        "The server encountered an error processing the Lambda response. Check the Lambda response and retry the "
        f"request. ({why})"
    )


def _failed(message: str) -> ServiceError:
    return ServiceError("DependencyFailedException", 424, message)
