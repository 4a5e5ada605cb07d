"""EventBridge rule targets: retries, dead-letter queues, permissions, and entries that AWS would refuse.

Follows https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-event-delivery.html (retry and dead letters),
API_RetryPolicy, API_DeadLetterConfig and API_PutEvents. The engine delivers once, inside PutEvents, logs a warning
where that fails and forgets the event; it starts one thread per Lambda target, and accepts a Detail that is not JSON.

Here PutEvents hands each delivery to a small pool. A failed one comes back after a growing, jittered pause; one that
cannot succeed (target missing, no permission) or whose attempts or age are used up goes to the target's dead-letter
queue as the original event. An event that ends nowhere else ends in the log, whole, at error level.
Backoff is much shorter than AWS's, whose defaults (185 retries, 24 hours) are kept. Retries live in memory: they end
with the engine, as everything else in it does. API destinations keep the engine's own single attempt.
The data type of RETRY_ATTEMPTS is not documented; String is used.
"""

import asyncio
import base64
import json
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ministack.core.arn import Arn, ArnParseError, parse_arn
from ministack.core.responses import error_response_json, get_account_id, get_region, new_uuid
from ministack.services import cloudwatch_logs, eventbridge, kinesis, stepfunctions

from local.overlay import engine_hooks
from local.overlay.engine_hooks import Engine
from local.overlay.service_calls import (
    Caller,
    CallError,
    as_service,
    invoke_function,
    publish_to_topic,
    require_role,
    send_to_queue,
)

BACKOFF_BASE_SECONDS = 0.2
BACKOFF_CEILING_SECONDS = 60.0
DELIVERIES_AT_ONCE = 8
_DEFAULT_RETRY_ATTEMPTS = 185
_DEFAULT_EVENT_AGE_SECONDS = 86_400
_RULES = "events.amazonaws.com"
_SCHEDULES = "scheduler.amazonaws.com"

type ExhaustedCondition = Literal["MaximumRetryAttempts", "MaximumEventAgeInSeconds"]

logger = logging.getLogger("overlay.eventbridge")
# A generator of its own: deliveries in the background must not move the state of the one that everybody shares.
_JITTER = random.Random()  # noqa: S311 - spreads retries, protects nothing


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one target of one rule (or of a schedule)."""

    target: Mapping[str, Any]
    rule: Mapping[str, Any]
    event: Mapping[str, Any]
    envelope: Mapping[str, Any]
    transformed: str | None
    caller: Caller
    accepted_at: float = field(default_factory=time.monotonic)
    retries: int = 0

    @property
    def payload(self) -> str:
        """What the target gets: the event as JSON, or what the target's Input settings make of it."""
        return json.dumps(self.envelope) if self.transformed is None else self.transformed

    @property
    def dead_letter_caller(self) -> Caller:
        """A rule needs the dead-letter queue's policy, whatever role its target has; a schedule uses its role."""
        return replace(self.caller, role_arn="") if self.caller.service == _RULES else self.caller


def install(_: Engine) -> None:
    deliver = deliveries()

    def invoke_target(target: Any, event: Any, rule: Any, view: Any = None) -> None:
        # One target whose input settings cannot be applied must not take the other targets' events with it.
        try:
            delivery = _delivery(target, event, rule, view or eventbridge._pattern_event_view(event))
        except Exception:
            logger.exception("Event lost, the input settings of target %s failed: %s", target.get("Arn"), event)
            return
        deliver(delivery)

    engine_hooks.replace(eventbridge, "_invoke_target", invoke_target)
    put_events = engine_hooks.original(eventbridge, "_put_events")
    engine_hooks.replace(eventbridge, "_put_events", lambda *given, **named: _put_events(put_events, *given, **named))
    put_targets = engine_hooks.original(eventbridge, "_put_targets")
    engine_hooks.replace(eventbridge, "_put_targets", lambda data: _refused_target(data) or put_targets(data))


