"""Lambda's asynchronous invocations: retries, event age, destinations and dead-letter queues.

Follows https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html (an error is tried again
MaximumRetryAttempts times, one and two minutes later; a throttle goes back to the queue uncounted; nothing is tried
once it is older than MaximumEventAgeInSeconds), .../invocation-async-retain-records.html (the invocation record; on an
event bus it is the detail of an event of source "lambda") and the same page's part on dead-letter queues (the event as
it came, with attributes RequestID, ErrorCode and ErrorMessage). The function's role must be allowed to send.

The engine sends nothing on success, knows no event bus, always says three invocations, and puts the record instead of
the event into a dead-letter queue.

LOCAL_LAMBDA_RETRY_SECONDS (default 1) stands for AWS's minute between attempts.
"""

import contextvars
import functools
import json
import logging
import os
import queue
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from ministack.core.arn import parse_arn
from ministack.services import cloudwatch, eventbridge, lambda_svc, sns

from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.lambda_runtime import event_request_id
from local.overlay.service_calls import (
    Caller,
    CallError,
    as_service,
    invoke_function,
    publish_to_topic,
    require_role,
    send_to_queue,
)

type Record = dict[str, Any]
type Condition = Literal["Success", "RetriesExhausted", "EventAgeExceeded", "ZeroReservedConcurrency"]

_DEFAULT_RETRIES = 2
_DEFAULT_AGE_SECONDS = 6 * 60 * 60
_LONGEST_THROTTLE_SECONDS = 300.0
_LONGEST_ERROR_MESSAGE_BYTES = 1024
# Attempts in progress at once; the pool bounds processes far below, so more threads would only wait for it.
_THREADS = 32

_log = logging.getLogger("local.lambda.destinations")


def install(_: Engine) -> None:
    """Puts Lambda's queue for asynchronous events in the place of the engine's thread per event."""
    events = AsynchronousEvents(float(os.environ.get("LOCAL_LAMBDA_RETRY_SECONDS", "") or 1))
    replace(lambda_svc, "invoke_async_with_retry", events.accept)


@dataclass
class AcceptedEvent:
    """An event that Lambda has answered with 202. ``context`` carries account, region and trace of who sent it."""

    function: Record
    event: Any
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    accepted_at: float = field(default_factory=time.monotonic)
    invocations: int = 0
    throttles: int = 0
    last_result: Record | None = None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)

    @property
    def config(self) -> Record:
        config: Record = self.function.get("config") or self.function
        return config


class AsynchronousEvents:
    """Lambda's internal queue: events are taken in order, each with its own retries. Safe for any number of threads."""

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._ready: queue.SimpleQueue[AcceptedEvent] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0

    def accept(self, function: Record, event: Any) -> None:
        """Takes over ``event``; returns at once."""
        self._enqueue(AcceptedEvent(function, event))

    def _enqueue(self, accepted: AcceptedEvent) -> None:
        with self._lock:
            self._unfinished += 1
            wanted = self._threads < min(self._unfinished, _THREADS)
            self._threads += wanted
        self._ready.put(accepted)
        if wanted:
            threading.Thread(target=self._serve, name="lambda-asynchronous", daemon=True).start()

    def _serve(self) -> None:
        while True:
            accepted = self._ready.get()
            try:
                accepted.context.run(self._attempt, accepted)
            except Exception:  # noqa: BLE001 - one event's trouble must not stop the queue for all others
                _log.exception("Event %s of %s is lost", accepted.request_id, accepted.config.get("FunctionName"))
            with self._lock:
                self._unfinished -= 1

    def _attempt(self, accepted: AcceptedEvent) -> None:
        settings = _settings(accepted)
        if _reserved_concurrency(accepted) == 0:
            return _give_up(accepted, settings, "ZeroReservedConcurrency")
        if _age(accepted) > _longest_age(settings):
            return _give_up(accepted, settings, "EventAgeExceeded")
        event_request_id.set(accepted.request_id)
        result: Record = original(lambda_svc, "_execute_function")(accepted.function, accepted.event)
        accepted.last_result = result
        if result.get("throttle"):
            accepted.throttles += 1
            return self._try_again(accepted, min(2.0 ** (accepted.throttles - 1), _LONGEST_THROTTLE_SECONDS))
        accepted.invocations += 1
        if not result.get("error"):
            return _send_record(accepted, settings, "Success")
        if accepted.invocations > int(settings.get("MaximumRetryAttempts", _DEFAULT_RETRIES)):
            return _give_up(accepted, settings, "RetriesExhausted")
        return self._try_again(accepted, self._retry_seconds * accepted.invocations)

    def _try_again(self, accepted: AcceptedEvent, seconds: float) -> None:
        timer = threading.Timer(seconds, self._enqueue, [accepted])
        timer.daemon = True
        timer.start()


def _settings(accepted: AcceptedEvent) -> Record:
    """The event invoke config of the version or alias that was invoked; of the function where it named none."""
    parts = str(accepted.config["FunctionArn"]).split(":")
    qualifier = parts[7] if len(parts) > 7 else ""
    base = _in_scope(accepted, lambda: lambda_svc._functions.get(parts[6])) or accepted.function
    # SAM configures an unqualified function by "$LATEST", the API by no qualifier: to Lambda they are the same.
    same = ("", "$LATEST") if qualifier in {"", "$LATEST"} else (qualifier,)
    found = (original(lambda_svc, "_event_invoke_config")(base, name or None) for name in same)
    return next((settings for settings in found if settings), {})


def _in_scope[T](accepted: AcceptedEvent, call: Callable[[], T]) -> T:
    scoped: T = original(lambda_svc, "_run_with_function_config_scope")(accepted.config, call)
    return scoped


