"""Which models answer, as the developer's environment says.

LOCAL_MODEL_PROFILE      light (default) or server
LOCAL_MODEL_SERVER_URL   for server: where it listens, e.g. http://127.0.0.1:11434 (what comes before /v1)
LOCAL_MODEL_NAME         for server: the model's name there, e.g. qwen2.5:7b
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LIGHT, SERVER = "light", "server"
_ANSWER_SECONDS = 300
HOW_TO_CHANGE = (
    "For a language model, set LOCAL_MODEL_PROFILE=server, LOCAL_MODEL_SERVER_URL (any OpenAI-compatible address: "
    "Ollama, llama.cpp, vLLM) and LOCAL_MODEL_NAME, and start the embedded AWS again."
)


class ProfileError(Exception):
    """The environment asks for a profile that cannot be; the message says what to set."""


@dataclass(frozen=True, slots=True)
class Profile:
    """``server_url`` and ``model_name`` are empty where the profile is light."""

    name: str
    server_url: str = ""
    model_name: str = ""
    answer_seconds: int = _ANSWER_SECONDS


def profile_from(environment: Mapping[str, str]) -> Profile:
    """The profile that ``environment`` chooses; raises ProfileError."""
    name = environment.get("LOCAL_MODEL_PROFILE") or LIGHT
    seconds = environment.get("LOCAL_MODEL_SECONDS") or str(_ANSWER_SECONDS)
    if not seconds.isdecimal() or int(seconds) == 0:
        raise ProfileError(f"LOCAL_MODEL_SECONDS is a whole number of seconds, not {seconds!r}.")
    if name == LIGHT:
        return Profile(LIGHT, answer_seconds=int(seconds))
    if name != SERVER:
        raise ProfileError(f"LOCAL_MODEL_PROFILE is {LIGHT} or {SERVER}, not {name!r}.")
    url, model = environment.get("LOCAL_MODEL_SERVER_URL", ""), environment.get("LOCAL_MODEL_NAME", "")
    if urlsplit(url).scheme not in ("http", "https") or not model:
        raise ProfileError(f"LOCAL_MODEL_PROFILE=server needs an address and a name. {HOW_TO_CHANGE}")
    return Profile(SERVER, url.rstrip("/").removesuffix("/v1"), model, int(seconds))
