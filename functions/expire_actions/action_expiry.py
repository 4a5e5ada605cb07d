"""What nobody decided in time is rejected, and events that a row still keeps are published.

Knows no AWS: where actions are kept and how events are published are arguments.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from backbone.actions import OPEN, Action, Occasion, Status, rejected
from backbone.errors import Retryable
from backbone.outbox import Bus, publish_kept

# Whatever keeps an event for longer was away for a week, which the alarm has told.
HEALED_SECONDS = 7 * 86_400
# In this order: a proposal is told of before its end.
_MAY_KEEP_AN_EVENT: tuple[Status, ...] = (*OPEN, "approved", "rejected")


class Actions(Protocol):
    """Keeps actions. Each raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...
    def expire(self, before: Action, after: Action, now: float) -> bool: ...
    def note_published(self, action_id: str, event_to_publish: str) -> None: ...


class Index(Protocol):
    """Finds actions by status; perhaps a moment behind. Each raises Retryable where it cannot now."""

    def expired(self, status: Status, now: float) -> Iterator[Action]: ...
    def unpublished(self, status: Status, expires_after: float) -> Iterator[Action]: ...


@dataclass(frozen=True, slots=True)
class Swept:
    """How many actions expired, how many kept events were published, and why for those that could not be."""

    expired: int
    published: int
    failures: tuple[str, ...]


def sweep(*, actions: Actions, index: Index, bus: Bus, occasion: Occasion) -> Swept:
    """Publishes what is kept, then expires what is due; what fails does not stop the rest.

    Raises Retryable where the actions cannot be found at all.
    """
    published, failures = _heal(actions, index, bus, occasion.now)
    expired = 0
    for status in OPEN:
        for found in index.expired(status, occasion.now):
            try:
                expired += _expire(found.action_id, actions, bus, occasion)
            except Retryable as failed:
                failures.append(f"{found.action_id}: {failed}")
    return Swept(expired, published, tuple(failures))


def _heal(actions: Actions, index: Index, bus: Bus, now: float) -> tuple[int, list[str]]:
    published, failures = 0, list[str]()
    for status in _MAY_KEEP_AN_EVENT:
        for found in index.unpublished(status, now - HEALED_SECONDS):
            try:
                published += _publish(actions.get(found.action_id), actions, bus)
            except Retryable as failed:
                failures.append(f"{found.action_id}: {failed}")
    return published, failures


def _expire(action_id: str, actions: Actions, bus: Bus, occasion: Occasion) -> bool:
    """Rejects one that is due, as it is now: the index that it was found by may be a moment behind."""
    action = actions.get(action_id)
    if action is None or not action.is_open or action.expires_at > int(occasion.now):
        return False
    _publish(action, actions, bus)
    ended = rejected(action, (), "expired", occasion)
    if not actions.expire(action, ended, occasion.now):
        return False
    _publish(ended, actions, bus)
    return True


def _publish(action: Action | None, actions: Actions, bus: Bus) -> bool:
    if action is None or action.event_to_publish is None:
        return False
    publish_kept(action.event_to_publish, bus, lambda event: actions.note_published(action.action_id, event))
    return True