def _reserved_concurrency(accepted: AcceptedEvent) -> int | None:
    reserved: int | None = original(lambda_svc, "_reserved_concurrency")(accepted.function, accepted.config)
    return reserved


def _age(accepted: AcceptedEvent) -> float:
    return time.monotonic() - accepted.accepted_at


def _longest_age(settings: Record) -> float:
    return float(settings.get("MaximumEventAgeInSeconds") or _DEFAULT_AGE_SECONDS)


def _give_up(accepted: AcceptedEvent, settings: Record, condition: Condition) -> None:
    """Sends an event that will not be tried again where it can be looked at: both places, where both are named."""
    _send_record(accepted, settings, condition)
    dead_letter_arn = (accepted.config.get("DeadLetterConfig") or {}).get("TargetArn")
    if dead_letter_arn:
        _deliver(
            accepted, dead_letter_arn, "DeadLetterErrors", functools.partial(_send_dead_letter, accepted, condition)
        )


def _send_record(accepted: AcceptedEvent, settings: Record, condition: Condition) -> None:
    name = "OnSuccess" if condition == "Success" else "OnFailure"
    destination = ((settings.get("DestinationConfig") or {}).get(name) or {}).get("Destination")
    if destination:
        record = invocation_record(accepted, condition)
        _deliver(accepted, destination, "DestinationDeliveryFailures", functools.partial(_send_to_destination, record))


def _deliver(accepted: AcceptedEvent, arn: str, metric: str, send: Callable[[Caller, str], None]) -> None:
    """AWS tells a failed delivery by a metric only; here the engine's log says it as well."""
    function_arn = parse_arn(accepted.config["FunctionArn"])
    role = accepted.config.get("Role", "")
    caller = Caller("lambda.amazonaws.com", str(function_arn), function_arn.account_id, function_arn.region, role)
    try:
        send(caller, arn)
    except CallError as error:
        name = accepted.config["FunctionName"]
        _log.error("%s: event %s did not reach %s: %s", name, accepted.request_id, arn, error)
        _in_scope(accepted, lambda: cloudwatch.record_metric("AWS/Lambda", metric, 1, "Count", {"FunctionName": name}))


def invocation_record(accepted: AcceptedEvent, condition: Condition) -> Record:
    """The JSON document that a destination gets."""
    arn = str(accepted.config["FunctionArn"])
    record: Record = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": accepted.request_id,
            "functionArn": arn if len(arn.split(":")) > 7 else f"{arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": accepted.invocations,
        },
        "requestPayload": accepted.event,
    }
    if accepted.last_result is not None and accepted.invocations:
        context: Record = {"statusCode": 200, "executedVersion": accepted.config.get("Version", "$LATEST")}
        if accepted.last_result.get("error"):
            context["functionError"] = accepted.last_result.get("function_error") or "Unhandled"
        record |= {"responseContext": context, "responsePayload": accepted.last_result.get("body")}
    return record


def _send_to_destination(record: Record, caller: Caller, arn: str) -> None:
    body = json.dumps(record)
    match parse_arn(arn).service:
        case "sqs":
            send_to_queue(caller, arn, body)
        case "sns":
            publish_to_topic(caller, arn, body, "")
        case "lambda":
            invoke_function(caller, arn, record)
        case "events":
            _put_event(caller, arn, record)
        case other:
            raise CallError("INVALID_PARAMETER", f"A destination of service {other} is not supported here.")


def _put_event(caller: Caller, bus_arn: str, record: Record) -> None:
    require_role(caller, "events:PutEvents", bus_arn)
    context = record["requestContext"]
    outcome = "Success" if context["condition"] == "Success" else "Failure"
    entry = {
        "Source": "lambda",
        "DetailType": f"Lambda Function Invocation Result - {outcome}",
        "Resources": [context["functionArn"], bus_arn],
        "Detail": json.dumps(record),
        "EventBusName": bus_arn,
    }
    _, _, body = as_service(caller, lambda: eventbridge._put_events({"Entries": [entry]}))
    answer = json.loads(body)
    if answer.get("FailedEntryCount"):
        raise CallError("INVALID_PARAMETER", str(answer["Entries"][0]))


def _send_dead_letter(accepted: AcceptedEvent, condition: Condition, caller: Caller, arn: str) -> None:
    attributes = _dead_letter_attributes(accepted, condition)
    body = json.dumps(accepted.event)
    if parse_arn(arn).service == "sqs":
        send_to_queue(caller, arn, body, message_attributes=attributes)
        return
    require_role(caller, "sns:Publish", arn)
    try:
        published = as_service(caller, lambda: sns.publish_internal(arn, body, message_attributes=attributes))
    except sns.SnsPublishError as refusal:
        raise CallError("INVALID_PARAMETER", str(refusal)) from refusal
    if published is None:
        raise CallError("NO_RESOURCE", f"The topic {arn} does not exist.")


def _dead_letter_attributes(accepted: AcceptedEvent, condition: Condition) -> Record:
    body = (accepted.last_result or {}).get("body")
    message = body.get("errorMessage") if isinstance(body, dict) else None
    text = str(message or condition).encode()[:_LONGEST_ERROR_MESSAGE_BYTES].decode(errors="ignore")
    throttled = accepted.last_result is None or accepted.last_result.get("throttle")
    return {
        "RequestID": {"DataType": "String", "StringValue": accepted.request_id},
        "ErrorCode": {"DataType": "Number", "StringValue": "429" if throttled else "200"},
        "ErrorMessage": {"DataType": "String", "StringValue": text},
    }
