"""AgentCore's managed harness: InvokeHarness over the real local models, streamed. The engine has no such operation.

https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference/API_InvokeHarness.html
https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/harness-security.html
The caller needs bedrock-agentcore:InvokeHarness and bedrock-agentcore:InvokeAgentRuntime on the harness; the harness's
execution role bedrock:InvokeModelWithResponseStream on the model. Whatever fails in the loop, the model included, is a
RuntimeClientError whose message is that of the SDK in the harness ("An error occurred (ThrottlingException) when
calling the ConverseStream operation: ..."): of the call where nothing was said yet, else in the stream.

A harness here has inline functions only, so a tool's use always ends the invocation with stopReason tool_use: the
caller runs it and calls again (``agentcore_sessions``). The tools shell and file_operations, which every harness on AWS
has unless allowedTools leaves them out, are never offered. Sessions live in this process for the harness's idle time,
also with managed memory; nothing is truncated, and endpoints (qualifier) other than DEFAULT do not exist.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.model import ServiceModel
from botocore.session import Session
from ministack import app
from ministack.core import iam_actions
from ministack.core.responses import StreamingResponse
from ministack.services import bedrock_runtime as engine_runtime

from local.models.answering import Models
from local.overlay.agentcore_harness_types import (
    SERVICE_PRINCIPAL,
    Harness,
    control_plane,
    find_harness,
    refusal_of_parameters,
    refuse_what_does_not_run,
)
from local.overlay.agentcore_sessions import ConversationError, Message, Sessions, converse_request
from local.overlay.authorization import Response, refusal_of_caller, refusal_of_role
from local.overlay.bedrock_runtime import Event, arns_of, converse_stream, exception_frame, models_of
from local.overlay.engine_hooks import Engine, Receive, Send, original, replace
from local.overlay.service_routes import ServiceError, understand

_PREFIX, _INVOKE_PATH = "/harnesses", "/harnesses/invoke"
_ACTIONS = ("bedrock-agentcore:InvokeHarness", "bedrock-agentcore:InvokeAgentRuntime")
_SESSION_HEADER = "x-amzn-bedrock-agentcore-runtime-session-id"
_OVERRIDES = ("model", "systemPrompt", "tools", "allowedTools", "maxTokens", "timeoutSeconds")
_WHOLE_TURN = frozenset({"end_turn", "stop_sequence"})
_CALLS_AT_ONCE = 16


def install(engine: Engine) -> None:
    """Answers what is asked of harnesses; runtimes and memories stay the engine's."""
    service = Session().get_service_model("bedrock-agentcore")
    models, sessions = models_of(engine), Sessions()
    calls = ThreadPoolExecutor(_CALLS_AT_ONCE, "harness")
    handlers = original(app, "SERVICE_HANDLERS")
    runtimes = handlers["bedrock-agentcore"]

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Any:
        if not path.startswith(_PREFIX):
            return await runtimes(method, path, headers, body, query)
        try:
            if path != _INVOKE_PATH:
                return control_plane(method, path, headers, body, query)
            parameters = _parameters(service, method, headers, body, query)
            return await _stream(calls, _invocation(models, sessions, parameters))
        except ServiceError as error:
            return _refuse(error)

    handlers["bedrock-agentcore"] = handle
    _authorise_here()


def _authorise_here() -> None:
    """Leaves who may to the handler: the engine would ask on "*", knowing no harness's ARN."""
    extract = original(iam_actions, "extract_iam_action")

    def action_of(service: str, method: str, path: str, *rest: Any, **options: Any) -> str | None:
        if service == "bedrock-agentcore" and path.startswith(_PREFIX):
            return None  # the engine still authenticates
        action: str | None = extract(service, method, path, *rest, **options)
        return action

    replace(iam_actions, "extract_iam_action", action_of)


def _parameters(
    service: ServiceModel, method: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
) -> dict[str, Any]:
    """InvokeHarness's parameters, of a caller who may; raises ServiceError."""
    call = understand(service, method, _INVOKE_PATH, query, body)
    parameters = {name: value for name, value in call.parameters.items() if value is not None}
    parameters["runtimeSessionId"] = headers.get(_SESSION_HEADER, "")
    for action in _ACTIONS:
        if refusal := refusal_of_caller(headers, query, action, parameters.get("harnessArn", "*")):
            raise ServiceError("AccessDeniedException", 403, refusal)
    if refusal := refusal_of_parameters(call.operation, parameters):
        raise ServiceError("ValidationException", 400, refusal)
    if parameters.get("qualifier", "DEFAULT") != "DEFAULT":
        raise ServiceError("ResourceNotFoundException", 404, "A local harness has one endpoint, DEFAULT.")
    return parameters


