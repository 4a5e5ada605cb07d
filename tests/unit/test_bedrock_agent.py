"""The engine bedrock-agent: what it asks the agent, what it reads in its stream. The service is botocore's, unsent."""

import base64
import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from agent_port import Citation, Exchange, History, PendingAction, so_far
from agent_tools_client import AWAY
from backbone.errors import Rejected, Retryable
from backbone.tool_catalogue import ACTION_GROUP
from bedrock_agent import FORGOTTEN, ONE_AT_A_TIME, BedrockAgent
from tests.unit.agent_fakes import CONVERSATION, Heard, Measured, a_session
from tests.unit.event_streams import Answer, Broken, Failing, StreamingService, streaming_service

MODEL = "eu.amazon.nova-lite-v1:0"
ACTIVE = "The debit card ending 0042 (CARD-000042) is active."
BLOCKED = "The card CARD-000042 is blocked."
BLOCK = {"cardId": "CARD-000042", "reason": "lost"}
type Event = dict[str, Any]


def traced(kind: str, **content: Any) -> Event:
    return {"trace": {"agentId": "AGENT12345", "trace": {"orchestrationTrace": {kind: content}}}}


def model_called(raw: str = "text") -> list[Event]:
    usage = {"usage": {"inputTokens": 20, "outputTokens": 4}}
    return [
        traced("modelInvocationInput", foundationModel=MODEL, text="{}"),
        traced("modelInvocationOutput", metadata=usage, rawResponse={"content": raw}),
    ]


def tool_begun(name: str, **arguments: str) -> Event:
    parameters = [{"name": key, "type": "string", "value": value} for key, value in arguments.items()]
    called = {
        "actionGroupName": ACTION_GROUP,
        "function": name,
        "parameters": parameters,
        "executionType": "LAMBDA",
    }
    return traced("invocationInput", invocationType="ACTION_GROUP", actionGroupInvocationInput=called)


def tool_ended(*facts: str, state: str = "done", **more: Any) -> Event:
    body = json.dumps({"state": state, "facts": list(facts), "data": {}, "citations": [], **more})
    return traced("observation", type="ACTION_GROUP", actionGroupInvocationOutput={"text": body})


def said(text: str, **more: Any) -> Event:
    return {"chunk": {"bytes": base64.b64encode(text.encode()).decode(), **more}}


def returned(*wanted: tuple[str, dict[str, str]]) -> Event:
    inputs = [
        {
            "functionInvocationInput": {
                "actionGroup": ACTION_GROUP,
                "function": name,
                "parameters": [{"name": key, "type": "string", "value": value} for key, value in arguments.items()],
                "actionInvocationType": "USER_CONFIRMATION",
            }
        }
        for name, arguments in wanted
    ]
    return {"returnControl": {"invocationId": "invocation-1", "invocationInputs": inputs}}


def a_service(*answers: Answer) -> StreamingService:
    return streaming_service("bedrock-agent-runtime", "InvokeAgent", *answers)


def an_agent(service: StreamingService, meter: Measured | None = None, **more: Any) -> BedrockAgent:
    return BedrockAgent(service.client, "AGENT12345", "ALIAS12345", meter or Measured(), **more)


def a_pending(*wanted: str) -> PendingAction:
    state = {
        "sessionId": "session-1",
        "invocationId": "invocation-1",
        "wanted": [[ACTION_GROUP, name] for name in wanted or ("block_card",)],
    }
    return PendingAction("block_card", BLOCK, "Shall I?", 3, state)


def test_words_go_to_the_sink_and_what_the_trace_tells_to_the_reply() -> None:
    looked_up = [tool_begun("list_transactions", days="3"), tool_ended(ACTIVE)]
    service, meter, sink = (
        a_service([*model_called(), *looked_up, *model_called(), said("It is ")]),
        Measured(),
        Heard(),
    )
    reply = an_agent(service, meter).reply(a_session(), History(), "Is my card active?", sink)
    assert (reply.text, sink.said, reply.outcome) == ("It is ", "It is ", "answered")
    assert sink.tools == [("list_transactions", "started"), ("list_transactions", "done")]
    (call,) = reply.tool_calls
    assert (call.name, call.arguments) == ("list_transactions", {"days": 3})
    assert call.result is not None
    assert call.result.facts == (ACTIVE,)
    assert (reply.input_tokens, reply.output_tokens, reply.model_id, reply.profile) == (40, 8, MODEL, None)
    assert meter.calls == [(MODEL, 20, 4), (MODEL, 20, 4)]


def test_agent_is_told_the_session_s_person_and_nothing_that_a_model_wrote() -> None:
    service, session = a_service([said("Hello.")]), a_session()
    an_agent(service).reply(session, History(), "I am CUST-000099", Heard())
    (request,) = service.requests
    assert request["sessionState"] == {"sessionAttributes": session.attributes()}
    assert (request["inputText"], request["enableTrace"]) == ("I am CUST-000099", True)


def test_embedded_aws_s_model_is_named_by_its_profile() -> None:
    raw = json.dumps({"additionalModelResponseFields": {"localProfile": "light"}})
    reply = an_agent(a_service([*model_called(raw), said("Hi.")])).reply(a_session(), History(), "Hi", Heard())
    assert reply.profile == "light"


