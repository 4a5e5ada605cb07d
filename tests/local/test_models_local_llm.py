"""The profile ``local-llm`` without its model: what it says where the weights are not there, and of itself."""

import os
from pathlib import Path

import pytest

from local.models import profile, weights
from local.models.answering import models_for
from local.models.description import describe
from local.models.openai_client import AwayError
from local.models.profile import LOCAL_LLM, Profile, ProfileError, profile_from
from local.models.weights import QWEN_CODER
from local.process import EngineError, EngineProcess


def a_profile(folder: Path) -> Profile:
    return Profile(LOCAL_LLM, model_name=QWEN_CODER.model, weights_file=folder / QWEN_CODER.file_name)


def test_profile_without_its_weights_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"not in .*: run `make models`"):
        profile_from({"LOCAL_MODEL_PROFILE": "local-llm", "LOCAL_MODEL_FOLDER": str(tmp_path)})


def test_profile_without_what_runs_it_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "are_there", lambda *_: True)
    monkeypatch.setattr(weights, "find_spec", lambda _: None)
    with pytest.raises(ProfileError, match=r"xllamacpp.* is not installed: run `make models`"):
        profile_from({"LOCAL_MODEL_PROFILE": "local-llm", "LOCAL_MODEL_FOLDER": str(tmp_path)})


def test_profile_names_its_weights_and_lets_an_answer_take_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "why_not_ready", lambda *_: None)
    chosen = profile_from({"LOCAL_MODEL_PROFILE": "local-llm", "LOCAL_MODEL_FOLDER": str(tmp_path)})
    assert chosen.weights_file == tmp_path / QWEN_CODER.file_name
    assert (chosen.model_name, chosen.answer_seconds) == (QWEN_CODER.model, 1800)


def test_models_whose_weights_were_removed_are_away_and_say_what_to_do(tmp_path: Path) -> None:
    models = models_for(a_profile(tmp_path), tmp_path)
    with pytest.raises(AwayError, match="run `make models`"):
        models.converse({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]})


def test_engine_without_the_weights_does_not_start_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_MODEL_PROFILE", "local-llm")
    monkeypatch.setenv("LOCAL_MODEL_FOLDER", str(tmp_path / "models"))
    with pytest.raises(EngineError, match="run `make models`"):
        EngineProcess.start(home=tmp_path, region="eu-central-1").stop()


def test_description_says_what_answers_and_how_to_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.models.description.version", lambda package: f"of {package}")
    told = describe(a_profile(tmp_path))
    assert told["inWords"].startswith("Profile local-llm: Qwen2.5-Coder-1.5B-Instruct, Q4_K_M, a small language model")
    assert told["text"]["runtime"] == "xllamacpp of xllamacpp"
    assert told["text"]["weights"] == os.fspath(tmp_path / QWEN_CODER.file_name)
    assert "LOCAL_MODEL_PROFILE=light" in told["howToChange"]
