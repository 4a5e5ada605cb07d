"""Alarms: AWS's own examples of missing data, dimensions, and states that follow a queue."""

import inspect
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from ministack.services import cloudwatch

from local.overlay.cloudwatch_alarms import next_state, recent_periods
from tests.engine.queues import Queue, a_queue
from tests.engine.waiting import wait_until

type Aws = Callable[[str], Any]

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
KEPT = "the state before"


def an_alarm(**settings: Any) -> dict[str, Any]:
    alarm = {
        "Namespace": "Test",
        "MetricName": "Errors",
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "StateValue": KEPT,
    }
    return alarm | settings


# The examples of "How alarm state is evaluated when data is missing": five periods, the newest last; X breaches, 0 does
# not, - is missing; then the state for each of TREATMENTS.
THREE_OF_THREE = [
    ("0-X-X", ["OK", "OK", "OK", "OK"]),
    ("----0", ["OK", "OK", "OK", "OK"]),
    ("-----", ["INSUFFICIENT_DATA", KEPT, "ALARM", "OK"]),
    ("0XX-X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
    ("--X--", ["ALARM", KEPT, "ALARM", "OK"]),
]
TWO_OF_THREE = [
    ("0-X-X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
    ("00X0X", ["ALARM", "ALARM", "ALARM", "ALARM"]),
    ("0-X--", ["OK", "OK", "ALARM", "OK"]),
    ("----0", ["OK", "OK", "ALARM", "OK"]),
    ("---X-", ["ALARM", KEPT, "ALARM", "OK"]),
]


@pytest.mark.parametrize(
    ("needed", "drawn", "treatment", "expected"),
    [
        (needed, drawn, treatment, expected)
        for needed, examples in ((3, THREE_OF_THREE), (2, TWO_OF_THREE))
        for drawn, states in examples
        for treatment, expected in zip(TREATMENTS, states, strict=True)
    ],
)
def test_state_is_that_of_awss_example_when_data_is_missing(
    needed: int, drawn: str, treatment: str, expected: str
) -> None:
    periods = [{"0": 0.0, "X": 1.0, "-": None}[mark] for mark in drawn]

    alarm = an_alarm(EvaluationPeriods=3, DatapointsToAlarm=needed, TreatMissingData=treatment)

    assert next_state(alarm, periods) == expected


def test_sum_of_the_minute_in_progress_counts_only_once_it_breaches() -> None:
    now = 1_000_000 * 60 + 30
    points = [{"Timestamp": now - 60, "Value": 5.0}, {"Timestamp": now, "Value": 1.0}]
    alarm = an_alarm(Statistic="Sum", Threshold=3.0)

    assert recent_periods(alarm, points, now)[-1] == 5.0
    assert recent_periods(alarm, [*points, {"Timestamp": now, "Value": 2.0}], now)[-1] == 3.0


def test_maximum_of_the_minute_in_progress_counts_as_it_is() -> None:
    now = 1_000_000 * 60 + 30
    points = [{"Timestamp": now - 60, "Value": 5.0}, {"Timestamp": now, "Value": 0.0}]

    assert recent_periods(an_alarm(), points, now)[-2:] == [5.0, 0.0]


def state_of(aws: Aws, name: str) -> str:
    (alarm,) = aws("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(alarm["StateValue"])


def put_alarm(aws: Aws, namespace: str, metric: str, dimensions: dict[str, str], **settings: Any) -> str:
    name = f"alarm-{uuid4().hex[:8]}"
    defaults = {
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }
    aws("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        **defaults | settings,
    )
    return name


def test_alarm_on_a_dead_letter_queue_fires_within_seconds_and_recovers(aws: Aws) -> None:
    dead_letters, idle, notified = a_queue(aws), a_queue(aws), a_queue(aws, "sns.amazonaws.com")
    topic = aws("sns").create_topic(Name=f"topic-{uuid4().hex[:8]}")["TopicArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=notified.arn)
    visible = "ApproximateNumberOfMessagesVisible"
    actions = {"AlarmActions": [topic], "OKActions": [topic]}
    alarm = put_alarm(aws, "AWS/SQS", visible, {"QueueName": dead_letters.name}, **actions)
    other = put_alarm(aws, "AWS/SQS", visible, {"QueueName": idle.name})
    wait_until(lambda: state_of(aws, alarm) == "OK", 5, "OK while the queue is empty")

    aws("sqs").send_message(QueueUrl=dead_letters.url, MessageBody="poison")
    wait_until(lambda: state_of(aws, alarm) == "ALARM", 5, "ALARM after a message")
    aws("sqs").purge_queue(QueueUrl=dead_letters.url)
    wait_until(lambda: state_of(aws, alarm) == "OK", 5, "OK after the purge")

    assert state_of(aws, other) == "OK"
    assert [change["NewStateValue"] for change in changes(notified, 3)] == ["OK", "ALARM", "OK"]


def changes(queue: Queue, count: int) -> list[dict[str, Any]]:
    """The changes of state that an alarm's topic sent to the queue, in the order they were published."""
    notifications = [json.loads(message["Body"]) for message in queue.receive(count)]
    return [json.loads(notification["Message"]) for notification in notifications]


def test_alarm_is_judged_by_its_own_dimensions_only(aws: Aws) -> None:
    namespace = f"Test/{uuid4().hex[:8]}"
    ours = put_alarm(aws, namespace, "Errors", {"Function": "ours"})
    theirs = put_alarm(aws, namespace, "Errors", {"Function": "theirs"})

    aws("cloudwatch").put_metric_data(
        Namespace=namespace,
        MetricData=[{"MetricName": "Errors", "Dimensions": [{"Name": "Function", "Value": "theirs"}], "Value": 4}],
    )

    wait_until(lambda: state_of(aws, theirs) == "ALARM", 5, "ALARM of the function that failed")
    assert state_of(aws, ours) == "OK"


def test_alarm_needs_as_many_breaching_periods_as_it_says(aws: Aws) -> None:
    namespace = f"Test/{uuid4().hex[:8]}"
    settings = {"Statistic": "Sum", "EvaluationPeriods": 3, "DatapointsToAlarm": 2}
    alarm = put_alarm(aws, namespace, "Errors", {}, **settings)
    wait_until(lambda: state_of(aws, alarm) == "OK", 5, "OK without data")

    def one_error(minutes_ago: int) -> None:
        at = {"MetricName": "Errors", "Timestamp": time.time() - 60 * minutes_ago, "Value": 1}
        aws("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[at])

    one_error(minutes_ago=2)
    assert state_of(aws, alarm) == "OK"
    one_error(minutes_ago=1)
    assert state_of(aws, alarm) == "ALARM"


def test_alarm_without_data_is_what_its_treatment_of_missing_data_says(aws: Aws) -> None:
    namespace = f"Test/{uuid4().hex[:8]}"
    alarms = {t: put_alarm(aws, namespace, "Errors", {}, TreatMissingData=t) for t in TREATMENTS}

    states = {treatment: state_of(aws, name) for treatment, name in alarms.items()}

    assert states == {
        "missing": "INSUFFICIENT_DATA",
        "ignore": "INSUFFICIENT_DATA",
        "breaching": "ALARM",
        "notBreaching": "OK",
    }


def test_engine_still_lacks_dimensions_and_missing_data_in_its_evaluation() -> None:

    evaluation = inspect.getsource(cloudwatch._evaluate_alarm)
    for setting in ("Dimensions", "DatapointsToAlarm", "TreatMissingData"):
        assert setting not in evaluation
