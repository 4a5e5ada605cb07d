"""The engine agentcore: what it asks a harness, what it makes of the answers. The harness is botocore's, unsent."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agent_port import Exchange, History, ToolResult
from agentcore_agent import AgentCoreAgent
from backbone.errors import Rejected, Retryable
from backbone.tool_catalogue import TOOLS, input_schema
from tests.unit.agent_fakes import CARD_IS_ACTIVE, CONVERSATION, FakeTools, Heard, Measured, a_session
from tests.unit.event_streams import Answer, Broken, Failing, StreamingService, streaming_service

ARN = "arn:aws:bedrock-agentcore:eu-central-1:000000000000:harness/bank-0123456789"
MODEL = "eu.amazon.nova-lite-v1:0"
QUOTED = "An error occurred ({}) when calling the ConverseStream operation: no"


def words(*pieces: str, stop_reason: str = "end_turn") -> list[dict[str, Any]]:
    """A harness that answers in words."""
    deltas = [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": piece}}} for piece in pieces]
    return [
        {"messageStart": {"role": "assistant"}},
        *deltas,
        {"contentBlockStop": {"contentBlockIndex": 0}},
        *ending(stop_reason),
    ]


def uses(*tools: tuple[str, str, Mapping[str, Any]], index: int | None = None) -> list[dict[str, Any]]:
    """A harness that asks for tools (use id, name, arguments); ``index`` gives all blocks the same number."""
    events: list[dict[str, Any]] = [{"messageStart": {"role": "assistant"}}]
    for place, (use_id, name, arguments) in enumerate(tools):
        number = place if index is None else index
        begun = {"toolUse": {"toolUseId": use_id, "name": name, "type": "tool_use"}}
        delta = {"toolUse": {"input": json.dumps(arguments)}}
        events += [
            {"contentBlockStart": {"contentBlockIndex": number, "start": begun}},
            {"contentBlockDelta": {"contentBlockIndex": number, "delta": delta}},
            {"contentBlockStop": {"contentBlockIndex": number}},
        ]
    return [*events, *ending("tool_use")]


def ending(stop_reason: str) -> list[dict[str, Any]]:
    usage = {"inputTokens": 20, "outputTokens": 4, "totalTokens": 24}
    return [
        {"messageStop": {"stopReason": stop_reason}},
        {"metadata": {"usage": usage, "metrics": {"latencyMs": 5}}},
    ]


def a_harness(*answers: Answer) -> StreamingService:
    return streaming_service("bedrock-agentcore", "InvokeHarness", *answers)


def an_agent(
    harness: StreamingService, tools: FakeTools | None = None, meter: Measured | None = None
) -> AgentCoreAgent:
    return AgentCoreAgent(harness.client, ARN, MODEL, tools or FakeTools(), meter or Measured())


def session_of(headers: Mapping[str, str]) -> str:
    return headers["x-amzn-bedrock-agentcore-runtime-session-id"]


def test_answer_is_streamed_as_it_comes_and_measured() -> None:
    meter, sink = Measured(), Heard()
    reply = an_agent(a_harness(words("Good ", "morning.")), meter=meter).reply(a_session(), History(), "Hello", sink)
    assert sink.pieces == ["Good ", "morning."]
    assert (reply.text, reply.outcome, reply.model_id) == ("Good morning.", "answered", MODEL)
    assert meter.calls == [(MODEL, 20, 4)]


def test_harness_is_given_our_tools_only_and_no_shell() -> None:
    harness = a_harness(words("Hello."))
    an_agent(harness).reply(a_session(), History(), "Hello", Heard())
    (request,) = harness.requests
    assert {tool["name"]: tool["config"]["inlineFunction"]["inputSchema"] for tool in request["tools"]} == {
        tool.name: input_schema(tool) for tool in TOOLS
    }
    assert {tool["type"] for tool in request["tools"]} == {"inline_function"}
    assert {allowed.removeprefix("@") for allowed in request["allowedTools"]} == {tool.name for tool in TOOLS}


def test_conversation_so_far_is_told_in_a_session_of_this_message_alone() -> None:
    harness = a_harness(words("It is."), words("It is."))
    history = History("They lost a card.", (Exchange("Is it blocked?", "Yes."),))
    for _ in range(2):
        an_agent(harness).reply(a_session(), history, "Still?", Heard())
    said = [(message["role"], message["content"][-1]["text"]) for message in harness.requests[0]["messages"]]
    assert said == [("user", "Is it blocked?"), ("assistant", "Yes."), ("user", "Still?")]
    assert "They lost a card." in harness.requests[0]["messages"][0]["content"][0]["text"]
    first, second = map(session_of, harness.headers)
    assert first != second
    assert first.startswith(CONVERSATION)


def test_tool_runs_for_the_session_s_person_and_its_result_goes_back_with_its_use_as_text() -> None:
    harness = a_harness(uses(("t1", "list_cards", {})), words("It is active."))
    tools, sink, session = FakeTools({"list_cards": CARD_IS_ACTIVE}), Heard(), a_session()
    reply = an_agent(harness, tools).reply(session, History(), "Is my card active?", sink)
    assert tools.runs == [("list_cards", {}, session)]
    assert sink.tools == [("list_cards", "started"), ("list_cards", "done")]
    assert reply.text == "It is active."
    used, result = harness.requests[1]["messages"]
    assert used == {
        "role": "assistant",
        "content": [{"toolUse": {"toolUseId": "t1", "name": "list_cards", "input": {}}}],
    }
    (block,) = result["content"]
    assert block["toolResult"]["status"] == "success"
    assert json.loads(block["toolResult"]["content"][0]["text"])["facts"] == list(CARD_IS_ACTIVE.facts)
    assert session_of(harness.headers[0]) == session_of(harness.headers[1])


def test_two_tools_of_one_answer_are_both_run_when_the_harness_numbers_their_blocks_alike() -> None:
    looked_up = [("t1", "list_cards", {}), ("t2", "list_transactions", {"days": 3})]
    tools = FakeTools({"list_cards": CARD_IS_ACTIVE, "list_transactions": ToolResult("done", ("None.",))})
    an_agent(a_harness(uses(*looked_up, index=0), words("Fine.")), tools).reply(a_session(), History(), "?", Heard())
    assert sorted((name, arguments) for name, arguments, _ in tools.runs) == [
        ("list_cards", {}),
        ("list_transactions", {"days": 3}),
    ]


def test_change_is_asked_about_and_runs_with_its_yes_only_without_asking_the_harness_again() -> None:
    block = {"cardId": "CARD-000042", "reason": "lost"}
    harness = a_harness(uses(("t1", "block_card", block)))
    tools = FakeTools({"block_card": ToolResult("done", ("The card CARD-000042 is blocked.",))})
    asked = an_agent(harness, tools).reply(a_session(), History(), "Block it", Heard())
    assert tools.runs == []
    assert asked.pending is not None
    assert (asked.pending.tool, asked.pending.arguments) == ("block_card", block)
    assert asked.text.endswith(asked.pending.question)
    told = an_agent(harness, tools).confirm(a_session(turn=4), History(), asked.pending, Heard())
    assert told.text == "The card CARD-000042 is blocked."
    assert [(name, arguments) for name, arguments, _ in tools.runs] == [("block_card", block)]


def test_harness_that_asks_for_tools_without_end_is_stopped() -> None:
    harness = a_harness(*[uses((f"t{number}", "list_cards", {})) for number in range(20)])
    tools = FakeTools({"list_cards": CARD_IS_ACTIVE})
    with pytest.raises(Rejected, match="MODEL_FAILED"):
        an_agent(harness, tools).reply(a_session(), History(), "?", Heard())
    assert len(harness.requests) < 10


@pytest.mark.parametrize(
    "answer",
    [
        Failing("ThrottlingException", 429),
        Failing("InternalServerException", 500),
        Failing("RuntimeClientError", 424, QUOTED.format("ThrottlingException")),
        Failing("RuntimeClientError", 424, QUOTED.format("ServiceUnavailableException")),
        Failing("RuntimeClientError", 424, "the container stopped"),
        [Broken("runtimeClientError", QUOTED.format("ModelTimeoutException"))],
        [{"runtimeClientError": {"message": QUOTED.format("ThrottlingException")}}],
        words("Good ")[:2],
    ],
    ids=["throttled", "failing", "model throttled", "model away", "unsaid", "in the stream", "as an event", "cut off"],
)
def test_fault_that_may_pass_gives_the_turn_back(answer: Answer) -> None:
    with pytest.raises(Retryable):
        an_agent(a_harness(answer)).reply(a_session(), History(), "Hello", Heard())


@pytest.mark.parametrize(
    "answer",
    [
        Failing("AccessDeniedException", 403),
        Failing("ResourceNotFoundException", 404),
        Failing("RuntimeClientError", 424, QUOTED.format("AccessDeniedException")),
        [Broken("validationException")],
        words("Good ", stop_reason="max_tokens"),
        words("Good ", stop_reason="timeout_exceeded"),
    ],
    ids=["not allowed", "no harness", "model not allowed", "invalid", "cut off", "out of time"],
)
def test_fault_that_stays_fails_the_turn(answer: Answer) -> None:
    with pytest.raises(Rejected, match="MODEL_FAILED"):
        an_agent(a_harness(answer)).reply(a_session(), History(), "Hello", Heard())


def test_answer_that_a_content_filter_withholds_is_a_refusal() -> None:
    reply = an_agent(a_harness(words(stop_reason="content_filtered"))).reply(a_session(), History(), "?", Heard())
    assert reply.outcome == "refused"
    assert reply.text
