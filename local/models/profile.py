"""Which models answer, as the developer's environment says.

LOCAL_MODEL_PROFILE      light (default), local-llm or server
LOCAL_MODEL_FOLDER       for local-llm: where `make models` puts the weights (see local.models.weights)
LOCAL_MODEL_SERVER_URL   for server: where it listens, e.g. http://127.0.0.1:11434 (what comes before /v1)
LOCAL_MODEL_NAME         for server: the model's name there, e.g. qwen2.5:7b
LOCAL_MODEL_SECONDS      how long an answer may take; 300, and 1800 for local-llm, where questions wait for each other
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from local.models.weights import QWEN_CODER, weights_folder, why_not_ready

LIGHT, LOCAL_LLM, SERVER = "light", "local-llm", "server"
_ANSWER_SECONDS = {LIGHT: 300, LOCAL_LLM: 1800, SERVER: 300}
HOW_TO_CHANGE = (
    "For a language model, run `make models` once and set LOCAL_MODEL_PROFILE=local-llm, or set "
    "LOCAL_MODEL_PROFILE=server, LOCAL_MODEL_SERVER_URL (any OpenAI-compatible address: Ollama, llama.cpp, vLLM) and "
    "LOCAL_MODEL_NAME; then start the embedded AWS again."
)


class ProfileError(Exception):
    """The environment asks for a profile that cannot be; the message says what to set or do."""


@dataclass(frozen=True, slots=True)
class Profile:
    """``server_url`` is that of the profile server, ``weights_file`` that of local-llm; the light one has no model."""

    name: str
    server_url: str = ""
    model_name: str = ""
    answer_seconds: int = _ANSWER_SECONDS[LIGHT]
    weights_file: Path | None = None


def profile_from(environment: Mapping[str, str]) -> Profile:
    """The profile that ``environment`` chooses, whose models are there to be started; raises ProfileError."""
    name = environment.get("LOCAL_MODEL_PROFILE") or LIGHT
    if name not in _ANSWER_SECONDS:
        raise ProfileError(f"LOCAL_MODEL_PROFILE is {LIGHT}, {LOCAL_LLM} or {SERVER}, not {name!r}.")
    seconds = _seconds(environment.get("LOCAL_MODEL_SECONDS") or str(_ANSWER_SECONDS[name]))
    if name == LIGHT:
        return Profile(LIGHT, answer_seconds=seconds)
    if name == LOCAL_LLM:
        return _local_llm(environment, seconds)
    url, model = environment.get("LOCAL_MODEL_SERVER_URL", ""), environment.get("LOCAL_MODEL_NAME", "")
    if urlsplit(url).scheme not in ("http", "https") or not model:
        raise ProfileError(f"LOCAL_MODEL_PROFILE=server needs an address and a name. {HOW_TO_CHANGE}")
    return Profile(SERVER, url.rstrip("/").removesuffix("/v1"), model, seconds)


def _local_llm(environment: Mapping[str, str], seconds: int) -> Profile:
    file = weights_folder(environment) / QWEN_CODER.file_name
    lacking = why_not_ready(file, QWEN_CODER)
    if lacking:
        raise ProfileError(lacking)
    return Profile(LOCAL_LLM, model_name=QWEN_CODER.model, answer_seconds=seconds, weights_file=file)


def _seconds(said: str) -> int:
    if not said.isdecimal() or int(said) == 0:
        raise ProfileError(f"LOCAL_MODEL_SECONDS is a whole number of seconds, not {said!r}.")
    return int(said)
