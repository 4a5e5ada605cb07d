"""What an investigation knows, as a probability of fraud: a scorecard for each set of look-ups made so far.

A scorecard is a logistic regression over quantities in bands, as lenders write them: each quantity adds the weight of
the band that it falls into, and one of its own where it is unknown. Weights are in log odds and centred, so that one
above 0 speaks for fraud and one below 0 against it. Beside each stands, for every look-up not made yet, the same sum
with other weights: by how much (squared) that look-up moves the estimate on average, which is by how much it reduces
the estimate's variance. Trained by ``python -m models.investigator``; the weights are in investigator_weights.json.
"""

import functools
import json
import math
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WEIGHTS = Path(__file__).with_name("investigator_weights.json")

type Bands = Mapping[str, tuple[float, ...]]
"""A quantity's name to the values at which its bands begin, from the second on."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Weights that are added: ``base``, and for each quantity those of its bands and, last, of not knowing it."""

    base: float
    weights: Mapping[str, tuple[float, ...]]

    def parts(self, bands: Bands, values: Mapping[str, float]) -> dict[str, float]:
        """What each quantity adds."""
        return {name: weights[band(bands[name], values.get(name))] for name, weights in self.weights.items()}

    def total(self, bands: Bands, values: Mapping[str, float]) -> float:
        """``base`` and all parts."""
        return self.base + sum(self.parts(bands, values).values())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A probability of fraud, and what each quantity contributed to it (log odds)."""

    probability: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What holds while exactly these look-ups were made: the estimate, and what others would tell."""

    estimate: Sum
    gains: Mapping[str, Sum]


@dataclass(frozen=True, slots=True)
class InvestigatorModel:
    """``low``, ``high``: up to and from which probability a case is decided. ``look_ups``: those that it can use."""

    low: float
    high: float
    look_ups: tuple[str, ...]
    bands: Bands
    scorecards: Mapping[frozenset[str], Scorecard]

    def estimate(self, values: Mapping[str, float], made: Collection[str]) -> Estimate:
        """The probability of fraud, from what is known by the look-ups ``made``."""
        scorecard = self.scorecards[self._known(made)].estimate
        log_odds = scorecard.total(self.bands, values)
        return Estimate(1 / (1 + math.exp(-log_odds)), scorecard.parts(self.bands, values))

    def gains(self, values: Mapping[str, float], made: Collection[str]) -> dict[str, float]:
        """By how much each look-up that was not made would reduce the estimate's variance, on average."""
        gains = self.scorecards[self._known(made)].gains
        return {name: max(gain.total(self.bands, values), 0.0) for name, gain in gains.items()}

    def _known(self, made: Collection[str]) -> frozenset[str]:
        return frozenset(self.look_ups) & frozenset(made)


def band(edges: Collection[float], value: float | None) -> int:
    """The number of the band that ``value`` falls into; that of the unknown comes after the last."""
    return len(edges) + 1 if value is None else bisect_right(list(edges), value)


@functools.cache
def trained() -> InvestigatorModel:
    """The committed model."""
    return from_document(json.loads(WEIGHTS.read_bytes()))


def to_document(model: InvestigatorModel) -> dict[str, Any]:
    """The model as JSON; ``from_document`` reverses it."""
    return {
        "low": model.low,
        "high": model.high,
        "look_ups": list(model.look_ups),
        "bands": {name: list(edges) for name, edges in model.bands.items()},
        "scorecards": [
            {
                "made": [name for name in model.look_ups if name in made],
                "estimate": _as_json(card.estimate),
                "gains": {name: _as_json(gain) for name, gain in card.gains.items()},
            }
            for made, card in model.scorecards.items()
        ],
    }


def from_document(document: Mapping[str, Any]) -> InvestigatorModel:
    """The model in ``to_document``'s JSON; KeyError or TypeError where it is none."""
    return InvestigatorModel(
        low=document["low"],
        high=document["high"],
        look_ups=tuple(document["look_ups"]),
        bands={name: tuple(edges) for name, edges in document["bands"].items()},
        scorecards={
            frozenset(card["made"]): Scorecard(
                _from_json(card["estimate"]), {name: _from_json(gain) for name, gain in card["gains"].items()}
            )
            for card in document["scorecards"]
        },
    )


def _as_json(added: Sum) -> dict[str, Any]:
    return {"base": added.base, "weights": {name: list(weights) for name, weights in added.weights.items()}}


def _from_json(document: Mapping[str, Any]) -> Sum:
    return Sum(document["base"], {name: tuple(weights) for name, weights in document["weights"].items()})
