"""Metrics that AWS makes by itself: of log events in embedded metric format, and of queues."""

import inspect
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from ministack.services import cloudwatch_logs, sqs

from local.overlay.cloudwatch_metrics import Datum, InvalidMetricError, embedded_metrics
from tests.engine.async_functions import a_function
from tests.engine.queues import a_queue
from tests.engine.waiting import wait_until

type Aws = Callable[[str], Any]

MEASURING = """
import json, time

def handler(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
            "Namespace": event["namespace"],
            "Dimensions": [["service"], ["service", "tier"]],
            "Metrics": [{"Name": "Scored", "Unit": "Count"}, {"Name": "Latency", "Unit": "Milliseconds"}],
        }]},
        "service": "scoring", "tier": "gold", "Scored": 3, "Latency": [10, 20, 60],
    }))
"""


def a_document(**changes: Any) -> dict[str, Any]:
    directive = {"Namespace": "Test", "Dimensions": [["service"]], "Metrics": [{"Name": "Scored", "Unit": "Count"}]}
    directive |= changes.pop("directive", {})
    aws = {"Timestamp": 1_700_000_000_000, "CloudWatchMetrics": [directive]}
    return {"_aws": aws, "service": "scoring", "Scored": 2} | changes


def statistics(
    aws: Aws, namespace: str, metric: str, dimensions: Mapping[str, str], *wanted: str
) -> list[dict[str, Any]]:
    """The metric's statistics over the last ten minutes as one period; empty where it has no data."""
    now = datetime.now(UTC)
    answer: list[dict[str, Any]] = aws("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=list(wanted),
    )["Datapoints"]
    return answer


def test_log_event_of_a_function_becomes_metrics_with_every_set_of_dimensions(aws: Aws) -> None:
    namespace, function = f"Test/{uuid4().hex[:8]}", a_function(aws, MEASURING)

    aws("lambda").invoke(FunctionName=function, Payload=json.dumps({"namespace": namespace}))

    one, both = {"service": "scoring"}, {"service": "scoring", "tier": "gold"}
    (scored,) = wait_until(lambda: statistics(aws, namespace, "Scored", one, "Sum"), 5, "the metric")
    assert (scored["Sum"], scored["Unit"]) == (3.0, "Count")
    (latency,) = statistics(aws, namespace, "Latency", both, "Sum", "Maximum", "SampleCount")
    assert (latency["Sum"], latency["Maximum"], latency["SampleCount"]) == (90.0, 60.0, 3.0)
    assert latency["Unit"] == "Milliseconds"
    listed = aws("cloudwatch").list_metrics(Namespace=namespace, MetricName="Scored")["Metrics"]
    assert sorted(len(metric["Dimensions"]) for metric in listed) == [1, 2]


def test_log_event_put_by_a_client_becomes_a_metric_too(aws: Aws) -> None:
    namespace, group = f"Test/{uuid4().hex[:8]}", f"group-{uuid4().hex[:8]}"
    aws("logs").create_log_group(logGroupName=group)
    aws("logs").create_log_stream(logGroupName=group, logStreamName="stream")
    document = a_document(directive={"Namespace": namespace})
    document["_aws"]["Timestamp"] = int(time.time() * 1000)
    event = {"timestamp": document["_aws"]["Timestamp"], "message": json.dumps(document)}

    aws("logs").put_log_events(logGroupName=group, logStreamName="stream", logEvents=[event])

    assert statistics(aws, namespace, "Scored", {"service": "scoring"}, "Sum")[0]["Sum"] == 2.0


def test_document_becomes_one_datum_per_metric_and_set_of_dimensions() -> None:
    data = list(embedded_metrics(json.dumps(a_document(directive={"Dimensions": [["service"], []]}))))

    assert data == [
        Datum("Test", "Scored", {"service": "scoring"}, "Count", 1_700_000_000.0, [2.0]),
        Datum("Test", "Scored", {}, "Count", 1_700_000_000.0, [2.0]),
    ]


@pytest.mark.parametrize(
    "message", ["START RequestId: 1", '{"level": "INFO"}', "CloudWatchMetrics", '{"CloudWatchMetrics": []}', "[]"]
)
def test_ordinary_log_event_has_no_metrics(message: str) -> None:
    assert list(embedded_metrics(message)) == []


@pytest.mark.parametrize(
    "document",
    [
        a_document(Scored="two"),
        a_document(Scored=True),
        a_document(Scored=list(range(101))),
        a_document(service=7),
        a_document(directive={"Dimensions": [["absent"]]}),
        a_document(directive={"Namespace": ""}),
        a_document(directive={"Metrics": [{"Name": "Absent"}]}),
        {"_aws": {"CloudWatchMetrics": []}},
    ],
)
def test_document_that_breaks_the_specification_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidMetricError):
        list(embedded_metrics(json.dumps(document)))


def test_queue_has_the_metrics_of_its_messages(aws: Aws) -> None:
    queue = a_queue(aws)
    for number in range(3):
        aws("sqs").send_message(QueueUrl=queue.url, MessageBody=str(number))

    def metric(name: str, statistic: str) -> float:
        points = statistics(aws, "AWS/SQS", name, {"QueueName": queue.name}, statistic)
        return float(points[0][statistic]) if points else -1.0

    wait_until(lambda: metric("ApproximateNumberOfMessagesVisible", "Maximum") == 3.0, 5, "three visible messages")
    assert metric("NumberOfMessagesSent", "Sum") == 3.0
    wait_until(lambda: metric("ApproximateAgeOfOldestMessage", "Maximum") > 1.0, 5, "an age of more than a second")

    aws("sqs").receive_message(QueueUrl=queue.url, MaxNumberOfMessages=2)
    wait_until(lambda: metric("ApproximateNumberOfMessagesNotVisible", "Maximum") >= 1.0, 5, "messages in flight")


def test_engine_still_lacks_embedded_metrics_and_metrics_of_queues() -> None:
    assert "CloudWatchMetrics" not in inspect.getsource(cloudwatch_logs)
    assert "record_metric" not in inspect.getsource(sqs)
