"""Rule targets: retries, dead letters, permissions, bursts; and what PutEvents and PutTargets refuse."""

import inspect
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError
from ministack.services import eventbridge

from local.overlay import eventbridge_targets
from local.overlay.eventbridge_targets import Delivery, backoff, deliveries, exhausted
from local.overlay.service_calls import Caller, CallError
from local.process import EngineProcess
from tests.engine.async_functions import a_function
from tests.engine.functions import create_role
from tests.engine.queues import Queue, a_queue, attributes_of
from tests.engine.stacks import deployed, outputs_of, template
from tests.engine.waiting import wait_until

type Aws = Callable[[str], Any]

EVENTS = "events.amazonaws.com"
ABSENT = "arn:aws:{0}:eu-central-1:000000000000:absent"
FAILING = "def handler(event, context):\n    raise ValueError(event['detail']['order'])\n"
CALLER = Caller(EVENTS, "arn:aws:events:eu-central-1:000000000000:rule/r", "000000000000", "eu-central-1")


def a_rule(aws: Aws, *targets: dict[str, Any]) -> str:
    """The source whose events reach ``targets``."""
    source = f"test.{uuid4().hex[:8]}"
    aws("events").put_rule(Name=source, EventPattern=json.dumps({"source": [source]}))
    numbered = [{"Id": str(number), **target} for number, target in enumerate(targets)]
    aws("events").put_targets(Rule=source, Targets=numbered)
    return source


def put(aws: Aws, source: str, *details: str) -> dict[str, Any]:
    answer: dict[str, Any] = aws("events").put_events(Entries=entries(source, *details))
    return answer


def entries(source: str, *details: str) -> list[dict[str, str]]:
    return [{"Source": source, "DetailType": "OrderPlaced", "Detail": detail} for detail in details]


def dead_letter(queue: Queue) -> tuple[dict[str, Any], dict[str, str]]:
    """The one event in the dead-letter queue, and the attributes that came with it."""
    (message,) = queue.receive()
    return json.loads(message["Body"]), attributes_of(message)


def test_event_goes_to_the_dead_letter_queue_at_once_when_the_target_is_missing(aws: Aws) -> None:
    queue = a_queue(aws, EVENTS)
    source = a_rule(aws, {"Arn": ABSENT.format("sqs"), "Input": '"changed"', "DeadLetterConfig": {"Arn": queue.arn}})

    put(aws, source, '{"order": 7}')

    event, attributes = dead_letter(queue)
    assert (event["source"], event["detail-type"], event["detail"]) == (source, "OrderPlaced", {"order": 7})
    assert attributes.pop("ERROR_MESSAGE")
    assert attributes == {
        "RULE_ARN": f"arn:aws:events:eu-central-1:000000000000:rule/{source}",
        "TARGET_ARN": ABSENT.format("sqs"),
        "ERROR_CODE": "NO_RESOURCE",
        "RETRY_ATTEMPTS": "0",
    }


def test_event_goes_to_the_dead_letter_queue_when_its_retries_are_used_up(aws: Aws) -> None:
    queue, stream = a_queue(aws, EVENTS), f"stream-{uuid4().hex[:8]}"
    aws("kinesis").create_stream(StreamName=stream, ShardCount=1)
    stream_arn = f"arn:aws:kinesis:eu-central-1:000000000000:stream/{stream}"
    target = {
        "Arn": stream_arn,
        "RoleArn": create_role(
            aws, {"Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": stream_arn}, service=EVENTS
        ),
        "KinesisParameters": {"PartitionKeyPath": "$.detail.key"},
        "RetryPolicy": {"MaximumRetryAttempts": 2},
        "DeadLetterConfig": {"Arn": queue.arn},
    }

    put(aws, a_rule(aws, target), json.dumps({"key": "longer than Kinesis takes " * 20}))

    _, attributes = dead_letter(queue)
    assert attributes["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert attributes["RETRY_ATTEMPTS"] == "2"
    assert attributes["ERROR_CODE"] == "ERROR_FROM_TARGET"
    assert "partitionKey" in attributes["ERROR_MESSAGE"]


def test_queue_without_a_policy_for_eventbridge_is_a_permission_failure(aws: Aws) -> None:
    target, queue = a_queue(aws), a_queue(aws, EVENTS)

    put(aws, a_rule(aws, {"Arn": target.arn, "DeadLetterConfig": {"Arn": queue.arn}}), "{}")

    assert dead_letter(queue)[1]["ERROR_CODE"] == "NO_PERMISSIONS"


def test_queue_that_refuses_plain_http_takes_events_because_services_use_tls(aws: Aws) -> None:
    target = a_queue(aws, EVENTS)
    policy = json.loads(
        aws("sqs").get_queue_attributes(QueueUrl=target.url, AttributeNames=["Policy"])["Attributes"]["Policy"]
    )
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:SendMessage",
            "Resource": target.arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )
    aws("sqs").set_queue_attributes(QueueUrl=target.url, Attributes={"Policy": json.dumps(policy)})

    put(aws, a_rule(aws, {"Arn": target.arn}), '{"order": 1}')

    assert json.loads(target.receive()[0]["Body"])["detail"] == {"order": 1}


