"""The decision: what flags, how grave it is, what is said about it, and how often the model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from features import FEATURE_NAMES
from fraud_rules import Finding, Severity
from verdict import Candidate, decide

WIDTH = len(FEATURE_NAMES)


@dataclass(frozen=True)
class Facts:
    version: str = "0123456789ab"
    threshold: float = 0.4
    reference_row: tuple[float, ...] = (0.0,) * WIDTH


class AdditiveScorer:
    """Scores a row by the sum of its features, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, rows: Sequence[Sequence[float]]) -> list[float]:
        self.calls.append(len(rows))
        return [sum(row) for row in rows]


def a_candidate(*values: float, findings: Sequence[Finding] = (), transaction_id: str = "TX-1") -> Candidate:
    return Candidate(transaction_id, (*values, *(0.0,) * (WIDTH - len(values))), findings)


def a_finding(severity: Severity) -> Finding:
    return Finding("VELOCITY", severity, "The card was used 5 times within 10 minutes.")


@pytest.mark.parametrize(("score", "flagged"), [(0.399, False), (0.4, True)])
def test_verdict_is_flagged_when_the_score_reaches_the_threshold(score: float, flagged: bool) -> None:
    (verdict,) = decide([a_candidate(score)], AdditiveScorer(), Facts())

    assert verdict.flagged is flagged


@pytest.mark.parametrize(("severity", "flagged"), [("low", False), ("medium", False), ("high", True)])
def test_verdict_is_flagged_by_rules_only_when_a_finding_is_high(severity: Severity, flagged: bool) -> None:
    (verdict,) = decide([a_candidate(0.1, findings=[a_finding(severity)])], AdditiveScorer(), Facts())

    assert verdict.flagged is flagged
    assert [reason.code for reason in verdict.reasons] == ["VELOCITY"]


@pytest.mark.parametrize(
    ("score", "findings", "severity"),
    [
        (0.1, [], "low"),
        (0.1, ["medium"], "low"),
        (0.1, ["high"], "high"),
        (0.45, [], "low"),
        (0.45, ["low"], "low"),
        (0.45, ["medium"], "medium"),
        (0.45, ["medium", "high"], "high"),
        (0.65, [], "medium"),
        (0.85, [], "high"),
    ],
)
def test_severity_follows_the_score_and_the_gravest_finding(
    score: float, findings: list[Severity], severity: Severity
) -> None:
    candidate = a_candidate(score, findings=[a_finding(one) for one in findings])

    (verdict,) = decide([candidate], AdditiveScorer(), Facts())

    assert verdict.severity == severity


def test_reasons_name_the_model_first_and_then_the_rules() -> None:
    (verdict,) = decide([a_candidate(0.9, findings=[a_finding("medium")])], AdditiveScorer(), Facts())

    assert [(reason.code, reason.severity) for reason in verdict.reasons] == [
        ("MODEL_SCORE", "high"),
        ("VELOCITY", "medium"),
    ]
    assert verdict.reasons[0].explanation == "The model's score 0.900 reaches the threshold 0.400."


def test_drivers_are_the_three_features_that_the_score_would_lose_most_without() -> None:
    (verdict,) = decide([a_candidate(0.1, 0.05, 0.3, 0.2, -0.1)], AdditiveScorer(), Facts())

    assert [(driver.feature, driver.value, driver.reference) for driver in verdict.drivers] == [
        ("is_night", 0.3, 0),
        ("card_count_1d", 0.2, 0),
        ("amount", 0.1, 0),
    ]
    assert [driver.contribution for driver in verdict.drivers] == pytest.approx([0.3, 0.2, 0.1])


def test_drivers_leave_out_features_without_which_the_score_would_not_fall() -> None:
    (verdict,) = decide([a_candidate(0.6, -0.1)], AdditiveScorer(), Facts())

    assert [driver.feature for driver in verdict.drivers] == ["amount"]


def test_model_is_asked_once_for_all_and_once_for_all_that_are_flagged() -> None:
    scorer = AdditiveScorer()
    candidates = [a_candidate(score, transaction_id=f"TX-{score}") for score in (0.9, 0.1, 0.5, 0.2)]

    verdicts = decide(candidates, scorer, Facts())

    assert scorer.calls == [4, 2 * WIDTH]
    assert [verdict.transaction_id for verdict in verdicts] == ["TX-0.9", "TX-0.1", "TX-0.5", "TX-0.2"]
    assert [verdict.flagged for verdict in verdicts] == [True, False, True, False]
    assert [verdict.drivers[0].contribution for verdict in verdicts if verdict.flagged] == pytest.approx([0.9, 0.5])


def test_model_is_not_asked_for_drivers_when_nothing_is_flagged() -> None:
    scorer = AdditiveScorer()

    decide([a_candidate(0.1)], scorer, Facts())

    assert scorer.calls == [1]


def test_model_is_not_asked_at_all_when_there_is_nothing_to_decide() -> None:
    scorer = AdditiveScorer()

    assert decide([], scorer, Facts()) == []
    assert scorer.calls == []


def test_verdict_carries_the_features_by_name_and_the_model_version() -> None:
    (verdict,) = decide([a_candidate(0.25)], AdditiveScorer(), Facts())

    assert verdict.features == dict.fromkeys(FEATURE_NAMES, 0.0) | {"amount": 0.25}
    assert verdict.model_version == "0123456789ab"
    assert verdict.drivers == ()


def test_decision_fails_when_the_model_returns_too_few_scores() -> None:
    with pytest.raises(ValueError, match="2 rows were given to the model, but it returned 1 scores"):
        decide([a_candidate(0.1), a_candidate(0.2)], lambda rows: [0.5] * (len(rows) - 1), Facts())


def test_decision_passes_on_what_the_model_raises() -> None:
    def unreachable(_: Sequence[Sequence[float]]) -> list[float]:
        raise TimeoutError("endpoint")

    with pytest.raises(TimeoutError):
        decide([a_candidate(0.1)], unreachable, Facts())