def deliveries() -> Callable[[Delivery], None]:
    """A function that takes a delivery and returns at once; a pool of threads makes the attempts."""
    pool = ThreadPoolExecutor(DELIVERIES_AT_ONCE, thread_name_prefix="eventbridge")
    timers = _timer_loop()

    def submit(delivery: Delivery) -> None:
        pool.submit(_attempt, delivery, again_after).add_done_callback(_log_crash)

    def again_after(seconds: float, delivery: Delivery) -> None:
        timers.call_soon_threadsafe(timers.call_later, seconds, submit, delivery)

    return submit


# One attempt, and what follows from it --------------------------------------------------------------------------------


def _attempt(delivery: Delivery, again_after: Callable[[float, Delivery], None]) -> None:
    try:
        as_service(delivery.caller, lambda: _deliver(delivery))
    except CallError as error:
        _after_failure(delivery, error, again_after)
    except Exception as error:
        logger.exception("A delivery to %s failed inside the engine", delivery.target.get("Arn"))
        _after_failure(delivery, CallError("INTERNAL_ERROR", repr(error), permanent=False), again_after)


def _after_failure(delivery: Delivery, error: CallError, again_after: Callable[[float, Delivery], None]) -> None:
    pause = backoff(delivery.retries)
    age = time.monotonic() - delivery.accepted_at
    condition = None if error.permanent else exhausted(delivery.target, delivery.retries, age + pause)
    if error.permanent or condition:
        _bury(delivery, error, condition)
        return
    logger.warning("Retry %d to %s in %.1f s: %s", delivery.retries + 1, delivery.target.get("Arn"), pause, error)
    again_after(pause, replace(delivery, retries=delivery.retries + 1))


def _log_crash(attempt: Future[None]) -> None:
    if attempt.exception():
        logger.error("A delivery ended by an error of the overlay itself", exc_info=attempt.exception())


def backoff(retries: int) -> float:
    """Seconds to wait after ``retries`` retries: doubling up to a ceiling, the upper half of it at random."""
    whole = min(BACKOFF_CEILING_SECONDS, BACKOFF_BASE_SECONDS * 2.0 ** min(retries, 32))
    return whole * _JITTER.uniform(0.5, 1.0)


def exhausted(target: Mapping[str, Any], retries: int, age_seconds: float) -> ExhaustedCondition | None:
    """The limit of the target's RetryPolicy that forbids one more retry at that age, if one does."""
    policy = target.get("RetryPolicy") or {}
    if retries >= int(policy.get("MaximumRetryAttempts", _DEFAULT_RETRY_ATTEMPTS)):
        return "MaximumRetryAttempts"
    if age_seconds > int(policy.get("MaximumEventAgeInSeconds", _DEFAULT_EVENT_AGE_SECONDS)):
        return "MaximumEventAgeInSeconds"
    return None


def _bury(delivery: Delivery, error: CallError, condition: ExhaustedCondition | None) -> None:
    """The end of a delivery that failed for good: its dead-letter queue, or else the log."""
    original_event = json.dumps(delivery.envelope)
    queue_arn = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
    if not queue_arn:
        logger.error("Event lost, no dead-letter queue: %s (%s): %s", error.code, error, original_event)
        return
    try:
        attributes = _dead_letter_attributes(delivery, error, condition)
        send_to_queue(delivery.dead_letter_caller, queue_arn, original_event, message_attributes=attributes)
    except CallError as second:
        logger.error("Event lost, %s; dead-letter queue: %s: %s", error, second, original_event)
        return
    logger.error("Event to the dead-letter queue %s: %s (%s)", queue_arn, error.code, error)


def _dead_letter_attributes(
    delivery: Delivery, error: CallError, condition: ExhaustedCondition | None
) -> dict[str, dict[str, str]]:
    values = {
        "RULE_ARN": delivery.caller.source_arn,
        "TARGET_ARN": str(delivery.target.get("Arn")),
        "ERROR_CODE": error.code,
        "ERROR_MESSAGE": str(error),
        "RETRY_ATTEMPTS": str(delivery.retries),
    } | ({"EXHAUSTED_RETRY_CONDITION": condition} if condition else {})
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


# The kinds of target --------------------------------------------------------------------------------------------------


