"""Write the trained trees as the compact JSON that ``functions/score_transactions/fraud_model.py`` reads.

The format is that module's: its ``FORMAT``, its ``checksum_of`` and its ``load`` are the definition.
"""

import json
from collections.abc import Mapping
from itertools import batched
from typing import Any

import numpy as np
import xgboost

from features import FEATURE_NAMES
from fraud_model import FORMAT, checksum_of
from models.fraud.simulate import Numbers

LEAF = -1


def model_document(
    booster: xgboost.Booster, training_features: Numbers, threshold: float, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Return the artefact as a JSON object; ``training_features`` (rows, features) gives the reference row."""
    saved = json.loads(booster.save_raw("json"))["learner"]
    document: dict[str, Any] = {
        "format": FORMAT,
        "feature_names": list(FEATURE_NAMES),
        "base_score": float(saved["learner_model_param"]["base_score"]),
        "threshold": threshold,
        "reference_row": np.median(training_features, axis=0).tolist(),
        "metrics": dict(metrics),
        "trees": [_tree(tree) for tree in saved["gradient_booster"]["model"]["trees"]],
    }
    checksum = checksum_of(document)
    return {**document, "checksum": checksum}


def _tree(tree: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Turn one of xgboost's trees into flat arrays: a leaf has feature -1 and its value in place of a threshold."""
    is_leaf = [left == LEAF for left in tree["left_children"]]
    features = [LEAF if leaf else feature for leaf, feature in zip(is_leaf, tree["split_indices"], strict=True)]
    return {
        "feature": features,
        "value": tree["split_conditions"],
        "left": tree["left_children"],
        "right": tree["right_children"],
        "missing_left": tree["default_left"],
    }


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Serialise with one line per key and ten trees a line: compact, and a diff says which part changed."""
    lines = [
        f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}"
        for key, value in document.items()
        if key != "trees"
    ]
    trees = [json.dumps(tree, separators=(",", ":")) for tree in document["trees"]]
    trees_by_line = ",\n".join(",".join(line) for line in batched(trees, 10, strict=False))
    lines.append(f'"trees":[\n{trees_by_line}\n]')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()
