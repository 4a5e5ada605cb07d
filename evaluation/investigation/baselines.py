"""What the agent is held against: giving everything to people, and a threshold on the fraud model's score."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.investigation.case_files import CaseFile


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of ``cases`` were judged right, wrong, and given to a person."""

    cases: int
    right: int
    wrong: int
    handed_over: int

    @property
    def right_of_all(self) -> float:
        return self.right / self.cases

    @property
    def right_of_decided(self) -> float:
        """1.0 where nothing was decided: nothing was wrong either."""
        decided = self.right + self.wrong
        return self.right / decided if decided else 1.0


def agent(files: Sequence[CaseFile]) -> Tally:
    """What the agent said."""
    handed = sum(one.position == "handed_over" for one in files)
    right = sum(one.is_right for one in files)
    return Tally(len(files), right, len(files) - right - handed, handed)


def always_escalate(files: Sequence[CaseFile]) -> Tally:
    """Every case to a person: never wrong, and no help."""
    return Tally(len(files), 0, 0, len(files))


def threshold_only(files: Sequence[CaseFile]) -> tuple[Tally, float]:
    """A fraud where the score reaches a threshold, genuine below it; with the threshold that is best for these cases.

    That is more than anybody could know beforehand: no threshold does better here.
    """
    candidates = sorted({one.score for one in files} | {2.0})
    return max(
        ((_at(files, threshold), threshold) for threshold in candidates),
        key=lambda judged: (judged[0].right, -judged[1]),
    )


def _at(files: Sequence[CaseFile], threshold: float) -> Tally:
    right = sum((one.score >= threshold) == one.is_fraud for one in files)
    return Tally(len(files), right, len(files) - right, 0)