def test_topic_with_the_default_policy_is_a_permission_failure(aws: Aws) -> None:
    topic = aws("sns").create_topic(Name=f"topic-{uuid4().hex[:8]}")["TopicArn"]
    queue = a_queue(aws, EVENTS)

    put(aws, a_rule(aws, {"Arn": topic, "DeadLetterConfig": {"Arn": queue.arn}}), "{}")

    assert dead_letter(queue)[1]["ERROR_CODE"] == "NO_PERMISSIONS"


def test_topic_whose_policy_names_eventbridge_fans_out(aws: Aws) -> None:
    topic = aws("sns").create_topic(Name=f"topic-{uuid4().hex[:8]}")["TopicArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": EVENTS}, "Action": "sns:Publish", "Resource": topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    subscriber = a_queue(aws, "sns.amazonaws.com")
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=subscriber.arn)

    put(aws, a_rule(aws, {"Arn": topic}), '{"order": 3}')

    (message,) = subscriber.receive()
    assert json.loads(json.loads(message["Body"])["Message"])["detail"] == {"order": 3}


def test_function_without_permission_for_eventbridge_is_a_permission_failure(aws: Aws) -> None:
    queue = a_queue(aws, EVENTS)

    put(aws, a_rule(aws, {"Arn": a_function(aws, FAILING), "DeadLetterConfig": {"Arn": queue.arn}}), "{}")

    assert dead_letter(queue)[1]["ERROR_CODE"] == "NO_PERMISSIONS"


def test_function_is_invoked_asynchronously_so_that_its_own_failure_destination_gets_the_event(aws: Aws) -> None:
    destination = a_queue(aws)
    function = a_function(aws, FAILING, invoked_by=EVENTS, on_failure=destination.arn)

    put(aws, a_rule(aws, {"Arn": function}), '{"order": 11}')

    (message,) = destination.receive(seconds=20)
    assert json.loads(message["Body"])["requestPayload"]["detail"] == {"order": 11}


def test_function_behind_an_alias_is_invoked_by_the_permission_of_the_alias(aws: Aws) -> None:
    destination = a_queue(aws)
    function, functions = a_function(aws, FAILING, on_failure=destination.arn), aws("lambda")
    functions.create_alias(FunctionName=function, Name="live", FunctionVersion="$LATEST")
    functions.add_permission(
        FunctionName=function, Qualifier="live", StatementId="rule", Action="lambda:InvokeFunction", Principal=EVENTS
    )

    put(aws, a_rule(aws, {"Arn": f"{function}:live"}), '{"order": 12}')

    (message,) = destination.receive(seconds=20)
    assert json.loads(message["Body"])["requestPayload"]["detail"] == {"order": 12}


def test_state_machine_starts_only_when_the_role_of_the_target_may_start_it(aws: Aws) -> None:
    definition = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    machine = aws("stepfunctions").create_state_machine(
        name=f"machine-{uuid4().hex[:8]}",
        definition=json.dumps(definition),
        roleArn=create_role(aws, service="states.amazonaws.com"),
    )["stateMachineArn"]
    queue = a_queue(aws, EVENTS)
    able = create_role(aws, {"Effect": "Allow", "Action": "states:StartExecution", "Resource": machine}, service=EVENTS)
    dead_letters = {"DeadLetterConfig": {"Arn": queue.arn}}
    unable = {"Arn": machine, "RoleArn": create_role(aws, service=EVENTS)} | dead_letters

    put(aws, a_rule(aws, unable, {"Arn": machine, "RoleArn": able} | dead_letters), "{}")

    assert dead_letter(queue)[1]["ERROR_CODE"] == "NO_PERMISSIONS"
    executions = lambda: aws("stepfunctions").list_executions(stateMachineArn=machine)["executions"]  # noqa: E731
    assert len(wait_until(executions, 5, "an execution")) == 1


