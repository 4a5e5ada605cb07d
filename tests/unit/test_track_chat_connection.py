"""The track_chat_connection handler: a row while the connection is open, of the person whom the authorizer named."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from backbone.chat_people import ChatPerson
from backbone.errors import Rejected, Retryable
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, sample, samples
from tests.unit.resources import Resources

CONNECTION = "F8bIWcSoFiACHOQ="


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("track_chat_connection")


def test_every_sample_event_has_a_test() -> None:
    assert samples("track_chat_connection") == ["bad", "edge", "good"]


def test_opened_connection_has_a_row_that_outlives_the_longest_connection(module: Any, resources: Resources) -> None:
    before = int(time.time())
    assert module.handler(sample("track_chat_connection", "good"), Context()) == {"statusCode": 200}
    person = ChatPerson("8f3b5c1e-0000-4000-8000-000000000001", "customer", "CUST-000042")
    assert module.connections.get(CONNECTION, time.time()) == person
    (row,) = resources.rows("chat-connections")
    assert 7_800 <= int(row["expiresAt"]["N"]) - before <= 7_860


def test_connection_that_nobody_authorized_is_not_opened(module: Any, resources: Resources) -> None:
    with pytest.raises(Rejected, match="INTERNAL"):
        module.handler(sample("track_chat_connection", "bad"), Context())
    assert resources.rows("chat-connections") == []


def test_closed_connection_has_no_row_however_often_that_is_told(module: Any, resources: Resources) -> None:
    module.handler(sample("track_chat_connection", "good"), Context())
    for _ in range(2):
        assert module.handler(sample("track_chat_connection", "edge"), Context()) == {"statusCode": 200}
    assert resources.rows("chat-connections") == []


def test_connection_is_not_opened_while_the_table_is_throttled(module: Any) -> None:
    with failing("PutItem", "ThrottlingException"), pytest.raises(Retryable):
        module.handler(sample("track_chat_connection", "good"), Context())


def test_other_route_is_rejected(module: Any) -> None:
    event = sample("track_chat_connection", "good")
    event["requestContext"]["routeKey"] = "sendMessage"
    with pytest.raises(Rejected, match="sendMessage"):
        module.handler(event, Context())
