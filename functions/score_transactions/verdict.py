"""The decision on a transaction: the model's score and the rules' findings become one verdict with its reasons.

A transaction is flagged where its score reaches the model's threshold or a finding of severity high fired. Findings
of lower severity never flag by themselves; they are told with the verdict and can raise its severity.

The severity of what is flagged: high where a finding is high, or the score is in the last third of the way from the
threshold to 1; medium where a finding is medium, or the score is in the second third; low otherwise. What is not
flagged is low.

Drivers explain a score by occlusion: each feature is replaced by its reference value (the training median) and the
row is scored again; what the score loses is that feature's contribution. Features that belong together share what they
do, so contributions do not add up to the score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from features import FEATURE_NAMES
from fraud_rules import Finding, Severity

DRIVERS_TOLD = 3

type Scorer = Callable[[Sequence[Sequence[float]]], Sequence[float]]
"""Rows of features to scores in 0..1: the embedded model's ``score``, or a call of an endpoint."""


class DecisionFacts(Protocol):
    """What a model brings with it for deciding, wherever its scores are computed."""

    @property
    def version(self) -> str: ...
    @property
    def threshold(self) -> float: ...
    @property
    def reference_row(self) -> Sequence[float]: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transaction to decide on: its features in the order of ``FEATURE_NAMES`` and what the rules found."""

    transaction_id: str
    features: Sequence[float]
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a transaction is suspicious: ``MODEL_SCORE`` or a rule's code, and a sentence for people."""

    code: str
    severity: Severity
    explanation: str


@dataclass(frozen=True, slots=True)
class Driver:
    """A feature that drove the score up: its value, the reference value, and what the score would lose without it."""

    feature: str
    value: float
    reference: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one transaction, with all that a person needs to understand it."""

    transaction_id: str
    score: float
    flagged: bool
    severity: Severity
    reasons: tuple[Reason, ...]
    drivers: tuple[Driver, ...]
    features: dict[str, float]
    model_version: str


def decide(candidates: Sequence[Candidate], score: Scorer, facts: DecisionFacts) -> list[Verdict]:
    """Return a verdict per candidate, in order.

    ``score`` is called once for all candidates and once more, for the drivers, for all that are flagged; what it
    raises is passed on. ValueError where it returns another number of scores than it was given rows.
    """
    scores = _scores(score, [candidate.features for candidate in candidates])
    flagged = [
        number
        for number, candidate in enumerate(candidates)
        if _is_flagged(scores[number], candidate.findings, facts.threshold)
    ]
    drivers = dict(zip(flagged, _drivers([(candidates[n], scores[n]) for n in flagged], score, facts), strict=True))
    return [
        Verdict(
            transaction_id=candidate.transaction_id,
            score=scores[number],
            flagged=number in drivers,
            severity=_severity(scores[number], candidate.findings, facts.threshold) if number in drivers else "low",
            reasons=_reasons(scores[number], candidate.findings, facts.threshold),
            drivers=drivers.get(number, ()),
            features=dict(zip(FEATURE_NAMES, candidate.features, strict=True)),
            model_version=facts.version,
        )
        for number, candidate in enumerate(candidates)
    ]


def _is_flagged(score: float, findings: Sequence[Finding], threshold: float) -> bool:
    return score >= threshold or any(finding.severity == "high" for finding in findings)


def _severity(score: float, findings: Sequence[Finding], threshold: float) -> Severity:
    found = {finding.severity for finding in findings}
    way_to_certainty = (score - threshold) / (1 - threshold)
    if "high" in found or way_to_certainty >= 2 / 3:
        return "high"
    if "medium" in found or way_to_certainty >= 1 / 3:
        return "medium"
    return "low"


def _reasons(score: float, findings: Sequence[Finding], threshold: float) -> tuple[Reason, ...]:
    rules = tuple(Reason(finding.code, finding.severity, finding.explanation) for finding in findings)
    if score < threshold:
        return rules
    sentence = f"The model's score {score:.3f} reaches the threshold {threshold:.3f}."
    return (Reason("MODEL_SCORE", _severity(score, (), threshold), sentence), *rules)


def _drivers(
    flagged: Sequence[tuple[Candidate, float]], score: Scorer, facts: DecisionFacts
) -> list[tuple[Driver, ...]]:
    """Return for each flagged candidate the three features that its score would lose most without, greatest first."""
    if not flagged:
        return []
    without = _scores(
        score,
        [
            [*candidate.features[:index], facts.reference_row[index], *candidate.features[index + 1 :]]
            for candidate, _ in flagged
            for index in range(len(FEATURE_NAMES))
        ],
    )
    width = len(FEATURE_NAMES)
    return [
        _largest(candidate, with_all, without[row * width : (row + 1) * width], facts.reference_row)
        for row, (candidate, with_all) in enumerate(flagged)
    ]


def _largest(
    candidate: Candidate, score: float, without: Sequence[float], reference_row: Sequence[float]
) -> tuple[Driver, ...]:
    drivers = [
        Driver(name, candidate.features[index], reference_row[index], score - without[index])
        for index, name in enumerate(FEATURE_NAMES)
        if without[index] < score
    ]
    return tuple(sorted(drivers, key=lambda driver: -driver.contribution)[:DRIVERS_TOLD])


def _scores(score: Scorer, rows: Sequence[Sequence[float]]) -> Sequence[float]:
    if not rows:
        return []
    scores = score(rows)
    if len(scores) != len(rows):
        raise ValueError(f"{len(rows)} rows were given to the model, but it returned {len(scores)} scores")
    return scores
