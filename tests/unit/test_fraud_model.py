"""The model in plain Python: how it walks its trees, and what it refuses to load."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features import FEATURE_NAMES
from fraud_model import FORMAT, InvalidModelError, checksum_of, load

ARTEFACT = Path(__file__).parents[2] / "functions" / "score_transactions" / "fraud_model.json"
WIDTH = len(FEATURE_NAMES)

type Document = dict[str, Any]


def a_document(**changes: Any) -> Document:
    """Two trees: amount < 0.1 gives -1, else +1 (missing: +1); the other is a leaf of 0.5."""
    document = {
        "format": FORMAT,
        "feature_names": list(FEATURE_NAMES),
        "base_score": 0.5,
        "threshold": 0.6,
        "reference_row": [0.0] * WIDTH,
        "metrics": {"auc_roc": 0.9},
        "trees": [
            {
                "feature": [0, -1, -1],
                "value": [0.1, -1.0, 1.0],
                "left": [1, -1, -1],
                "right": [2, -1, -1],
                "missing_left": [0, 0, 0],
            },
            {"feature": [-1], "value": [0.5], "left": [-1], "right": [-1], "missing_left": [0]},
        ],
    } | changes
    return {"checksum": checksum_of(document)} | document


def written(tmp_path: Path, document: Document) -> Path:
    path = tmp_path / "fraud_model.json"
    path.write_text(json.dumps(document))
    return path


def a_row(amount: float) -> list[float]:
    return [amount, *[0.0] * (WIDTH - 1)]


def logistic(margin: float) -> float:
    return 1 / (1 + math.exp(-margin))


def test_score_adds_the_leaves_that_a_row_reaches(tmp_path: Path) -> None:
    model = load(written(tmp_path, a_document()))

    assert model.score([a_row(0.05), a_row(7)]) == pytest.approx([logistic(-0.5), logistic(1.5)])


def test_score_compares_as_32_bit_floats_as_xgboost_does(tmp_path: Path) -> None:
    model = load(written(tmp_path, a_document()))
    just_below_in_64_bits = 0.1 - 1e-12  # the nearest 32-bit float is the same as that of 0.1

    assert model.score([a_row(just_below_in_64_bits)]) == model.score([a_row(0.1)])


def test_score_sends_a_missing_value_the_default_way(tmp_path: Path) -> None:
    document = a_document()
    model = load(written(tmp_path, document))
    document["trees"][0]["missing_left"] = [1, 0, 0]
    other = load(written(tmp_path, a_document(trees=document["trees"])))

    assert model.score([a_row(math.nan)]) == pytest.approx([logistic(1.5)])
    assert other.score([a_row(math.nan)]) == pytest.approx([logistic(-0.5)])


def test_score_starts_from_the_base_score(tmp_path: Path) -> None:
    model = load(written(tmp_path, a_document(base_score=0.01)))

    assert model.score([a_row(7)]) == pytest.approx([logistic(1.5 + math.log(0.01 / 0.99))])


@pytest.mark.parametrize("width", [WIDTH - 1, WIDTH + 1])
def test_score_refuses_a_row_of_another_width(tmp_path: Path, width: int) -> None:
    model = load(written(tmp_path, a_document()))

    with pytest.raises(ValueError, match=f"a row has {width} features, the model needs {WIDTH}"):
        model.score([[0.0] * width])


def test_load_fails_naming_the_file_when_it_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "absent.json"

    with pytest.raises(InvalidModelError, match=rf"fraud model {path}: cannot be read: .*No such file"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", ARTEFACT.read_bytes()[:-100]])
def test_load_fails_naming_the_file_when_it_is_not_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fraud_model.json"
    path.write_bytes(content)

    with pytest.raises(InvalidModelError, match=rf"fraud model {path}: is not JSON"):
        load(path)


def test_load_fails_when_the_content_was_changed_after_it_was_signed(tmp_path: Path) -> None:
    document = json.loads(ARTEFACT.read_bytes())
    document["threshold"] = 0.99

    with pytest.raises(InvalidModelError, match=r"says checksum .* but its content has"):
        load(written(tmp_path, document))


def test_load_fails_when_the_format_is_another(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelError, match="has format 'backbone-fraud-model/2', expected"):
        load(written(tmp_path, a_document(format="backbone-fraud-model/2")))


def test_load_fails_when_the_features_are_others(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelError, match=r"has features .*expected"):
        load(written(tmp_path, a_document(feature_names=[*FEATURE_NAMES[1:], FEATURE_NAMES[0]])))


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"base_score": 1.0},
        {"reference_row": [0.0]},
        {"trees": []},
        {"trees": [[]]},
        {"trees": None},
        {"threshold": "0.5"},
    ],
    ids=str,
)
def test_load_fails_when_a_part_makes_no_sense(tmp_path: Path, changes: Document) -> None:
    with pytest.raises(InvalidModelError, match=str(tmp_path)):
        load(written(tmp_path, a_document(**changes)))


@pytest.mark.parametrize("document", [[], "text", {}, {"format": FORMAT}], ids=str)
def test_load_fails_when_the_document_is_something_else(tmp_path: Path, document: Any) -> None:
    with pytest.raises(InvalidModelError, match=str(tmp_path)):
        load(written(tmp_path, document))


def set_(key: str, index: int, value: Any) -> Callable[[Document], None]:
    def change(tree: Document) -> None:
        tree[key][index] = value

    return change


@pytest.mark.parametrize(
    "damage",
    [
        set_("feature", 0, WIDTH),
        set_("feature", 0, -2),
        set_("left", 0, 0),  # a circle
        set_("left", 0, 2),  # both sides are one node
        set_("right", 0, 99),
        set_("feature", 0, -1),  # nobody leads to nodes 1 and 2
        set_("value", 0, "x"),
        set_("value", 0, 10**400),
        lambda tree: tree["value"].pop(),
        lambda tree: tree.pop("left"),
        lambda tree: tree.update({key: [] for key in tree}),
    ],
)
def test_load_fails_when_a_tree_is_damaged(tmp_path: Path, damage: Callable[[Document], None]) -> None:
    document = a_document()
    damage(document["trees"][0])

    with pytest.raises(InvalidModelError, match=str(tmp_path)):
        load(written(tmp_path, a_document(trees=document["trees"])))


def test_load_accepts_the_committed_artefact() -> None:
    model = load(ARTEFACT)

    assert 0 < model.threshold < 1
    assert len(model.trees) == 100
    assert len(model.version) == 12
    assert set(model.metrics) == {"auc_roc", "average_precision", "card_precision_100"}


def test_committed_artefact_calls_its_own_reference_row_harmless() -> None:
    model = load(ARTEFACT)

    (score,) = model.score([model.reference_row])

    assert score < model.threshold / 10
