"""Tickets and connections: a ticket is good once, for a minute, for one person; a connection says who opened it."""

import re

import pytest

from backbone.chat_connections import LIFETIME_SECONDS, ChatConnections
from backbone.chat_people import ChatPerson, as_texts, from_texts
from backbone.chat_tickets import ChatTickets, new_ticket
from backbone.errors import Rejected, Retryable
from tests.unit.aws_faults import failing
from tests.unit.resources import Resources

NOW = 1_767_268_800.5
CUSTOMER = ChatPerson("8f3b5c1e", "customer", "CUST-000042")
ANALYST = ChatPerson("9a4c6d2f", "analyst", None)


@pytest.fixture
def tickets(resources: Resources) -> ChatTickets:
    return ChatTickets(resources.client("dynamodb"), "chat-connections")


@pytest.fixture
def connections(resources: Resources) -> ChatConnections:
    return ChatConnections(resources.client("dynamodb"), "chat-connections")


# ---- tickets


@pytest.mark.parametrize("person", [CUSTOMER, ANALYST], ids=["customer", "analyst"])
def test_ticket_is_good_once_for_the_person_it_was_made_for(tickets: ChatTickets, person: ChatPerson) -> None:
    ticket = new_ticket()
    tickets.add(ticket, person, NOW)
    assert tickets.consume(ticket, NOW + 1) == person
    assert tickets.consume(ticket, NOW + 1) is None


def test_ticket_is_no_good_after_a_minute_although_its_row_is_still_there(
    tickets: ChatTickets, resources: Resources
) -> None:
    ticket = new_ticket()
    tickets.add(ticket, CUSTOMER, NOW)
    assert tickets.consume(ticket, NOW + 60) is None
    (row,) = resources.rows("chat-connections")
    assert row["expiresAt"] == {"N": "1767268860"}


def test_table_keeps_a_digest_and_never_the_ticket(tickets: ChatTickets, resources: Resources) -> None:
    ticket = new_ticket()
    tickets.add(ticket, CUSTOMER, NOW)
    (row,) = resources.rows("chat-connections")
    assert re.fullmatch("ticket#[0-9a-f]{64}", row["id"]["S"])
    assert ticket not in str(row)


@pytest.mark.parametrize("ticket", [None, "", "short", "x" * 44, "ticket#" + "0" * 36, 7, "é" * 43, "a" * 43 + "\n"])
def test_malformed_ticket_is_no_good_and_not_looked_up(ticket: object) -> None:
    assert ChatTickets(None, "no table").consume(ticket, NOW) is None


def test_tickets_are_43_characters_and_never_the_same() -> None:
    made = {new_ticket() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(re.fullmatch("[A-Za-z0-9_-]{43}", ticket) for ticket in made)


def test_connection_row_is_no_ticket(tickets: ChatTickets, connections: ChatConnections) -> None:
    ticket = new_ticket()
    connections.add(ticket, CUSTOMER, NOW)
    assert tickets.consume(ticket, NOW) is None


def test_throttled_table_is_retryable_for_tickets(tickets: ChatTickets) -> None:
    with failing("PutItem", "ThrottlingException"), pytest.raises(Retryable):
        tickets.add(new_ticket(), CUSTOMER, NOW)
    with failing("DeleteItem", "ThrottlingException"), pytest.raises(Retryable):
        tickets.consume(new_ticket(), NOW)


# ---- connections


@pytest.mark.parametrize("person", [CUSTOMER, ANALYST], ids=["customer", "analyst"])
def test_connection_says_who_opened_it_until_it_is_removed(connections: ChatConnections, person: ChatPerson) -> None:
    connections.add("c1", person, NOW)
    assert connections.get("c1", NOW + 7_000) == person
    connections.remove("c1")
    connections.remove("c1")
    assert connections.get("c1", NOW) is None


def test_connection_older_than_one_can_be_is_unknown(connections: ChatConnections) -> None:
    connections.add("c1", CUSTOMER, NOW)
    assert connections.get("c1", NOW + LIFETIME_SECONDS) is None


def test_throttled_table_is_retryable_for_connections(connections: ChatConnections) -> None:
    with failing("GetItem", "ThrottlingException"), pytest.raises(Retryable, match="get_item chat-connections"):
        connections.get("c1", NOW)


# ---- people as texts


@pytest.mark.parametrize("person", [CUSTOMER, ANALYST], ids=["customer", "analyst"])
def test_person_survives_the_authorizers_context(person: ChatPerson) -> None:
    texts = as_texts(person)
    assert all(isinstance(text, str) for text in texts.values())
    assert from_texts(texts | {"principalId": "x", "integrationLatency": "12"}) == person


@pytest.mark.parametrize(
    "changes",
    [
        {"personId": ""},
        {"role": "admin"},
        {"role": "customer", "customerId": ""},
        {"role": "customer", "customerId": "unassigned"},
        {"role": "customer", "customerId": "../CUST"},
        {"role": "analyst"},
        {"customerId": None},
    ],
    ids=str,
)
def test_texts_that_no_ticket_wrote_are_rejected(changes: dict[str, str | None]) -> None:
    with pytest.raises(Rejected, match="INTERNAL"):
        from_texts({**as_texts(CUSTOMER), **changes})
