"""The profile local-llm: a small model is asked only for what the light server's router leaves open."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from backbone.tool_catalogue import tool_config
from local.models import light_server
from local.models.answering import Models
from local.models.converse_readers import whole_content
from local.models.converse_tools import BRIEFLY
from local.models.embeddings import LazyEmbeddingModel
from local.models.profile import LOCAL_LLM, Profile
from tests.engine.openai_servers import ScriptedServer, a_scripted_server, a_stream


def at(address: str) -> Any:
    """A model's process that listens at ``address``."""
    return SimpleNamespace(address=lambda: address)


@contextmanager
def models_of() -> Iterator[tuple[Models, ScriptedServer]]:
    """The models of the profile, and the scripted server that stands for the language model."""
    light = light_server.start_server(LazyEmbeddingModel())
    try:
        with a_scripted_server() as model:
            processes = (at(f"http://127.0.0.1:{light.server_port}"), at(model.address))
            yield Models(Profile(LOCAL_LLM, model_name="m", answer_seconds=20), *processes), model
    finally:
        light.shutdown()
        light.server_close()


def a_body(said: str, temperature: float = 0.5) -> dict[str, Any]:
    message = {"role": "user", "content": [{"text": said}]}
    config = {"temperature": temperature}
    return {"messages": [message], "toolConfig": tool_config(), "inferenceConfig": config}


def test_model_is_not_asked_where_the_router_chose_a_tool_and_found_its_arguments() -> None:
    with models_of() as (models, model):
        answer = models.converse(a_body("What did I pay yesterday?"))
        assert not model.requests
    (block,) = answer["output"]["message"]["content"]
    assert (block["toolUse"]["name"], block["toolUse"]["input"]) == ("list_transactions", {"days": 2})
    assert answer["stopReason"] == "tool_use"
    assert answer["additionalModelResponseFields"] == {"localProfile": "local-llm"}


def test_model_is_not_asked_to_decline() -> None:
    with models_of() as (models, model):
        events = list(models.converse_stream(a_body("Show me another customer's transactions")))
        assert not model.requests
    said = "".join(event["delta"]["text"] for name, event in events if name == "contentBlockDelta")
    assert said.startswith("I cannot do that")
    (stop,) = [event for name, event in events if name == "messageStop"]
    assert stop["stopReason"] == "end_turn"


def a_body_with(facts: list[str]) -> dict[str, Any]:
    """A question about payments whose tool has answered ``facts``."""
    body = a_body("What did I pay this week?")
    use = {"toolUseId": "t", "name": "list_transactions", "input": {"days": 7}}
    told = json.dumps({"state": "done", "facts": facts, "data": {}, "citations": []})
    result = {"toolUseId": "t", "content": [{"text": told}], "status": "success"}
    body["messages"] += [
        {"role": "assistant", "content": [{"toolUse": use}]},
        {"role": "user", "content": [{"toolResult": result}]},
    ]
    return body


@pytest.mark.parametrize(("number", "is_asked"), [(2, True), (3, False)])
def test_model_does_not_word_many_figures(number: int, *, is_asked: bool) -> None:
    facts = [
        f"Transaction TX-{one} of 12.00 EUR at 10:00 UTC was scored 0.877, typically 0.1." for one in range(number)
    ]
    with models_of() as (models, model):
        model.reply = a_stream('{"answer": "You paid twice."}')
        answer = models.converse(a_body_with(facts))
        assert bool(model.requests) == is_asked
    (block,) = answer["output"]["message"]["content"]
    assert block["text"] == ("You paid twice." if is_asked else " ".join(facts))


def test_model_does_not_copy_a_long_list_of_facts() -> None:
    facts = [f"Transaction TX-{number} of 12.{number:02} EUR with CARD-1 was not flagged." for number in range(20)]
    body = a_body_with(facts)
    with models_of() as (models, model):
        answer = models.converse(body)
        assert not model.requests
    (block,) = answer["output"]["message"]["content"]
    assert "There is more: 14 further entries are not told here." in block["text"]
    assert sum(fact in block["text"] for fact in facts) == 6


@pytest.mark.parametrize("is_streamed", [True, False])
def test_model_tells_results_in_short_and_its_answer_ends_where_it_begins_again(*, is_streamed: bool) -> None:
    said = ["You paid 12.00 EUR.", "It was not flagged."]
    pieces = [f"{one} " for one in said * 9]
    with models_of() as (models, model):
        model.reply = a_stream('{"answer": "', *pieces, '"}', timings=True)
        body = a_body_with(["Transaction TX-1 of 12.00 EUR with CARD-1 was not flagged."])
        answer = whole_answer(models.converse_stream(body)) if is_streamed else models.converse(body)
        (asked,) = model.requests
    assert asked["messages"][-1]["content"].endswith(BRIEFLY)
    assert answer["output"]["message"]["content"] == [{"text": " ".join([*said, ""])}]
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {"inputTokens": 20, "outputTokens": 4, "totalTokens": 24}


def whole_answer(events: Iterator[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Converse's answer from the events of its stream."""
    seen = list(events)
    told = {name: event for name, event in seen if not name.startswith("contentBlock")}
    content = whole_content(event for event in seen if event[0].startswith("contentBlock"))
    message = {"message": {"role": "assistant", "content": content}}
    return {"output": message, "stopReason": told["messageStop"]["stopReason"], "usage": told["metadata"]["usage"]}


def test_model_is_asked_for_the_words_of_a_search_and_held_to_the_tool() -> None:
    written = {"tool": "search_documents", "arguments": {"question": "notice period of the lease"}}
    with models_of() as (models, model):
        model.reply = a_stream(json.dumps(written))
        answer = models.converse(a_body("How long is the notice period in my lease?"))
        (asked,) = model.requests
    schema = asked["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["tool"]["enum"] == ["search_documents"]
    assert answer["output"]["message"]["content"][0]["toolUse"]["input"] == written["arguments"]


def test_stream_that_is_asked_for_again_goes_on_and_the_model_is_asked_once() -> None:
    rest = threading.Event()
    with models_of() as (models, model):
        model.reply = a_stream('{"answer": "Good ', rest, 'morning."}')
        given_up = models.converse_stream(a_body("Good morning", temperature=0))
        assert next(given_up)[0] == "messageStart"
        again = models.converse_stream(a_body("Good morning", temperature=0))
        rest.set()
        said = "".join(event["delta"]["text"] for name, event in again if name == "contentBlockDelta")
        assert len(model.requests) == 1
    assert said == "Good morning."
