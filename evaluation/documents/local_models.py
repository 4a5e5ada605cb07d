"""The ``light`` profile's models in process: what answers behind the embedded AWS, without a server between."""

from collections.abc import Sequence

from backbone.model import Answer, Tool
from local.models.embeddings import EmbeddingModel, Vectors, normalised
from local.models.summaries import summarise

PROFILE = "light"


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
        return Answer(data, *counts, PROFILE, "tool_use")

    def _vectors(self, texts: Sequence[str]) -> Vectors:
        return normalised(self._model.embed(texts))
