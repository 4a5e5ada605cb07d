"""Deciding on a proposed action: who may, on what they saw, once, in time - and a trail of every attempt.

Knows no AWS: where actions and attempts are kept and how events are published are arguments.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol, cast

from backbone.action_rows import Attempt, Trail
from backbone.actions import Action, Occasion, approvals_needed, approved, half_approved, rejected, seen_digest
from backbone.contracts import timestamp
from backbone.errors import Retryable
from backbone.identity import caller_of, person_id_of
from backbone.outbox import Bus, publish_kept
from backbone.rest import RefusedError

MAXIMUM_NOTE = 500
DECISIONS = ("approve", "reject")
_ACTION_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SEEN = re.compile("[0-9a-f]{64}")
_FIELDS = {"decision", "seen"}

# What an attempt is refused for, as the trail says it, with the answer to it.
REFUSALS = {
    "wrong_group": (403, "Only the bank's analysts decide on actions."),
    "unknown_action": (404, "There is no such action."),
    "own_affairs": (403, "This is about your own account: another analyst must decide."),
    "own_proposal": (403, "You proposed this: another analyst must approve it. You can reject it."),
    "decided_before": (409, "This was decided before, or it expired. Look at it again: GET /approvals/{actionId}."),
    "expired": (409, "expired: nobody decided in time, so it is rejected. Nothing was done."),
    "changed": (409, "What you saw has changed. Look at it again: GET /approvals/{actionId}."),
    "approved_before": (409, "You approved this before: a second, different analyst must approve it too."),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who decides, as the user pool's token says. ``customer_id`` is their own, where they are a customer too."""

    person_id: str
    is_analyst: bool
    customer_id: str | None

    @property
    def role(self) -> str:
        """For the trail."""
        return "analyst" if self.is_analyst else "customer" if self.customer_id is not None else "none"


@dataclass(frozen=True, slots=True)
class Request:
    """A decision on an action, on what ``seen`` (a digest) stands for; ``note`` says why, in the person's words."""

    action_id: str
    decision: Literal["approve", "reject"]
    seen: str
    note: str | None


class Actions(Protocol):
    """Keeps actions. Each raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...
    def decide(self, before: Action, after: Action, now: float, trail: Trail) -> bool:
        """Writes the step and the attempt at once; False, and nothing written, where ``before`` no longer stands."""

    def expire(self, before: Action, after: Action, now: float, trail: Trail | None = None) -> bool: ...
    def note_published(self, action_id: str, event_to_publish: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What deciding needs: where things are kept, the bus, the limit (minor units) above which two must approve.

    ``trail`` makes the entry that is written with a step; ``keep`` writes an attempt that changed nothing.
    """

    actions: Actions
    bus: Bus
    four_eyes_amount: int
    trail: Callable[[Attempt], Trail]
    keep: Callable[[Attempt], None]
    log: Callable[..., None]


def person_of(event: Mapping[str, Any]) -> Person:
    """The person behind an API Gateway proxy event; raises RefusedError (401) where nobody signed in."""
    caller = caller_of(event)
    return Person(person_id_of(event), caller.is_analyst, caller.customer_id)


def parse_request(action_id: object, body: str | None) -> Request:
    """The decision in a path and a JSON body; raises RefusedError: 400 what is wrong with it, 404 no action's id.

    API Gateway checks the body by its model, but only one that is called application/json.
    """
    if not isinstance(action_id, str) or not _ACTION_ID.fullmatch(action_id):
        raise RefusedError(*REFUSALS["unknown_action"])
    try:
        said = json.loads(body or "")
    except ValueError:
        raise RefusedError(400, "The body is not JSON.") from None
    if not isinstance(said, dict) or not _FIELDS <= said.keys() <= _FIELDS | {"note"}:
        raise RefusedError(400, "The body is an object with decision and seen, and a note if you like.")
    decision, seen, note = said["decision"], said["seen"], said.get("note")
    if decision not in DECISIONS:
        raise RefusedError(400, "decision is approve or reject.")
    if not isinstance(seen, str) or not _SEEN.fullmatch(seen):
        raise RefusedError(400, "seen is what GET /approvals/{actionId} answered under that name.")
    if note is not None and (not isinstance(note, str) or not 1 <= len(note) <= MAXIMUM_NOTE):
        raise RefusedError(400, f"note is a text of 1 to {MAXIMUM_NOTE} characters.")
    return Request(action_id, cast(Literal["approve", "reject"], decision), seen, note)


