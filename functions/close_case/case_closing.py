"""Closing a case: who may, with which outcome, once.

Knows no AWS: where cases are kept and how events are published are arguments.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from backbone.actions import Occasion
from backbone.cases import OUTCOMES, Case, Outcome, closed
from backbone.errors import Retryable
from backbone.identity import caller_of, person_id_of
from backbone.outbox import Bus, publish_kept
from backbone.rest import RefusedError

MAXIMUM_NOTE = 500
_CASE_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_SUCH_CASE = (404, "There is no such case.")


@dataclass(frozen=True, slots=True)
class Person:
    """Who closes, as the user pool's token says. ``customer_id`` is their own, whatever group they are in."""

    person_id: str
    is_analyst: bool
    customer_id: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """How a case ends; ``note`` says why, in the person's words."""

    case_id: str
    outcome: Outcome
    note: str | None


class Cases(Protocol):
    """Keeps cases. Each raises Retryable where it cannot now."""

    def get(self, case_id: str) -> Case | None: ...
    def close(self, after: Case) -> bool:
        """Writes the end with its event; False, and nothing written, where the case is not open any more."""

    def note_published(self, case: Case) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What closing needs: where cases are kept, the bus, and whom to tell that an event stays on its row."""

    cases: Cases
    bus: Bus
    log: Callable[..., None]


class ClosedBeforeError(Exception):
    """Somebody closed the case before; ``case`` is what stands."""

    def __init__(self, case: Case) -> None:
        super().__init__(f"case {case.case_id} is {case.outcome} since {case.closed_at}")
        self.case = case


def person_of(event: Mapping[str, Any]) -> Person:
    """The person behind an API Gateway proxy event; raises RefusedError (401) where nobody signed in."""
    is_analyst = caller_of(event).is_analyst
    claims = event["requestContext"]["authorizer"]["claims"]
    return Person(person_id_of(event), is_analyst, claims.get("custom:customerId") or None)


def parse_request(case_id: object, body: str | None) -> Request:
    """The end of a case in a path and a JSON body; raises RefusedError: 400 what is wrong with it, 404 no case's id.

    API Gateway checks the body by its model, but only one that is called application/json.
    """
    if not isinstance(case_id, str) or not _CASE_ID.fullmatch(case_id):
        raise RefusedError(*_NO_SUCH_CASE)
    try:
        said = json.loads(body or "")
    except ValueError:
        raise RefusedError(400, "The body is not JSON.") from None
    if not isinstance(said, dict) or not {"outcome"} <= said.keys() <= {"outcome", "note"}:
        raise RefusedError(400, "The body is an object with an outcome, and a note if you like.")
    outcome, note = said["outcome"], said.get("note")
    if outcome not in OUTCOMES:
        raise RefusedError(400, f"outcome is one of {', '.join(OUTCOMES)}.")
    if note is not None and (not isinstance(note, str) or not 1 <= len(note) <= MAXIMUM_NOTE):
        raise RefusedError(400, f"note is a text of 1 to {MAXIMUM_NOTE} characters.")
    return Request(case_id, cast(Outcome, outcome), note)


def close(person: Person, request: Request, desk: Desk, occasion: Occasion) -> Case:
    """Closes the case, and answers it as it is then.

    Raises RefusedError for who may not (403) and where there is no such case (404), ClosedBeforeError where it was
    closed before, Retryable where nothing was closed, or where it is not known: asking again finds out. The end stands
    even where the bus did not take its event: that stays on the row, and expire_actions publishes it.
    """
    if not person.is_analyst:
        raise RefusedError(403, "Only the bank's analysts close cases.")
    case = desk.cases.get(request.case_id)
    if case is None:
        raise RefusedError(*_NO_SUCH_CASE)
    if person.customer_id == case.customer_id:
        raise RefusedError(403, "This is about your own account: another analyst must close it.")
    if not case.is_open:
        _publish_or_keep(case, desk)
        raise ClosedBeforeError(case)
    _publish(case, desk)  # that it was opened is told of before its end
    after = closed(
        case, request.outcome, closed_by=person.person_id, role="analyst", note=request.note, occasion=occasion
    )
    if not desk.cases.close(after):
        raise _overtaken(desk.cases.get(case.case_id), case.case_id)
    _publish_or_keep(after, desk)
    return after


def _overtaken(case: Case | None, case_id: str) -> Exception:
    """Why a case that was open could not be closed a moment later."""
    if case is None or case.is_open:
        return Retryable(f"case {case_id} was changed by somebody else meanwhile")
    return ClosedBeforeError(case)


def _publish(case: Case, desk: Desk) -> None:
    publish_kept(case.event_to_publish, desk.bus, lambda _: desk.cases.note_published(case))


def _publish_or_keep(case: Case, desk: Desk) -> None:
    """Publishes what the row keeps; where that fails the row keeps it, and expire_actions publishes it."""
    try:
        _publish(case, desk)
    except Retryable as failed:
        desk.log("The event stays on the row.", case_id=case.case_id, reason=str(failed))
