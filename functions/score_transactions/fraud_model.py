"""The fraud model: a walk of boosted trees in plain Python.

Importing and loading this takes milliseconds where xgboost or an ONNX runtime takes hundreds, and it needs no
package at all. The trees are xgboost's (objective binary:logistic); scores equal xgboost's to 1e-6. For that, inputs
and split values must be compared as 32-bit floats, as xgboost compares them.

``models/fraud/export.py`` writes the artefact. ``load`` accepts it whole and sound, or not at all.
"""

import hashlib
import json
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features import FEATURE_NAMES

FORMAT = "backbone-fraud-model/1"

type Node = tuple[int, float, Any, Any, bool]
"""(feature, split value, left node, right node, whether a missing value goes left); a leaf is (-1, value, ...).

``Any`` stands for another node: a tuple that contains itself needs a value that ends it, and a leaf's is None.
"""


class InvalidModelError(Exception):
    """The model artefact cannot be used; the message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class FraudModel:
    """A loaded model.

    ``threshold`` is the score from which a transaction is flagged, ``reference_row`` the training medians that
    explanations compare with, ``version`` the beginning of the artefact's checksum, ``metrics`` how well it did.
    """

    version: str
    threshold: float
    reference_row: tuple[float, ...]
    metrics: Mapping[str, float]
    base_margin: float
    trees: tuple[Node, ...]

    def score(self, rows: Iterable[Sequence[float]]) -> list[float]:
        """Return a fraud score in 0..1 for each row of features, in the order of ``FEATURE_NAMES``.

        NaN stands for a missing value. Raises ValueError where a row has another number of features.
        """
        return [_logistic(self.base_margin + self._margin(row)) for row in rows]

    def _margin(self, row: Sequence[float]) -> float:
        if len(row) != len(FEATURE_NAMES):
            raise ValueError(f"a row has {len(row)} features, the model needs {len(FEATURE_NAMES)}")
        values = _as_float32(row)
        if math.isnan(sum(values)):
            return sum(_leaf_with_missing(tree, values) for tree in self.trees)
        margin = 0.0
        for feature, value, left, right, _ in self.trees:
            while feature >= 0:  # the hottest loop of the function: one unpacking and one comparison per level
                feature, value, left, right, _ = left if values[feature] < value else right  # noqa: PLW2901 # descends
            margin += value
        return margin


def load(path: Path) -> FraudModel:
    """Read and check the artefact; InvalidModelError says what is wrong where it is not whole and sound."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidModelError(f"fraud model {path}: cannot be read: {error}") from error
    try:
        document = json.loads(content)
    except ValueError as error:
        raise InvalidModelError(f"fraud model {path}: is not JSON: {error}") from error
    try:
        return _model(document)
    except InvalidModelError as error:
        raise InvalidModelError(f"fraud model {path}: {error}") from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        reason = f"does not have the layout of {FORMAT}: {error!r}"
        raise InvalidModelError(f"fraud model {path}: {reason}") from error


def checksum_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of the artefact's content: canonical JSON of everything but the checksum itself."""
    content = {key: value for key, value in document.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _model(document: Mapping[str, Any]) -> FraudModel:
    if document["format"] != FORMAT:
        raise InvalidModelError(f"has format {document['format']!r}, expected {FORMAT!r}")
    checksum = checksum_of(document)
    if document["checksum"] != checksum:
        raise InvalidModelError(f"says checksum {document['checksum']}, but its content has {checksum}")
    if tuple(document["feature_names"]) != FEATURE_NAMES:
        raise InvalidModelError(f"has features {document['feature_names']}, expected {list(FEATURE_NAMES)}")
    if len(document["reference_row"]) != len(FEATURE_NAMES):
        raise InvalidModelError(f"has a reference row of {len(document['reference_row'])} values")
    if not 0 < document["threshold"] < 1 or not 0 < document["base_score"] < 1:
        raise InvalidModelError("has a threshold or a base score outside 0..1")
    if not document["trees"]:
        raise InvalidModelError("has no trees")
    return FraudModel(
        version=checksum[:12],
        threshold=document["threshold"],
        reference_row=tuple(document["reference_row"]),
        metrics=document["metrics"],
        base_margin=math.log(document["base_score"] / (1 - document["base_score"])),
        trees=tuple(_tree(number, tree) for number, tree in enumerate(document["trees"])),
    )


def _tree(number: int, tree: Mapping[str, Any]) -> Node:
    """Link the flat arrays of one tree, from its last node to its first: children come after their parents."""
    columns = (tree["feature"], _as_float32(tree["value"]), tree["left"], tree["right"], tree["missing_left"])
    size = len(tree["feature"])
    if not size or any(len(column) != size for column in columns):
        raise InvalidModelError(f"tree {number}: has arrays of lengths {[len(column) for column in columns]}")
    nodes: dict[int, Node] = {}
    rows = list(zip(*columns, strict=True))
    for index in reversed(range(size)):
        feature, value, left, right, missing_left = rows[index]
        if feature == -1:
            nodes[index] = (feature, value, None, None, False)
        elif feature not in range(len(FEATURE_NAMES)) or left not in nodes or right not in nodes or left == right:
            raise InvalidModelError(f"tree {number}: node {index} splits on {feature} into {left} and {right}")
        else:
            nodes[index] = (feature, value, nodes.pop(left), nodes.pop(right), bool(missing_left))
    if set(nodes) != {0}:
        raise InvalidModelError(f"tree {number}: nodes {sorted(nodes)} have no parent")
    return nodes[0]


def _as_float32(values: Iterable[float]) -> list[float]:
    return array("f", values).tolist()


def _leaf_with_missing(tree: Node, values: Sequence[float]) -> float:
    feature, value, left, right, missing_left = tree
    while feature >= 0:
        goes_left = missing_left if math.isnan(values[feature]) else values[feature] < value
        feature, value, left, right, missing_left = left if goes_left else right
    return value


def _logistic(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))
