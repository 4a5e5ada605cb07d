"""Fits the investigator's scorecards with numpy alone: bands, logistic regressions, and what look-ups are worth."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local.models.investigator_model import Bands, Scorecard, Sum, band

# Of which look-up a quantity comes, by the name's beginning; all others come with the flag.
LOOK_UPS = ("review_terminal", "review_card", "review_past_cases")
_PREFIXES = {
    "terminal_": "review_terminal",
    "card_": "review_card",
    "times_": "review_card",
    "cases_": "review_past_cases",
}
MOST_BANDS = 6
FEWEST_IN_BAND = 25
LEAST_GAIN = 3.0  # of log likelihood: below it a split is as likely chance
RIDGE = 1.0
_STEPS = 30
_DIGITS = 4

type Numbers = NDArray[np.float64]
type Values = Mapping[str, float]


def look_up_of(name: str) -> str | None:
    """The look-up that tells a quantity; None for what is known from the flag."""
    return next((tool for prefix, tool in _PREFIXES.items() if name.startswith(prefix)), None)


def fit(rows: Sequence[Values], is_fraud: Numbers) -> tuple[Bands, dict[frozenset[str], Scorecard]]:
    """The bands, and a scorecard for every set of look-ups; ``rows`` are what is known once all of them were made."""
    bands = bands_of(rows, is_fraud)
    places = {name: np.array([band(edges, row.get(name)) for row in rows]) for name, edges in bands.items()}
    designs = {made: _design(bands, places, made) for made in _sets()}
    fitted = {made: _logistic(design.matrix, is_fraud) for made, design in designs.items()}
    estimates = {made: _probabilities(designs[made].matrix, fitted[made]) for made in designs}
    scorecards = {}
    for made, design in designs.items():
        gains = {
            tool: design.as_sum(_linear(design.matrix, (estimates[made | {tool}] - estimates[made]) ** 2))
            for tool in LOOK_UPS
            if tool not in made
        }
        scorecards[made] = Scorecard(design.as_sum(fitted[made]), gains)
    return bands, scorecards


def bands_of(rows: Sequence[Values], is_fraud: Numbers) -> dict[str, tuple[float, ...]]:
    """For each quantity the values at which its bands begin; one that separates nothing is left out."""
    bands = {}
    for name in sorted({name for row in rows for name in row}):
        known = [place for place, row in enumerate(rows) if name in row]
        edges = _edges(np.array([rows[place][name] for place in known]), is_fraud[known])
        if edges or FEWEST_IN_BAND <= len(known) <= len(rows) - FEWEST_IN_BAND:
            bands[name] = edges
    return bands


def _edges(values: Numbers, is_fraud: Numbers) -> tuple[float, ...]:
    """The greedy splits of ``values`` by what the log likelihood gains, the best first, sorted at the end."""
    order = np.argsort(values, kind="stable")
    values, is_fraud = values[order], is_fraud[order]
    parts = [(0, len(values))]
    cuts: list[int] = []
    while len(cuts) < MOST_BANDS - 1:
        best = max(((*_best_cut(values, is_fraud, part), part) for part in parts), key=lambda one: one[0])
        gain, cut, (first, last) = best
        if gain < LEAST_GAIN:
            break
        cuts.append(cut)
        parts.remove((first, last))
        parts += [(first, cut), (cut, last)]
    return tuple(sorted(_between(values[cut - 1], values[cut]) for cut in cuts))


def _best_cut(values: Numbers, is_fraud: Numbers, part: tuple[int, int]) -> tuple[float, int]:
    """The gain of the best cut of values[first:last], and its place; a gain of 0 where there is none."""
    first, last = part
    cuts = np.arange(first + FEWEST_IN_BAND, last - FEWEST_IN_BAND + 1)
    cuts = cuts[values[cuts - 1] < values[np.minimum(cuts, len(values) - 1)]]
    if not len(cuts):
        return 0.0, first
    frauds = np.concatenate([[0.0], np.cumsum(is_fraud[first:last])])
    left = frauds[cuts - first]
    gains = (
        _log_likelihood(left, cuts - first)
        + _log_likelihood(frauds[-1] - left, last - cuts)
        - _log_likelihood(frauds[-1:], np.array([last - first]))
    )
    best = int(np.argmax(gains))
    return float(gains[best]), int(cuts[best])


def _log_likelihood(frauds: Numbers, count: NDArray[np.int64]) -> Numbers:
    share = (frauds + 0.5) / (count + 1)
    result: Numbers = frauds * np.log(share) + (count - frauds) * np.log(1 - share)
    return result


def _between(lower: float, upper: float) -> float:
    """A short number above ``lower`` and not above ``upper``."""
    middle = round((lower + upper) / 2, _DIGITS)
    return float(middle if lower < middle <= upper else upper)


@dataclass(frozen=True, slots=True)
class _Design:
    """One column for each band of each quantity, and a first one of ones."""

    matrix: Numbers
    columns: Mapping[str, range]

    def as_sum(self, weights: Numbers) -> Sum:
        """``weights`` centred, so that a quantity's weights are 0 on average over the cases learned from."""
        share = self.matrix.mean(axis=0)
        base, centred = float(weights[0]), {}
        for name, columns in self.columns.items():
            own, mean = weights[columns.start : columns.stop], share[columns.start : columns.stop]
            base += float(own @ mean)
            centred[name] = tuple(round(float(one), _DIGITS) for one in own - own @ mean)
        return Sum(round(base, _DIGITS), centred)


def _design(bands: Bands, places: Mapping[str, NDArray[np.int64]], made: frozenset[str]) -> _Design:
    """The cases as they look once ``made`` were made; ``places`` are the bands into which each quantity falls."""
    columns, end = {}, 1
    for name, edges in bands.items():
        if look_up_of(name) in {None, *made}:
            columns[name] = range(end, end + len(edges) + 2)
            end += len(edges) + 2
    cases = len(next(iter(places.values())))
    matrix = np.zeros((cases, end))
    matrix[:, 0] = 1
    for name, own in columns.items():
        matrix[np.arange(cases), own.start + places[name]] = 1
    return _Design(matrix, columns)


def _sets() -> list[frozenset[str]]:
    return [frozenset(made) for size in range(len(LOOK_UPS) + 1) for made in itertools.combinations(LOOK_UPS, size)]


def _logistic(matrix: Numbers, is_fraud: Numbers) -> Numbers:
    """Ridge logistic regression by Newton's method; the first weight is not held back."""
    penalty = np.full(matrix.shape[1], RIDGE)
    penalty[0] = 1e-6
    weights = np.zeros(matrix.shape[1])
    for _ in range(_STEPS):
        probabilities = _probabilities(matrix, weights)
        slope = matrix.T @ (is_fraud - probabilities) - penalty * weights
        curve = (matrix.T * (probabilities * (1 - probabilities))) @ matrix + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _linear(matrix: Numbers, target: Numbers) -> Numbers:
    """Ridge regression, as above."""
    penalty = np.full(matrix.shape[1], RIDGE)
    penalty[0] = 1e-6
    weights: Numbers = np.linalg.solve(matrix.T @ matrix + np.diag(penalty), matrix.T @ target)
    return weights


def _probabilities(matrix: Numbers, weights: Numbers) -> Numbers:
    probabilities: Numbers = 1 / (1 + np.exp(-(matrix @ weights)))
    return probabilities