def decide(person: Person, request: Request, desk: Desk, *, attempt_id: str, occasion: Occasion) -> Action:
    """Makes the decision, and answers the action as it is then.

    Raises RefusedError for an attempt that is refused, which is in the trail by then; Retryable where nothing was
    decided, or where it is not known: asking again finds out. A decision stands even where the bus did not take its
    event: that stays on the row, and expire_actions publishes it.
    """
    attempt = _Attempt(person, request, desk, attempt_id, occasion)
    if not person.is_analyst:
        attempt.refuse("wrong_group")
    action = desk.actions.get(request.action_id)
    if action is None:
        attempt.refuse("unknown_action")
    if not action.is_open:
        _publish_or_keep(action, desk)
        attempt.refuse("decided_before")
    if action.expires_at <= int(occasion.now):
        attempt.expire(action)
    refusal = _refusal(person, request, action)
    if refusal is not None:
        attempt.refuse(refusal)
    return attempt.make(action)


def _refusal(person: Person, request: Request, action: Action) -> str | None:
    """Why this analyst may not make this decision on an action that is open, or None."""
    if person.customer_id == action.customer_id:
        return "own_affairs"
    if request.decision == "approve" and person.person_id == action.person_id:
        return "own_proposal"
    if request.decision == "approve" and person.person_id == action.half_approved_by:
        return "approved_before"
    return None if request.seen == seen_digest(action) else "changed"


def _decided(person: Person, request: Request, action: Action, four_eyes_amount: int, occasion: Occasion) -> Action:
    """The action after a decision that nothing speaks against."""
    if request.decision == "reject":
        return rejected(action, (person.person_id,), "rejected", occasion)
    if action.half_approved_by is None and approvals_needed(action, four_eyes_amount) > 1:
        return half_approved(action, person.person_id)
    return approved(action, person.person_id, occasion)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One attempt on its way to an outcome."""

    person: Person
    request: Request
    desk: Desk
    attempt_id: str
    occasion: Occasion

    def refuse(self, outcome: str) -> NoReturn:
        """Keeps the refused attempt, then says so. A refusal that cannot be kept is Retryable, not a refusal."""
        self.desk.keep(self._entry(outcome))
        raise RefusedError(*REFUSALS[outcome])

    def expire(self, action: Action) -> NoReturn:
        """Rejects what nobody decided in time: the attempt came too late."""
        _publish(action, self.desk)  # a proposal is told of before its end
        ended = rejected(action, (), "expired", self.occasion)
        if not self.desk.actions.expire(action, ended, self.occasion.now, self.desk.trail(self._entry("expired"))):
            self.refuse("decided_before")
        _publish_or_keep(ended, self.desk)
        raise RefusedError(*REFUSALS["expired"])

    def make(self, action: Action) -> Action:
        """Makes the decision, unless somebody was faster."""
        _publish(action, self.desk)
        after = _decided(self.person, self.request, action, self.desk.four_eyes_amount, self.occasion)
        trail = self.desk.trail(self._entry(after.status))
        if not self.desk.actions.decide(action, after, self.occasion.now, trail):
            self.refuse("changed")
        _publish_or_keep(after, self.desk)
        return after

    def _entry(self, outcome: str) -> Attempt:
        return Attempt(
            action_id=self.request.action_id,
            attempt_id=self.attempt_id,
            at=timestamp(self.occasion.now),
            person_id=self.person.person_id,
            role=self.person.role,
            decision=self.request.decision,
            seen=self.request.seen,
            outcome=outcome,
            note=self.request.note,
        )


def _publish(action: Action, desk: Desk) -> None:
    publish_kept(action.event_to_publish, desk.bus, lambda event: desk.actions.note_published(action.action_id, event))


def _publish_or_keep(action: Action, desk: Desk) -> None:
    """Publishes what the row keeps; where that fails the row keeps it, and expire_actions publishes it."""
    try:
        _publish(action, desk)
    except Retryable as failed:
        desk.log("The event stays on the row.", action_id=action.action_id, reason=str(failed))
