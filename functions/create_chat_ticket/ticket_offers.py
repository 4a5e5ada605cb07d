"""Offering a ticket to the chat: to whom, and as whom they will chat.

Knows no AWS: where tickets are kept is an argument.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from backbone.chat_people import ChatPerson
from backbone.identity import caller_of
from backbone.rest import RefusedError


class Tickets(Protocol):
    """Keeps tickets. Raises Retryable where it cannot now."""

    def add(self, ticket: str, person: ChatPerson, now: float) -> None: ...


def offer_ticket(event: Mapping[str, Any], *, tickets: Tickets, ticket: str, now: float) -> ChatPerson:
    """Makes ``ticket`` good for the person behind an API Gateway proxy event, and says who that is.

    Raises RefusedError as ``chatting_person`` does, Retryable as ``tickets``.
    """
    person = chatting_person(event)
    tickets.add(ticket, person, now)
    return person


def chatting_person(event: Mapping[str, Any]) -> ChatPerson:
    """The person as they will chat; who is both an analyst and a customer chats as an analyst.

    Raises RefusedError: 401 where nobody signed in, 403 for who is neither a customer nor an analyst.
    """
    caller = caller_of(event)
    # ``sub`` is the person's id in the user pool: it never changes and is never given to another.
    person_id = event["requestContext"]["authorizer"]["claims"].get("sub")
    if not person_id:
        raise RefusedError(401, "Sign in, and send the id token in the header Authorization.")
    if caller.is_analyst:
        return ChatPerson(person_id, "analyst", None)
    if caller.customer_id is None:
        raise RefusedError(403, "Customers and analysts chat here. Ask the bank to make your account one of them.")
    return ChatPerson(person_id, "customer", caller.customer_id)
