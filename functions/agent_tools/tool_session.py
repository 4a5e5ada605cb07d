"""On whose behalf a tool runs, and about whose affairs: from the session's attributes, and from nowhere else.

The caller (answer_chat, a Bedrock agent's session, an investigation) fills them from its own rows; no model and nobody
who writes a message can. A session that is incomplete is the caller's defect, so nothing is guessed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backbone import contracts
from backbone.identity import ANALYST, CUSTOMER, NOBODY

# Software that looks into a case: it reads the case's customer, opens cases, and proposes everything else.
AGENT = "agent"
_ROLES = (CUSTOMER, ANALYST, AGENT)
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FORMS = {
    "personId": r"[A-Za-z0-9_.:-]{1,128}",
    "role": "|".join(_ROLES),
    "customerId": r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}",
    "conversationId": _UUID,
    "turn": r"[1-9][0-9]{0,8}",
    "correlationId": r"[\s\S]{1,128}",
}


class MalformedSessionError(Exception):
    """The caller's session lacks something; the message names the attribute, never its value."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who asks (``person_id`` in ``role``), whose affairs it is about, and in which turn of which conversation.

    For an agent the conversation is its case's id and the turn its step; ``case_id`` is the case that it works on.
    ``causation_depth`` is that of the events that come of it (contracts.Metadata).
    """

    person_id: str
    role: str
    customer_id: str
    conversation_id: str
    turn: int
    correlation_id: str
    case_id: str | None = None
    causation_depth: int = 0

    @property
    def whose(self) -> str:
        """How an answer speaks of the customer's things: "your card", or "the customer's card" to anybody else."""
        return "your" if self.role == CUSTOMER else "the customer's"

    @property
    def causation_id(self) -> str:
        """What an event that comes of this turn names as its cause."""
        return f"{self.conversation_id}:{self.turn}"

    def change_id(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """The id (a UUID) of what this turn asks ``tool`` to do: the same however often it is asked."""
        asked = json.dumps(arguments, sort_keys=True)
        return contracts.event_id(tool, f"{self.causation_id}:{asked}")


def read_session(attributes: Mapping[str, object]) -> Session:
    """The session in ``sessionAttributes``; raises MalformedSessionError."""
    said = {name: _checked(name, form, attributes.get(name)) for name, form in _FORMS.items()}
    if said["customerId"] == NOBODY:
        raise MalformedSessionError("customerId is nobody's")
    case_id = attributes.get("caseId") or None
    return Session(
        said["personId"],
        said["role"],
        said["customerId"],
        said["conversationId"],
        int(said["turn"]),
        said["correlationId"],
        None if case_id is None else _checked("caseId", _UUID, case_id),
        _depth(attributes.get("causationDepth")),
    )


def _depth(value: object) -> int:
    depth = 0 if value is None else int(_checked("causationDepth", "[0-9]{1,4}", value))
    if depth > contracts.MAXIMUM_DEPTH:
        raise MalformedSessionError("causationDepth is malformed")
    return depth


def _checked(name: str, form: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(form, value):
        raise MalformedSessionError(f"{name} is {'missing' if value is None else 'malformed'}")
    return value