def _deliver(delivery: Delivery) -> None:
    try:
        target = parse_arn(delivery.target.get("Arn", ""))
    except ArnParseError as error:
        raise CallError("INVALID_PARAMETER", str(error)) from error
    kind = TARGET_KINDS.get(target.service)
    if kind is None:
        raise CallError("UNKNOWN", f"The local engine has no targets of the kind {target.service}.")
    if target.service != "events" and (target.account_id, target.region) != _scope(delivery):
        raise CallError("INVALID_PARAMETER", f"{target} is not in the account and region of the rule.")
    kind(delivery, target)


def _to_queue(delivery: Delivery, target: Arn) -> None:
    group_id = (delivery.target.get("SqsParameters") or {}).get("MessageGroupId", "")
    send_to_queue(delivery.caller, str(target), delivery.payload, group_id=group_id)


def _to_topic(delivery: Delivery, target: Arn) -> None:
    publish_to_topic(delivery.caller, str(target), delivery.payload, subject="")


def _to_function(delivery: Delivery, target: Arn) -> None:
    try:
        event = json.loads(delivery.payload)
    except ValueError as error:
        raise CallError("INVALID_JSON", f"What the target's input settings make is not JSON: {error}") from error
    invoke_function(delivery.caller, str(target), event)


def _to_state_machine(delivery: Delivery, target: Arn) -> None:
    if stepfunctions._resolve_state_machine_arn(str(target)) is None:
        raise CallError("NO_RESOURCE", f"The state machine {target} does not exist.")
    require_role(delivery.caller, "states:StartExecution", str(target))
    _checked(stepfunctions._start_execution({"stateMachineArn": str(target), "input": delivery.payload}))


def _to_stream(delivery: Delivery, target: Arn) -> None:
    require_role(delivery.caller, "kinesis:PutRecord", str(target))
    key_path = (delivery.target.get("KinesisParameters") or {}).get("PartitionKeyPath", "")
    partition_key = _select(delivery.envelope, key_path) if key_path else delivery.envelope["id"]
    _checked(
        kinesis._put_record(
            {
                "StreamName": target.resource.removeprefix("stream/"),
                "PartitionKey": str(partition_key),
                "Data": base64.b64encode(delivery.payload.encode()).decode(),
            }
        )
    )


def _to_log_group(delivery: Delivery, target: Arn) -> None:
    group = target.resource.removeprefix("log-group:").removesuffix(":*")
    if group not in cloudwatch_logs._log_groups:
        raise CallError("NO_RESOURCE", f"The log group {group} does not exist.")
    stream = new_uuid()
    entry = {"timestamp": int(time.time() * 1000), "message": delivery.payload}
    _checked(cloudwatch_logs._create_log_stream({"logGroupName": group, "logStreamName": stream}))
    _checked(cloudwatch_logs._put_log_events({"logGroupName": group, "logStreamName": stream, "logEvents": [entry]}))


def _to_bus_or_api(delivery: Delivery, target: Arn) -> None:
    if target.resource.startswith("api-destination/"):
        eventbridge._dispatch_to_api_destination(target, delivery.payload, dict(delivery.target))
        return
    if (target.account_id, target.region) != _scope(delivery):
        raise CallError("NO_RESOURCE", f"The local engine has no other account or region: {target}.")
    if target.resource.removeprefix("event-bus/") not in eventbridge._event_buses:
        raise CallError("NO_RESOURCE", f"The event bus {target} does not exist.")
    if delivery.caller.role_arn:
        require_role(delivery.caller, "events:PutEvents", str(target))
    path = set(delivery.event.get("_DispatchPath") or [])
    eventbridge._dispatch_to_event_bus(target, dict(delivery.event), delivery.rule, path, delivery.transformed)


# Service name in a target's ARN -> how it is delivered. Another overlay may add a kind here, AppSync for one.
TARGET_KINDS: dict[str, Callable[[Delivery, Arn], None]] = {
    "events": _to_bus_or_api,
    "kinesis": _to_stream,
    "lambda": _to_function,
    "logs": _to_log_group,
    "sns": _to_topic,
    "sqs": _to_queue,
    "states": _to_state_machine,
}


