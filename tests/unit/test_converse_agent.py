"""The engine ``converse``, with a real boto3 client: what the model is asked, what it may cause, what a person sees."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from agent_port import Citation, Exchange, History, PendingAction, Reply, Session, ToolResult, Tools, so_far
from agent_tools_client import AWAY
from backbone.errors import Rejected, Retryable
from converse_agent import (
    MAXIMUM_MODEL_TURNS,
    MAXIMUM_USES_AT_ONCE,
    TRY_AGAIN,
    WITHHELD,
    ConverseAgent,
    conversation_messages,
)
from tests.unit.agent_fakes import CARD_IS_ACTIVE, FakeTools, Heard, Measured, a_session
from tests.unit.converse_events import an_answer, stop, text, usage, uses
from tests.unit.event_streams import Answer, Broken, Failing, StreamingService, streaming_service

FLAG = ToolResult("done", ("Transaction T-1 was flagged as high.",), {"score": 0.97})
REFUSED = ToolResult("refused", ("There is no such transaction of yours.",))
AWAY_RESULT = ToolResult("failed", (AWAY,))
QUESTION = "Shall I block card CARD-000042 (reason: stolen)? Answer yes to do it, no to leave it as it is."
BLOCK = ("block_card", {"cardId": "CARD-000042", "reason": "stolen"})


@dataclass
class World:
    """One reply: the model's answers, the tools' results, and what came of it."""

    service: StreamingService
    tools: FakeTools
    heard: Heard = field(default_factory=Heard)
    measured: Measured = field(default_factory=Measured)

    @property
    def agent(self) -> ConverseAgent:
        return ConverseAgent(self.service.client, "model-1", self.tools, self.measured, lambda: date(2026, 1, 2))

    def reply(self, said: str = "Is my card blocked?", history: History | None = None) -> Reply:
        return self.agent.reply(a_session(), history or History(), said, self.heard)

    def told(self, request: int = -1) -> list[dict[str, Any]]:
        """The tool results in a request's last message."""
        return [block["toolResult"] for block in self.service.requests[request]["messages"][-1]["content"]]


def a_world(*answers: Answer, **results: ToolResult) -> World:
    return World(streaming_service("bedrock-runtime", "ConverseStream", *answers), FakeTools(results))


def test_answer_is_streamed_as_it_comes_and_whole_in_the_reply() -> None:
    world = a_world(an_answer("Hello", ", ", "you.", profile="light"))
    reply = world.reply("Hi")
    assert world.heard.pieces == ["Hello", ", ", "you."]
    assert (reply.text, reply.outcome, reply.profile) == ("Hello, you.", "answered", "light")
    assert (reply.input_tokens, reply.output_tokens, reply.model_id) == (100, 20, "model-1")
    assert world.measured.calls == [("model-1", 100, 20)]


def test_tool_is_run_for_the_session_and_told_back_as_json() -> None:
    world = a_world(uses(("list_cards", {})), an_answer("It is active."), list_cards=CARD_IS_ACTIVE)
    reply = world.reply()
    ((name, arguments, session),) = world.tools.runs
    assert (name, arguments, session) == ("list_cards", {}, a_session())
    (result,) = world.told()
    assert result["status"] == "success"
    assert result["content"][0]["json"]["facts"] == list(CARD_IS_ACTIVE.facts)
    assert world.heard.tools == [("list_cards", "started"), ("list_cards", "done")]
    assert (reply.text, reply.outcome, len(reply.tool_calls)) == ("It is active.", "answered", 1)
    assert (reply.input_tokens, reply.output_tokens) == (200, 40)


def test_tools_of_one_answer_run_at_once_and_are_told_in_one_message() -> None:
    both_run = threading.Barrier(2, timeout=10)

    class Meeting:
        def run(self, name: str, arguments: Mapping[str, Any], session: Session) -> ToolResult:  # noqa: ARG002 - the port's
            both_run.wait()  # passes only where the other runs at the same time
            return FLAG

    answers = (
        uses(("explain_flag", {"transactionId": "T-1"}), ("explain_flag", {"transactionId": "T-2"})),
        an_answer("Two flags."),
    )
    service = streaming_service("bedrock-runtime", "ConverseStream", *answers)
    tools: Tools = Meeting()
    reply = ConverseAgent(service.client, "model-1", tools, Measured()).reply(a_session(), History(), "Both?", Heard())
    results = service.requests[-1]["messages"][-1]["content"]
    assert [block["toolResult"]["toolUseId"] for block in results] == ["use-1", "use-2"]
    assert [call.arguments for call in reply.tool_calls] == [{"transactionId": "T-1"}, {"transactionId": "T-2"}]


