"""The model port: what goes to Bedrock, and that only a whole answer of the right shape comes back."""

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from backbone.clients import client as client_of
from backbone.errors import Rejected, Retryable
from backbone.model import Answer, Model, Tool

MODEL_ID = "eu.amazon.nova-lite-v1:0"
EMBEDDING_MODEL_ID = "amazon.titan-embed-text-v2:0"
SCHEMA = {
    "type": "object",
    "required": ["sentences"],
    "properties": {"sentences": {"type": "array", "minItems": 1, "items": {"type": "string"}}},
}
TOOL = Tool("write_summary", "Writes the summary.", SCHEMA)
DATA = {"sentences": ["Revenue rose."]}


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    client = client_of("bedrock-runtime", read_timeout_seconds=45)
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def a_response(*content: dict[str, Any], stop_reason: str = "tool_use") -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop_reason,
        "usage": {"inputTokens": 120, "outputTokens": 9, "totalTokens": 129},
        "metrics": {"latencyMs": 1},
    }


def a_tool_use(data: Any, name: str = TOOL.name) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": "t1", "name": name, "input": data}}


def an_embedding(document: Any) -> dict[str, Any]:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return {"body": StreamingBody(io.BytesIO(body), len(body)), "contentType": "application/json"}


def generate(client: Any) -> Answer:
    return Model(client, MODEL_ID).generate(tool=TOOL, system="You summarise.", text="<passage>", max_tokens=300)


def embed(client: Any, *texts: str) -> list[list[float]]:
    return Model(client, MODEL_ID, EMBEDDING_MODEL_ID).embed(texts)


def test_generate_forces_the_tool_and_keeps_the_text_out_of_the_system_prompt(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    expected = {
        "modelId": MODEL_ID,
        "system": [{"text": "You summarise."}],
        "messages": [{"role": "user", "content": [{"text": "<passage>"}]}],
        "inferenceConfig": {"maxTokens": 300, "temperature": 0},
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": TOOL.name, "description": TOOL.description, "inputSchema": {"json": SCHEMA}}}
            ],
            "toolChoice": {"tool": {"name": TOOL.name}},
        },
    }
    stubber.add_response("converse", a_response(a_tool_use(DATA)), expected)
    assert generate(client) == Answer(DATA, 120, 9, MODEL_ID, "tool_use", profile=None)


def test_generate_tells_which_local_profile_answered_when_the_service_says_so(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    said = {"additionalModelResponseFields": {"localProfile": "light"}}
    stubber.add_response("converse", a_response(a_tool_use(DATA)) | said)
    assert generate(client).profile == "light"


@pytest.mark.parametrize("stop_reason", ["tool_use", "end_turn"])
def test_generate_takes_the_tool_use_when_the_model_talks_beside_it(
    stubbed: tuple[Any, Stubber], stop_reason: str
) -> None:
    client, stubber = stubbed
    answer = a_response({"text": "Here it is."}, a_tool_use(DATA), stop_reason=stop_reason)
    stubber.add_response("converse", answer)
    assert generate(client).data == DATA


@pytest.mark.parametrize(
    ("stop_reason", "why"),
    [
        ("max_tokens", "cut off at the token limit"),
        ("model_context_window_exceeded", "longer than the model's context"),
        ("guardrail_intervened", "guardrail withheld"),
        ("content_filtered", "content filter withheld"),
        ("malformed_model_output", "could not be read"),
        ("malformed_tool_use", "could not be read"),
        ("stop_sequence", "unforeseen"),
        ("not_invented_yet", "unforeseen"),
    ],
)
def test_generate_rejects_an_answer_that_is_not_whole_even_when_its_tool_use_is_valid(
    stubbed: tuple[Any, Stubber], stop_reason: str, why: str
) -> None:
    client, stubber = stubbed
    stubber.add_response("converse", a_response(a_tool_use(DATA), stop_reason=stop_reason))
    with pytest.raises(Rejected, match=f"MODEL_FAILED: {MODEL_ID} stopped with {stop_reason}: .*{why}"):
        generate(client)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([{"text": "Revenue rose."}], "expected one use of write_summary, got none"),
        ([a_tool_use(DATA), a_tool_use(DATA)], "expected one use of write_summary"),
        ([a_tool_use(DATA, name="send_money")], r"expected one use of write_summary, got \['send_money'\]"),
        ([a_tool_use({"sentences": []})], "breaks its schema: data.sentences must contain at least 1 items"),
        ([a_tool_use({"sentences": "Revenue rose."})], "breaks its schema: data.sentences must be array"),
        ([a_tool_use("Revenue rose.")], "breaks its schema: data must be object"),
    ],
    ids=["text only", "two uses", "another tool", "too few items", "wrong type", "no object"],
)
def test_generate_rejects_an_answer_that_is_not_of_the_tool_s_shape(
    stubbed: tuple[Any, Stubber], content: list[dict[str, Any]], why: str
) -> None:
    client, stubber = stubbed
    stubber.add_response("converse", a_response(*content))
    with pytest.raises(Rejected, match=f"^MODEL_FAILED: .*{why}"):
        generate(client)