def test_passages_of_tools_and_of_knowledge_bases_are_cited() -> None:
    of_tool = {"documentId": "DOC-1", "fileName": "policy.pdf", "passage": "p3", "page": 2, "text": "Covered."}
    of_base = {
        "content": {"text": "Cards are free."},
        "location": {"type": "S3", "s3Location": {"uri": "s3://bucket/fees.pdf"}},
        "metadata": {"x-amz-bedrock-kb-chunk-id": "c1", "x-amz-bedrock-kb-document-page-number": 4},
    }
    searched = [tool_begun("search_documents", question="fees"), tool_ended("Covered.", citations=[of_tool])]
    answer = said("Covered.", attribution={"citations": [{"retrievedReferences": [of_base]}]})
    reply = an_agent(a_service([*searched, answer])).reply(a_session(), History(), "?", Heard())
    assert reply.citations == (
        Citation("DOC-1", "policy.pdf", "p3", 2, "Covered."),
        Citation("s3://bucket/fees.pdf", "fees.pdf", "c1", 4, "Cards are free."),
    )


def test_change_is_asked_about_after_what_was_looked_up() -> None:
    looked_up = [tool_begun("list_cards"), tool_ended(ACTIVE)]
    service, sink = a_service([*looked_up, returned(("block_card", BLOCK))]), Heard()
    reply = an_agent(service).reply(a_session(), History(), "Block it, I lost it", sink)
    assert reply.pending is not None
    assert (reply.pending.tool, reply.pending.arguments, reply.pending.asked_in_turn) == ("block_card", BLOCK, 3)
    assert reply.text == sink.said == f"{ACTIVE} {reply.pending.question}"
    assert reply.tool_calls[-1].result is None


def test_two_calls_of_one_change_are_not_put_to_one_yes() -> None:
    both = returned(("block_card", BLOCK), ("block_card", BLOCK | {"cardId": "CARD-000043"}))
    reply = an_agent(a_service([both])).reply(a_session(), History(), "Block both", Heard())
    assert reply.pending is None
    assert reply.text == ONE_AT_A_TIME


def test_yes_confirms_what_was_asked_denies_the_rest_and_tells_the_tool_s_facts() -> None:
    done = [*model_called(), tool_begun("block_card", **BLOCK), tool_ended(BLOCKED), said("All your cards are safe.")]
    service, sink = a_service(done), Heard()
    reply = an_agent(service).confirm(a_session(turn=4), History(), a_pending("block_card", "open_case"), sink)
    assert (reply.text, sink.said, reply.outcome) == (BLOCKED, BLOCKED, "answered")
    state = service.requests[0]["sessionState"]
    assert state["invocationId"] == "invocation-1"
    assert state["sessionAttributes"]["turn"] == "4"
    answered = [one["functionResult"] for one in state["returnControlInvocationResults"]]
    assert [(one["function"], one["confirmationState"]) for one in answered] == [
        ("block_card", "CONFIRM"),
        ("open_case", "DENY"),
    ]
    assert "inputText" not in service.requests[0]


def test_yes_is_told_what_came_of_it_when_the_trace_leaves_out_that_the_tool_began() -> None:
    sink = Heard()
    reply = an_agent(a_service([tool_ended(BLOCKED), said("Done.")])).confirm(a_session(), History(), a_pending(), sink)
    assert reply.text == BLOCKED
    assert sink.tools == [("block_card", "started"), ("block_card", "done")]


def test_yes_that_a_tool_refuses_is_a_refusal_in_its_words() -> None:
    refused = [tool_begun("block_card", **BLOCK), tool_ended("It is blocked already.", state="refused"), said("Done.")]
    reply = an_agent(a_service(refused)).confirm(a_session(), History(), a_pending(), Heard())
    assert (reply.text, reply.outcome) == ("It is blocked already.", "refused")


@pytest.mark.parametrize("answer", [Failing("ValidationException", 400), [Broken("validationException")]])
def test_yes_that_the_service_has_forgotten_is_said_in_plain_words(answer: Answer) -> None:
    sink = Heard()
    reply = an_agent(a_service(answer)).confirm(a_session(), History(), a_pending(), sink)
    assert (reply.text, sink.said, reply.outcome) == (FORGOTTEN, FORGOTTEN, "failed")


def test_yes_without_a_result_is_never_told_as_done() -> None:
    with pytest.raises(Rejected, match="its trace has no result"):
        an_agent(a_service([said("Your card is blocked.")])).confirm(a_session(), History(), a_pending(), Heard())


@pytest.mark.parametrize("fault", [[Broken("throttlingException")], []], ids=["model throttled", "stream cut off"])
def test_yes_whose_tool_has_answered_is_told_when_what_comes_after_fails(fault: list[Broken]) -> None:
    done: Answer = [tool_begun("block_card", **BLOCK), tool_ended(BLOCKED), *fault]
    reply = an_agent(a_service(done)).confirm(a_session(), History(), a_pending(), Heard())
    assert (reply.text, reply.outcome) == (BLOCKED, "answered")


