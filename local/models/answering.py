"""The models behind one profile, asked in Bedrock's words: Converse, ConverseStream, and Titan's embeddings."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from local.models import converse, openai_client
from local.models.converse import Question
from local.models.light_process import LightProcess
from local.models.llm_process import LlmProcess
from local.models.profile import LIGHT, LOCAL_LLM, Profile
from local.models.repetition import until_repeated, whole
from local.models.shared_answers import SharedAnswers
from local.models.weights import QWEN_CODER

EMBEDDING_MODEL = "amazon.titan-embed-text-v2:0"
DIMENSIONS = 384
_CHAT = "/v1/chat/completions"
_TITAN_PARAMETERS = frozenset({"inputText", "dimensions", "normalize", "embeddingTypes"})


@dataclass(frozen=True, slots=True)
class Models:
    """The profile; the light server, which makes the embeddings in every profile; the language model of local-llm.

    Every method raises UntranslatableError for a request that is malformed or not served, and ModelServerError where
    the model server gives no whole answer.
    """

    profile: Profile
    light: LightProcess
    llm: LlmProcess | None = None
    shared: SharedAnswers = field(default_factory=SharedAnswers)

    def converse(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Converse's answer to the request ``body``."""
        question, started = self._question(body), time.monotonic()
        completion = question.settled or self._complete(question)
        answer = converse.answer(completion, question, int((time.monotonic() - started) * 1000))
        return answer | {"additionalModelResponseFields": {"localProfile": self.profile.name}}

    def converse_stream(self, body: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """ConverseStream's events (name and content) as they come; the model is asked when the first is."""
        question = self._question(body)
        chunks = converse.as_chunks(question.settled) if question.settled else self._chunks(question)
        yield from converse.stream(chunks, question, self.profile.name)

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

    def stop(self) -> None:
        """Ends the processes of the models, where they run; what asks after that starts them again."""
        for process in (self.light, self.llm):
            if process:
                process.stop()

    def _question(self, body: Mapping[str, Any]) -> Question:
        question = converse.translate(body, self.profile.model_name, calls_tools=self.profile.name == LIGHT)
        return self._advised(question, body) if question.choice and self.profile.name == LOCAL_LLM else question

    def _advised(self, question: Question, body: Mapping[str, Any]) -> Question:
        """``question`` held to what the light server would do: a model this small chooses tools worse than a router."""
        request = converse.translate(body, "", calls_tools=True).request
        if request["tool_choice"] == "required":
            return question
        request.pop("max_tokens", None)  # what the answer may cost, not the advice
        advice = openai_client.ask(self.light.address(), _CHAT, request, self.profile.answer_seconds)
        return converse.advised(question, advice)

    def _complete(self, question: Question) -> dict[str, Any]:
        def ask() -> dict[str, Any]:
            if self._ends_loops(question):
                return whole(self._ask_streamed(question))
            return openai_client.ask(self._address(), _CHAT, question.request, self.profile.answer_seconds)

        return self.shared.answer(question.request, ask) if self._shares(question.request) else ask()

    def _chunks(self, question: Question) -> Iterator[dict[str, Any]]:
        ask = partial(self._ask_streamed, question)
        return self.shared.stream(question.request, ask) if self._shares(question.request) else ask()

    def _ask_streamed(self, question: Question) -> Iterator[dict[str, Any]]:
        ends_loops = self._ends_loops(question)
        asked = dict(question.request) | {"stream_options": {"include_usage": True}}
        asked |= {"timings_per_token": True} if ends_loops else {}
        chunks = openai_client.ask_streamed(self._address(), _CHAT, asked, self.profile.answer_seconds)
        return until_repeated(chunks) if ends_loops else chunks

    def _ends_loops(self, question: Question) -> bool:
        """The model that we run is small and repeats itself; who runs another has it as they want it."""
        return self.llm is not None and bool(question.choice)

    def _shares(self, request: Mapping[str, Any]) -> bool:
        """A function that waits for its model no longer asks again, while the model here is at its first question."""
        return self.llm is not None and request.get("temperature") == 0

    def _address(self) -> str:
        if self.profile.name == LIGHT:
            return self.light.address()
        return self.llm.address() if self.llm else self.profile.server_url


def models_for(profile: Profile, folder: Path) -> Models:
    """The models of ``profile``, none of them started yet; their logs are in ``folder``."""
    llm = LlmProcess(folder, QWEN_CODER, profile.weights_file) if profile.weights_file else None
    return Models(profile, LightProcess(folder), llm)