RETRYABLE = [
    ("ThrottlingException", 429),
    ("ModelNotReadyException", 429),
    ("ModelTimeoutException", 408),
    ("ModelErrorException", 424),
    ("InternalServerException", 500),
    ("ServiceUnavailableException", 503),
    ("ServiceQuotaExceededException", 400),
    ("SomethingNewException", 502),
    ("SlowDownException", 429),
]
REJECTED = [("AccessDeniedException", 403), ("ValidationException", 400), ("ResourceNotFoundException", 404)]


@pytest.mark.parametrize(("code", "status"), RETRYABLE)
@pytest.mark.parametrize("operation", ["converse", "invoke_model"])
def test_a_service_that_is_busy_or_away_is_retryable(
    stubbed: tuple[Any, Stubber], operation: str, code: str, status: int
) -> None:
    client, stubber = stubbed
    stubber.add_client_error(operation, code, "later", http_status_code=status)
    with pytest.raises(Retryable, match=f"{operation} .*{code}"):
        generate(client) if operation == "converse" else embed(client, "text")


@pytest.mark.parametrize(("code", "status"), REJECTED)
@pytest.mark.parametrize("operation", ["converse", "invoke_model"])
def test_a_call_that_the_service_refuses_is_rejected(
    stubbed: tuple[Any, Stubber], operation: str, code: str, status: int
) -> None:
    client, stubber = stubbed
    stubber.add_client_error(operation, code, "never", http_status_code=status)
    with pytest.raises(Rejected, match=f"MODEL_FAILED: {operation} .*{code}.*never"):
        generate(client) if operation == "converse" else embed(client, "text")


class Unreachable:
    """A client whose every call ends in ``error`` before an answer has come."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def converse(self, **_: Any) -> None:
        raise self.error

    def invoke_model(self, **_: Any) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="bedrock"),
        ConnectTimeoutError(endpoint_url="bedrock"),
        EndpointConnectionError(endpoint_url="bedrock"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_answer_in_time_is_retryable(error: Exception) -> None:
    with pytest.raises(Retryable, match="converse"):
        generate(Unreachable(error))
    with pytest.raises(Retryable, match="invoke_model"):
        embed(Unreachable(error), "text")


def test_a_call_that_botocore_itself_refuses_is_rejected() -> None:
    unsent = Model(client_of("bedrock-runtime"), "")
    with pytest.raises(Rejected, match=r"MODEL_FAILED: [\s\S]*Parameter validation failed"):
        unsent.generate(tool=TOOL, system=7, text="t", max_tokens=1)  # type: ignore[arg-type] # that is the point


def test_client_waits_as_long_as_its_caller_says_and_tries_once() -> None:
    config = client_of("bedrock-runtime", read_timeout_seconds=45).meta.config
    assert config.read_timeout == 45
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert client_of("bedrock-runtime").meta.config.read_timeout == 8


def test_embed_asks_titan_for_a_normalised_vector(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    expected = {
        "modelId": EMBEDDING_MODEL_ID,
        "contentType": "application/json",
        "accept": "application/json",
        "body": '{"inputText": "text", "normalize": true}',
    }
    stubber.add_response("invoke_model", an_embedding({"embedding": [0.6, 0.8], "inputTextTokenCount": 3}), expected)
    assert embed(client, "text") == [[0.6, 0.8]]


def test_embed_of_no_texts_asks_nothing(stubbed: tuple[Any, Stubber]) -> None:
    assert embed(stubbed[0]) == []


def test_embed_keeps_the_order_of_the_texts_and_asks_for_several_at_once() -> None:
    together = threading.Barrier(8)

    class Echo:
        """Answers the number that the text is, and only once eight calls are under way."""

        def invoke_model(self, *, body: str, **_: Any) -> dict[str, Any]:
            together.wait(timeout=10)
            return an_embedding({"embedding": [float(json.loads(body)["inputText"])]})

    assert embed(Echo(), *map(str, range(16))) == [[float(number)] for number in range(16)]


@pytest.mark.parametrize(
    "document",
    [{}, {"embedding": []}, {"embedding": ["x"]}, {"embedding": None}, {"embedding": [float("nan")]}, b"<html>", []],
)
def test_embed_rejects_what_is_no_vector(stubbed: tuple[Any, Stubber], document: Any) -> None:
    client, stubber = stubbed
    stubber.add_response("invoke_model", an_embedding(document))
    with pytest.raises(Rejected, match=f"MODEL_FAILED: {EMBEDDING_MODEL_ID} answered"):
        embed(client, "text")


def test_embed_rejects_vectors_of_different_lengths() -> None:
    class Uneven:
        def invoke_model(self, *, body: str, **_: Any) -> dict[str, Any]:
            return an_embedding({"embedding": [1.0] * len(json.loads(body)["inputText"])})

    with pytest.raises(Rejected, match="vectors of different lengths"):
        embed(Uneven(), "a", "bb")


def test_one_text_that_fails_fails_them_all() -> None:
    class Picky:
        def invoke_model(self, *, body: str, **_: Any) -> dict[str, Any]:
            if json.loads(body)["inputText"] == "bad":
                raise ReadTimeoutError(endpoint_url="bedrock")
            return an_embedding({"embedding": [1.0]})

    with pytest.raises(Retryable):
        embed(Picky(), "good", "bad", "good")
