"""The language model's weights: which file they are, where it lies, and whether the profile ``local-llm`` could start.

LOCAL_MODEL_FOLDER   where the weights are kept; by default the user's cache folder, so that every clone finds them and
                     ``make clean`` leaves them alone
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

RUNTIME = "xllamacpp"  # requirements/models.in


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights, known by its hash; ``bytes`` is its size."""

    model: str
    file_name: str
    bytes: int
    sha256: str
    url: str
    licence: str


# The hash and the size are those of the file that the model's makers publish. `local/models/qwen_coder/NOTICE.md`.
QWEN_CODER = Weights(
    model="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
    file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    bytes=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    url="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    licence="Apache-2.0",
)


def weights_folder(environment: Mapping[str, str]) -> Path:
    """Where the weights are kept, as ``environment`` says; the folder need not be there."""
    chosen = environment.get("LOCAL_MODEL_FOLDER")
    if chosen:
        return Path(chosen).expanduser().resolve()
    cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser().resolve() / "serverless-ai-backbone"


def are_there(file: Path, weights: Weights) -> bool:
    """Whether ``file`` is there and whole. Its hash was checked before it got its name, so its size tells."""
    return file.is_file() and file.stat().st_size == weights.bytes


def why_not_ready(file: Path, weights: Weights) -> str | None:
    """What the profile lacks to start, with what to do about it; None where it lacks nothing."""
    if not are_there(file, weights):
        return f"The weights of {weights.model} are not in {file.parent}: run `make models` to fetch them once."
    if find_spec(RUNTIME) is None:
        return f"{RUNTIME}, which runs {weights.model}, is not installed: run `make models`."
    return None