def test_event_crosses_to_another_bus_and_its_rules(aws: Aws) -> None:
    bus, source, queue = f"bus-{uuid4().hex[:8]}", "test.crossing", a_queue(aws, EVENTS)
    bus_arn = aws("events").create_event_bus(Name=bus)["EventBusArn"]
    aws("events").put_rule(Name="there", EventBusName=bus, EventPattern=json.dumps({"detail-type": ["OrderPlaced"]}))
    aws("events").put_targets(Rule="there", EventBusName=bus, Targets=[{"Id": "queue", "Arn": queue.arn}])
    source = a_rule(aws, {"Arn": bus_arn})

    put(aws, source, '{"order": 5}')

    assert json.loads(queue.receive()[0]["Body"])["detail"] == {"order": 5}


def test_log_group_gets_the_event(aws: Aws) -> None:
    group = f"/aws/events/{uuid4().hex[:8]}"
    aws("logs").create_log_group(logGroupName=group)
    source = a_rule(aws, {"Arn": f"arn:aws:logs:eu-central-1:000000000000:log-group:{group}"})

    put(aws, source, '{"order": 8}')

    logged = wait_until(lambda: aws("logs").filter_log_events(logGroupName=group)["events"], 5, "a log event")
    assert json.loads(logged[0]["message"])["detail"] == {"order": 8}


def test_rule_of_a_stack_delivers_to_the_queue_whose_policy_names_that_rule_and_to_no_other(aws: Aws) -> None:
    source = f"test.{uuid4().hex[:8]}"
    targets = [
        {"Id": "named", "Arn": {"Fn::GetAtt": ["Named", "Arn"]}},
        {
            "Id": "other",
            "Arn": {"Fn::GetAtt": ["Other", "Arn"]},
            "RetryPolicy": {"MaximumRetryAttempts": 2},
            "DeadLetterConfig": {"Arn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}},
        },
    ]
    resources = {
        "Named": {"Type": "AWS::SQS::Queue"},
        "Other": {"Type": "AWS::SQS::Queue"},
        "DeadLetters": {"Type": "AWS::SQS::Queue"},
        "Rule": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": [source]}, "Targets": targets}},
        "NamedPolicy": a_queue_policy("Named", {"Fn::GetAtt": ["Rule", "Arn"]}),
        "OtherPolicy": a_queue_policy("Other", "arn:aws:events:eu-central-1:000000000000:rule/another"),
        "DeadLettersPolicy": a_queue_policy("DeadLetters", {"Fn::GetAtt": ["Rule", "Arn"]}),
    }
    urls = {"Named": {"Ref": "Named"}, "DeadLetters": {"Ref": "DeadLetters"}}
    with deployed(aws, template(resources, urls)) as stack:
        queues = {name: Queue(aws("sqs"), name, url, "") for name, url in outputs_of(aws, stack).items()}
        put(aws, source, '{"order": 4}')

        assert json.loads(queues["Named"].receive()[0]["Body"])["detail"] == {"order": 4}
        assert dead_letter(queues["DeadLetters"])[1]["ERROR_CODE"] == "NO_PERMISSIONS"


def a_queue_policy(queue: str, rule_arn: Any) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": EVENTS},
        "Action": "sqs:SendMessage",
        "Resource": {"Fn::GetAtt": [queue, "Arn"]},
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"Type": "AWS::SQS::QueuePolicy", "Properties": {"Queues": [{"Ref": queue}], "PolicyDocument": document}}


