"""The models behind one profile, asked in Bedrock's words: Converse, ConverseStream, and Titan's embeddings."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.models import converse, openai_client
from local.models.light_process import LightProcess
from local.models.profile import LIGHT, Profile

EMBEDDING_MODEL = "amazon.titan-embed-text-v2:0"
DIMENSIONS = 384
_CHAT = "/v1/chat/completions"
_TITAN_PARAMETERS = frozenset({"inputText", "dimensions", "normalize", "embeddingTypes"})


@dataclass(frozen=True, slots=True)
class Models:
    """The profile, and the light server, which makes the embeddings in every profile.

    Every method raises UntranslatableError for a request that is malformed or not served, and ModelServerError where
    the model server gives no whole answer.
    """

    profile: Profile
    light: LightProcess

    def converse(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Converse's answer to the request ``body``."""
        question, started = converse.translate(body, self.profile.model_name), time.monotonic()
        completion = openai_client.ask(self._address(), _CHAT, question.request, self.profile.answer_seconds)
        answer = converse.answer(completion, question.tool, int((time.monotonic() - started) * 1000))
        return answer | {"additionalModelResponseFields": {"localProfile": self.profile.name}}

    def converse_stream(self, body: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """ConverseStream's events (name and content) as they come; the model is asked when the first is."""
        question = converse.translate(body, self.profile.model_name)
        request = question.request | {"stream_options": {"include_usage": True}}
        chunks = openai_client.ask_streamed(self._address(), _CHAT, request, self.profile.answer_seconds)
        yield from converse.stream(chunks, question.tool)

    def embed(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Titan Text Embeddings V2's answer to the request ``body``.

        https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
        """
        unknown, text = sorted(body.keys() - _TITAN_PARAMETERS), body.get("inputText")
        if unknown or not isinstance(text, str) or not text.strip():
            reason = f"extraneous key {unknown}" if unknown else "inputText is required and not empty"
            raise converse.UntranslatableError(f"Malformed input request: {reason}.")
        if body.get("dimensions", DIMENSIONS) != DIMENSIONS or body.get("embeddingTypes", ["float"]) != ["float"]:
            raise converse.UntranslatableError(
                f"The local embedding model makes {DIMENSIONS} dimensions of type float, and no others."
            )
        request = {"model": EMBEDDING_MODEL, "input": text, "normalize": body.get("normalize", True)}
        answer = openai_client.ask(self.light.address(), "/v1/embeddings", request, self.profile.answer_seconds)
        vector = answer["data"][0]["embedding"]
        return {
            "embedding": vector,
            "embeddingsByType": {"float": vector},
            "inputTextTokenCount": answer["usage"]["prompt_tokens"],
        }

    def _address(self) -> str:
        return self.light.address() if self.profile.name == LIGHT else self.profile.server_url
