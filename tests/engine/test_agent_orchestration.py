"""An agent's turn with a scripted model: what it may run, what it must ask for first, and what it remembers."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from local.overlay.agent_actions import ActionAnswer, Conversation, parameters_of, read_answer
from local.overlay.agent_definition import Agent, Function, KnowledgeBaseUse, Parameter
from local.overlay.agent_orchestration import Event, Guarded, Ports, Turn, answer_results, answer_text
from local.overlay.agent_sessions import Session, Sessions
from local.overlay.service_routes import ServiceError

LIST = Function("Bank", "list_cards", "Lists the cards.", (), "arn:function", needs_confirmation=False)
BLOCK = Function(
    "Bank",
    "block_card",
    "Blocks a card.",
    (Parameter("cardId", "string", "Which.", True), Parameter("days", "integer", "How long.", False)),
    "arn:function",
    needs_confirmation=True,
)
ASK_HOST = Function("Host", "host_time", "The host's time.", (), "", needs_confirmation=False)
HANDBOOK = KnowledgeBaseUse("KB12345678", "The bank's handbook.")
AGENT = Agent(
    agent_id="AGENT12345",
    name="desk",
    version="1",
    role_arn="arn:role",
    foundation_model="amazon.nova-lite-v1:0",
    instruction="You answer for a bank, and you look things up before you answer.",
    idle_seconds=600,
    functions=(LIST, BLOCK, ASK_HOST),
    knowledge_bases=(HANDBOOK,),
    guardrail=None,
)


def uses(*calls: tuple[str, dict[str, Any]], said: str = "") -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [{"text": said}] if said else []
    blocks += [
        {"toolUse": {"toolUseId": f"use-{place}-{name}", "name": name, "input": arguments}}
        for place, (name, arguments) in enumerate(calls)
    ]
    return _answer(blocks, "tool_use")


def says(text: str, stop_reason: str = "end_turn") -> dict[str, Any]:
    return _answer([{"text": text}] if text else [], stop_reason)


def _answer(content: list[dict[str, Any]], stop_reason: str) -> dict[str, Any]:
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason,
        "usage": usage,
    }


@dataclass
class World:
    """A scripted model and functions that note who called them."""

    script: list[dict[str, Any]]
    answers: dict[str, ActionAnswer] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    called: list[tuple[str, list[dict[str, str]], Conversation]] = field(default_factory=list)
    session: Session = field(default_factory=Session)

    def turn(self, text: str = "Hello", **attributes: str) -> Turn:
        return Turn(
            agent=AGENT,
            alias_id="ALIAS12345",
            session_id="s-1",
            session=self.session,
            ports=Ports(self._converse, self._run, self._look_up, self._guard),
            input_text=text,
            prompt_attributes={"today": "Sunday"},
            attributes=self.session.attributes | attributes,
        )

    def say(self, text: str, **attributes: str) -> list[Event]:
        return list(answer_text(self.turn(text, **attributes)))

    def resume(self, event: dict[str, Any], *results: dict[str, Any]) -> list[Event]:
        wrapped = [{"functionResult": {"actionGroup": "Bank", "function": "block_card"} | one} for one in results]
        return list(answer_results(self.turn(""), event["invocationId"], wrapped))

    def _converse(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append({**request, "messages": list(request["messages"])})
        return self.script.pop(0)

    def _run(self, function: Function, parameters: list[dict[str, str]], told: Conversation) -> ActionAnswer:
        copied = replace(told, session_attributes=dict(told.session_attributes))
        self.called.append((function.name, parameters, copied))
        return self.answers.get(function.name, ActionAnswer(f"{function.name} ran", "", None, None))

    @staticmethod
    def _look_up(base: KnowledgeBaseUse, query: str) -> list[dict[str, Any]]:
        content = {"text": f"{base.knowledge_base_id} on {query}", "type": "TEXT"}
        return [{"content": content, "location": {"type": "S3", "s3Location": {"uri": "s3://b/k"}}}]

    def _guard(self, source: str, text: str) -> Guarded:
        blocked = source in self.blocks
        return Guarded("I cannot talk about that." if blocked else text, blocked, {"action": "NONE", "assessments": []})


def only(events: list[Event], kind: str) -> dict[str, Any]:
    (content,) = [content for name, content in events if name == kind]
    return content


def text_of(events: list[Event]) -> str:
    return base64.b64decode(only(events, "chunk")["bytes"]).decode()


def steps(events: list[Event]) -> list[str]:
    return [
        next(iter(content["orchestrationTrace"]))
        for kind, content in events
        if kind == "trace" and "orchestrationTrace" in content
    ]


def roles_and_blocks(messages: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    return [(said["role"], [next(iter(block)) for block in said["content"]]) for said in messages]


def test_model_is_told_the_instruction_the_prompt_attributes_and_the_functions_but_no_session_attribute() -> None:
    world = World([says("Hello.")])
    world.say("Hi", customerId="secret-7")
    (asked,) = world.asked
    assert asked["system"][0]["text"].startswith(AGENT.instruction)
    assert "today: Sunday" in asked["system"][0]["text"]
    assert "secret-7" not in str(asked)
    tools = {tool["toolSpec"]["name"]: tool["toolSpec"] for tool in asked["toolConfig"]["tools"]}
    assert list(tools) == ["list_cards", "block_card", "host_time", HANDBOOK.tool_name]
    assert tools["block_card"]["inputSchema"]["json"]["required"] == ["cardId"]


def test_function_runs_with_the_session_s_attributes_and_its_answer_reaches_the_model() -> None:
    world = World([uses(("list_cards", {}), said="I look."), says("You have one card.")])
    events = world.say("Which cards?", customerId="7")
    assert text_of(events) == "You have one card."
    ((name, parameters, told),) = world.called
    assert (name, parameters, told.session_attributes) == ("list_cards", [], {"customerId": "7"})
    (result,) = world.asked[1]["messages"][-1]["content"]
    assert result["toolResult"]["content"] == [{"text": "list_cards ran"}]
    assert steps(events) == [
        "modelInvocationInput",
        "modelInvocationOutput",
        "rationale",
        "invocationInput",
        "observation",
        "modelInvocationInput",
        "modelInvocationOutput",
        "observation",
    ]


def test_function_s_attributes_last_as_long_as_the_session_and_its_history_too() -> None:
    changed = ActionAnswer('{"facts": []}', "", {"seen": "yes"}, {"mood": "calm"})
    world = World([uses(("list_cards", {})), says("One."), says("Two.")], {"list_cards": changed})
    world.say("First", customerId="7")
    world.say("Second")
    assert world.session.attributes == {"customerId": "7", "seen": "yes"}
    assert roles_and_blocks(world.asked[2]["messages"]) == [
        ("user", ["text"]),
        ("assistant", ["toolUse"]),
        ("user", ["toolResult"]),
        ("assistant", ["text"]),
        ("user", ["text"]),
    ]
    assert world.asked[1]["messages"][-1]["content"][0]["toolResult"]["content"] == [{"json": {"facts": []}}]
    assert "mood: calm" not in world.asked[2]["system"][0]["text"]


def test_function_that_needs_confirmation_is_returned_and_not_run() -> None:
    world = World([uses(("list_cards", {}), ("block_card", {"cardId": "C-1", "days": 3}))])
    returned = only(world.say("Block it"), "returnControl")
    assert [name for name, *_ in world.called] == ["list_cards"]
    (asked,) = returned["invocationInputs"]
    assert asked["functionInvocationInput"] == {
        "actionGroup": "Bank",
        "function": "block_card",
        "parameters": [
            {"name": "cardId", "type": "string", "value": "C-1"},
            {"name": "days", "type": "integer", "value": "3"},
        ],
        "actionInvocationType": "USER_CONFIRMATION",
        "agentId": "AGENT12345",
    }


def test_confirmed_function_runs_once_with_the_arguments_that_were_confirmed() -> None:
    world = World([uses(("list_cards", {}), ("block_card", {"cardId": "C-1"})), says("It is blocked.")])
    returned = only(world.say("Block it", customerId="7"), "returnControl")
    events = world.resume(returned, {"confirmationState": "CONFIRM"})
    assert text_of(events) == "It is blocked."
    assert [name for name, *_ in world.called] == ["list_cards", "block_card"]
    _, parameters, told = world.called[-1]
    assert parameters == [{"name": "cardId", "type": "string", "value": "C-1"}]
    assert (told.input_text, told.session_attributes) == ("Block it", {"customerId": "7"})
    results = world.asked[1]["messages"][-1]["content"]
    assert [one["toolResult"]["toolUseId"] for one in results] == ["use-0-list_cards", "use-1-block_card"]


def test_denied_function_does_not_run_and_the_model_is_told() -> None:
    world = World([uses(("block_card", {"cardId": "C-1"})), says("I left it as it is.")])
    returned = only(world.say("Block it"), "returnControl")
    assert text_of(world.resume(returned, {"confirmationState": "DENY"})) == "I left it as it is."
    assert world.called == []
    assert "denied" in str(world.asked[1]["messages"][-1])


def test_confirmation_counts_once_and_only_for_its_own_invocation() -> None:
    world = World([uses(("block_card", {"cardId": "C-1"})), says("Done.")])
    returned = only(world.say("Block it"), "returnControl")
    with pytest.raises(ServiceError, match="invocationId"):
        world.resume(returned | {"invocationId": "another"}, {"confirmationState": "CONFIRM"})
    world.resume(returned, {"confirmationState": "CONFIRM"})
    with pytest.raises(ServiceError, match="invocationId"):
        world.resume(returned, {"confirmationState": "CONFIRM"})
    assert len(world.called) == 1


@pytest.mark.parametrize(
    "result", [{}, {"confirmationState": "MAYBE"}, {"function": "list_cards", "confirmationState": "CONFIRM"}]
)
def test_result_that_confirms_nothing_is_refused_and_the_question_stands(result: dict[str, str]) -> None:
    world = World([uses(("block_card", {"cardId": "C-1"})), says("Done.")])
    returned = only(world.say("Block it"), "returnControl")
    with pytest.raises(ServiceError) as raised:
        world.resume(returned, result)
    assert raised.value.code == "ValidationException"
    assert world.called == []
    assert text_of(world.resume(returned, {"confirmationState": "CONFIRM"})) == "Done."


def test_message_instead_of_a_confirmation_drops_the_action_for_good() -> None:
    world = World([uses(("block_card", {"cardId": "C-1"})), says("I did not block it."), says("Yes?")])
    returned = only(world.say("Block it"), "returnControl")
    assert text_of(world.say("What is my balance?")) == "I did not block it."
    assert world.called == []
    assert roles_and_blocks(world.asked[1]["messages"]) == [
        ("user", ["text"]),
        ("assistant", ["toolUse"]),
        ("user", ["toolResult", "text"]),
    ]
    assert "not carried out" in str(world.asked[1]["messages"][-1])
    with pytest.raises(ServiceError, match="invocationId"):
        world.resume(returned, {"confirmationState": "CONFIRM"})


def test_function_of_the_caller_is_returned_for_its_result() -> None:
    world = World([uses(("host_time", {})), says("It is noon.")])
    returned = only(world.say("What time is it?"), "returnControl")
    assert returned["invocationInputs"][0]["functionInvocationInput"]["actionInvocationType"] == "RESULT"
    body = {"TEXT": {"body": "12:00"}}
    result = {"actionGroup": "Host", "function": "host_time", "responseBody": body}
    assert text_of(world.resume(returned, result)) == "It is noon."
    assert "12:00" in str(world.asked[1]["messages"][-1])


def test_caller_s_result_that_failed_fails_the_turn() -> None:
    world = World([uses(("host_time", {}))])
    returned = only(world.say("What time is it?"), "returnControl")
    failed = {"actionGroup": "Host", "function": "host_time", "responseState": "FAILURE"}
    with pytest.raises(ServiceError) as raised:
        world.resume(returned, failed)
    assert raised.value.code == "DependencyFailedException"


def test_reprompt_goes_back_to_the_model_as_something_to_work_on() -> None:
    world = World(
        [uses(("list_cards", {})), says("Which account?")],
        {"list_cards": ActionAnswer("Ask for the account.", "REPROMPT", None, None)},
    )
    events = world.say("Cards")
    observations = [
        content["orchestrationTrace"]["observation"]
        for kind, content in events
        if kind == "trace" and "observation" in content.get("orchestrationTrace", {})
    ]
    assert observations[0]["repromptResponse"] == {"source": "ACTION_GROUP", "text": "Ask for the account."}
    assert "Ask for the account." in str(world.asked[1]["messages"][-1])


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (("drop_tables", {}), "no function drop_tables"),
        (("block_card", {}), "needs cardId"),
        (("block_card", {"cardId": "C-1", "customerId": "8"}), "no parameter customerId"),
    ],
)
def test_call_that_does_not_fit_is_told_to_the_model_and_not_made(call: tuple[str, dict[str, Any]], why: str) -> None:
    world = World([uses(call), says("Which card?")])
    assert text_of(world.say("Block it")) == "Which card?"
    (result,) = world.asked[1]["messages"][-1]["content"]
    assert result["toolResult"]["status"] == "error"
    assert why in str(result)
    assert world.called == []


def test_turn_ends_in_an_error_when_the_model_never_comes_to_an_answer() -> None:
    world = World([uses(("list_cards", {})) for _ in range(50)])
    with pytest.raises(ServiceError, match="10 steps"):
        world.say("Loop")
    assert len(world.called) == 10


@pytest.mark.parametrize("answer", [says("Half an ans", "max_tokens"), says("", "content_filtered"), says("")])
def test_answer_that_is_not_whole_is_an_error_and_no_chunk(answer: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as raised:
        World([answer]).say("Hello")
    assert raised.value.code == "DependencyFailedException"


def test_failed_turn_leaves_the_session_as_it_was() -> None:
    world = World([says("Hello."), uses(("list_cards", {})), says("", "max_tokens"), says("Again.")])
    world.say("One", customerId="7")
    before = list(world.session.exchanges)
    with pytest.raises(ServiceError):
        world.say("Two", customerId="8")
    assert (world.session.exchanges, world.session.attributes) == (before, {"customerId": "7"})
    assert text_of(world.say("Three")) == "Again."


def test_knowledge_base_is_searched_and_cited() -> None:
    world = World([uses((HANDBOOK.tool_name, {"searchQuery": "fees"})), says("Fees are 2 euros.")])
    chunk = only(world.say("What are the fees?"), "chunk")
    (citation,) = chunk["attribution"]["citations"]
    assert citation["generatedResponsePart"]["textResponsePart"] == {
        "text": "Fees are 2 euros.",
        "span": {"start": 0, "end": 16},
    }
    assert citation["retrievedReferences"][0]["content"]["text"] == "KB12345678 on fees"
    assert "KB12345678 on fees" in str(world.asked[1]["messages"][-1])


def test_answer_without_a_knowledge_base_has_no_attribution() -> None:
    cited = ActionAnswer('{"citations": [{"documentId": "d"}]}', "", None, None)
    world = World([uses(("list_cards", {})), says("One.")], {"list_cards": cited})
    assert "attribution" not in only(world.say("Cards"), "chunk")


def test_blocked_input_is_answered_by_the_guardrail_and_never_seen_by_the_model() -> None:
    world = World([], blocks=("INPUT",))
    assert text_of(world.say("How do I launder money?")) == "I cannot talk about that."
    assert world.asked == []


def test_blocked_output_is_replaced_and_not_remembered() -> None:
    world = World([says("The secret is 42."), says("Fine.")], blocks=("OUTPUT",))
    assert text_of(world.say("Tell me")) == "I cannot talk about that."
    assert "42" not in str(world.session.exchanges)


# --- Sessions


def test_session_is_forgotten_after_its_idle_time_and_not_before() -> None:
    now = 0.0
    sessions, key = Sessions(lambda: now), ("account", "region", "agent", "alias", "session")
    first = sessions.take(key, 600)
    now = 10_000.0  # a long turn is not idle
    sessions.give_back(first)
    now += 600
    assert sessions.take(key, 600) is first
    sessions.give_back(first)
    now += 601
    assert sessions.take(key, 600) is not first


def test_session_serves_one_invocation_at_a_time() -> None:
    sessions, key = Sessions(), ("account", "region", "agent", "alias", "session")
    taken = sessions.take(key, 600)
    with pytest.raises(ServiceError) as raised:
        sessions.take(key, 600)
    assert raised.value.code == "ConflictException"
    sessions.give_back(taken)
    assert sessions.take(key, 600) is taken


# --- What a function may answer


def an_answer(function: str = "list_cards", **functional: Any) -> dict[str, Any]:
    answered = {"responseBody": {"TEXT": {"body": "Two cards."}}} | functional
    response = {"actionGroup": "Bank", "function": function, "functionResponse": answered}
    return {"messageVersion": "1.0", "response": response, "sessionAttributes": {"a": "b"}}


def test_answer_is_read_with_the_attributes_that_it_changes() -> None:
    assert read_answer(LIST, an_answer()) == ActionAnswer("Two cards.", "", {"a": "b"}, None)
    assert read_answer(LIST, an_answer(responseState="REPROMPT")).state == "REPROMPT"


MALFORMED: list[Any] = [
    None,
    "text",
    {},
    {"response": {}},
    an_answer(responseBody={"application/json": {"body": "{}"}}),
    an_answer(responseBody={"TEXT": {"body": {"not": "text"}}}),
    an_answer(responseState="PERHAPS"),
    an_answer("block_card"),
]


@pytest.mark.parametrize("body", MALFORMED)
def test_answer_of_another_form_is_a_failed_dependency(body: Any) -> None:
    with pytest.raises(ServiceError, match="error processing the Lambda response") as raised:
        read_answer(LIST, body)
    assert raised.value.code == "DependencyFailedException"


def test_failure_is_a_failed_dependency_with_the_function_s_words() -> None:
    with pytest.raises(ServiceError, match="list_cards of action group Bank failed: Two cards") as raised:
        read_answer(LIST, an_answer(responseState="FAILURE"))
    assert raised.value.code == "DependencyFailedException"


def test_arguments_are_written_as_text_and_absent_ones_left_out() -> None:
    several = replace(
        BLOCK,
        parameters=(
            Parameter("days", "integer", "", False),
            Parameter("sure", "boolean", "", False),
            Parameter("ids", "array", "", False),
            Parameter("note", "string", "", False),
        ),
    )
    written = parameters_of(several, {"days": 3.0, "sure": True, "ids": ["a", "ü"], "note": None})
    assert [one["value"] for one in written] == ["3", "true", '["a", "ü"]']
