"""Who chats: the person behind a connection, as the ticket said it that they connected with.

A ticket is made for who signed in (REST API, Cognito). The authorizer of $connect hands what it says on to the
connection's row, in texts; every later frame is that person's, whatever it claims.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backbone.errors import Rejected
from backbone.identity import NOBODY

type Role = Literal["customer", "analyst"]

CUSTOMER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class ChatPerson:
    """A person who chats as ``role``; ``customer_id`` is their own, None for an analyst."""

    person_id: str
    role: Role
    customer_id: str | None


def is_customer_id(text: object) -> bool:
    """Whether ``text`` can name a customer."""
    return isinstance(text, str) and text != NOBODY and CUSTOMER_ID.fullmatch(text) is not None


def as_texts(person: ChatPerson) -> dict[str, str]:
    """The person as an authorizer's context carries them, which has no null: an analyst's ``customerId`` is empty."""
    return {"personId": person.person_id, "role": person.role, "customerId": person.customer_id or ""}


def from_texts(texts: Mapping[str, Any]) -> ChatPerson:
    """The person whom ``as_texts`` wrote; raises Rejected where it did not write this."""
    person_id, role, customer_id = (texts.get(name) for name in ("personId", "role", "customerId"))
    if isinstance(person_id, str) and person_id and role == "customer" and is_customer_id(customer_id):
        return ChatPerson(person_id, "customer", customer_id)
    if isinstance(person_id, str) and person_id and role == "analyst" and not customer_id:
        return ChatPerson(person_id, "analyst", None)
    raise Rejected("INTERNAL: what should say who chats does not")
