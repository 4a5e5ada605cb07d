"""Tasks that wait for a callback (``.waitForTaskToken``): one token an attempt, and one answer a token.

AWS: "Discover service integration patterns in Step Functions" (wait for a callback with the task token), "Handling
errors in Step Functions workflows" (States.Timeout, States.HeartbeatTimeout; an error of the call is the task's), the
API reference of SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat (InvalidToken for what is no token; TaskTimedOut
for one that has expired or whose task was closed; InvalidOutput) and SAM's StepFunctionsCallbackPolicy, which grants
them on the state machine. The engine makes one token for all attempts of a task, waits on when the call has failed,
ignores HeartbeatSeconds and the role, knows a closed token as TaskDoesNotExist or takes a second answer to it, and
authorises the answers on no resource.
"""

import base64
import contextvars
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from ministack.core import iam_actions
from ministack.core.responses import error_response_json, json_response
from ministack.services import stepfunctions

from local.overlay.engine_hooks import Engine, original, replace

_CALLBACK = ".waitForTaskToken"
_UNBOUNDED_SECONDS = 99_999_999  # AWS's own default of TimeoutSeconds


@dataclass(eq=False)
class _Task:
    """A task that waits. ``failure`` is (error, cause); one of it and ``output`` stands once ``ended`` is set."""

    execution: str
    output: Any = None
    failure: tuple[str, str] | None = None
    last_beat: float = field(default_factory=time.monotonic)
    ended: threading.Event = field(default_factory=threading.Event)


# By token, from the call until the first answer, failure or time-out: whoever takes a task out of it has closed it.
_waiting: dict[str, _Task] = {}


def install(_: Engine) -> None:
    """Wraps the engine's waiting, its answers, and the steps before them that tell tokens and resources."""
    for module, name, wrapper in (
        (stepfunctions, "_apply_jsonata_arguments", _with_own_token),
        (stepfunctions, "_apply_parameters", _with_own_token),
        (stepfunctions, "_send_task_success", _succeed),
        (stepfunctions, "_send_task_failure", _fail),
        (stepfunctions, "_send_task_heartbeat", _beat),
        (iam_actions, "extract_resource_arn", _resource_of_answer),
    ):
        replace(module, name, partial(wrapper, original(module, name)))
    replace(stepfunctions, "_invoke_with_callback", _wait_for_callback)


def execution_of(token: object) -> str | None:
    """The execution (ARN) whose task a token is for; None for what is no token of ours."""
    try:
        kind, execution, _ = json.loads(base64.b64decode(str(token), validate=True))
    except ValueError:
        return None
    return str(execution) if kind == _CALLBACK else None


def _with_own_token(apply: Any, state: Any, given: Any, context: Any = None) -> Any:
    # Called once an attempt: the engine reads the attempt's token from the context afterwards.
    if context and "Task" in context and _CALLBACK in state.get("Resource", ""):
        said = [_CALLBACK, context["Execution"]["Id"], uuid4().hex]
        context["Task"] = {"Token": base64.b64encode(json.dumps(said).encode()).decode()}
    return apply(state, given, context)


def _wait_for_callback(resource: str, given: Any, token: str, state: Mapping[str, Any]) -> Any:
    """The output that the callback brings; raises the engine's error where callback, call or time say so."""
    task = _waiting[token] = _Task(execution_of(token) or "")
    # The time runs while the call does; an answer may come before the call returns.
    call = partial(contextvars.copy_context().run, _call, resource, given, token)
    threading.Thread(target=call, daemon=True).start()
    deadline = time.monotonic() + float(state.get("TimeoutSeconds", _UNBOUNDED_SECONDS))
    heartbeat = float(state.get("HeartbeatSeconds", _UNBOUNDED_SECONDS))
    while not task.ended.wait(max(0.0, min(deadline, task.last_beat + heartbeat) - time.monotonic())):
        now = time.monotonic()
        if now >= deadline:
            _end(token, failure=("States.Timeout", "The task waited for its callback for longer than TimeoutSeconds."))
        elif now >= task.last_beat + heartbeat:
            _end(token, failure=("States.HeartbeatTimeout", "No heartbeat came within HeartbeatSeconds."))
    if task.failure:
        raise stepfunctions._ExecutionError(*task.failure)
    return task.output


def _call(resource: str, given: Any, token: str) -> None:
    try:
        stepfunctions._invoke_resource(resource.replace(_CALLBACK, ""), given)
    except stepfunctions._ExecutionError as failed:
        _end(token, failure=(failed.error, failed.cause))
    except Exception as failed:  # noqa: BLE001 - as the engine does with what it did not expect of a task
        _end(token, failure=("States.Runtime", str(failed)))


def _end(token: str, *, output: Any = None, failure: tuple[str, str] | None = None) -> bool:
    """Closes a task with its output or its failure; False where it was closed before."""
    task = _waiting.pop(token, None)
    if task is None:
        return False
    task.output, task.failure = output, failure
    task.ended.set()
    return True


# ---- the answers


def _succeed(send: Any, request: Mapping[str, Any]) -> Any:
    token = request.get("taskToken")
    if _is_an_activitys(token):
        return send(request)
    try:
        output = json.loads(request.get("output", ""))
    except ValueError:
        return error_response_json("InvalidOutput", "Invalid Output: 'The output is no JSON.'", 400)
    return _refusal(token) or _closed(_end(str(token), output=output))


def _fail(send: Any, request: Mapping[str, Any]) -> Any:
    token = request.get("taskToken")
    if _is_an_activitys(token):
        return send(request)
    failure = (request.get("error") or "States.TaskFailed", request.get("cause") or "")
    return _refusal(token) or _closed(_end(str(token), failure=failure))


def _beat(send: Any, request: Mapping[str, Any]) -> Any:
    token = request.get("taskToken")
    if _is_an_activitys(token):
        return send(request)
    refusal = _refusal(token)
    if task := _waiting.get(str(token)):
        task.last_beat = time.monotonic()
    return refusal or json_response({})


def _is_an_activitys(token: object) -> bool:
    """Activities' tokens are the engine's own."""
    return token in stepfunctions._task_tokens


def _refusal(token: object) -> Any:
    """The error for a token that no task waits with; None for one that some task does."""
    if execution_of(token) is None:
        return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
    task = _waiting.get(str(token))
    execution = stepfunctions._executions.get(task.execution, {}) if task else {}
    return None if execution.get("status") == "RUNNING" else _closed(False)


def _closed(by_this_answer: bool) -> Any:
    if by_this_answer:
        return json_response({})
    return error_response_json("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", 400)


def _resource_of_answer(extract: Any, service: str, *request: Any) -> Any:
    """The state machine of the task that a request answers; any other request's resource as the engine reads it."""
    _, _, _, body, *_ = request
    execution = execution_of(_token_in(body)) if service == "states" else None
    if execution is None:
        return extract(service, *request)
    machine, _, _ = execution.rpartition(":")
    return machine.replace(":execution:", ":stateMachine:")


def _token_in(body: bytes) -> object:
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        return None
    return said.get("taskToken") if isinstance(said, dict) else None
