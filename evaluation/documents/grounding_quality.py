"""How well ``check_grounding`` tells supported from unsupported, beside a baseline that looks at similarity alone.

Both have their thresholds chosen on the tuning half, by the mean of the two F1; the test half is only looked at. What
the functions run with are the constants in ``grounding``: a test fails where they are not what is chosen here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import grounding
import proper_names
from backbone.documents import Passage
from evaluation.documents.labelled_pairs import Pair
from grounding import Embed, Evidence

WEIGHTS = [round(0.1 * step, 1) for step in range(11)]
THRESHOLDS = [round(0.02 * step, 2) for step in range(5, 46)]

type Decide = Callable[[Evidence], bool]


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """Precision, recall and F1 of one of the two verdicts, each 0..1."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How a decision does on one half."""

    supported: ClassQuality
    unsupported: ClassQuality

    @property
    def mean_f1(self) -> float:
        return (self.supported.f1 + self.unsupported.f1) / 2


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair and what the check found out about it."""

    pair: Pair
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the tuning half chose."""

    weight: float
    threshold: float
    baseline_threshold: float


def judge_pairs(pairs: Iterable[Pair], embed: Embed) -> list[Judged]:
    """The evidence for each pair, from the function's own code."""
    return [
        Judged(
            pair,
            grounding.weigh(
                pair.statement,
                Passage("p1", None, pair.passage),
                proper_names.names_of_document(pair.document),
                embed,
            ),
        )
        for pair in pairs
    ]


def choose(tuning: Sequence[Judged]) -> Chosen:
    """The weight and threshold with the best mean F1 on the tuning half; of several the middle one."""
    scored = [
        (assess(tuning, full_check(weight, threshold)).mean_f1, weight, threshold)
        for weight in WEIGHTS
        for threshold in THRESHOLDS
    ]
    best = max(score for score, _, _ in scored)
    ties = [(weight, threshold) for score, weight, threshold in scored if score == best]
    weight, threshold = ties[len(ties) // 2]
    baseline = max(THRESHOLDS, key=lambda one: assess(tuning, similarity_alone(one)).mean_f1)
    return Chosen(weight, threshold, baseline)


def full_check(weight: float, threshold: float) -> Decide:
    """Similarity and shared words together reach the threshold, and nothing speaks against it."""

    def decide(evidence: Evidence) -> bool:
        support = weight * evidence.similarity + (1 - weight) * evidence.coverage
        return not evidence.problems and support >= threshold

    return decide


def similarity_alone(threshold: float) -> Decide:
    """The baseline: how near the embeddings are."""
    return lambda evidence: evidence.similarity >= threshold


def assess(judged: Sequence[Judged], decide: Decide) -> Quality:
    """How the decision does."""
    verdicts = [(one.pair.supported, decide(one.evidence)) for one in judged]
    return Quality(_class_quality(verdicts, wanted=True), _class_quality(verdicts, wanted=False))


def found_by_kind(judged: Sequence[Judged], decide: Decide) -> dict[str, tuple[int, int]]:
    """For each kind of pair: how many were judged rightly, of how many."""
    kinds: dict[str, tuple[int, int]] = {}
    for one in judged:
        right, total = kinds.get(one.pair.kind, (0, 0))
        kinds[one.pair.kind] = right + (decide(one.evidence) == one.pair.supported), total + 1
    return kinds


def _class_quality(verdicts: Sequence[tuple[bool, bool]], *, wanted: bool) -> ClassQuality:
    hits = sum(truth == said == wanted for truth, said in verdicts)
    said = sum(said == wanted for _, said in verdicts)
    there = sum(truth == wanted for truth, _ in verdicts)
    precision, recall = hits / said if said else 0.0, hits / there if there else 0.0
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return ClassQuality(precision, recall, f1)