def _delivery(target: Any, event: Any, rule: Any, view: Any) -> Delivery:
    is_schedule = event.get("Source") == "aws.scheduler"
    caller = Caller(
        _SCHEDULES if is_schedule else _RULES,
        rule.get("Arn", ""),
        get_account_id(),
        get_region(),
        target.get("RoleArn", ""),
    )
    envelope = view.event_with_detail()
    return Delivery(target, rule, event, envelope, _transformed(target, rule, view, envelope), caller)


def _transformed(target: Any, rule: Any, view: Any, envelope: Mapping[str, Any]) -> str | None:
    if target.get("InputTransformer"):
        return str(eventbridge._apply_input_transformer(target["InputTransformer"], rule, view))
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(_select(envelope, target["InputPath"]))
    return None


def _select(envelope: Mapping[str, Any], path: str) -> Any:
    """The value at a path such as ``$.detail.order.id``; null where the event has none."""
    value: Any = envelope
    for name in path.removeprefix("$").split("."):
        if name:
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _checked(answer: tuple[int, Any, Any]) -> None:
    status, _, body = answer
    if status < 300:
        return
    text = body.decode() if isinstance(body, bytes) else str(body)
    raise CallError("ERROR_FROM_TARGET", text, permanent="ResourceNotFoundException" in text)


def _scope(delivery: Delivery) -> tuple[str, str]:
    return delivery.caller.account_id, delivery.caller.region


# PutEvents and PutTargets ---------------------------------------------------------------------------------------------


def _put_events(engine_put_events: Callable[..., Any], data: Any, *given: Any, **named: Any) -> Any:
    """PutEvents, where an entry that AWS refuses is answered by itself and the others go on."""
    entries = data.get("Entries")
    if not isinstance(entries, list) or len(entries) > 10:
        return engine_put_events(data, *given, **named)
    refusals = [_refused_entry(entry) for entry in entries]
    accepted = [entry for entry, refusal in zip(entries, refusals, strict=True) if refusal is None]
    status, headers, body = engine_put_events({**data, "Entries": accepted}, *given, **named)
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    answered = iter(answer["Entries"])
    answer["Entries"] = [refusal or next(answered) for refusal in refusals]
    answer["FailedEntryCount"] += sum(refusal is not None for refusal in refusals)
    return status, headers, json.dumps(answer).encode()


def _refused_entry(entry: Any) -> dict[str, str] | None:
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            reason = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
    if not isinstance(_detail(entry), dict):
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    return None


def _detail(entry: Any) -> Any:
    if isinstance(entry["Detail"], dict):  # from a state machine's events:putEvents task, which takes an object
        return entry["Detail"]
    try:
        return json.loads(entry["Detail"])
    except (TypeError, ValueError):
        return None


def _refused_target(data: Any) -> Any:
    """AWS's refusal of PutTargets for a retry policy out of range or a dead-letter queue that cannot be one."""
    for target in data.get("Targets") or []:
        reason = _invalid_retry_policy(target.get("RetryPolicy") or {}) or _invalid_dead_letter_queue(target)
        if reason:
            return error_response_json("ValidationException", reason, 400)
    return None


def _invalid_retry_policy(policy: Mapping[str, Any]) -> str | None:
    # CloudFormation may hand numbers over as text.
    attempts = int(policy.get("MaximumRetryAttempts", _DEFAULT_RETRY_ATTEMPTS))
    age = int(policy.get("MaximumEventAgeInSeconds", _DEFAULT_EVENT_AGE_SECONDS))
    if not 0 <= attempts <= 185:
        return f"Parameter MaximumRetryAttempts is not valid. Reason: {attempts} is not between 0 and 185."
    if not 60 <= age <= 86_400:
        return f"Parameter MaximumEventAgeInSeconds is not valid. Reason: {age} is not between 60 and 86400."
    return None


def _invalid_dead_letter_queue(target: Mapping[str, Any]) -> str | None:
    arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    if not arn or (arn.startswith("arn:aws:sqs:") and not arn.endswith(".fifo")):
        return None
    return f"Parameter DeadLetterConfig.Arn is not valid. Reason: {arn} is not a standard queue."


def _timer_loop() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, that only counts down the pauses between attempts."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="eventbridge-retries", daemon=True).start()
    return loop
