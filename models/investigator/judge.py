"""Plays investigations move by move, through the prompt's text as the flow does, and counts how they end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from local.models.investigator_model import InvestigatorModel
from local.models.light_investigator import ASK, BLOCK, RELEASE, consider
from models.investigator.prompts import PERCEIVED, prompt
from models.investigator.replay import ReplayedCase

# As the domain offers them before anything was proposed.
LOOK_UP_MOVES = ("review_terminal", "review_card", "review_past_cases", "list_transactions")
END_MOVES = (BLOCK, RELEASE, ASK)
_BINS = 10


@dataclass(frozen=True, slots=True)
class Played:
    """How an investigation of ``case`` went: the look-ups in order, the move that ended it, and the last estimate."""

    case: ReplayedCase
    look_ups: tuple[str, ...]
    end: str
    probability: float | None

    @property
    def is_decided(self) -> bool:
        """Whether it did not go to a person."""
        return self.end != ASK

    @property
    def is_right(self) -> bool:
        """Whether what it decided is the truth."""
        return self.is_decided and (self.end == BLOCK) == self.case.is_fraud


def play(case: ReplayedCase, model: InvestigatorModel) -> Played:
    """Investigates ``case`` until something is proposed, released, or handed to a person."""
    done = [(PERCEIVED, "done")]
    while True:
        made = [move for move, _ in done[1:]]
        moves = [move for move in LOOK_UP_MOVES if move not in made] + list(END_MOVES)
        text, ids = prompt(case, done, moves)
        chosen = consider(text, ids, moves, model)
        if chosen.move in END_MOVES:
            return Played(case, tuple(made), chosen.move, chosen.probability)
        done.append((chosen.move, "done"))


def figures(played: Sequence[Played]) -> dict[str, Any]:
    """Shares of all cases, and what the decided ones are worth."""
    blocked, released = ([one for one in played if one.end == end] for end in (BLOCK, RELEASE))
    right = sum(one.is_right for one in played)
    decided = len(blocked) + len(released)
    return {
        "cases": len(played),
        "fraud_share": _share(sum(one.case.is_fraud for one in played), len(played)),
        "right": _share(right, len(played)),
        "wrong": _share(decided - right, len(played)),
        "handed_over": _share(len(played) - decided, len(played)),
        "right_of_decided": _share(right, decided),
        "blocked": len(blocked),
        "wrong_of_blocked": _share(sum(not one.is_right for one in blocked), len(blocked)),
        "released": len(released),
        "wrong_of_released": _share(sum(not one.is_right for one in released), len(released)),
        "genuine": sum(not one.case.is_fraud for one in played),
        "mean_look_ups": round(float(np.mean([len(one.look_ups) for one in played])), 3),
        "expected_calibration_error": _calibration_error(played),
    }


def threshold_accuracy(cases: Sequence[ReplayedCase], threshold: float) -> float:
    """The share of cases that "a fraud from this score on" decides rightly."""
    return _share(sum((case.score >= threshold) == case.is_fraud for case in cases), len(cases))


def best_threshold(cases: Sequence[ReplayedCase]) -> float:
    """The score that decides most of ``cases`` rightly; the lowest of equals."""
    scores = sorted({round(case.score, 3) for case in cases})
    return max(scores, key=lambda score: (threshold_accuracy(cases, score), -score))


def by_kind(played: Sequence[Played]) -> dict[str, dict[str, Any]]:
    """Figures of the cases of a stack's first two weeks and of those after them."""
    kinds: Mapping[str, Callable[[Played], bool]] = {
        "young": lambda one: one.case.is_young,
        "settled": lambda one: not one.case.is_young,
    }
    return {name: figures([one for one in played if holds(one)]) for name, holds in kinds.items()}


def _calibration_error(played: Sequence[Played]) -> float:
    """Expected calibration error over ten equal bins of the last estimates."""
    estimated = [(one.probability, one.case.is_fraud) for one in played if one.probability is not None]
    estimates, truth = (np.array(column, dtype=np.float64) for column in zip(*estimated, strict=True))
    bins = np.minimum((estimates * _BINS).astype(int), _BINS - 1)
    errors = [abs(estimates[bins == one].sum() - truth[bins == one].sum()) for one in range(_BINS)]
    return round(float(sum(errors)) / len(estimated), 4)


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
