"""Who may do what: no wildcard without a reason, no two masters, no plain HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sam_template import as_list, resources, target_of

# Every action that is granted on all resources, and why there is no narrower one.
ON_EVERYTHING = {
    "xray:PutTraceSegments": "X-Ray has no resources to name",
    "xray:PutTelemetryRecords": "X-Ray has no resources to name",
    "xray:GetSamplingRules": "X-Ray has no resources to name",
    "xray:GetSamplingTargets": "X-Ray has no resources to name",
    "ecr:GetAuthorizationToken": "the token is for the whole registry",
    "textract:DetectDocumentText": "Textract has no resources to name for pages that come in the request",
    **dict.fromkeys(
        (
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
        ),
        "log delivery, which Step Functions logs through, has no resources to name",
    ),
}
ROLES = resources("AWS::IAM::Role")


def policies_of(role: dict[str, Any]) -> list[dict[str, Any]]:
    """The inline policies of a role, those behind a condition included."""
    policies = []
    for policy in role["Policies"]:
        policies += [one for one in policy["Fn::If"][1:] if "PolicyName" in one] if "Fn::If" in policy else [policy]
    return policies


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every role, and of the policies beside roles, with the role's logical id."""
    for name, role in ROLES.items():
        for policy in policies_of(role):
            yield from ((name, statement) for statement in as_list(policy["PolicyDocument"]["Statement"]))
    for policy in resources("AWS::IAM::Policy").values():
        (name,) = map(target_of, policy["Roles"])
        yield from ((name, statement) for statement in as_list(policy["PolicyDocument"]["Statement"]))


GRANTS = [(name, statement) for name, statement in statements() if statement["Effect"] == "Allow"]
NAMES = [f"{name}/{statement['Sid']}" for name, statement in GRANTS]
PUBLISHING = [(name, grant) for name, grant in GRANTS if as_list(grant["Action"]) == ["events:PutEvents"]]


@pytest.mark.parametrize(("role", "grant"), GRANTS, ids=NAMES)
def test_grant_names_its_actions_one_by_one(role: str, grant: dict[str, Any]) -> None:
    assert "NotAction" not in grant
    assert [action for action in as_list(grant["Action"]) if "*" in action] == [], role


@pytest.mark.parametrize(("role", "grant"), GRANTS, ids=NAMES)
def test_grant_names_its_resource_unless_there_is_a_reason(role: str, grant: dict[str, Any]) -> None:
    assert "NotResource" not in grant
    if "*" not in as_list(grant["Resource"]):
        return
    assert set(as_list(grant["Action"])) <= ON_EVERYTHING.keys(), role


def test_no_reason_for_a_wildcard_outlives_its_grant() -> None:
    used = {action for _, grant in GRANTS if "*" in as_list(grant["Resource"]) for action in as_list(grant["Action"])}
    assert used == ON_EVERYTHING.keys()


def test_no_two_grants_of_a_role_bear_the_same_name() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", ROLES)
def test_role_is_described_serves_one_service_and_has_no_policy_of_others(name: str) -> None:
    role = ROLES[name]
    assert role["Description"].endswith(".")
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    (service,) = trust["Principal"].values()
    assert trust["Principal"].keys() == {"Service"}
    assert isinstance(service, str)


@pytest.mark.parametrize(("name", "grant"), PUBLISHING, ids=[f"{name}/{grant['Sid']}" for name, grant in PUBLISHING])
def test_publisher_may_publish_its_own_events_only(name: str, grant: dict[str, Any]) -> None:
    assert grant["Condition"].keys() == {"StringEquals"}, name
    assert grant["Condition"]["StringEquals"].keys() == {"events:source", "events:detail-type"}
    # One fact a statement: lists in one condition would allow every combination.
    assert all(isinstance(value, str) for value in grant["Condition"]["StringEquals"].values())


@pytest.mark.parametrize("role", ["CloseCaseRole", "ConcludeCaseRole"])
def test_who_ends_cases_may_publish_each_event_that_a_case_can_keep(role: str) -> None:
    """An event before the end is published first: without its grant nobody could end such a case."""
    published = {grant["Condition"]["StringEquals"]["events:detail-type"] for name, grant in PUBLISHING if name == role}
    assert published == {"CaseOpened", "CaseEscalated", "CaseClosed"}


@pytest.mark.parametrize("name", resources("AWS::Lambda::EventSourceMapping", deployed=True))
def test_role_of_a_mapped_function_may_read_its_source(name: str) -> None:
    needed = {
        "AWS::SQS::Queue": {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
        "AWS::Kinesis::Stream": {
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
        },
    }
    mapping = resources("AWS::Lambda::EventSourceMapping", deployed=True)[name]
    source = target_of(mapping["EventSourceArn"])
    kind = next(kind for kind in needed if source in resources(kind))
    function = resources("AWS::Lambda::Function", deployed=True)[target_of(mapping["FunctionName"])]
    granted = {
        action
        for role, grant in GRANTS
        if role == target_of(function["Role"]) and grant["Resource"] == mapping["EventSourceArn"]
        for action in as_list(grant["Action"])
    }
    assert needed[kind] <= granted


# ---- plain HTTP


@pytest.mark.parametrize(
    ("policy_kind", "kind", "attribute"),
    [("AWS::SNS::TopicPolicy", "AWS::SNS::Topic", "Topics"), ("AWS::S3::BucketPolicy", "AWS::S3::Bucket", "Bucket")],
)
def test_every_topic_and_bucket_refuses_plain_http(policy_kind: str, kind: str, attribute: str) -> None:
    refusing = {
        target_of(one)
        for policy in resources(policy_kind).values()
        if any(_refuses_plain_http(statement) for statement in policy["PolicyDocument"]["Statement"])
        for one in as_list(policy[attribute])
    }
    assert refusing == resources(kind).keys()


def _refuses_plain_http(statement: dict[str, Any]) -> bool:
    said = (statement["Effect"], statement["Principal"], statement.get("Condition"))
    return said == ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize("name", resources("AWS::S3::Bucket"))
def test_bucket_is_closed_to_the_public_and_encrypted(name: str) -> None:
    bucket = resources("AWS::S3::Bucket")[name]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]


@pytest.mark.parametrize("kind", ["AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy"])
def test_no_resource_policy_lets_everybody_in(kind: str) -> None:
    for policy in resources(kind).values():
        for statement in policy["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                continue
            assert '"*"' not in json.dumps(statement["Principal"])
            assert statement["Condition"], "a service could be used by another account (confused deputy)"
