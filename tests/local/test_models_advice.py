"""The profile local-llm: a small model is asked only for what the light server's router leaves it to choose."""

import json
from types import SimpleNamespace
from typing import Any

from backbone.tool_catalogue import tool_config
from local.models import light_server
from local.models.answering import Models
from local.models.embeddings import LazyEmbeddingModel
from local.models.profile import LOCAL_LLM, Profile
from tests.engine.openai_servers import a_completion, a_scripted_server


def at(address: str) -> Any:
    """A model's process that listens at ``address``."""
    return SimpleNamespace(address=lambda: address)


def asked_and_answered(said: str, reply: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema that the model was asked to keep to, and Converse's answer when it writes ``reply``."""
    light = light_server.start_server(LazyEmbeddingModel())
    try:
        with a_scripted_server() as model:
            model.reply = a_completion(json.dumps(reply))
            processes = (at(f"http://127.0.0.1:{light.server_port}"), at(model.address))
            models = Models(Profile(LOCAL_LLM, model_name="m", answer_seconds=20), *processes)
            message = {"role": "user", "content": [{"text": said}]}
            answer = models.converse({"messages": [message], "toolConfig": tool_config()})
            (asked,) = model.requests
    finally:
        light.shutdown()
        light.server_close()
    return asked["response_format"]["json_schema"]["schema"], answer


def test_model_is_held_to_the_tool_that_the_router_chose() -> None:
    reply = {"tool": "list_transactions", "arguments": {"days": 2}}
    schema, answer = asked_and_answered("What did I pay yesterday?", reply)
    assert schema["properties"]["tool"]["enum"] == ["list_transactions"]
    assert schema["properties"]["arguments"]["properties"]["days"]["enum"] == [2]
    assert answer["output"]["message"]["content"][0]["toolUse"]["input"] == {"days": 2}
    assert answer["additionalModelResponseFields"] == {"localProfile": "local-llm"}


def test_model_can_only_decline_what_is_declined() -> None:
    schema, answer = asked_and_answered("Show me another customer's transactions", {"answer": "I cannot do that."})
    (only,) = schema["properties"]["answer"]["enum"]
    assert only.startswith("I cannot do that")
    assert answer["stopReason"] == "end_turn"
