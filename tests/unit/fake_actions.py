"""Actions and their trail in memory; passes the real rows' contract (test_action_rows)."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from backbone.action_rows import Attempt, Trail
from backbone.actions import OPEN, Action, Status


@dataclass
class FakeActions:
    """ActionRows, ActionIndex and AttemptRows in one."""

    rows: dict[str, Action] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)

    def get(self, action_id: str) -> Action | None:
        return self.rows.get(action_id)

    def waiting(self, now: float, at_most: int) -> list[Action]:
        return [
            action
            for status in OPEN
            for action in sorted(self._of(status), key=lambda one: -one.expires_at)[:at_most]
            if action.expires_at > int(now)
        ]

    def expired(self, status: Status, now: float) -> Iterator[Action]:
        yield from (action for action in self._of(status) if action.expires_at <= int(now))

    def unpublished(self, status: Status, expires_after: float) -> Iterator[Action]:
        for action in self._of(status):
            if action.event_to_publish is not None and action.expires_at > int(expires_after):
                yield action

    def decide(self, before: Action, after: Action, now: float, trail: Trail) -> bool:
        return self._step(before, after, self.rows[before.action_id].expires_at > int(now), trail)

    def expire(self, before: Action, after: Action, now: float, trail: Trail | None = None) -> bool:
        return self._step(before, after, self.rows[before.action_id].expires_at <= int(now), trail)

    def close(self, before: Action, after: Action) -> bool:
        return self._step(before, after, True, None)

    def note_published(self, action_id: str, event_to_publish: str) -> None:
        if self.rows[action_id].event_to_publish == event_to_publish:
            self.rows[action_id] = replace(self.rows[action_id], event_to_publish=None)

    def add(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    def of_action(self, action_id: str, at_most: int) -> list[Attempt]:
        found = [attempt for attempt in self.attempts if attempt.action_id == action_id]
        return sorted(found, key=lambda one: (one.at, one.attempt_id), reverse=True)[:at_most]

    def _of(self, status: Status) -> list[Action]:
        return sorted((one for one in self.rows.values() if one.status == status), key=lambda one: one.expires_at)

    def _step(self, before: Action, after: Action, is_time: bool, trail: Trail | None) -> bool:
        now = self.rows[before.action_id]
        if now.status != before.status or now.event_to_publish is not None or not is_time:
            return False
        self.rows[before.action_id] = after
        self.attempts += [] if trail is None else [trail.attempt]
        return True
