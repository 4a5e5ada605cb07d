"""Letting an investigation go on once its action is decided, with the decision that stands on the action's row.

The event says only which action; what was decided is read from the row. A decision for which nobody waits does nothing:
most are of no investigation, or come a second time, or their investigation has noticed by itself (request_action looks
at the action once its token is kept). Knows no AWS: where things are kept is an argument.
"""

from collections.abc import Mapping
from typing import Literal, Protocol

from backbone import contracts
from backbone.action_tokens import SealedToken
from backbone.actions import Action, Decision, decision_on
from backbone.contracts import Event
from backbone.errors import Rejected, Retryable
from backbone.investigations import Step

APPROVED, REJECTED = "ActionApproved", "ActionRejected"

type Result = Literal["resumed", "nobody_waits"]


class Actions(Protocol):
    """Proposed actions. Raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...


class Tokens(Protocol):
    """Keeps tokens. Each raises Retryable where it cannot now."""

    def get(self, case_id: str) -> SealedToken | None: ...
    def delete(self, token: SealedToken) -> None:
        """Forgets this token; another that is there by now stays."""


class Seal(Protocol):
    """Decrypts. Raises Rejected for what was sealed for something else; Retryable where it cannot now."""

    def open(self, token: SealedToken) -> str: ...


class Steps(Protocol):
    """The investigations' steps. Raises Retryable where it cannot now."""

    def get(self, case_id: str, number: int) -> Step | None: ...


class Executions(Protocol):
    """Lets executions go on. Raises Retryable where it cannot now."""

    def resume(self, token: str, outcome: str) -> bool:
        """False where nobody waits with ``token`` any more."""


def decision_event(envelope: object) -> Event:
    """The ActionApproved or ActionRejected in an EventBridge envelope; raises Rejected for anything else."""
    said = envelope.get("detail-type") if isinstance(envelope, Mapping) else None
    return contracts.parse(REJECTED if said == REJECTED else APPROVED, envelope)


def resume(
    event: Event, *, actions: Actions, tokens: Tokens, seal: Seal, steps: Steps, executions: Executions
) -> Result:
    """Lets the investigation that waits for the decided action go on.

    Raises Rejected where no row knows of such a decision; Retryable as its collaborators, and where the token is stale
    and yet its investigation has not gone on: another attempt at it may be on its way.
    """
    action, decision = _decided_action(event, actions)
    token = tokens.get(action.case_id) if action.case_id is not None else None
    if token is None or token.action_id != action.action_id:
        return "nobody_waits"
    is_waiting = executions.resume(seal.open(token), decision)
    if not is_waiting:
        _require_that_it_went_on(token, steps)
    tokens.delete(token)
    return "resumed" if is_waiting else "nobody_waits"


def _decided_action(event: Event, actions: Actions) -> tuple[Action, Decision]:
    """The action that the event is about, with the decision on its row, which must be the event's."""
    data = event.data
    action = actions.get(data["actionId"])
    decision = decision_on(action) if action is not None else None
    if action is None or decision is None:
        raise Rejected(f"action {data['actionId']}: no decision stands on its row")
    row = (action.action, action.customer_id, action.case_id, action.decided_by, decision)
    told = data.get("cause") if event.detail_type == REJECTED else "approved"
    if row != (data["action"], data["customerId"], data.get("caseId"), tuple(data["decidedBy"]), told):
        raise Rejected(f"action {action.action_id}: the event says something else than its row")
    return action, decision


def _require_that_it_went_on(token: SealedToken, steps: Steps) -> None:
    step = steps.get(token.case_id, token.step)
    if step is None or step.outcome is None:
        raise Retryable(f"case {token.case_id}: nobody waits with the token of step {token.step}, which has no outcome")
