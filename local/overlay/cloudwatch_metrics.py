"""CloudWatch metrics that AWS makes by itself: embedded metric format, and AWS/SQS.

Follows https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
and https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html.
The engine stores log events and makes no metric of them, and knows no metric of a queue.

A queue's metrics have one point a minute, as on AWS; the point of the minute in progress is renewed each second, so
that an alarm on a dead-letter queue fires within seconds. Every queue is measured, idle ones too (AWS stops after six
hours). Metric filters stay unsupported: the engine's filter patterns do not understand JSON terms.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import cloudwatch, cloudwatch_logs, sqs

from local.overlay import engine_hooks
from local.overlay.engine_hooks import Engine

SAMPLE_SECONDS = 1.0
_TWO_WEEKS_SECONDS = 14 * 24 * 3600

type Scope = tuple[str, str]

logger = logging.getLogger("overlay.cloudwatch")
_one_point_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Datum:
    """Values of one metric under one set of dimensions; ``timestamp`` in seconds since the epoch."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    unit: str
    timestamp: float
    values: list[float]


class InvalidMetricError(ValueError):
    """A log event that claims to be in embedded metric format and is not."""


def install(_: Engine) -> None:
    engine_hooks.replace(cloudwatch, "_evict_old_metrics", _evict_old_metrics)
    append = engine_hooks.original(cloudwatch_logs, "_append_log_events")
    engine_hooks.replace(cloudwatch_logs, "_append_log_events", lambda s, e: _append_and_extract(append, s, e))
    send = engine_hooks.original(sqs, "_act_send_message")
    engine_hooks.replace(sqs, "_act_send_message", lambda *given: _send_and_count(send, *given))
    sqs._HANDLERS["SendMessage"] = sqs._act_send_message
    threading.Thread(target=_sample_forever, name="cloudwatch-sqs", daemon=True).start()


# Embedded metric format -----------------------------------------------------------------------------------------------


def embedded_metrics(message: str) -> Iterator[Datum]:
    """The metrics in one log event, none where it is not in embedded metric format; raises InvalidMetricError."""
    document = _document(message)
    if document is None:
        return
    timestamp = document["_aws"].get("Timestamp")
    if not isinstance(timestamp, int | float):
        raise InvalidMetricError("_aws.Timestamp is not a number of milliseconds.")
    for directive in document["_aws"]["CloudWatchMetrics"]:
        for dimensions in _dimension_sets(directive, document):
            for metric in directive.get("Metrics", []):
                yield Datum(
                    namespace=_text(directive, "Namespace"),
                    name=_text(metric, "Name"),
                    dimensions=dimensions,
                    unit=metric.get("Unit", "None"),
                    timestamp=timestamp / 1000,
                    values=_values(document, metric["Name"]),
                )


def _document(message: str) -> Any:
    if '"CloudWatchMetrics"' not in message:
        return None
    try:
        document = json.loads(message)
    except ValueError:
        return None
    metadata = document.get("_aws") if isinstance(document, dict) else None
    is_embedded = isinstance(metadata, dict) and isinstance(metadata.get("CloudWatchMetrics"), list)
    return document if is_embedded else None


def _dimension_sets(directive: Mapping[str, Any], document: Mapping[str, Any]) -> list[dict[str, str]]:
    # Dimensions may be left out, and a set may be empty: the metric then has no dimension.
    return [{name: _text(document, name) for name in names} for names in directive.get("Dimensions") or [[]]]


def _values(document: Mapping[str, Any], name: str) -> list[float]:
    target = document.get(name)
    values: list[Any] = target if isinstance(target, list) else [target]
    if len(values) > 100 or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise InvalidMetricError(f"The value of {name} is not a number or a list of at most 100 numbers.")
    return [float(value) for value in values]


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidMetricError(f"{name} is not a string.")
    return value


def _append_and_extract(append: Callable[..., None], stream: Any, events: Any) -> None:
    append(stream, events)
    for event in events:
        _extract(event["message"])


def _extract(message: str) -> None:
    try:
        data = list(embedded_metrics(message))
    except InvalidMetricError as error:
        logger.warning("A log event in embedded metric format was refused: %s", error)
        cloudwatch.record_metric("AWS/Logs", "EMFValidationErrors", 1, "Count")
        return
    for datum in data:
        cloudwatch._store_datum(
            datum.namespace, datum.name, datum.dimensions, datum.timestamp, datum.unit, None, datum.values, None, None
        )


# AWS/SQS --------------------------------------------------------------------------------------------------------------


def _send_and_count(send: Callable[..., Any], data: Any, queue_url: str) -> Any:
    answer = send(data, queue_url)
    queue = sqs._get_q(data.get("QueueUrl", queue_url))
    with _one_point_at_a_time:
        _point_of_this_minute("NumberOfMessagesSent", "Count", queue["name"])["Value"] += 1.0
    return answer


def _sample_forever() -> None:
    while True:
        time.sleep(SAMPLE_SECONDS)
        for (account_id, region, _), queue in sqs._queues.to_dict().items():
            try:
                with request_scope(account_id, region):
                    _sample(queue, time.time())
            except Exception:
                logger.exception("The queue %s could not be measured", queue.get("name"))


def _sample(queue: Mapping[str, Any], now: float) -> None:
    messages, name = list(queue["messages"]), queue["name"]
    visible = [message for message in messages if message["visible_at"] <= now]
    in_flight = [message for message in messages if message["visible_at"] > now and message["receive_count"]]
    oldest = min((message["sent_at"] for message in messages), default=now)
    with _one_point_at_a_time:
        _point_of_this_minute("ApproximateNumberOfMessagesVisible", "Count", name)["Value"] = float(len(visible))
        _point_of_this_minute("ApproximateNumberOfMessagesNotVisible", "Count", name)["Value"] = float(len(in_flight))
        _point_of_this_minute("ApproximateAgeOfOldestMessage", "Seconds", name)["Value"] = now - oldest
        _point_of_this_minute("NumberOfMessagesSent", "Count", name)


def _point_of_this_minute(metric: str, unit: str, queue_name: str) -> dict[str, Any]:
    """The metric's one point of the minute in progress, made with the value 0 where there is none yet."""
    minute = time.time() // 60 * 60
    dimensions = {"QueueName": queue_name}
    points = cloudwatch._metric_bucket(("AWS/SQS", metric, cloudwatch._dims_key(dimensions)))
    if not points or points[-1]["Timestamp"] != minute:
        points.append({"Timestamp": minute, "Value": 0.0, "Unit": unit, "Dimensions": dimensions})
    point: dict[str, Any] = points[-1]
    return point


def _evict_old_metrics() -> None:
    """Drops what is older than two weeks, in place: the engine's replaces lists that other threads are appending to."""
    oldest = time.time() - _TWO_WEEKS_SECONDS
    for points in cloudwatch._metrics.values():
        while points and points[0]["Timestamp"] < oldest:
            points.pop(0)
