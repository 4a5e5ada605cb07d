"""What fails is tried again within a bound, then kept where somebody is told of it."""

import pytest

from features import LABEL_DELAY_DAYS, SECONDS_PER_DAY
from stream_records import MAXIMUM_AGE_SECONDS, MAXIMUM_FUTURE_SECONDS
from tests.sam_template import as_list, resources, target_of
from tests.template.hops import dead_letter_queues, redrive_target

QUEUES = resources("AWS::SQS::Queue")
FUNCTIONS = resources("AWS::Lambda::Function", deployed=True)
MAPPINGS = resources("AWS::Lambda::EventSourceMapping", deployed=True)
STREAM_MAPPINGS = [name for name, one in MAPPINGS.items() if target_of(one["EventSourceArn"]) not in QUEUES]
QUEUE_MAPPINGS = [name for name, one in MAPPINGS.items() if target_of(one["EventSourceArn"]) in QUEUES]
ALARMS = resources("AWS::CloudWatch::Alarm")
# Queues that are no dead-letter queue of AWS's making, and yet hold what a person must look at.
WATCHED_LIKE_DEAD_LETTERS = {"TransactionQuarantineQueue"}
FOURTEEN_DAYS = 1_209_600
RULE_FED_QUEUES = [
    target_of(queue)
    for policy in resources("AWS::SQS::QueuePolicy").values()
    for queue in policy["Queues"]
    if "events.amazonaws.com" in [one["Principal"].get("Service") for one in policy["PolicyDocument"]["Statement"]]
]
SUBSCRIBED_QUEUES = {name: one for name, one in resources("AWS::SNS::Subscription").items() if one["Protocol"] == "sqs"}


def test_there_are_routes_to_test() -> None:
    assert (STREAM_MAPPINGS, sorted(QUEUE_MAPPINGS)) == (
        ["ScoreTransactionsFunctionTransactions"],
        [
            "AnswerChatFunctionRequests",
            "CarryOutActionFunctionApprovals",
            "CompensateOutcomeFunctionVerdicts",
            "LearnFromOutcomeFunctionOutcomes",
            "NotifyCustomerFunctionAlerts",
            "ResumeInvestigationFunctionDecisions",
            "StartDocumentSummaryFunctionUploads",
            "StartInvestigationFunctionFlags",
        ],
    )
    assert len(dead_letter_queues()) == 12


@pytest.mark.parametrize("queue", sorted(dead_letter_queues() | WATCHED_LIKE_DEAD_LETTERS))
def test_dead_letter_queue_rings_within_a_minute_and_keeps_for_as_long_as_it_can(queue: str) -> None:
    dimension = {"Name": "QueueName", "Value": {"Fn::GetAtt": [queue, "QueueName"]}}
    (alarm,) = [one for one in ALARMS.values() if one.get("Dimensions") == [dimension]]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert (alarm["Statistic"], alarm["ComparisonOperator"]) == ("Maximum", "GreaterThanOrEqualToThreshold")
    assert (alarm["Threshold"], alarm["Period"], alarm["EvaluationPeriods"]) == (1, 60, 1)
    assert alarm["TreatMissingData"] == "notBreaching"
    assert [target_of(action) for action in alarm["AlarmActions"]] == ["OperationsTopic"]
    assert QUEUES[queue]["MessageRetentionPeriod"] == FOURTEEN_DAYS


