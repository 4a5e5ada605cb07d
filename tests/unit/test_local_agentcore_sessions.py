"""What a local harness asks its model, and what its sessions remember, without an engine."""

from typing import Any

import pytest

from local.overlay.agentcore_sessions import ConversationError, Sessions, converse_request

HARNESS, SESSION = "arn:harness", "session"
HELLO = {"role": "user", "content": [{"text": "Hello"}]}


def a_tool(name: str) -> dict[str, Any]:
    inline = {"description": f"Does {name}.", "inputSchema": {"type": "object"}}
    return {"type": "inline_function", "name": name, "config": {"inlineFunction": inline}}


def settings(**more: Any) -> dict[str, Any]:
    return {"model": {"bedrockModelConfig": {"modelId": "m"}}, **more}


def a_use(use_id: str, **more: Any) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": [{"toolUse": {"toolUseId": use_id, "name": "list_cards", "input": {}, **more}}],
    }


def a_result(use_id: str, **more: Any) -> dict[str, Any]:
    result = {"toolUseId": use_id, "content": [{"text": "none"}], **more}
    return {"role": "user", "content": [{"toolResult": result}]}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_session_is_remembered_for_its_idle_time_and_no_longer() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    sessions.remember(HARNESS, SESSION, [HELLO])
    clock.now = 60
    assert sessions.recall(HARNESS, SESSION, 60) == (HELLO,)
    clock.now = 61
    assert sessions.recall(HARNESS, SESSION, 60) == ()


def test_session_of_another_harness_or_id_is_another() -> None:
    sessions = Sessions(Clock())
    sessions.remember(HARNESS, SESSION, [HELLO])
    assert sessions.recall("arn:other", SESSION, 60) == sessions.recall(HARNESS, "other", 60) == ()


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [
        (None, ["list_cards", "block_card"]),
        (["*"], ["list_cards", "block_card"]),
        (["list_*"], ["list_cards"]),
        (["@block_card"], ["block_card"]),
        (["shell"], None),
    ],
)
def test_model_is_offered_the_tools_that_are_allowed(allowed: list[str] | None, offered: list[str] | None) -> None:
    tools = [a_tool("list_cards"), a_tool("block_card")]
    request = converse_request(settings(tools=tools, allowedTools=allowed), [], [HELLO])
    named = [tool["toolSpec"]["name"] for tool in request["toolConfig"]["tools"]] if "toolConfig" in request else None
    assert named == offered


def test_model_is_told_what_the_session_remembers_before_what_is_said_now() -> None:
    said = [a_use("t1", type="tool_use"), a_result("t1", status="success", type="tool_use")]
    request = converse_request(settings(systemPrompt=[{"text": "Be brief."}]), [HELLO], said)
    assert request == {
        "system": [{"text": "Be brief."}],
        "messages": [HELLO, a_use("t1"), a_result("t1", status="success")],
    }


@pytest.mark.parametrize(
    ("model_bound", "call_bound", "bound"), [(None, None, None), (50, None, 50), (None, 9, 9), (50, 9, 9)]
)
def test_smaller_bound_on_tokens_is_the_model_s(
    model_bound: int | None, call_bound: int | None, bound: int | None
) -> None:
    model = {"bedrockModelConfig": {"modelId": "m"} | ({"maxTokens": model_bound} if model_bound else {})}
    request = converse_request({"model": model, "maxTokens": call_bound}, [], [HELLO])
    assert request.get("inferenceConfig", {}).get("maxTokens") == bound


@pytest.mark.parametrize(
    "said",
    [[a_result("t1")], [a_use("t1"), a_result("t2")], [a_use("t1"), a_result("t1"), a_result("t1")]],
    ids=["no use", "another use", "answered twice"],
)
def test_result_without_the_use_right_before_it_is_refused(said: list[dict[str, Any]]) -> None:
    with pytest.raises(ConversationError, match="exceeds the number of toolUse blocks"):
        converse_request(settings(), [HELLO], said)


def test_result_in_json_is_refused() -> None:
    with pytest.raises(ConversationError, match="unsupported type"):
        converse_request(settings(), [HELLO], [a_use("t1"), a_result("t1", content=[{"json": {}}])])
