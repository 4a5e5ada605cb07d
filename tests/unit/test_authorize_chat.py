"""The authorize_chat handler: a good ticket lets one connection in, as its person; nothing else does."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from backbone.chat_people import ChatPerson
from backbone.chat_tickets import new_ticket
from backbone.errors import Retryable
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

CUSTOMER = ChatPerson("8f3b5c1e", "customer", "CUST-000042")


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("authorize_chat")


def connect(module: Any, ticket: object) -> Any:
    event = sample("authorize_chat", "good") | {"queryStringParameters": {"ticket": ticket}}
    return module.handler(event, Context())


def a_ticket(module: Any, person: ChatPerson = CUSTOMER, age: float = 0) -> str:
    ticket = new_ticket()
    module.tickets.add(ticket, person, time.time() - age)
    return ticket


def test_good_ticket_lets_its_person_use_the_connect_route_alone(module: Any) -> None:
    answer = connect(module, a_ticket(module))
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/$connect",
    }
    assert answer["context"] == {"personId": "8f3b5c1e", "role": "customer", "customerId": "CUST-000042"}


def test_analysts_context_holds_texts_alone(module: Any) -> None:
    answer = connect(module, a_ticket(module, ChatPerson("9a4c6d2f", "analyst", None)))
    assert answer["context"] == {"personId": "9a4c6d2f", "role": "analyst", "customerId": ""}


def test_ticket_used_twice_is_unauthorized(module: Any) -> None:
    ticket = a_ticket(module)
    connect(module, ticket)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        connect(module, ticket)


@pytest.mark.parametrize("ticket", [None, "", "x" * 43, "' OR 1=1 --", {"S": "x"}])
def test_unknown_or_malformed_ticket_is_unauthorized(module: Any, ticket: object) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        connect(module, ticket)


def test_expired_ticket_is_unauthorized(module: Any) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        connect(module, a_ticket(module, age=61))


def test_request_without_a_query_is_unauthorized(module: Any) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        module.handler(sample("authorize_chat", "good") | {"queryStringParameters": None}, Context())


def test_throttled_table_is_no_refusal(module: Any) -> None:
    with failing("DeleteItem", "ThrottlingException"), pytest.raises(Retryable):
        connect(module, a_ticket(module))


def test_log_and_metrics_never_name_a_ticket(
    module: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
    good, unknown = a_ticket(module), new_ticket()
    capsys.readouterr()
    connect(module, good)
    assert metrics_in(capsys.readouterr().out) == {"ChatTicketsShown": 1}
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        connect(module, unknown)
    printed, logged = capsys.readouterr().out, " ".join(str(vars(record)) for record in caplog.records)
    assert metrics_in(printed) == {"ChatTicketsShown": 1, "ChatTicketsRefused": 1}
    assert good not in printed + logged
    assert unknown not in printed + logged


# ---- the sample events


def test_every_sample_event_has_a_test() -> None:
    assert samples("authorize_chat") == ["bad", "edge", "good"]


def test_the_good_sample_is_let_in_where_its_ticket_is_known(module: Any) -> None:
    event = sample("authorize_chat", "good")
    module.tickets.add(event["queryStringParameters"]["ticket"], CUSTOMER, time.time())
    assert module.handler(event, Context())["principalId"] == "8f3b5c1e"


def test_the_bad_sample_is_unauthorized(module: Any) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        module.handler(sample("authorize_chat", "bad"), Context())


def test_the_edge_sample_is_the_tickets_person_whatever_its_query_says(module: Any) -> None:
    event = sample("authorize_chat", "edge")
    assert event["queryStringParameters"]["role"] == "analyst"
    module.tickets.add(event["queryStringParameters"]["ticket"], CUSTOMER, time.time())
    assert module.handler(event, Context())["context"]["role"] == "customer"
