"""Asking for the action of a step: done or refused at once, or proposed and waited for.

The order is what makes it safe to be ended anywhere and begun again. The tool, asked again in the same step, answers
the same and does nothing twice. Its answer is kept on the step. Only for what is proposed is a token kept, and after
that the action is looked at once more: a decision that was made before found nobody waiting, one that is made later
finds the token. Knows no AWS: where things are kept is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from backbone.action_tokens import SealedToken
from backbone.actions import Action, decision_on
from backbone.errors import Rejected, Retryable
from backbone.investigations import Investigation, Outcome, Step, session_attributes
from backbone.tool_calls import ToolReply, read_reply

# An execution waits for 25 hours at most (RequestAction's TimeoutSeconds); a row that nobody deleted goes in two days.
TOKEN_LIFETIME_SECONDS = 2 * 86_400

type Result = Literal["resumed", "waiting", "stale"]


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """What state RequestAction hands over; whoever holds ``task_token`` can let its execution go on."""

    investigation: Investigation
    step: int
    task_token: str = field(repr=False)


class Steps(Protocol):
    """The investigation's steps. Each raises Retryable where it cannot now."""

    def get(self, case_id: str, number: int) -> Step | None: ...
    def acted(self, case_id: str, number: int, reply: str, action_id: str | None = None) -> Step: ...


class Actions(Protocol):
    """Proposed actions. Raises Retryable where it cannot now."""

    def get(self, action_id: str) -> Action | None: ...


class Tools(Protocol):
    """Runs a tool. Raises Retryable where there is no answer."""

    def run(self, tool: str, arguments: Mapping[str, Any], attributes: Mapping[str, str]) -> ToolReply: ...


class Seal(Protocol):
    """Encrypts. Raises Retryable where it cannot now."""

    def seal(self, case_id: str, step: int, token: str) -> bytes: ...


class Tokens(Protocol):
    """Keeps tokens. Raises Retryable where it cannot now."""

    def put(self, token: SealedToken, expires_at: int) -> bool:
        """Keeps it; False, and nothing kept, where a later attempt's is there."""


class Executions(Protocol):
    """Lets executions go on. Raises Retryable where it cannot now."""

    def resume(self, token: str, outcome: str) -> bool:
        """False where nobody waits with ``token`` any more."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What asking needs."""

    steps: Steps
    actions: Actions
    tools: Tools
    seal: Seal
    tokens: Tokens
    executions: Executions


def ask(request: ActionRequest, desk: Desk, now: float) -> Result:
    """Asks for the step's action; ``now`` (epoch seconds) is when this attempt began.

    resumed: the execution was let go on, with what is known of the outcome. waiting: it waits for a decision. stale: a
    later attempt has taken over, or nobody waits with this token. Raises Rejected for a step that asks for nothing;
    Retryable as its collaborators.
    """
    case_id, number = request.investigation.case_id, request.step
    step = desk.steps.get(case_id, number)
    if step is None or step.kind != "act" or step.tool is None:
        raise Rejected(f"step {number} of {case_id} asks for no action")
    if step.outcome is not None:
        return _resume(request, step.outcome, desk)
    if step.reply is None:
        step = _act(step, step.tool, request, desk)
    match read_reply(step.reply or "").state:
        case "done":
            return _resume(request, "done", desk)
        case "refused":
            return _resume(request, "refused", desk)
    return _wait(request, step, desk, now)


def _act(step: Step, tool: str, request: ActionRequest, desk: Desk) -> Step:
    """Runs the step's tool; the step as it stands once the answer is kept on it."""
    attributes = session_attributes(request.investigation, step.number)
    reply = desk.tools.run(tool, step.arguments, attributes)
    action = reply.data.get("action")
    action_id = action.get("actionId") if isinstance(action, Mapping) else None
    return desk.steps.acted(step.case_id, step.number, reply.text, action_id)


def _wait(request: ActionRequest, step: Step, desk: Desk, now: float) -> Result:
    """Keeps the token of what was proposed, unless, or until, it is decided."""
    if step.action_id is None:
        raise Rejected(f"step {step.number} of {step.case_id} proposed something that has no id")
    decision = decision_on(_action(step.action_id, desk))
    if decision is None:
        sealed = desk.seal.seal(step.case_id, step.number, request.task_token)
        token = SealedToken(step.case_id, step.number, step.action_id, round(now * 1000), sealed)
        if not desk.tokens.put(token, int(now) + TOKEN_LIFETIME_SECONDS):
            return "stale"
        decision = decision_on(_action(step.action_id, desk))
    return "waiting" if decision is None else _resume(request, decision, desk)


def _action(action_id: str, desk: Desk) -> Action:
    action = desk.actions.get(action_id)
    if action is None:
        raise Retryable(f"action {action_id} was proposed and has no row")
    return action


def _resume(request: ActionRequest, outcome: Outcome, desk: Desk) -> Result:
    return "resumed" if desk.executions.resume(request.task_token, outcome) else "stale"