@pytest.mark.parametrize("name", QUEUES)
def test_queue_is_encrypted(name: str) -> None:
    assert QUEUES[name]["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("name", [name for name, queue in QUEUES.items() if "RedrivePolicy" in queue])
def test_queue_gives_up_after_some_tries_into_a_queue_that_keeps_longer(name: str) -> None:
    queue = QUEUES[name]
    dead_letters = redrive_target(name)
    assert dead_letters is not None
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 2
    # A message keeps its first time stamp in a standard dead-letter queue: kept no longer there, it is lost early.
    assert QUEUES[dead_letters]["MessageRetentionPeriod"] >= queue["MessageRetentionPeriod"]


def test_every_queue_is_read_given_up_to_or_looked_at() -> None:
    read = {target_of(MAPPINGS[name]["EventSourceArn"]) for name in QUEUE_MAPPINGS}
    assert QUEUES.keys() - read - dead_letter_queues() - WATCHED_LIKE_DEAD_LETTERS == set()


@pytest.mark.parametrize("name", QUEUE_MAPPINGS)
def test_read_queue_hides_a_message_six_times_as_long_as_its_function_may_run(name: str) -> None:
    mapping = MAPPINGS[name]
    queue = QUEUES[target_of(mapping["EventSourceArn"])]
    assert "RedrivePolicy" in queue
    assert queue["VisibilityTimeout"] >= 6 * FUNCTIONS[target_of(mapping["FunctionName"])]["Timeout"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2


@pytest.mark.parametrize("name", MAPPINGS)
def test_mapping_takes_partial_failures(name: str) -> None:
    assert MAPPINGS[name]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


@pytest.mark.parametrize("name", STREAM_MAPPINGS)
def test_stream_mapping_never_stops_its_shard_for_good(name: str) -> None:
    mapping = MAPPINGS[name]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert 1 <= mapping["MaximumRetryAttempts"] <= 100
    stream = resources("AWS::Kinesis::Stream")[target_of(mapping["EventSourceArn"])]
    assert 60 <= mapping["MaximumRecordAgeInSeconds"] < stream["RetentionPeriodHours"] * 3600
    assert target_of(mapping["DestinationConfig"]["OnFailure"]["Destination"]) in dead_letter_queues()


def test_no_two_records_whose_order_could_change_a_score_are_ever_in_flight_together() -> None:
    """A terminal's windows end LABEL_DELAY_DAYS before a transaction's day: closer records cannot see each other."""
    (mapping,) = [MAPPINGS[name] for name in STREAM_MAPPINGS]
    widest_apart = MAXIMUM_AGE_SECONDS + MAXIMUM_FUTURE_SECONDS + mapping["MaximumRecordAgeInSeconds"]
    assert widest_apart < (LABEL_DELAY_DAYS - 1) * SECONDS_PER_DAY


@pytest.mark.parametrize("name", resources("AWS::Events::Rule"))
def test_rule_target_is_tried_within_a_bound_and_keeps_what_it_could_not_deliver(name: str) -> None:
    for target in resources("AWS::Events::Rule")[name]["Targets"]:
        assert 1 <= target["RetryPolicy"]["MaximumRetryAttempts"] <= 185
        assert 60 <= target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 86_400
        queue = target_of(target["DeadLetterConfig"]["Arn"])
        assert name in senders_to(queue)["events.amazonaws.com"]


@pytest.mark.parametrize("queue", RULE_FED_QUEUES)
def test_queue_takes_from_the_rules_that_name_it_and_from_no_other(queue: str) -> None:
    naming = {
        name
        for name, rule in resources("AWS::Events::Rule").items()
        for target in rule["Targets"]
        if queue in (target_of(target["Arn"]), target_of(target["DeadLetterConfig"]["Arn"]))
    }
    assert senders_to(queue)["events.amazonaws.com"] == naming


@pytest.mark.parametrize("name", SUBSCRIBED_QUEUES)
def test_subscribed_queue_takes_from_its_topic_and_no_other_and_what_it_cannot_take_is_kept(name: str) -> None:
    subscription = SUBSCRIBED_QUEUES[name]
    topic, queue = target_of(subscription["TopicArn"]), target_of(subscription["Endpoint"])
    assert subscription["RawMessageDelivery"] is True
    assert senders_to(queue)["sns.amazonaws.com"] == {topic}
    assert senders_to(target_of(subscription["RedrivePolicy"]["deadLetterTargetArn"]))["sns.amazonaws.com"] == {topic}


def senders_to(queue: str) -> dict[str, set[str]]:
    """Which service may send to a queue on behalf of which resources."""
    senders: dict[str, set[str]] = {}
    for policy in resources("AWS::SQS::QueuePolicy").values():
        if queue not in map(target_of, policy["Queues"]):
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            assert as_list(statement["Action"]) == ["sqs:SendMessage"]
            assert target_of(statement["Resource"]) == queue
            source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
            senders.setdefault(statement["Principal"]["Service"], set()).add(target_of(source))
    return senders