def test_schedule_delivers_as_its_role_and_buries_what_it_cannot_deliver(aws: Aws) -> None:
    queue, dead_letters = a_queue(aws), a_queue(aws)
    may_send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": [queue.arn, dead_letters.arn]}
    role = create_role(aws, may_send, service="scheduler.amazonaws.com")
    for arn in (queue.arn, ABSENT.format("sqs")):
        aws("scheduler").create_schedule(
            Name=f"schedule-{uuid4().hex[:8]}",
            ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": arn,
                "RoleArn": role,
                "Input": '{"order": 6}',
                "DeadLetterConfig": {"Arn": dead_letters.arn},
            },
        )

    assert json.loads(queue.receive(seconds=30)[0]["Body"]) == {"order": 6}
    assert dead_letter(dead_letters)[1]["ERROR_CODE"] == "NO_RESOURCE"


def test_lost_event_is_in_the_log_at_error_level_when_there_is_no_dead_letter_queue(
    aws: Aws, engine: EngineProcess
) -> None:
    marker = uuid4().hex

    put(aws, a_rule(aws, {"Arn": ABSENT.format("sqs")}), json.dumps({"marker": marker}))

    wait_until(lambda: lines_with(engine, marker), 5, "the lost event in the log")
    assert "ERROR" in lines_with(engine, marker)[0]
    assert "Event lost" in lines_with(engine, marker)[0]


