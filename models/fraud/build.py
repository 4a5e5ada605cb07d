"""From a seed to the committed files: simulate, choose, train, judge, export."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from models.fraud import SCORE_TRANSACTIONS, sagemaker
from models.fraud.card import model_card
from models.fraud.evaluate import DELAY_DAYS, TEST_DAYS, TRAIN_DAYS, Performance, alert_quality, assess, split_in_time
from models.fraud.export import document_bytes, model_document
from models.fraud.offline_features import offline_features
from models.fraud.published import PUBLISHED_BASELINES, SOURCE
from models.fraud.rule_counts import count_findings
from models.fraud.simulate import WorldParameters, simulate
from models.fraud.train import (
    ALERT_RATE,
    FINAL_FIRST_DAY,
    VALIDATION_FIRST_DAYS,
    WORLD_DAYS,
    Hyperparameters,
    amount_rule_scores,
    choose,
    logistic_regression_scores,
    predict,
    train_trees,
)

TRAINING_WORLD = WorldParameters(days=WORLD_DAYS)
OTHER_SEEDS = (1, 2, 3)
RULES_WORLD = WorldParameters(customers=1_000, terminals=2_000, days=WORLD_DAYS)
RULES_FIRST_DAY = 31  # a card's 30-day profile is full by then
HERE = Path(__file__).parent

type Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Products:
    """The contents of all files that a build makes."""

    artefact: bytes
    booster: bytes
    metrics: dict[str, Any]

    def files(self) -> dict[Path, bytes]:
        """Return each file's place in the project and its content."""
        return {
            SCORE_TRANSACTIONS / "fraud_model.json": self.artefact,
            sagemaker.TRAINED_MODEL: self.booster,
            HERE / "metrics.json": (json.dumps(self.metrics, indent=2) + "\n").encode(),
            HERE / "MODEL_CARD.md": model_card(self.metrics).encode(),
        }

    def different_files(self) -> list[Path]:
        """Return the files in the project that are missing or have another content than the build's."""
        return [path for path, content in self.files().items() if not path.exists() or path.read_bytes() != content]


def build(progress: Progress) -> Products:
    """Make the model and everything said about it; takes well under a minute on one core."""
    progress(f"simulate {TRAINING_WORLD}")
    world = simulate(TRAINING_WORLD)
    progress(f"compute features of {len(world):,} transactions ({world.is_fraud.mean():.2%} fraud)")
    features = offline_features(world)

    progress("choose hyperparameters and threshold on two earlier rounds")
    choice = choose(world, features)
    progress(f"train and judge {choice.hyperparameters}, threshold {choice.threshold}")
    split = split_in_time(world, FINAL_FIRST_DAY)
    learned, truth, judged = features[split.train], world.is_fraud[split.train], features[split.test]
    booster = train_trees(learned, truth, choice.hyperparameters)
    scores = predict(booster, judged)
    performance = assess(world, split.test, scores)
    compared = {
        "logistic regression": logistic_regression_scores(learned, truth, judged),
        "rule: amount > 220.00": amount_rule_scores(judged),
    }
    alerts = alert_quality(world, split.test, scores, choice.threshold)
    perfect = assess(world, split.test, world.is_fraud[split.test].astype(np.float64))

    progress(f"count what the rules find in {RULES_WORLD}")
    rules = count_findings(simulate(RULES_WORLD), RULES_FIRST_DAY, RULES_WORLD.days - 1)

    document = model_document(booster, learned, choice.threshold, performance.rounded())
    artefact, saved = document_bytes(document), bytes(booster.save_raw("ubj"))
    return Products(
        artefact=artefact,
        booster=saved,
        metrics={
            **performance.rounded(),
            "card_precision_100_ceiling": perfect.rounded()["card_precision_100"],
            "seed": TRAINING_WORLD.seed,
            "rows": len(world),
            "world": {**asdict(TRAINING_WORLD), "fraud_share": round(float(world.is_fraud.mean()), 6)},
            "train_rows": len(split.train),
            "train_frauds": int(truth.sum()),
            "test_rows": len(split.test),
            "test_frauds": int(world.is_fraud[split.test].sum()),
            "hyperparameters": asdict(choice.hyperparameters),
            "validation_average_precision": round(choice.validation_average_precision, 4),
            "threshold": {
                "value": choice.threshold,
                "target_alert_rate": ALERT_RATE,
                "alert_rate": round(alerts.alert_rate, 5),
                "precision": round(alerts.precision, 4),
                "recall": round(alerts.recall, 4),
                "recall_by_scenario": {name: round(recall, 4) for name, recall in alerts.recall_by_scenario.items()},
            },
            "compared": {
                "ours": {name: assess(world, split.test, other).rounded() for name, other in compared.items()},
                "published": PUBLISHED_BASELINES,
                "published_source": SOURCE,
            },
            "other_worlds": {
                str(seed): _on_another_world(seed, choice.hyperparameters, progress).rounded() for seed in OTHER_SEEDS
            },
            "rules": {
                "customers": RULES_WORLD.customers,
                "first_day": RULES_FIRST_DAY,
                "last_day": RULES_WORLD.days - 1,
                **asdict(rules),
            },
            "version": document["checksum"][:12],
            "artefact_sha256": hashlib.sha256(artefact).hexdigest(),
            "booster_sha256": hashlib.sha256(saved).hexdigest(),
            "xgboost_version": xgboost.__version__,
        },
    )


def _on_another_world(seed: int, hyperparameters: Hyperparameters, progress: Progress) -> Performance:
    """Train and judge on another world with the same hyperparameters: how much of a figure is the world's luck."""
    progress(f"train and judge on another world, seed {seed}")
    first_day = VALIDATION_FIRST_DAYS[0]  # nothing is chosen there, so no earlier rounds are needed
    world = simulate(WorldParameters(days=first_day + TRAIN_DAYS + DELAY_DAYS + TEST_DAYS, seed=seed))
    features = offline_features(world)
    split = split_in_time(world, first_day)
    booster = train_trees(features[split.train], world.is_fraud[split.train], hyperparameters)
    return assess(world, split.test, predict(booster, features[split.test]))
