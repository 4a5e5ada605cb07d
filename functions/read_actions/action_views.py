"""What an analyst is shown of proposed actions: what waits, and of each one all that a decision rests on.

Knows no AWS: where actions, attempts and cards are kept is an argument.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from backbone.action_rows import Attempt
from backbone.actions import Action, approvals_needed, seen_digest
from backbone.contracts import timestamp
from backbone.identity import Caller
from backbone.rest import RefusedError

LISTED_AT_MOST = 50
TRAIL_AT_MOST = 100
_ACTION_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

type View = dict[str, Any]


class Actions(Protocol):
    """Reads actions. Raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...


class Index(Protocol):
    """Finds what waits, at most so many of each open status. Raises Retryable where it cannot now."""

    def waiting(self, now: float, at_most: int) -> list[Action]: ...


class Attempts(Protocol):
    """Reads the trail. Raises Retryable where it cannot now."""

    def of_action(self, action_id: str, at_most: int) -> list[Attempt]: ...


class Cards(Protocol):
    """Reads cards' labels. Raises Retryable where it cannot now."""

    def label(self, card_id: str) -> str | None: ...


def view_list(caller: Caller, *, index: Index, four_eyes_amount: int, now: float) -> View:
    """The newest actions that wait for a decision; ``now`` in epoch seconds. RefusedError (403) for no analyst."""
    _require_analyst(caller)
    waiting = sorted(index.waiting(now, LISTED_AT_MOST), key=lambda action: action.created_at, reverse=True)
    return {"actions": [_summary(action, four_eyes_amount, now) for action in waiting[:LISTED_AT_MOST]]}


def view_action(
    caller: Caller,
    action_id: str,
    *,
    actions: Actions,
    attempts: Attempts,
    cards: Cards,
    four_eyes_amount: int,
    now: float,
) -> View:
    """One action, with the digest that a decision names and everybody's attempts, newest first.

    Raises RefusedError: 403 for no analyst, 404 where there is no such action.
    """
    _require_analyst(caller)
    action = actions.get(action_id) if _ACTION_ID.fullmatch(action_id) else None
    if action is None:
        raise RefusedError(404, "There is no such action.")
    view = _summary(action, four_eyes_amount, now)
    if action.card_id is not None:
        view["cardLabel"] = cards.label(action.card_id)
    ended = {"decidedAt": action.decided_at, "cause": action.cause}
    view |= {name: value for name, value in ended.items() if value is not None}
    view["decidedBy"] = list(action.decided_by)
    view["attempts"] = _trail(attempts.of_action(action_id, TRAIL_AT_MOST))
    return view | {"seen": seen_digest(action)}


def _require_analyst(caller: Caller) -> None:
    if not caller.is_analyst:
        raise RefusedError(403, "Only the bank's analysts see actions.")


def _summary(action: Action, four_eyes_amount: int, now: float) -> View:
    """What is proposed; what the row does not say is left out."""
    view = {
        "actionId": action.action_id,
        "action": action.action,
        "status": action.status,
        "customerId": action.customer_id,
        "cardId": action.card_id,
        "transactionId": action.transaction_id,
        "caseId": action.case_id,
        "reason": action.reason,
        "amountMinor": action.amount_minor,
        "spent": action.spent,
        "proposedBy": {"personId": action.person_id, "role": action.proposed_by},
        "createdAt": action.created_at,
        "expiresAt": timestamp(action.expires_at),
        "canBeDecided": action.is_open and action.expires_at > int(now),
        "approvalsNeeded": approvals_needed(action, four_eyes_amount),
        "halfApprovedBy": action.half_approved_by,
    }
    return {name: value for name, value in view.items() if value is not None}


def _trail(attempts: Sequence[Attempt]) -> list[View]:
    return [
        {
            "at": attempt.at,
            "personId": attempt.person_id,
            "role": attempt.role,
            "decision": attempt.decision,
            "seen": attempt.seen,
            "outcome": attempt.outcome,
        }
        | ({} if attempt.note is None else {"note": attempt.note})
        for attempt in attempts
    ]