def lines_with(engine: EngineProcess, text: str) -> list[str]:
    return [line for line in engine.log.read_text().splitlines() if text in line]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"Input": '{"fixed": true}'}, {"fixed": True}),
        ({"InputPath": "$.detail.order"}, {"id": 9}),
        (
            {"InputTransformer": {"InputPathsMap": {"id": "$.detail.order.id"}, "InputTemplate": '{"orderId": <id>}'}},
            {"orderId": 9},
        ),
    ],
)
def test_target_gets_what_its_input_settings_make_of_the_event(
    aws: Aws, settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    queue = a_queue(aws, EVENTS)

    put(aws, a_rule(aws, {"Arn": queue.arn} | settings), '{"order": {"id": 9}}')

    assert json.loads(queue.receive()[0]["Body"]) == expected


def test_event_is_logged_when_the_dead_letter_queue_refuses_it_too(aws: Aws, engine: EngineProcess) -> None:
    marker, closed = uuid4().hex, a_queue(aws)
    target = {"Arn": ABSENT.format("sns"), "DeadLetterConfig": {"Arn": closed.arn}}

    put(aws, a_rule(aws, target), json.dumps({"marker": marker}))

    wait_until(lambda: lines_with(engine, marker), 5, "the lost event in the log")
    assert "does not allow events.amazonaws.com" in lines_with(engine, marker)[0]


def test_burst_of_a_thousand_events_arrives_whole_without_a_thread_for_each(aws: Aws, engine: EngineProcess) -> None:
    queue = a_queue(aws, EVENTS)
    source = a_rule(aws, {"Arn": queue.arn}, {"Arn": ABSENT.format("sqs")})
    events, threads_before, threads, slowest = aws("events"), threads_of(engine), 0, 0.0

    for call in range(100):
        started = time.monotonic()
        numbered = [json.dumps({"number": call * 10 + entry}) for entry in range(10)]
        events.put_events(Entries=entries(source, *numbered))
        slowest = max(slowest, time.monotonic() - started)
        threads = max(threads, threads_of(engine))

    bodies = [json.loads(message["Body"]) for message in queue.receive(1000, seconds=30)]
    assert sorted(body["detail"]["number"] for body in bodies) == list(range(1000))
    assert threads - threads_before < 50
    assert slowest < 5


def threads_of(engine: EngineProcess) -> int:
    """How many threads the engine runs; 0 where the system does not say (Linux does)."""
    tasks = Path(f"/proc/{engine.process.pid}/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 0


def test_malformed_details_are_refused_one_by_one_and_the_others_delivered(aws: Aws) -> None:
    queue = a_queue(aws, EVENTS)
    source = a_rule(aws, {"Arn": queue.arn})

    answer = put(aws, source, "not JSON", '{"order": 1}', "[1, 2]", '"text"', '{"order": 2}')

    assert answer["FailedEntryCount"] == 3
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    assert codes == ["MalformedDetail", None, "MalformedDetail", "MalformedDetail", None]
    assert all(entry["EventId"] for entry in answer["Entries"] if "ErrorCode" not in entry)
    assert {json.loads(message["Body"])["detail"]["order"] for message in queue.receive(2)} == {1, 2}


def test_entry_without_a_source_is_refused(aws: Aws) -> None:
    answer = aws("events").put_events(Entries=[{"DetailType": "OrderPlaced", "Detail": "{}"}])

    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "InvalidArgument"


@pytest.mark.parametrize(
    "settings",
    [
        {"RetryPolicy": {"MaximumRetryAttempts": 186}},
        {"RetryPolicy": {"MaximumEventAgeInSeconds": 86_401}},
        {"DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-central-1:000000000000:letters.fifo"}},
        {"DeadLetterConfig": {"Arn": "arn:aws:sns:eu-central-1:000000000000:letters"}},
    ],
)
def test_put_targets_refuses_settings_out_of_range(aws: Aws, settings: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        a_rule(aws, {"Arn": ABSENT.format("sqs")} | settings)


def test_delivery_is_retried_with_growing_pauses_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[float] = []
    delivered = threading.Event()

    def third_time_lucky(_delivery: Delivery, _target: Any) -> None:
        attempts.append(time.monotonic())
        if len(attempts) < 3:
            raise CallError("THROTTLING", "slow down", permanent=False)
        delivered.set()

    monkeypatch.setitem(eventbridge_targets.TARGET_KINDS, "flaky", third_time_lucky)
    deliveries()(a_delivery("flaky"))

    assert delivered.wait(10)
    first, second, third = attempts
    assert third - second > second - first >= eventbridge_targets.BACKOFF_BASE_SECONDS / 2


def test_target_that_waits_for_its_retry_does_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered = threading.Event()

    def always_busy(_delivery: Delivery, _target: Any) -> None:
        raise CallError("THROTTLING", "slow down", permanent=False)

    monkeypatch.setattr(eventbridge_targets, "BACKOFF_BASE_SECONDS", 600.0)
    monkeypatch.setattr(eventbridge_targets, "BACKOFF_CEILING_SECONDS", 600.0)
    monkeypatch.setitem(eventbridge_targets.TARGET_KINDS, "busy", always_busy)
    monkeypatch.setitem(eventbridge_targets.TARGET_KINDS, "free", lambda _delivery, _target: delivered.set())
    deliver = deliveries()
    for _ in range(eventbridge_targets.DELIVERIES_AT_ONCE * 10):
        deliver(a_delivery("busy"))
    deliver(a_delivery("free"))

    assert delivered.wait(5)


def a_delivery(kind: str) -> Delivery:
    return Delivery({"Arn": ABSENT.format(kind)}, {}, {}, {"id": "1", "detail": {}}, None, CALLER)


@pytest.mark.parametrize(
    ("policy", "retries", "age", "expected"),
    [
        ({}, 184, 86_400, None),
        ({}, 185, 0, "MaximumRetryAttempts"),
        ({}, 0, 86_401, "MaximumEventAgeInSeconds"),
        ({"MaximumRetryAttempts": 0}, 0, 0, "MaximumRetryAttempts"),
        ({"MaximumRetryAttempts": 3}, 2, 0, None),
        ({"MaximumEventAgeInSeconds": 60}, 1, 61, "MaximumEventAgeInSeconds"),
    ],
)
def test_limits_of_the_retry_policy_end_the_retries(
    policy: dict[str, int], retries: int, age: float, expected: str | None
) -> None:
    assert exhausted({"RetryPolicy": policy}, retries, age) == expected


def test_backoff_grows_to_its_ceiling_and_never_overflows() -> None:
    assert eventbridge_targets.BACKOFF_BASE_SECONDS / 2 <= backoff(0) <= eventbridge_targets.BACKOFF_BASE_SECONDS
    assert backoff(4) > backoff(2) > backoff(0)
    assert 30 <= backoff(10_000) <= eventbridge_targets.BACKOFF_CEILING_SECONDS


def test_engine_still_lacks_retries_and_dead_letter_queues_of_targets() -> None:
    source = inspect.getsource(eventbridge)
    assert "RetryPolicy" not in source
    assert "MaximumRetryAttempts" not in source
    assert "DeadLetterConfig" not in inspect.getsource(eventbridge._invoke_target)


def test_engine_still_lacks_a_check_of_the_detail_of_an_entry() -> None:
    assert "MalformedDetail" not in inspect.getsource(eventbridge)
