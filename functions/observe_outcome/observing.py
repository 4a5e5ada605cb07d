"""Observing: what came of a step becomes facts, which the next plan is made from.

Knows no AWS: where steps are kept is an argument.
"""

from typing import Protocol

from backbone.contracts import timestamp
from backbone.errors import Rejected
from backbone.investigations import Investigation, Outcome, Step, observed
from backbone.tool_calls import read_reply

_DECIDED: dict[Outcome, str] = {
    "approved": "An analyst approved what was proposed ({move}).",
    "rejected": "An analyst rejected what was proposed ({move}).",
    "expired": "Nobody decided in time on what was proposed ({move}), so it is rejected.",
    "nothing_to_do": "What was proposed ({move}) had been done meanwhile, so nothing was left to do.",
}


class Steps(Protocol):
    """Keeps steps. Each raises Retryable where it cannot now."""

    def get(self, case_id: str, number: int) -> Step | None: ...
    def observe(self, case_id: str, number: int, outcome: Outcome, facts: tuple[str, ...], at: str) -> Step: ...


def observe(investigation: Investigation, number: int, decided: Outcome | None, *, steps: Steps, now: float) -> Outcome:
    """Keeps the facts of step ``number`` and how it ended, once; answers how.

    ``decided`` is what came of an action; None for a look-up, whose answer says it. ``now`` in epoch seconds. Raises
    Retryable; Rejected where nothing came of the step.
    """
    step = steps.get(investigation.case_id, number)
    if step is None:
        raise Rejected(f"INTERNAL: step {number} of {investigation.case_id} was never planned")
    if step.outcome is None:
        outcome, facts = _observed(step, decided)
        step = steps.observe(investigation.case_id, number, outcome, facts, timestamp(now))
    if step.outcome is None:
        raise Rejected(f"INTERNAL: step {number} of {investigation.case_id} keeps no outcome")
    return step.outcome


def _observed(step: Step, decided: Outcome | None) -> tuple[Outcome, tuple[str, ...]]:
    if decided in _DECIDED:
        return decided, (_DECIDED[decided].format(move=step.move),)
    if step.reply is None:
        raise Rejected(f"INTERNAL: step {step.number} of {step.case_id} was observed before it was acted on")
    reply = read_reply(step.reply)
    return observed(reply.state, reply.facts)