def test_words_before_and_after_a_tool_are_paragraphs_of_one_answer() -> None:
    world = a_world(
        uses(("list_cards", {}), before="I look it up."), an_answer("It is active."), list_cards=CARD_IS_ACTIVE
    )
    assert world.reply().text == "I look it up.\n\nIt is active." == world.heard.said


def test_changing_tool_is_not_run_but_asked_about() -> None:
    world = a_world(uses(BLOCK))
    reply = world.reply("My card was stolen")
    assert world.tools.runs == []
    assert world.heard.tools == []
    assert reply.pending == PendingAction("block_card", BLOCK[1], QUESTION, 3)
    assert (reply.text, reply.outcome) == (QUESTION, "answered")
    assert reply.tool_calls[-1].result is None


def test_reading_tool_beside_a_changing_one_is_run_and_its_facts_are_told_before_the_question() -> None:
    world = a_world(uses(("list_cards", {}), BLOCK), list_cards=CARD_IS_ACTIVE)
    reply = world.reply()
    assert [name for name, _, _ in world.tools.runs] == ["list_cards"]
    assert reply.text == f"{CARD_IS_ACTIVE.facts[0]}\n\n{QUESTION}"


def test_second_changing_tool_waits_for_its_own_question() -> None:
    world = a_world(uses(BLOCK, ("open_case", {"subject": "Stolen card"})))
    reply = world.reply()
    assert reply.pending is not None
    assert reply.pending.tool == "block_card"
    assert "One thing at a time" in reply.text
    assert world.tools.runs == []


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("transfer_money", {}, "no tool named transfer_money"),
        ("release_transaction", {"transactionId": "TX-1"}, "no tool named release_transaction"),
        ("refund", {"transactionId": "TX-1"}, "no tool named refund"),
        ("review_past_cases", {}, "no tool named review_past_cases"),
        ("list_transactions", {"days": "seven"}, "wrong"),
        ("list_cards", {"customerId": "C-2"}, "wrong"),
        ("block_card", {"cardId": "CARD-1", "reason": "because"}, "wrong"),
        ("search_documents", {"question": "x" * 501}, "longer than 500"),
        ("list_cards", "{not json", "not a JSON object"),
        ("list_cards", "[1]", "not a JSON object"),
    ],
)
def test_wrong_tool_use_is_told_to_the_model_once_and_never_run(name: str, arguments: object, problem: str) -> None:
    world = a_world(uses((name, arguments)), an_answer("I cannot do that."))
    reply = world.reply()
    (result,) = world.told()
    assert result["status"] == "error"
    assert problem in result["content"][0]["json"]["facts"][0]
    assert world.tools.runs == []
    assert reply.text == "I cannot do that."


def test_second_wrong_tool_use_fails_the_answer() -> None:
    world = a_world(uses(("transfer_money", {})), uses(("transfer_money", {})))
    with pytest.raises(Rejected, match=r"MODEL_FAILED: .*wrongly twice"):
        world.reply()


def test_refusal_of_a_tool_is_told_and_the_answer_counts_as_refused() -> None:
    world = a_world(
        uses(("explain_flag", {"transactionId": "T-9"})), an_answer("I cannot see it."), explain_flag=REFUSED
    )
    reply = world.reply()
    assert reply.outcome == "refused"
    assert world.told()[0]["status"] == "success"
    assert world.heard.tools[-1] == ("explain_flag", "refused")


def test_person_is_told_in_our_words_when_no_tool_answers() -> None:
    world = a_world(uses(("list_cards", {})), list_cards=AWAY_RESULT)
    reply = world.reply()
    assert (reply.outcome, reply.text) == ("failed", f"{AWAY} {TRY_AGAIN}")
    assert world.heard.said == reply.text
    assert len(world.service.requests) == 1


def test_model_hears_of_the_failure_when_only_one_of_two_tools_fails() -> None:
    world = a_world(
        uses(("list_cards", {}), ("explain_flag", {})),
        an_answer("Your card is active."),
        list_cards=CARD_IS_ACTIVE,
        explain_flag=AWAY_RESULT,
    )
    reply = world.reply()
    assert [result["status"] for result in world.told()] == ["success", "error"]
    assert reply.outcome == "answered"