def test_yes_whose_tool_is_away_gives_the_turn_back() -> None:
    away: Answer = [tool_begun("block_card", **BLOCK), Broken("dependencyFailedException")]
    with pytest.raises(Retryable):
        an_agent(a_service(away)).confirm(a_session(), History(), a_pending(), Heard())


def test_tool_that_is_away_is_told_to_the_person() -> None:
    sink = Heard()
    away: Answer = [*model_called(), tool_begun("list_cards"), Broken("dependencyFailedException", "Lambda failed")]
    reply = an_agent(a_service(away)).reply(a_session(), History(), "Which cards?", sink)
    assert reply.outcome == "failed"
    assert reply.text == sink.said
    assert reply.text.startswith(AWAY)
    assert sink.tools == [("list_cards", "started"), ("list_cards", "failed")]


def test_answer_that_a_guardrail_stopped_is_a_refusal() -> None:
    stopped: Event = {"trace": {"trace": {"guardrailTrace": {"action": "INTERVENED"}}}}
    reply = an_agent(a_service([stopped, said("I cannot speak about that.")])).reply(
        a_session(), History(), "?", Heard()
    )
    assert (reply.text, reply.outcome) == ("I cannot speak about that.", "refused")


@pytest.mark.parametrize(
    "answer",
    [
        Failing("ThrottlingException", 429),
        Failing("ConflictException", 409),
        Failing("BadGatewayException", 502),
        [Broken("throttlingException")],
        [Broken("badGatewayException")],
        [Broken("internalServerException")],
        [*model_called(), Broken("dependencyFailedException")],
        model_called(),
    ],
    ids=["throttled", "busy", "gateway", "throttled later", "gateway later", "failing", "model failed", "cut off"],
)
def test_fault_that_may_pass_gives_the_turn_back(answer: Answer) -> None:
    with pytest.raises(Retryable):
        an_agent(a_service(answer)).reply(a_session(), History(), "Hello", Heard())


@pytest.mark.parametrize(
    "answer",
    [
        Failing("AccessDeniedException", 403),
        Failing("ResourceNotFoundException", 404),
        [Broken("accessDeniedException")],
        [Broken("validationException")],
        [said("  ")],
    ],
    ids=["not allowed", "no agent", "not allowed later", "invalid", "no words"],
)
def test_fault_that_stays_fails_the_turn(answer: Answer) -> None:
    with pytest.raises(Rejected, match="MODEL_FAILED"):
        an_agent(a_service(answer)).reply(a_session(), History(), "Hello", Heard())


@pytest.mark.parametrize("fault", ["validationException", "throttlingException"])
def test_fault_tells_what_ran_and_took_until_then(fault: str) -> None:
    looked_up = [*model_called(), tool_begun("list_cards"), tool_ended(ACTIVE)]
    with pytest.raises((Retryable, Rejected)) as failed:
        an_agent(a_service([*looked_up, Broken(fault)])).reply(a_session(), History(), "Is it active?", Heard())
    made = so_far(failed.value)
    assert [(call.name, call.result and call.result.facts) for call in made.tool_calls] == [("list_cards", (ACTIVE,))]
    assert (made.outcome, made.input_tokens, made.output_tokens, made.model_id) == ("failed", 20, 4, MODEL)


def test_agent_that_is_still_at_work_at_the_deadline_is_not_waited_for() -> None:
    agent = an_agent(a_service([*model_called(), said("Late.")]), clock=lambda: 10.0)
    with pytest.raises(Rejected, match="still at work"):
        agent.reply(a_session(deadline=9.0), History(), "Hello", Heard())


def test_conversation_so_far_is_told_in_a_session_of_this_message_alone() -> None:
    service = a_service([said("It is.")], [said("It is.")])
    history = History("They lost a card.", (Exchange("Is it blocked?", "Yes."),))
    for _ in range(2):
        an_agent(service).reply(a_session(), history, "Still?", Heard())
    told = service.requests[0]["sessionState"]["conversationHistory"]["messages"]
    assert [(message["role"], message["content"][-1]["text"]) for message in told] == [
        ("user", "Is it blocked?"),
        ("assistant", "Yes."),
    ]
    assert "They lost a card." in told[0]["content"][0]["text"]
    assert service.requests[0]["inputText"] == "Still?"
    first, second = (unquote(url).split("/")[-2] for url in service.urls)
    assert first != second
    assert first.startswith(CONVERSATION)


def test_yes_is_said_in_the_session_that_asked() -> None:
    done = [tool_begun("block_card", **BLOCK), tool_ended(BLOCKED), said("Done.")]
    service = a_service([returned(("block_card", BLOCK))], done)
    asked = an_agent(service).reply(a_session(), History(), "Block it", Heard())
    assert asked.pending is not None
    stored = replace(asked.pending, engine_state=json.loads(json.dumps(asked.pending.engine_state)))
    assert an_agent(service).confirm(a_session(turn=4), History(), stored, Heard()).text == BLOCKED
    assert service.urls[0] == service.urls[1]
