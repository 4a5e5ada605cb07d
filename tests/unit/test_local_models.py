"""The local models without a process or a socket: tokens, vectors, the light server's answers, the profile."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local.models import answering, light_server, wordpiece
from local.models.converse import Question, UntranslatableError, stream, translate
from local.models.description import describe
from local.models.embeddings import DIMENSIONS, EmbeddingModel, LazyEmbeddingModel, normalised
from local.models.openai_client import BrokenError
from local.models.profile import Profile, ProfileError, profile_from
from tests.unit.test_local_models_summaries import ARTICLE, a_schema, a_text

VOCABULARY = Path(__file__).parents[2] / "local" / "models" / "all_minilm_l6_v2" / "vocabulary.txt"


@pytest.fixture(scope="module")
def tokenizer() -> wordpiece.Tokenizer:
    return wordpiece.Tokenizer(wordpiece.read_vocabulary(VOCABULARY))


@pytest.fixture(scope="module")
def model() -> EmbeddingModel:
    return EmbeddingModel()


@pytest.fixture(scope="module")
def lazy() -> LazyEmbeddingModel:
    return LazyEmbeddingModel()


@pytest.mark.parametrize(
    ("text", "numbers"),
    # What Hugging Face's `tokenizers` 0.23 makes of them with the model's own tokenizer.json.
    [
        ("The lender's 3.50% fee", [1996, 18496, 2121, 1005, 1055, 1017, 1012, 2753, 1003, 7408]),
        ("unbelievably Tokenization", [4895, 8671, 2666, 3567, 6321, 19204, 3989]),
        (
            "$1,234.56 \u2192 na\u00efve caf\u00e9\u2014d\u00e9j\u00e0 vu",
            [1002, 1015, 1010, 22018, 1012, 5179, 1585, 15743, 7668, 1517, 2139, 3900, 24728],
        ),
        ("\u6771\u4eac is big", [1879, 1755, 2003, 2502]),
        ("a\xadb\u200bc\tx\x07y", [5925, 1060, 2100]),
        ("x" * 101 + " ok", [100, 7929]),
        ("\u041f\u0440\u0438\u0432\u0435\u0442", [1194, 16856, 10325, 25529, 15290, 22919]),
    ],
    ids=["punctuation", "pieces", "symbols", "CJK", "invisible", "too long", "scripts"],
)
def test_tokenize_gives_the_numbers_of_the_model_s_own_tokenizer(
    tokenizer: wordpiece.Tokenizer, text: str, numbers: list[int]
) -> None:
    assert tokenizer.tokenize(text) == numbers


def test_text_cannot_speak_the_pieces_that_frame_a_sequence(tokenizer: wordpiece.Tokenizer) -> None:
    assert not {101, 102} & set(tokenizer.tokenize("[CLS] [SEP]"))


def test_vector_of_a_text_is_the_same_whatever_is_embedded_beside_it(model: EmbeddingModel) -> None:
    alone = EmbeddingModel().embed(["The customer lost her card."])[0]
    beside = model.embed(["Rain.", "The customer lost her card.", ARTICLE[0]])[1]
    assert np.array_equal(alone, beside)


def test_long_text_is_read_to_its_end(model: EmbeddingModel) -> None:
    long = " ".join(ARTICLE * 8)
    vectors = normalised(model.embed([long, long + " The cat slept on the warm roof all afternoon." * 30]))
    assert model.count_tokens(long) > 256
    assert vectors[0] @ vectors[1] < 0.98  # cut off at 256 pieces, the two would be the same


def test_dimensions_that_bedrock_is_told_are_those_of_the_model(model: EmbeddingModel) -> None:
    assert model.embed(["A card."]).shape == (1, answering.DIMENSIONS)


def test_no_texts_have_no_vectors(model: EmbeddingModel) -> None:
    assert model.embed([]).shape == (0, DIMENSIONS)


def test_normalised_leaves_a_vector_of_nothing_as_it_is() -> None:
    rows = np.array([[0, 0], [3, 4]], dtype=np.float32)
    assert normalised(rows).tolist() == [[0, 0], pytest.approx([0.6, 0.8])]


def a_completion_request(**more: Any) -> dict[str, Any]:
    schema = {"type": "json_schema", "json_schema": {"name": "write_summary", "schema": a_schema()}}
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": a_text(*ARTICLE)}]
    return {"model": "", "messages": messages, "response_format": schema, **more}


def test_light_completion_is_a_summary_in_json_and_counts_its_tokens(lazy: LazyEmbeddingModel) -> None:
    completion = light_server.complete(a_completion_request(), lazy)
    (choice,) = completion["choices"]
    assert len(json.loads(choice["message"]["content"])["sentences"]) == 3
    assert choice["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] == lazy.get().count_tokens(choice["message"]["content"])


def test_light_completion_reads_only_what_the_user_said(lazy: LazyEmbeddingModel) -> None:
    request = a_completion_request()
    request["messages"][0]["content"] = a_text("The system prompt says something long enough to be told.")
    assert "system prompt" not in json.dumps(light_server.complete(request, lazy)["choices"])


def test_light_completion_is_as_short_as_max_tokens_asks(lazy: LazyEmbeddingModel) -> None:
    completion = light_server.complete(a_completion_request(max_tokens=60), lazy)
    (choice,) = completion["choices"]
    assert 1 <= len(json.loads(choice["message"]["content"])["sentences"]) < 3
    assert choice["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] <= 60


def test_light_completion_is_cut_off_at_max_tokens_as_a_model_s_would_be(lazy: LazyEmbeddingModel) -> None:
    completion = light_server.complete(a_completion_request(max_tokens=10), lazy)
    (choice,) = completion["choices"]
    assert (choice["finish_reason"], completion["usage"]["completion_tokens"]) == ("length", 10)
    with pytest.raises(json.JSONDecodeError):
        json.loads(choice["message"]["content"])


def test_light_server_refuses_what_needs_a_language_model(lazy: LazyEmbeddingModel) -> None:
    request = a_completion_request() | {"response_format": None}
    with pytest.raises(light_server.RefusedError, match="no language model") as raised:
        light_server.complete(request, lazy)
    assert raised.value.status == 400


@pytest.mark.parametrize("given", ["", [], ["a", " "], [1]])
def test_light_server_refuses_to_embed_nothing(lazy: LazyEmbeddingModel, given: object) -> None:
    with pytest.raises(light_server.RefusedError, match="none of them empty"):
        light_server.embed({"input": given}, lazy)


def test_light_server_embeds_a_list_in_its_order(lazy: LazyEmbeddingModel) -> None:
    answer = light_server.embed({"input": ["A card.", "Rain."]}, lazy)
    expected = normalised(lazy.get().embed(["A card.", "Rain."])).tolist()
    assert [row["embedding"] for row in answer["data"]] == expected
    assert answer["usage"]["prompt_tokens"] == 5


def test_profile_is_light_when_nothing_is_said() -> None:
    assert profile_from({}) == Profile("light")


@pytest.mark.parametrize("address", ["http://127.0.0.1:11434", "http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1"])
def test_profile_server_takes_the_address_with_and_without_its_version(address: str) -> None:
    environment = {"LOCAL_MODEL_PROFILE": "server", "LOCAL_MODEL_SERVER_URL": address, "LOCAL_MODEL_NAME": "qwen2.5"}
    assert profile_from(environment) == Profile("server", "http://127.0.0.1:11434", "qwen2.5")


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"LOCAL_MODEL_PROFILE": "huge"}, "is light, local-llm or server, not 'huge'"),
        ({"LOCAL_MODEL_PROFILE": "server"}, "needs an address and a name"),
        ({"LOCAL_MODEL_PROFILE": "server", "LOCAL_MODEL_SERVER_URL": "http://a"}, "needs an address and a name"),
        (
            {"LOCAL_MODEL_PROFILE": "server", "LOCAL_MODEL_SERVER_URL": "a:1", "LOCAL_MODEL_NAME": "m"},
            "needs an address and a name",
        ),
        ({"LOCAL_MODEL_SECONDS": "soon"}, "whole number of seconds, not 'soon'"),
        ({"LOCAL_MODEL_SECONDS": "0"}, "whole number of seconds"),
    ],
)
def test_profile_that_cannot_be_is_refused_with_what_to_set(environment: dict[str, str], why: str) -> None:
    with pytest.raises(ProfileError, match=why):
        profile_from(environment)


def test_description_names_the_server_s_model_and_how_to_do_without() -> None:
    told = describe(Profile("server", "http://127.0.0.1:11434", "qwen2.5"))
    assert told["text"] == {"model": "qwen2.5", "address": "http://127.0.0.1:11434"}
    assert "LOCAL_MODEL_PROFILE=light" in told["howToChange"]


def a_user_message(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (a_user_message({"image": {}}), "read text only; messages.0.content.0 has image"),
        (a_user_message({}), "messages.0.content.0 has nothing"),
        (a_user_message(), "messages.0 needs a role"),
        ({"messages": [{"role": "assistant", "content": [{"text": "Hi"}]}]}, "must start with a user message"),
        ({**a_user_message({"text": "Hi"}), "system": [{"cachePoint": {}}]}, "system has cachePoint"),
        ({**a_user_message({"text": "Hi"}), "additionalModelRequestFields": {"k": 1}}, "additionalModelRequestFields"),
    ],
)
def test_translate_refuses_what_it_cannot_say(body: dict[str, Any], why: str) -> None:
    with pytest.raises(UntranslatableError, match=why):
        translate(body, "m")


def test_translate_says_every_setting_in_the_other_protocol_s_words() -> None:
    settings = {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    request = translate({**a_user_message({"text": "Hi"}, {"text": "there"}), "inferenceConfig": settings}, "m").request
    assert request == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi\n\nthere"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
    }


@pytest.mark.parametrize("finish_reason", [None, "tool_calls", "banana"])
def test_stream_that_ends_for_an_unknown_reason_is_broken(finish_reason: str | None) -> None:
    chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": finish_reason}]}
    with pytest.raises(BrokenError, match="not of the protocol"):
        list(stream([chunk], Question({}), "server"))


def test_stream_that_does_not_tell_its_usage_is_broken() -> None:
    with pytest.raises(BrokenError, match="did not tell its usage"):
        list(stream([{"choices": [{"delta": {}, "finish_reason": "stop"}]}], Question({}), "server"))