def test_model_is_told_who_speaks_and_what_was_said_as_data() -> None:
    world = a_world(an_answer("Hm."))
    history = History("They <asked> about CARD-1.", (Exchange("Hi", "Hello."),))
    world.reply("And now?", history)
    (request,) = world.service.requests
    assert "a customer of the bank" in request["system"][0]["text"]
    assert "2026-01-02" in request["system"][0]["text"]
    assert "CARD-1" not in request["system"][0]["text"]
    assert "additionalModelRequestFields" not in request
    assert [message["role"] for message in request["messages"]] == ["user", "assistant", "user"]
    first, question = request["messages"][0]["content"]
    assert "<summary>They &lt;asked&gt; about CARD-1.</summary>" in first["text"]
    assert (question["text"], request["messages"][-1]["content"]) == ("Hi", [{"text": "And now?"}])
    assert request["inferenceConfig"]["maxTokens"] > 0


def test_summary_stands_before_the_question_when_there_are_no_exchanges() -> None:
    (message,) = conversation_messages(History("Earlier."), "Now?")
    assert [block["text"] for block in message["content"]][-1] == "Now?"
    assert len(message["content"]) == 2


def test_thinking_aloud_is_kept_from_the_person() -> None:
    world = a_world(an_answer("<thin", "king>They ask", " for x</think", "ing>\n", "Your answer <3"))
    assert world.reply().text.strip() == "Your answer <3"
    assert "They ask" not in world.heard.said


@pytest.mark.parametrize("reason", ["max_tokens", "malformed_tool_use", "malformed_model_output", "something_new"])
def test_answer_that_is_not_whole_is_rejected(reason: str) -> None:
    with pytest.raises(Rejected, match=rf"MODEL_FAILED: .*{reason}"):
        a_world(an_answer("Half an", reason=reason)).reply()


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (an_answer("Half an", reason="max_tokens"), Rejected),
        ([*text("Half an"), Broken("throttlingException")], Retryable),
    ],
)
def test_answer_that_fails_tells_what_ran_and_took_until_then(last: Answer, error: type[Exception]) -> None:
    world = a_world(uses(("list_cards", {})), last, list_cards=CARD_IS_ACTIVE)
    with pytest.raises(error) as failed:
        world.reply()
    made = so_far(failed.value)
    assert [(call.name, call.result) for call in made.tool_calls] == [("list_cards", CARD_IS_ACTIVE)]
    assert (made.outcome, made.text, made.model_id) == ("failed", "Half an", "model-1")
    assert made.input_tokens == sum(asked for _, asked, _ in world.measured.calls) > 0


def test_error_that_a_sink_raises_stays_what_it_is() -> None:
    class TakenOverError(Retryable):
        """Somebody else answers: nobody is to be told what this one did."""

    class Sink(Heard):
        def text(self, piece: str) -> None:
            raise TakenOverError(piece)

    world = a_world(an_answer("Hello"))
    with pytest.raises(TakenOverError):
        world.agent.reply(a_session(), History(), "Hi", Sink())


def test_answer_that_a_filter_withheld_is_refused_in_our_words() -> None:
    world = a_world([stop("content_filtered"), usage()])
    assert (world.reply().outcome, world.heard.said) == ("refused", WITHHELD)


def test_guardrail_refuses_in_its_own_words() -> None:
    world = a_world(an_answer("That is not for this chat.", reason="guardrail_intervened"))
    reply = world.reply()
    assert (reply.outcome, reply.text) == ("refused", "That is not for this chat.")


def test_answer_without_words_is_rejected() -> None:
    with pytest.raises(Rejected, match="without words"):
        a_world(an_answer(" \n")).reply()


@pytest.mark.parametrize(
    "answer",
    [
        Failing("ThrottlingException", 429),
        Failing("ServiceUnavailableException", 503),
        Failing("ModelTimeoutException", 408),
        Failing("ModelNotReadyException", 429),
        [*text("Half"), Broken("throttlingException")],
        [*text("Half"), Broken("modelStreamErrorException")],
        [*text("Half"), Broken("internalServerException")],
        [*text("Half"), Broken("serviceUnavailableException")],
        text("Cut off without an end"),
    ],
)
def test_model_that_is_throttled_or_away_is_asked_again_later(answer: Answer) -> None:
    with pytest.raises(Retryable):
        a_world(answer).reply()


