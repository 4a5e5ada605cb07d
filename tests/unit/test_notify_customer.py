"""The notify_customer handler: SQS messages in; a notice and an event for each fact, once."""

from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from backbone import contracts
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import Resources


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("notify_customer")


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def a_message() -> dict[str, Any]:
    """The good sample: one message with one TransactionFlagged."""
    return sample("notify_customer", "good")


def given_back(event: dict[str, Any], *positions: int) -> dict[str, Any]:
    """The answer that gives these messages of ``event`` back."""
    return {"batchItemFailures": [{"itemIdentifier": event["Records"][n]["messageId"]} for n in positions]}


def told(resources: Resources) -> list[str]:
    """The transactions of which customers were told on the bus since the last call."""
    events = [contracts.parse("CustomerNotified", envelope) for envelope in resources.published()]
    return [event.data["transactionId"] for event in events]


def test_the_same_message_twice_notifies_once(module: Any, resources: Resources) -> None:
    assert invoke(module, a_message()) == given_back(a_message())
    assert invoke(module, a_message()) == given_back(a_message())
    assert told(resources) == ["TX-SAMPLE-3"]
    assert len(resources.rows("inbox")) == 1


def test_a_bus_that_is_away_gives_the_message_back_and_the_second_try_notifies(
    module: Any, resources: Resources
) -> None:
    with failing("PutEvents", "InternalException"), pytest.raises(BatchProcessingError, match="was not taken"):
        invoke(module, a_message())
    assert told(resources) == []
    assert invoke(module, a_message()) == given_back(a_message())
    assert told(resources) == ["TX-SAMPLE-3"]
    assert len(resources.rows("inbox")) == 1


@pytest.mark.parametrize("passing", [0, 1], ids=["idempotency record", "inbox"])
def test_a_throttled_table_gives_the_message_back_and_the_second_try_notifies(
    module: Any, resources: Resources, passing: int
) -> None:
    event = sqs_event(*[record["body"] for record in a_message()["Records"]])
    with failing("PutItem", "ThrottlingException", after=passing), pytest.raises(BatchProcessingError):
        invoke(module, event)
    assert told(resources) == []
    assert invoke(module, event) == given_back(event)
    assert told(resources) == ["TX-SAMPLE-3"]


def test_alerts_and_notices_are_measured(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    invoke(module, sample("notify_customer", "edge"))
    assert metrics_in(capsys.readouterr().out) == {"AlertsReceived": 3, "CustomersNotified": 2}


# ---- the sample events


def test_every_sample_event_has_a_test() -> None:
    assert samples("notify_customer") == ["bad", "changes", "edge", "good"]


def test_the_good_sample_becomes_a_notice_and_an_event(module: Any, resources: Resources) -> None:
    assert invoke(module, a_message()) == given_back(a_message())
    (row,) = resources.rows("inbox")
    assert (row["customerId"]["S"], row["transactionId"]["S"]) == ("CUST-000042", "TX-SAMPLE-3")
    assert "1500.00 EUR" in row["text"]["S"]
    assert told(resources) == ["TX-SAMPLE-3"]


def test_the_bad_sample_gives_back_what_cannot_be_read_and_notifies_for_the_rest(
    module: Any, resources: Resources
) -> None:
    event = sample("notify_customer", "bad")
    assert invoke(module, event) == given_back(event, 1, 2, 3)
    assert told(resources) == ["TX-SAMPLE-4"]


def test_the_edge_sample_notifies_once_for_two_messages_with_one_flag(module: Any, resources: Resources) -> None:
    event = sample("notify_customer", "edge")
    assert invoke(module, event) == given_back(event)
    assert told(resources) == ["TX-SAMPLE-8", "TX-SAMPLE-9"]
    assert "1000000.00 EUR" in " ".join(row["text"]["S"] for row in resources.rows("inbox"))


def test_the_changes_sample_tells_of_each_once_however_often_it_comes(module: Any, resources: Resources) -> None:
    event = sample("notify_customer", "changes")
    assert invoke(module, event) == given_back(event)
    assert invoke(module, event) == given_back(event)
    events = [contracts.parse("CustomerNotified", envelope) for envelope in resources.published()]
    assert [one.metadata.event_version for one in events] == [2, 1, 1, 1, 1, 1]
    assert {one.metadata.causation_depth for one in events} == {4}
    rows = resources.rows("inbox")
    assert len(rows) == 6
    assert [row["cardId"]["S"] for row in rows if "transactionId" not in row] == ["CARD-000042"]
