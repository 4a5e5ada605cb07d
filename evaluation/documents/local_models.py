"""The local profiles' models: what answers behind the embedded AWS, without the engine between.

Embeddings are the light profile's in every profile, and made in process. Text is written in process by ``light``, and
by the language model behind the other profiles, asked through the port and protocol by which functions ask Bedrock.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backbone.model import Answer, Model, Tool
from backbone.summary_writing import Writer
from local.models.answering import Models, models_for
from local.models.embeddings import EmbeddingModel, Vectors, normalised
from local.models.profile import LIGHT, Profile
from local.models.summaries import summarise


class LightModels:
    """Embeddings by all-MiniLM-L6-v2, extractive summaries; loaded when made."""

    def __init__(self) -> None:
        self._model = EmbeddingModel()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 for each text."""
        return [[float(number) for number in vector] for vector in self._vectors(texts)]

    def generate(self, *, tool: Tool, system: str, text: str, max_tokens: int) -> Answer:  # noqa: ARG002 - the port's
        """The extractive summary that ``tool`` asks for; tokens are counted in the embedding model's pieces."""
        data = summarise(text, tool.schema, self._vectors)
        said = " ".join(sentence["text"] for sentence in data["sentences"])
        counts = self._model.count_tokens(text), self._model.count_tokens(said)
        return Answer(data, *counts, LIGHT, "tool_use", LIGHT)

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        return normalised(self._model.embed(texts))


@dataclass
class Measured:
    """A writer that counts what it is asked: calls, tokens in and out, seconds."""

    writer: Writer
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = field(default=0.0)

    def generate(self, *, tool: Tool, system: str, text: str, max_tokens: int) -> Answer:
        """As ``writer`` answers."""
        started = time.monotonic()
        answer = self.writer.generate(tool=tool, system=system, text=text, max_tokens=max_tokens)
        self.calls += 1
        self.seconds += time.monotonic() - started
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens
        return answer


@dataclass(frozen=True, slots=True)
class _Runtime:
    """``bedrock-runtime`` as far as the port asks it for text, answered by ``models``."""

    models: Models

    def converse(self, *, modelId: str, **body: Any) -> Mapping[str, Any]:  # noqa: N803, ARG002 - boto3's own names
        return self.models.converse(body)


@contextmanager
def writer_of(profile: Profile, light: LightModels) -> Iterator[Writer]:
    """What writes text in ``profile``, for as long as the block lasts; ``light`` itself in the profile light."""
    if profile.name == LIGHT:
        yield light
        return
    with TemporaryDirectory() as folder:
        models = models_for(profile, Path(folder))
        try:
            yield Model(_Runtime(models), profile.model_name)
        finally:
            models.stop()