# --- The loop


def _invocation(models: Models, sessions: Sessions, parameters: Mapping[str, Any]) -> Iterator[Event]:
    """The events of one invocation as they come; raises ServiceError, at the first or on the way."""
    harness = find_harness(parameters["harnessArn"])
    settings = harness.settings | {name: parameters[name] for name in _OVERRIDES if name in parameters}
    try:
        refuse_what_does_not_run(settings | {"skills": parameters.get("skills")})
    except ValueError as reason:
        raise ServiceError("ValidationException", 400, str(reason)) from reason
    model_id = settings["model"]["bedrockModelConfig"]["modelId"]
    _authorise_model(harness, model_id)
    session = (harness.arn, parameters["runtimeSessionId"])
    remembered = sessions.recall(*session, harness.idle_seconds)
    try:
        request = converse_request(settings, remembered, parameters["messages"])
        events = converse_stream(models, model_id, request)
    except ConversationError as reason:
        raise _failed_inside("ValidationException", str(reason)) from reason
    except ServiceError as error:
        raise _failed_inside(error.code, error.message) from error

    def keep(answer: Sequence[Message]) -> None:
        sessions.remember(*session, [*request["messages"], *answer])

    return _told(_inside(events), settings.get("timeoutSeconds"), keep)


def _authorise_model(harness: Harness, model_id: str) -> None:
    action = "bedrock:InvokeModelWithResponseStream"
    for arn in arns_of(model_id):
        if refusal := refusal_of_role(harness.role_arn, SERVICE_PRINCIPAL, action, arn, harness.arn):
            raise _failed_inside("AccessDeniedException", refusal)


def _inside(events: Iterator[Event]) -> Iterator[Event]:
    try:
        yield from events
    except ServiceError as error:
        raise _failed_inside(error.code, error.message) from error


def _failed_inside(code: str, message: str) -> ServiceError:
    said = f"An error occurred ({code}) when calling the ConverseStream operation: {message}"
    return ServiceError("RuntimeClientError", 424, said)


def _told(
    events: Iterator[Event], timeout_seconds: int | None, keep: Callable[[Sequence[Message]], None]
) -> Iterator[Event]:
    """The model's events as the harness's. Kept are a whole turn, and what was asked where a tool is to answer it."""
    deadline = time.monotonic() + timeout_seconds if timeout_seconds else float("inf")
    text = ""
    for name, content in events:
        if time.monotonic() > deadline:
            yield "messageStop", {"stopReason": "timeout_exceeded"}
            return
        if name == "messageStop":
            reason = content["stopReason"]
            if reason in _WHOLE_TURN or reason == "tool_use":
                keep([_assistant(text)] if text and reason != "tool_use" else [])
            yield name, {"stopReason": reason}
            continue
        text += content.get("delta", {}).get("text", "")
        yield name, content


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": [{"text": text}]}


# --- On the wire


async def _stream(calls: ThreadPoolExecutor, events: Iterator[Event]) -> Any:
    """The events, framed. What fails before the first is an error of the call, later one of the stream."""
    loop = asyncio.get_running_loop()
    head = await loop.run_in_executor(calls, next, events, None)

    async def run(send: Send, _receive: Receive) -> None:
        event = head
        while event:
            await send({"type": "http.response.body", "body": _frame(event), "more_body": True})
            try:
                event = await loop.run_in_executor(calls, next, events, None)
            except ServiceError as error:
                failed = exception_frame(error.code[0].lower() + error.code[1:], error.message)
                await send({"type": "http.response.body", "body": failed, "more_body": True})
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return 200, {"Content-Type": "application/vnd.amazon.eventstream"}, StreamingResponse(run)


def _frame(event: Event) -> bytes:
    return bytes(original(engine_runtime, "_es_event")(*event))


def _refuse(error: ServiceError) -> Response:
    reason = {"reason": "FieldValidationFailed"} if error.code == "ValidationException" else {}
    headers = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps({"message": error.message} | reason).encode()
