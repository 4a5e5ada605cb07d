"""How one AWS service hands something to another inside the engine, with the check that AWS makes at the door.

Not an overlay by itself: overlays that deliver (rules, topics) share it. AWS answers a service that calls a queue, a
topic or a function by the resource's own policy (service principal, ``aws:SourceArn``, ``aws:SourceAccount``), and one
that was given a role by the role's trust and permissions. The engine's own hops are calls in one process and check
nothing, so a missing queue policy would show on AWS first; here it shows as ``NO_PERMISSIONS``.
Error codes are EventBridge's: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
"""

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import lambda_svc, sns, sqs

from local.overlay.authorization import refusal_of_role


@dataclass(frozen=True)
class Caller:
    """The service that calls, and the resource on whose behalf it does."""

    service: str
    source_arn: str
    account_id: str
    region: str
    role_arn: str = ""


class CallError(Exception):
    """A call that failed. ``permanent``: it will fail again until somebody changes something, so AWS does not retry."""

    def __init__(self, code: str, message: str, *, permanent: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent


def send_to_queue(
    caller: Caller,
    queue_arn: str,
    body: str,
    *,
    message_attributes: Mapping[str, Any] | None = None,
    group_id: str = "",
    deduplication_id: str = "",
) -> None:
    """Sends ``body`` to the queue; raises CallError where it is missing, refuses the caller, or rejects the message."""
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        raise CallError("NO_RESOURCE", f"The queue {queue_arn} does not exist.")
    _require(caller, "sqs:SendMessage", queue_arn, queue["attributes"].get("Policy"))
    request = {
        "QueueUrl": queue["url"],
        "MessageBody": body,
        "MessageAttributes": dict(message_attributes or {}),
        "MessageGroupId": group_id or None,
        "MessageDeduplicationId": deduplication_id or None,
    }
    try:
        as_service(caller, lambda: sqs._act_send_message(request, queue["url"]))
    except sqs._Err as refusal:
        raise CallError("INVALID_PARAMETER", f"{refusal.code}: {refusal.message}") from refusal


def publish_to_topic(caller: Caller, topic_arn: str, message: str, subject: str) -> None:
    """Publishes ``message``; raises CallError where the topic is missing, refuses the caller or rejects the message."""
    topic = sns._topic_by_arn_any_scope(topic_arn)
    if topic is None:
        raise CallError("NO_RESOURCE", f"The topic {topic_arn} does not exist.")
    _require(caller, "sns:Publish", topic_arn, topic["attributes"].get("Policy"))
    try:
        as_service(caller, lambda: sns.publish_internal(topic_arn, message, subject))
    except sns.SnsPublishError as refusal:
        raise CallError("INVALID_PARAMETER", str(refusal)) from refusal


def invoke_function(caller: Caller, function_arn: str, event: Any) -> None:
    """Hands ``event`` to the function's asynchronous queue, whose retries and destinations take it from there.

    Raises CallError where the function is missing or its policy refuses the caller.
    """
    as_service(caller, lambda: _invoke_function(caller, function_arn, event))


def call_function(caller: Caller, function_arn: str, event: Any) -> dict[str, Any]:
    """Invokes the function and waits; the engine's result: ``body``, and ``error`` or ``throttle`` where it failed.

    Raises CallError where the function is missing or its policy refuses the caller.
    """
    result: dict[str, Any] = as_service(caller, lambda: _call_function(caller, function_arn, event))
    return result


def require_invocation(caller: Caller, function_arn: str) -> None:
    """Raises CallError where the function is missing, or neither its policy nor the caller's role allows the call."""
    as_service(caller, lambda: _invocable(caller, function_arn))


def _invocable(caller: Caller, function_arn: str) -> tuple[Any, Any]:
    """The engine's records of a function and of the configuration that ``function_arn`` names."""
    function, configuration, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if not function or not configuration:
        raise CallError("NO_RESOURCE", f"The function {function_arn} does not exist.")
    policy, _ = lambda_svc.function_policy_for_arn(function_arn)
    _require(caller, "lambda:InvokeFunction", function_arn, policy)
    return function, configuration


def _invoke_function(caller: Caller, function_arn: str, event: Any) -> None:
    function, configuration = _invocable(caller, function_arn)
    lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(function, configuration), event)


def _call_function(caller: Caller, function_arn: str, event: Any) -> Any:
    function, configuration = _invocable(caller, function_arn)
    return lambda_svc._execute_function(lambda_svc._execution_record_for_config(function, configuration), event)


def require_role(caller: Caller, action: str, resource_arn: str) -> None:
    """Raises CallError unless the caller was given a role that trusts its service and may do ``action``."""
    if not caller.role_arn:
        raise CallError("NO_PERMISSIONS", f"{caller.service} was given no role for {action} on {resource_arn}.")
    refusal = as_service(caller, lambda: refusal_of_role(caller.role_arn, caller.service, action, resource_arn))
    if refusal:
        raise CallError("NO_PERMISSIONS", refusal)


def as_service[T](caller: Caller, call: Callable[[], T]) -> T:
    """Runs ``call`` in the caller's account and region, over TLS, with no trace of the request that caused it.

    Without this, a queue that refuses plain HTTP (``aws:SecureTransport``) would refuse AWS's own services here.
    """

    def run() -> T:
        with responses.request_scope(caller.account_id, caller.region):
            iam_evaluator.pin_request_origin("127.0.0.1", secure_transport=True)
            return call()

    return contextvars.Context().run(run)


def _require(caller: Caller, action: str, resource_arn: str, policy: Any) -> None:
    if caller.role_arn:
        require_role(caller, action, resource_arn)
        return
    # aws:SourceOwner is left out on purpose: EventBridge does not send it, which is why a topic's default policy, whose
    # condition names it, does not let a rule publish on AWS either.
    context = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=caller.region,
        secure_transport=True,
        service_context={"aws:sourcearn": caller.source_arn, "aws:sourceaccount": caller.account_id},
    )
    if iam_evaluator.evaluate_resource_policy(policy or {}, context, service=caller.service).decision == "Allow":
        return
    raise CallError(
        "NO_PERMISSIONS", f"The policy of {resource_arn} does not allow {caller.service} to {action} for this source."
    )
