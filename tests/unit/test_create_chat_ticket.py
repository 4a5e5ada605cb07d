"""The create_chat_ticket handler: a verified person in, a ticket out that nobody reads in a log."""

from collections.abc import Callable
from typing import Any

import pytest

from backbone.chat_people import ChatPerson
from tests.unit.api_events import answer_of, as_person, claims_of
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import ENVIRONMENT, Resources


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("create_chat_ticket")


def invoke(module: Any, claims: dict[str, str] | None) -> tuple[int, Any]:
    return answer_of(module.handler(as_person(sample("create_chat_ticket", "good"), claims), Context()))


@pytest.mark.parametrize(
    ("claims", "person"),
    [
        (claims_of("customer", "CUST-000001"), ChatPerson("8f3b5c1e", "customer", "CUST-000001")),
        (claims_of("analyst"), ChatPerson("8f3b5c1e", "analyst", None)),
        (claims_of("customer,analyst", "CUST-000001"), ChatPerson("8f3b5c1e", "analyst", None)),
    ],
    ids=["customer", "analyst", "both"],
)
def test_person_gets_a_ticket_for_themselves(module: Any, claims: dict[str, str], person: ChatPerson) -> None:
    status, body = invoke(module, claims)
    assert (status, body["url"], body["expiresInSeconds"]) == (201, ENVIRONMENT["CHAT_URL"], 60)
    assert module.tickets.consume(body["ticket"], 0) == person


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        (None, 401),
        (claims_of("customer", "CUST-000001") | {"token_use": "access"}, 401),
        (claims_of("customer", "CUST-000001", sub=""), 401),
        (claims_of("", "CUST-000001"), 403),
        (claims_of("customer"), 403),
        (claims_of("customer", "unassigned"), 403),
    ],
    ids=["nobody", "access token", "no id", "no group", "no customer id", "nobody's customer id"],
)
def test_who_is_neither_customer_nor_analyst_gets_no_ticket(
    module: Any, resources: Resources, claims: dict[str, str] | None, status: int
) -> None:
    answered, body = invoke(module, claims)
    assert (answered, list(body)) == (status, ["message"])
    assert resources.rows("chat-connections") == []


def test_throttled_table_is_answered_503(module: Any) -> None:
    with failing("PutItem", "ThrottlingException"):
        assert invoke(module, claims_of("analyst"))[0] == 503


def test_log_and_metrics_name_neither_the_ticket_nor_the_person(
    module: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
    capsys.readouterr()
    _, body = invoke(module, claims_of("customer", "CUST-000001"))
    printed, logged = capsys.readouterr().out, " ".join(str(vars(record)) for record in caplog.records)
    assert "Ticket created." in logged
    for kept_quiet in (body["ticket"], "CUST-000001", "8f3b5c1e"):
        assert kept_quiet not in printed + logged
    assert metrics_in(printed) == {"ChatTicketRequests": 1, "ChatTicketsCreated": 1}


# ---- the sample events


def test_every_sample_event_has_a_test() -> None:
    assert samples("create_chat_ticket") == ["bad", "edge", "good"]


@pytest.mark.parametrize(("name", "status"), [("good", 201), ("bad", 403), ("edge", 201)])
def test_sample_event_is_answered(module: Any, name: str, status: int) -> None:
    assert answer_of(module.handler(sample("create_chat_ticket", name), Context()))[0] == status


def test_the_edge_sample_chats_as_an_analyst(module: Any) -> None:
    _, body = answer_of(module.handler(sample("create_chat_ticket", "edge"), Context()))
    person = module.tickets.consume(body["ticket"], 0)
    assert (person.role, person.customer_id) == ("analyst", None)
