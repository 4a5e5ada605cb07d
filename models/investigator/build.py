"""From seeds to the committed files: replay worlds, fit, choose the bounds, judge on worlds of other seeds."""

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fraud_model
from local.models.investigation_facts import read_briefing
from local.models.investigator_model import WEIGHTS, InvestigatorModel, from_document, to_document
from local.models.light_investigator import ASK, BLOCK, RELEASE, choose
from models.fraud import SCORE_TRANSACTIONS
from models.investigator.fit import LOOK_UPS, Numbers, fit
from models.investigator.judge import best_threshold, by_kind, figures, play, threshold_accuracy
from models.investigator.prompts import PERCEIVED, prompt
from models.investigator.replay import ReplayedCase, a_world, replayed_cases

TRAINING_SEEDS = tuple(range(1_001, 1_013))
HELD_OUT_SEEDS = (2_001, 2_002, 2_003, 2_004)
# A stack that was just deployed: its first days, before any case was closed. Larger worlds, for days have few flags.
FRESH_SEEDS, FRESH_CUSTOMERS, FRESH_DAYS = (3_001, 3_002), 2_000, 5
FOLDS = 6
# How many decisions may be wrong, on worlds that were not fitted to. Nine of ten cases are frauds: with more than one
# wrong block in a hundred, a good part of the genuine would be among them. A release is looked at by nobody.
WRONG_BLOCKS, WRONG_RELEASES = 0.01, 0.03
LOWS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
HIGHS = (0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
METRICS = Path(__file__).with_name("metrics.json")

type Progress = Callable[[str], None]
type Worlds = Sequence[Sequence[ReplayedCase]]


@dataclass(frozen=True, slots=True)
class Products:
    """The contents of the files that a build makes."""

    weights: bytes
    metrics: dict[str, Any]

    def files(self) -> dict[Path, bytes]:
        """Each file's place in the project and its content."""
        return {WEIGHTS: self.weights, METRICS: (json.dumps(self.metrics, indent=2) + "\n").encode()}

    def different_files(self) -> list[Path]:
        """The files in the project that are missing or have another content than the build's."""
        return [path for path, content in self.files().items() if not path.exists() or path.read_bytes() != content]


def build(progress: Progress) -> Products:
    """Make the investigator and all that is said about it."""
    scoring = fraud_model.load(SCORE_TRANSACTIONS / "fraud_model.json")

    def worlds_of(seeds: Sequence[int]) -> list[list[ReplayedCase]]:
        worlds = []
        for seed in seeds:
            progress(f"replay the world of seed {seed}")
            worlds.append(list(replayed_cases(a_world(seed), scoring)))
        return worlds

    training = worlds_of(TRAINING_SEEDS)
    progress("choose the bounds on worlds left out in turn")
    low, high, bounds = choose_bounds(training)
    progress(f"fit on all training worlds; low {low}, high {high}")
    cases = [case for world in training for case in world]
    model = fitted(cases, low, high)
    weights = (json.dumps(to_document(model), separators=(",", ":")) + "\n").encode()
    model = from_document(json.loads(weights))
    held_out = worlds_of(HELD_OUT_SEEDS)
    progress("investigate the held-out worlds, and stacks that were just deployed")
    fresh_worlds = [a_world(seed, FRESH_CUSTOMERS, FRESH_DAYS) for seed in FRESH_SEEDS]
    fresh = [play(case, model) for world in fresh_worlds for case in replayed_cases(world, scoring, learns=False)]
    learned = {"seeds": list(TRAINING_SEEDS), "cases": len(cases), **bounds}
    just_deployed = {"just_deployed": {"seeds": list(FRESH_SEEDS), **figures(fresh)}}
    checksum = {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    return Products(
        weights, {"training": learned} | judged(model, best_threshold(cases), held_out) | just_deployed | checksum
    )


def fitted(cases: Sequence[ReplayedCase], low: float, high: float) -> InvestigatorModel:
    """The model that ``cases`` give."""
    bands, scorecards = fit(*learned_from(cases))
    return InvestigatorModel(low, high, LOOK_UPS, bands, scorecards)


def learned_from(cases: Sequence[ReplayedCase]) -> tuple[list[dict[str, float]], Numbers]:
    """What is known of each case once all was looked up, read from the prompt's text, and the truth."""
    rows = []
    for case in cases:
        text, ids = prompt(case, [(tool, "done") for tool in (PERCEIVED, *LOOK_UPS)], [ASK])
        rows.append({name: quantity.value for name, quantity in read_briefing(text, ids).quantities.items()})
    return rows, np.array([float(case.is_fraud) for case in cases])


def judged(model: InvestigatorModel, threshold: float, worlds: Worlds) -> dict[str, Any]:
    """The figures on held-out worlds, beside the two baselines."""
    played = [[play(case, model) for case in world] for world in worlds]
    everything = [one for world in played for one in world]
    cases = [one.case for one in everything]
    return {
        "held_out": {"seeds": list(HELD_OUT_SEEDS), **figures(everything), **by_kind(everything)},
        "held_out_worlds": {
            str(seed): figures(world) | {"threshold_only": threshold_accuracy([one.case for one in world], threshold)}
            for seed, world in zip(HELD_OUT_SEEDS, played, strict=True)
        },
        "baselines": {
            "always_escalate": {"right": 0.0, "wrong": 0.0, "handed_over": 1.0},
            "threshold_only": {
                "threshold": threshold,
                "right": (right := threshold_accuracy(cases, threshold)),
                "wrong": round(1 - right, 4),
                "handed_over": 0.0,
            },
        },
    }


# ---- the bounds


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """What a model that has not seen a case would make of it, whatever was looked up."""

    is_fraud: bool
    estimates: dict[frozenset[str], float]
    gains: dict[frozenset[str], dict[str, float]]

    def end(self, low: float, high: float) -> str:
        made: list[str] = []
        while True:
            known = frozenset(made)
            move = choose(self.estimates[known], self.gains[known], low, high, made)
            if move not in LOOK_UPS:
                return move
            made.append(move)


def choose_bounds(worlds: Worlds) -> tuple[float, float, dict[str, Any]]:
    """The bounds that decide most cases within what decisions may be wrong in, and how they do."""
    foreseen = [one for left_out in range(FOLDS) for one in _foreseen(worlds, left_out)]
    best: tuple[float, float, float] = (0.0, LOWS[0], HIGHS[-1])
    for low, high in itertools.product(LOWS, HIGHS):
        ends = [(one.end(low, high), one.is_fraud) for one in foreseen]
        blocked, released = ([is_fraud for end, is_fraud in ends if end == wanted] for wanted in (BLOCK, RELEASE))
        is_within = _share(blocked, False) <= WRONG_BLOCKS and _share(released, True) <= WRONG_RELEASES
        decided = (len(blocked) + len(released)) / len(ends)
        if is_within and decided > best[0]:
            best = (decided, low, high)
    decided, low, high = best
    return low, high, {"low": low, "high": high, "decided_when_left_out": round(decided, 4)}


def _foreseen(worlds: Worlds, left_out: int) -> list[_Foreseen]:
    learned = [case for number, world in enumerate(worlds) if number % FOLDS != left_out for case in world]
    model = fitted(learned, 0, 1)
    others = [case for number, world in enumerate(worlds) if number % FOLDS == left_out for case in world]
    rows, truth = learned_from(others)
    return [
        _Foreseen(
            bool(is_fraud),
            {made: model.estimate(row, made).probability for made in model.scorecards},
            {made: model.gains(row, made) for made in model.scorecards},
        )
        for row, is_fraud in zip(rows, truth, strict=True)
    ]


def _share(truth: Sequence[bool], wrong: bool) -> float:
    return sum(one == wrong for one in truth) / len(truth) if truth else 0.0
