"""The models: text in, data under a schema out; and text in, vectors out.

Protocol: Amazon Bedrock Runtime, Converse with one forced tool (the answer is the tool's input, so that its shape is
the schema's) and InvokeModel of Titan Text Embeddings V2.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html

What is not a whole answer is never an answer: one that was cut off, withheld, or is not of the schema's shape raises
Rejected with the code MODEL_FAILED; a service that is busy or away raises Retryable. Each call is tried once; who calls
decides what is tried again.
"""

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import fastjsonschema
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from backbone.errors import Rejected, Retryable

_WHOLE_ANSWER = frozenset({"tool_use", "end_turn"})
WHY_NOT_WHOLE = {
    "max_tokens": "the answer was cut off at the token limit",
    "model_context_window_exceeded": "the text is longer than the model's context",
    "guardrail_intervened": "a guardrail withheld the answer",
    "content_filtered": "the provider's content filter withheld the answer",
    "malformed_model_output": "the model's output could not be read",
    "malformed_tool_use": "the model's tool use could not be read",
}
# API_runtime_Converse and ConverseStream, "Errors": those whose text says to try again. What is not named here goes by
# its HTTP status.
_RETRYABLE_CODES = frozenset(
    {
        "InternalServerException",
        "ModelErrorException",
        "ModelNotReadyException",
        "ModelStreamErrorException",
        "ModelTimeoutException",
        "ServiceQuotaExceededException",
        "ServiceUnavailableException",
        "ThrottlingException",
    }
)
_TOO_MANY_REQUESTS, _FIRST_SERVER_ERROR = 429, 500
# Titan takes one text a call: these many calls are under way at once. botocore keeps ten connections.
_EMBEDDINGS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Tool:
    """What the model must fill in: ``schema`` is the JSON Schema (an object) of the answer."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """``data`` has passed the tool's schema; the counts are what the provider bills, in tokens.

    ``profile`` says what answered in the model's place on the embedded AWS (``light``, ...); None on AWS itself.
    """

    data: dict[str, Any]
    input_tokens: int
    output_tokens: int
    model_id: str
    stop_reason: str
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """The models named by their ids, behind the ``bedrock-runtime`` ``client``.

    An id is a foundation model's, an inference profile's (``eu.amazon.nova-lite-v1:0``) or the ARN of either.
    """

    client: Any
    model_id: str
    embedding_model_id: str = ""

    def generate(self, *, tool: Tool, system: str, text: str, max_tokens: int) -> Answer:
        """The model's answer to ``text``, of the shape of ``tool``.

        ``system`` is ours alone; whatever a stranger wrote belongs into ``text``. Raises Retryable where the model is
        throttled, away, late or failing, Rejected where it refuses, or its answer is not whole or not of the shape.
        """
        request: dict[str, Any] = {
            "modelId": self.model_id,
            "system": [{"text": system}],
            "messages": [{"role": "user", "content": [{"text": text}]}],
            "inferenceConfig": {"maxTokens": max_tokens, "temperature": 0},
            "toolConfig": {
                "tools": [
                    {
                        "toolSpec": {
                            "name": tool.name,
                            "description": tool.description,
                            "inputSchema": {"json": dict(tool.schema)},
                        }
                    }
                ],
                "toolChoice": {"tool": {"name": tool.name}},
            },
        }
        try:
            response = self.client.converse(**request)
        except (ClientError, BotoCoreError) as failed:
            raise judged("converse", self.model_id, failed) from failed
        stop_reason = response["stopReason"]
        if stop_reason not in _WHOLE_ANSWER:
            raise _failed(f"{self.model_id} stopped with {stop_reason}: {WHY_NOT_WHOLE.get(stop_reason, 'unforeseen')}")
        usage = response["usage"]
        return Answer(
            data=_tool_input(response, tool),
            input_tokens=usage["inputTokens"],
            output_tokens=usage["outputTokens"],
            model_id=self.model_id,
            stop_reason=stop_reason,
            profile=(response.get("additionalModelResponseFields") or {}).get("localProfile"),
        )

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector of length 1 for each of ``texts``, in their order; as many numbers in each as the model makes.

        Raises Retryable and Rejected as ``generate`` does; one text that fails fails them all.
        """
        if not texts:
            return []
        with ThreadPoolExecutor(min(_EMBEDDINGS_AT_ONCE, len(texts))) as calls:
            vectors = list(calls.map(self._embed, texts))
        if len({len(vector) for vector in vectors}) != 1:
            raise _failed(f"{self.embedding_model_id} answered vectors of different lengths")
        return vectors

    def _embed(self, text: str) -> list[float]:
        try:
            response = self.client.invoke_model(
                modelId=self.embedding_model_id,
                contentType="application/json",
                accept="application/json",
                body=json.dumps({"inputText": text, "normalize": True}),
            )
            said = response["body"].read()
        except (ClientError, BotoCoreError) as failed:
            raise judged("invoke_model", self.embedding_model_id, failed) from failed
        return _vector(said, self.embedding_model_id)


def _tool_input(response: Mapping[str, Any], tool: Tool) -> dict[str, Any]:
    uses = [block["toolUse"] for block in response["output"]["message"]["content"] if "toolUse" in block]
    if len(uses) != 1 or uses[0]["name"] != tool.name:
        raise _failed(f"expected one use of {tool.name}, got {[use['name'] for use in uses] or 'none'}")
    try:
        fastjsonschema.validate(dict(tool.schema), uses[0]["input"])
    except fastjsonschema.JsonSchemaValueException as broken:
        raise _failed(f"the input of {tool.name} breaks its schema: {broken.message}") from broken
    data: dict[str, Any] = uses[0]["input"]
    return data


def _vector(said: bytes, model_id: str) -> list[float]:
    try:
        vector = [float(number) for number in json.loads(said)["embedding"]]
    except (ValueError, KeyError, TypeError) as broken:
        raise _failed(f"{model_id} answered no embedding: {said[:100]!r}") from broken
    if not vector or not all(map(math.isfinite, vector)):
        raise _failed(f"{model_id} answered an embedding that is empty or not of numbers")
    return vector


def judged(operation: str, model_id: str, failed: ClientError | BotoCoreError) -> Retryable | Rejected:
    """Whether the same call may succeed later: by the error's code and status, or because no answer came.

    An error inside a stream comes with its member's name as code (``throttlingException``) and no status of its own.
    """
    said = f"{operation} {model_id}: {failed}"
    if isinstance(failed, ClientError):
        status = failed.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = failed.response.get("Error", {}).get("Code", "")
        later = (
            code[:1].upper() + code[1:] in _RETRYABLE_CODES
            or status == _TOO_MANY_REQUESTS
            or status >= _FIRST_SERVER_ERROR
        )
    else:
        later = not isinstance(failed, ParamValidationError)
    return Retryable(said) if later else _failed(said)


def _failed(reason: str) -> Rejected:
    return Rejected(f"MODEL_FAILED: {reason}")
