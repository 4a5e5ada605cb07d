"""Planning: the next step of an investigation, chosen by a model among what the rules allow.

Knows no AWS: where cases and steps are kept and what chooses are arguments.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from backbone.cases import Case, Reason
from backbone.contracts import timestamp
from backbone.errors import Rejected
from backbone.investigations import Investigation, Kind, Step, Totals, totals
from backbone.model import Answer, Tool
from move_prompt import MAXIMUM_TOKENS, SYSTEM, text_of, tool_for
from next_moves import ASK_PERSON, Move, allowed_moves, why_nothing_is_left

# A longer "sentence or two" is cut: it is kept for people, and nothing is decided by it.
_REASONING_CHARACTERS = 1_000


class Cases(Protocol):
    """Reads cases. Raises Retryable where it cannot now."""

    def get(self, case_id: str) -> Case | None: ...


class Steps(Protocol):
    """Keeps steps. Each raises Retryable where it cannot now."""

    def steps(self, case_id: str) -> list[Step]: ...
    def add(self, step: Step) -> Step: ...


class Planner(Protocol):
    """The model port's text half. Raises Retryable and Rejected (MODEL_FAILED)."""

    def generate(self, *, tool: Tool, system: str, text: str, max_tokens: int) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What planning needs; ``measure`` is told each answer of the model, ``cost`` is one's in micro-dollars."""

    cases: Cases
    steps: Steps
    planner: Planner
    measure: Callable[[Answer], None]
    cost: Callable[[Answer], float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What comes next: ``kind`` of step, or "over" where somebody closed the case meanwhile.

    ``reason`` is why a person is asked. The counts are those of the whole investigation up to this step.
    """

    kind: Kind | str
    move: str
    totals: Totals
    reason: Reason | None = None


def plan(investigation: Investigation, number: int, desk: Desk, now: float) -> Plan:
    """Plans step ``number``, once: asked again it answers the same, and the model is not asked again.

    ``now`` in epoch seconds. Raises Retryable; Rejected where the model gave no whole answer, or a step before was
    never observed.
    """
    steps = desk.steps.steps(investigation.case_id)
    planned = next((step for step in steps if step.number == number), None)
    before = [step for step in steps if step.number < number]
    if planned is None:
        case = desk.cases.get(investigation.case_id)
        if case is None or case.goal is None:
            raise Rejected(f"INTERNAL: {investigation.case_id} has no goal")
        if not case.is_open:
            return Plan("over", "", totals(before))
        if [step.number for step in before] != list(range(1, number)):
            raise Rejected(f"INTERNAL: {investigation.case_id} has no step {number - 1} for step {number} to follow")
        planned = desk.steps.add(_next_step(investigation, case.goal, before, desk, now))
    reason = _reason(planned, before)
    return Plan(planned.kind, planned.move, totals([*before, planned]), reason)


def _next_step(investigation: Investigation, goal: str, before: Sequence[Step], desk: Desk, now: float) -> Step:
    if not before or any(step.outcome is None for step in before):
        raise Rejected(f"INTERNAL: {investigation.case_id} is planned on before its last step was observed")
    number = before[-1].number + 1
    moves = allowed_moves(investigation, before)
    if len(moves) == 1:  # a person must go on: there is nothing to ask a model about
        _, why = why_nothing_is_left(before)
        return _step(investigation, number, moves[0], why, now)
    answer = desk.planner.generate(
        tool=tool_for(before, moves),
        system=SYSTEM,
        text=text_of(goal, before, moves),
        max_tokens=MAXIMUM_TOKENS,
    )
    desk.measure(answer)
    (chosen,) = [move for move in moves if move.name == answer.data["move"]]
    reasoning = " ".join(answer.data["reasoning"].split())[:_REASONING_CHARACTERS]
    if not reasoning:
        raise Rejected(f"MODEL_FAILED: {chosen.name} without a reason")
    return dataclasses.replace(
        _step(investigation, number, chosen, reasoning, now),
        evidence=tuple(dict.fromkeys(answer.data["evidence"])),
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_micro_dollars=math.ceil(desk.cost(answer)),
        model_id=answer.model_id,
        model_profile=answer.profile,
    )


def _step(investigation: Investigation, number: int, move: Move, reasoning: str, now: float) -> Step:
    return Step(
        case_id=investigation.case_id,
        number=number,
        kind=move.kind,
        move=move.name,
        reasoning=reasoning,
        planned_at=timestamp(now),
        tool=move.tool,
        arguments=move.arguments,
        verdict=move.verdict,
    )


def _reason(planned: Step, before: Sequence[Step]) -> Reason | None:
    return why_nothing_is_left(before)[0] if planned.move == ASK_PERSON else None
