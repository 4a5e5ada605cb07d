"""Every rule and every subscription's filter names only what the schemas know, and lets a real event through.

The patterns are tried by EventBridge's own TestEventPattern, as the embedded AWS implements it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from backbone import contracts
from tests.contract.sample_events import FLAGGED, an_envelope
from tests.contract.schema_files import event_schemas
from tests.sam_template import resources, target_of

# The rules for our own events; what AWS itself tells (aws.s3) has no schema of ours, and tests/stack proves its rule.
RULES = {
    name: rule["EventPattern"]
    for name, rule in resources("AWS::Events::Rule").items()
    if "EventPattern" in rule and not rule["EventPattern"]["source"][0].startswith("aws.")
}
SUBSCRIPTIONS = {
    name: subscription
    for name, subscription in resources("AWS::SNS::Subscription").items()
    if "FilterPolicy" in subscription
}


def events_at(topic: str) -> set[str]:
    """The detail-types that rules send to a topic."""
    return {
        detail_type
        for rule in resources("AWS::Events::Rule").values()
        for target in rule["Targets"]
        if target_of(target["Arn"]) == topic
        for detail_type in rule["EventPattern"]["detail-type"]
    }


def leaves(pattern: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """Each field that a pattern names, with the list of what it takes there."""
    for name, value in pattern.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name), value


def field(detail_type: str, path: tuple[str, ...]) -> dict[str, Any]:
    """The schema of one field of the envelope's detail; KeyError where the event has no such field."""
    schema = event_schemas()[f"{contracts.SOURCES[detail_type]}/{detail_type}.v1"]
    for name in path:
        schema = schema["properties"][name]
    return schema


def assert_known(pattern: dict[str, Any], detail_types: set[str]) -> None:
    """Fails where the pattern names a source, an event, a field or a value that no schema has."""
    assert detail_types <= contracts.SOURCES.keys()
    for path, values in leaves(pattern):
        if path == ("source",):
            assert set(values) == {contracts.SOURCES[detail_type] for detail_type in detail_types}
        elif path[0] == "detail":
            for detail_type in detail_types:
                known = field(detail_type, path[1:])
                scalars = set(filter(_is_scalar, values))
                assert scalars <= set(known.get("enum", scalars))
        else:
            assert path == ("detail-type",)


def _is_scalar(value: object) -> bool:
    return not isinstance(value, dict)


def test_there_are_patterns_to_test() -> None:
    assert "FraudAlertsRule" in RULES
    assert {"InvestigationsSubscription", "NotifyCustomerSubscription"} <= SUBSCRIPTIONS.keys()


@pytest.mark.parametrize("name", RULES)
def test_rule_names_only_what_the_schemas_know(name: str) -> None:
    assert_known(RULES[name], set(RULES[name]["detail-type"]))


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
def test_subscription_names_only_what_the_schemas_know(name: str) -> None:
    subscription = SUBSCRIPTIONS[name]
    detail_types = events_at(target_of(subscription["TopicArn"]))
    assert subscription["FilterPolicyScope"] == "MessageBody"
    assert detail_types
    assert_known(subscription["FilterPolicy"], detail_types)


def test_a_field_that_no_schema_has_is_found() -> None:
    with pytest.raises(KeyError, match="gravity"):
        assert_known({"detail": {"data": {"gravity": ["high"]}}}, {"TransactionFlagged"})
    with pytest.raises(AssertionError):
        assert_known({"detail": {"data": {"severity": ["grave"]}}}, {"TransactionFlagged"})


@pytest.fixture(scope="session")
def matches(aws: Callable[[str], Any]) -> Callable[[dict[str, Any], dict[str, Any]], bool]:
    """Whether EventBridge finds that an event matches a pattern."""
    events = aws("events")

    def ask(pattern: dict[str, Any], envelope: dict[str, Any]) -> bool:
        answer = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(envelope))
        return bool(answer["Result"])

    return ask


@pytest.mark.parametrize("name", RULES)
def test_rule_lets_each_event_that_it_names_through_and_no_other(
    name: str, matches: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> None:
    wanted = set(RULES[name]["detail-type"])
    passed = {detail_type for detail_type in contracts.SOURCES if matches(RULES[name], an_envelope(detail_type))}
    assert passed == wanted


@pytest.mark.parametrize("name", SUBSCRIPTIONS)
def test_subscription_lets_the_severities_that_it_names_through_and_no_other(
    name: str, matches: Callable[[dict[str, Any], dict[str, Any]], bool]
) -> None:
    policy = SUBSCRIPTIONS[name]["FilterPolicy"]
    passed = set()
    for severity in field("TransactionFlagged", ("data", "severity"))["enum"]:
        envelope = json.loads(json.dumps(FLAGGED))
        envelope["detail"]["data"]["severity"] = severity
        if matches(policy, envelope):
            passed.add(severity)
    assert passed == set(policy["detail"]["data"]["severity"])


def test_a_pattern_that_is_none_is_refused(aws: Callable[[str], Any]) -> None:
    with pytest.raises(ClientError, match="InvalidEventPatternException"):
        aws("events").test_event_pattern(EventPattern='{"source": "backbone"}', Event=json.dumps(FLAGGED))