@pytest.mark.parametrize(
    "answer",
    [Failing("ValidationException", 400), Failing("AccessDeniedException", 403), [Broken("validationException")]],
)
def test_request_that_the_model_refuses_is_rejected(answer: Answer) -> None:
    with pytest.raises(Rejected, match="MODEL_FAILED"):
        a_world(answer).reply()


@pytest.mark.parametrize("error", [ProtocolError("reset"), ReadTimeoutError(None, "", "slow")])  # type: ignore[arg-type] # it only prints its pool
def test_connection_that_breaks_within_the_answer_is_tried_again_later(error: Exception) -> None:
    class Breaking:
        def __iter__(self) -> Iterator[dict[str, Any]]:
            yield from text("Half")
            raise error

        def close(self) -> None:
            """Nothing is open."""

    class Client:
        def converse_stream(self, **_: Any) -> dict[str, Any]:
            return {"stream": Breaking()}

    agent = ConverseAgent(Client(), "model-1", FakeTools(), Measured())
    with pytest.raises(Retryable, match="broke"):
        agent.reply(a_session(), History(), "Hi", Heard())


def test_loop_ends_after_its_bound_of_model_turns() -> None:
    world = a_world(*[uses(("list_cards", {})) for _ in range(MAXIMUM_MODEL_TURNS)], list_cards=CARD_IS_ACTIVE)
    with pytest.raises(Rejected, match="asked for tools 6 times"):
        world.reply()
    assert len(world.service.requests) == MAXIMUM_MODEL_TURNS


def test_loop_ends_when_its_tokens_are_spent() -> None:
    expensive = [*uses(("list_cards", {}))[:-1], usage(39_000, 1_001)]
    world = a_world(expensive, list_cards=CARD_IS_ACTIVE)
    with pytest.raises(Rejected, match="more than 40,000 tokens"):
        world.reply()


def test_more_tools_at_once_than_the_bound_are_not_run() -> None:
    world = a_world(uses(*[("list_cards", {})] * (MAXIMUM_USES_AT_ONCE + 1)), list_cards=CARD_IS_ACTIVE)
    with pytest.raises(Rejected, match="9 tools at once"):
        world.reply()
    assert world.tools.runs == []


def test_answer_is_rejected_when_the_time_is_up_while_it_is_written() -> None:
    world = a_world(an_answer("Slow", "ly"))
    moments = iter([0.0, 0.0, 1.0, 11.0, 12.0])
    agent = ConverseAgent(world.service.client, "model-1", world.tools, world.measured, clock=lambda: next(moments))
    with pytest.raises(Rejected, match="time was up"):
        agent.reply(a_session(deadline=10.0), History(), "Hi", world.heard)


def test_citations_of_all_tools_are_told_once_each() -> None:
    passage = Citation("d-1", "terms.pdf", "p3", 2, "You may cancel.")
    found = ToolResult("done", ("terms.pdf says: You may cancel.",), citations=(passage,))
    world = a_world(
        uses(("search_documents", {"question": "cancel"})),
        uses(("search_documents", {"question": "cancelling"})),
        an_answer("You may cancel."),
        search_documents=found,
    )
    assert world.reply().citations == (passage,)


PENDING = PendingAction("block_card", BLOCK[1], QUESTION, 2)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (ToolResult("done", ("Card CARD-000042 is blocked now.",)), "answered"),
        (ToolResult("proposed", ("An analyst must approve it first.",)), "answered"),
        (ToolResult("refused", ("That is not one of your cards.",)), "refused"),
    ],
)
def test_confirmed_action_runs_as_it_was_asked_about_and_tells_the_tools_own_facts(
    result: ToolResult, outcome: str
) -> None:
    world = a_world(block_card=result)
    reply = world.agent.confirm(a_session(), History(), PENDING, world.heard)
    assert [(name, arguments) for name, arguments, _ in world.tools.runs] == [BLOCK]
    assert (reply.text, reply.outcome) == (result.facts[0], outcome)
    assert world.heard.said == reply.text
    assert world.service.requests == []


def test_confirmed_action_whose_tool_is_away_is_tried_again() -> None:
    world = a_world(block_card=AWAY_RESULT)
    with pytest.raises(Retryable, match="block_card failed") as failed:
        world.agent.confirm(a_session(), History(), PENDING, world.heard)
    assert world.heard.tools[-1] == ("block_card", "failed")
    assert [(call.name, call.result) for call in so_far(failed.value).tool_calls] == [("block_card", AWAY_RESULT)]
