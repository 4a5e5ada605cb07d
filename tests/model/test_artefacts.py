"""The committed model: it can be made again, it scores as xgboost does, SageMaker can load it, its card is true."""

import hashlib
import json
import pickle
import platform
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xgboost

import fraud_model
from models.fraud.build import Products
from models.fraud.card import model_card
from models.fraud.offline_features import offline_features
from models.fraud.published import PUBLISHED_BASELINES
from models.fraud.sagemaker import TRAINED_MODEL, write_model_archive
from models.fraud.simulate import Numbers, WorldParameters, simulate

ROOT = Path(__file__).parents[2]
ARTEFACT = ROOT / "functions" / "score_transactions" / "fraud_model.json"
METRICS = json.loads((ROOT / "models" / "fraud" / "metrics.json").read_bytes())


@pytest.fixture(scope="module")
def rows() -> Numbers:
    """20,000 rows of a world that the model has not seen."""
    return offline_features(simulate(WorldParameters(customers=300, terminals=600, days=44, seed=99)))[-20_000:]


@pytest.fixture(scope="module")
def booster() -> xgboost.Booster:
    return xgboost.Booster(model_file=TRAINED_MODEL)


def test_plain_python_scores_equal_xgboosts_on_20000_rows(rows: Numbers, booster: xgboost.Booster) -> None:
    assert len(rows) == 20_000
    ours = np.array(fraud_model.load(ARTEFACT).score(rows.tolist()))
    theirs = booster.predict(xgboost.DMatrix(rows.astype(np.float32)))

    difference = np.abs(ours - theirs).max()
    print(f"largest difference of a score: {difference:.2g}")  # noqa: T201 # shown with -s, for the curious
    assert difference <= 1e-6


def test_plain_python_scores_equal_xgboosts_when_values_are_missing(rows: Numbers, booster: xgboost.Booster) -> None:
    some = rows[:500].copy()
    some[np.random.default_rng(1).random(some.shape) < 0.2] = np.nan

    ours = np.array(fraud_model.load(ARTEFACT).score(some.tolist()))

    assert np.abs(ours - booster.predict(xgboost.DMatrix(some.astype(np.float32)))).max() <= 1e-6


def test_plain_python_scores_equal_xgboosts_on_values_at_the_split_points(booster: xgboost.Booster) -> None:
    trees = json.loads(ARTEFACT.read_bytes())["trees"]
    splits = [
        (feature, value)
        for tree in trees
        for feature, value in zip(tree["feature"], tree["value"], strict=True)
        if feature >= 0
    ]
    at_splits = np.zeros((len(splits), 15))
    for row, (feature, value) in enumerate(splits):
        at_splits[row, feature] = value

    ours = np.array(fraud_model.load(ARTEFACT).score(at_splits.tolist()))

    assert np.abs(ours - booster.predict(xgboost.DMatrix(at_splits.astype(np.float32)))).max() <= 1e-6


@pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the committed artefact was made on Linux x86-64; other mathematics libraries round differently",
)
@pytest.mark.timeout(300)
def test_training_again_reproduces_the_committed_files_byte_for_byte() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "models.fraud", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_check_names_the_files_that_differ_and_no_others() -> None:
    committed = Products(ARTEFACT.read_bytes(), TRAINED_MODEL.read_bytes(), METRICS)

    assert committed.different_files() == []
    assert replace(committed, artefact=b"another").different_files() == [ARTEFACT]


def test_sagemaker_archive_loads_as_the_container_loads_it(
    tmp_path: Path, rows: Numbers, booster: xgboost.Booster
) -> None:
    archive = write_model_archive(tmp_path / "model.tar.gz")
    model_directory = tmp_path / "opt" / "ml" / "model"
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(model_directory, filter="data")

    (path,) = model_directory.iterdir()
    assert path.name == "xgboost-model"
    # the container's order: first as a pickle, then as xgboost's own format
    with pytest.raises(pickle.UnpicklingError), path.open("rb") as file:
        pickle.load(file)  # noqa: S301 # our own file, and it must not be a pickle
    loaded = xgboost.Booster()
    loaded.load_model(str(path))

    matrix = xgboost.DMatrix(rows[:1_000].astype(np.float32))
    assert np.array_equal(loaded.predict(matrix), booster.predict(matrix))


def test_sagemaker_archive_is_the_same_when_written_again(tmp_path: Path) -> None:
    one = write_model_archive(tmp_path / "one.tar.gz").read_bytes()
    other = write_model_archive(tmp_path / "other.tar.gz").read_bytes()

    assert one == other


def test_sagemaker_archive_fails_naming_the_file_when_there_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        write_model_archive(tmp_path / "model.tar.gz", tmp_path / "absent")


def test_metrics_belong_to_the_committed_artefacts() -> None:
    model = fraud_model.load(ARTEFACT)

    assert METRICS["artefact_sha256"] == hashlib.sha256(ARTEFACT.read_bytes()).hexdigest()
    assert METRICS["booster_sha256"] == hashlib.sha256(TRAINED_MODEL.read_bytes()).hexdigest()
    assert METRICS["version"] == model.version
    assert METRICS["threshold"]["value"] == model.threshold
    assert all(METRICS[name] == value for name, value in model.metrics.items())


def test_model_beats_the_amount_rule_and_lands_where_the_published_baselines_do() -> None:
    rule = METRICS["compared"]["ours"]["rule: amount > 220.00"]
    published = PUBLISHED_BASELINES["xgboost"]

    assert METRICS["rows"] >= 300_000
    assert METRICS["compared"]["published"] == PUBLISHED_BASELINES
    for figure in ("auc_roc", "average_precision", "card_precision_100"):
        assert METRICS[figure] > rule[figure]
        assert METRICS[figure] >= published[figure]


def test_rules_are_nearly_silent_on_genuine_traffic() -> None:
    rules = METRICS["rules"]

    assert rules["genuine"] > 50_000
    assert sum(rules["fired_on_genuine"].values()) / rules["genuine"] < 0.0001


def test_model_card_says_what_the_metrics_say() -> None:
    assert (ROOT / "models" / "fraud" / "MODEL_CARD.md").read_text() == model_card(METRICS)
