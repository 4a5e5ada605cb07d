"""What a person is told, whatever happens: an answer, a question, or plain words that there is none."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agent_port import Citation, Exchange, PendingAction, Reply, Sink, ToolCall, ToolResult, ToolState, cut_short
from backbone.conversations import Turn
from backbone.errors import Rejected, Retryable
from conversation_lease import ComeBackError
from pending_actions import AskedAction, decode_pending, encode_pending
from tests.unit.chat_answering import (
    CONVERSATION,
    NOON,
    ConversationRowsInMemory,
    FakeAgent,
    FakeBus,
    FakePoster,
    Measured,
    a_claim,
    a_reply,
    a_turn,
    some_work,
    text_as_seen,
)
from turn_answering import LEFT_AS_IT_IS, LOOKED_UP, NOT_NOW, NOT_THIS, THERE_IS_MORE, UNSURE, WRITTEN_BEFORE
from turn_order import answer_waiting

ACTION = PendingAction(
    "block_card", {"cardId": "CARD-1", "reason": "lost"}, "Shall I block card CARD-1?", 1, {"i": "1"}
)
BEFORE, AFTER = "2026-01-01T11:59:00.000Z", "2026-01-01T12:00:05.000Z"


class World:
    """A conversation in its next turn; ``answer`` lets answer_chat have its delivery number ``receive``."""

    def __init__(self, agent: FakeAgent, *turns: Turn, pending: PendingAction | None = None) -> None:
        self.rows, self.agent, self.poster, self.measured = ConversationRowsInMemory(), agent, FakePoster(), Measured()
        for turn in turns:
            self.rows.receive(turn)
        conversation = self.rows.conversations[CONVERSATION]
        asked = None if pending is None else encode_pending(AskedAction(pending, NOON))
        self.rows.conversations[CONVERSATION] = replace(
            conversation, answered_turn=turns[-1].turn - 1, pending_action=asked
        )
        self.number = turns[-1].turn
        self.work = some_work(self.rows, agent, self.poster, FakeBus(), measured=self.measured)

    def answer(self, receive: int = 1) -> None:
        answer_waiting(a_claim(receive=receive), 1000.0, self.work)

    def answer_after_all_attempts(self) -> None:
        for receive in range(1, 3):
            with pytest.raises(ComeBackError):
                self.answer(receive)
        self.answer(3)

    @property
    def turn(self) -> Turn:
        return self.rows.turns[self.number]

    @property
    def done(self) -> dict[str, Any]:
        return dict(self.turn.frames[-1])

    @property
    def pending(self) -> str | None:
        return self.rows.conversations[CONVERSATION].pending_action

    def seen(self) -> tuple[str, bool]:
        return text_as_seen(self.poster.on("connection-1"), self.number)


def second(text: str, received_at: str = AFTER) -> tuple[Turn, Turn]:
    """An answered first turn, and the person's next message."""
    first = a_turn(1, status="answered", answer="Shall I?", published_at=NOON)
    return first, a_turn(2, text=text, received_at=received_at)


def raising(failure: Exception, said_before: str = "") -> FakeAgent:
    def script(_: str, sink: Sink) -> Reply:
        if said_before:
            sink.text(said_before)
        raise failure

    return FakeAgent(script=script)


def test_answer_is_told_stored_and_measured() -> None:
    world = World(FakeAgent(), a_turn(1, text="Hi", received_at=BEFORE))
    world.answer()
    assert world.seen() == ("To you: Hi", True)
    assert (world.turn.status, world.turn.answer) == ("answered", "To you: Hi")
    assert world.done["model"] == {"engine": "converse", "modelId": "model", "profile": None}
    assert world.done["usage"] == {"inputTokens": 10, "outputTokens": 5}
    assert world.done["confirm"] is None
    assert world.measured.values["FirstTokenMilliseconds"] == [60_000.0]
    assert world.measured.values["AnswerMilliseconds"] == [60_000.0]
    assert world.measured.values["TurnsAnswered"] == [1]


def test_session_comes_from_the_rows_and_history_from_the_turns() -> None:
    world = World(FakeAgent(), *second("And now?"))
    world.answer()
    ((session, history, text),) = world.agent.asked
    assert session.attributes() == {
        "personId": "8f3b5c1e",
        "role": "customer",
        "customerId": "C-000001",
        "conversationId": CONVERSATION,
        "turn": "2",
        "correlationId": "correlation-2",
        "causationDepth": "1",
    }
    assert session.deadline == 1000.0
    assert (history.exchanges, text) == ((Exchange("question 1", "Shall I?"),), "And now?")


def test_citations_are_told_with_the_last_frame() -> None:
    passage = Citation("d-1", "terms.pdf", "p3", 2, "the passage itself")
    world = World(FakeAgent(script=lambda _, __: a_reply("So.", citations=(passage,) * 12)), a_turn())
    world.answer()
    assert world.done["citations"] == [{"documentId": "d-1", "fileName": "terms.pdf", "passage": "p3", "page": 2}] * 10


def test_question_is_stored_and_told_when_the_agent_wants_to_change_something() -> None:
    world = World(FakeAgent(script=lambda _, __: a_reply(ACTION.question, pending=ACTION)), a_turn())
    world.answer()
    assert world.done["confirm"] == {
        "tool": "block_card",
        "arguments": {"cardId": "CARD-1", "reason": "lost"},
        "question": ACTION.question,
    }
    assert world.pending is not None
    assert decode_pending(world.pending) == AskedAction(ACTION, NOON)


def test_yes_runs_what_was_asked_about_and_nothing_waits_any_more() -> None:
    world = World(FakeAgent(), *second("Yes, please."), pending=ACTION)
    world.answer()
    assert (world.agent.confirmed, world.agent.asked) == ([ACTION], [])
    assert world.seen() == ("Done.", True)
    assert world.pending is None


def test_no_leaves_it_as_it_is_and_says_so() -> None:
    world = World(FakeAgent(), *second("no"), pending=ACTION)
    world.answer()
    assert (world.agent.confirmed, world.agent.asked) == ([], [])
    assert world.seen() == (LEFT_AS_IT_IS, True)
    assert world.pending is None


@pytest.mark.parametrize("text", ["yes, but CARD-2", "Which card?", "block CARD-2 instead"])
def test_anything_else_drops_the_action_and_is_answered_as_a_message(text: str) -> None:
    world = World(FakeAgent(), *second(text), pending=ACTION)
    world.answer()
    assert world.agent.confirmed == []
    assert [said for _, _, said in world.agent.asked] == [text]
    assert world.pending is None


def test_yes_that_was_written_before_the_question_is_asked_again() -> None:
    world = World(FakeAgent(), *second("yes", received_at=BEFORE), pending=ACTION)
    world.answer()
    assert world.agent.confirmed == []
    assert world.seen() == (f"{WRITTEN_BEFORE} {ACTION.question}", True)
    assert world.pending is not None
    assert decode_pending(world.pending).action == replace(ACTION, asked_in_turn=2)


def test_yes_counts_for_the_question_just_before_it_only() -> None:
    world = World(FakeAgent(), *second("yes"), pending=replace(ACTION, asked_in_turn=0))
    world.answer()
    assert world.agent.confirmed == []
    assert len(world.agent.asked) == 1


def test_model_that_is_throttled_is_asked_again_soon_and_the_answer_begins_anew() -> None:
    agent = raising(Retryable("throttled"), said_before="Half an ans")
    world = World(agent, a_turn())
    with pytest.raises(ComeBackError) as back:
        world.answer()
    assert back.value.seconds == 2
    agent.script = None
    world.answer(receive=2)
    assert world.seen() == ("To you: question 1", True)
    assert "restart" in [frame["type"] for frame in world.poster.on("connection-1")]
    assert world.turn.attempts == 2


def test_person_is_told_in_plain_words_when_the_model_stays_away() -> None:
    world = World(raising(Retryable("model away")), a_turn())
    world.answer_after_all_attempts()
    assert world.seen() == (NOT_NOW, True)
    assert (world.turn.status, world.done["outcome"]) == ("failed", "failed")
    assert world.measured.values["TurnsFailed"] == [1]
    assert all("model away" in line for line in world.measured.logged)


def test_person_is_told_in_plain_words_after_what_they_saw_when_the_answer_is_cut_off() -> None:
    world = World(raising(Rejected("MODEL_FAILED: max_tokens"), said_before="Your card"), a_turn())
    world.answer()
    assert world.seen() == (f"Your card\n\n{NOT_THIS}", True)
    assert world.turn.answer == f"Your card\n\n{NOT_THIS}"
    assert world.done["outcome"] == "failed"


def _after_looking_up(failed: Exception, facts: tuple[str, ...], state: ToolState = "done") -> Exception:
    call = ToolCall("list_cards", {}, ToolResult(state, facts))
    return cut_short(failed, Reply("", "failed", (call,), input_tokens=900, output_tokens=30, model_id="a-model"))


@pytest.mark.parametrize(("failed", "words"), [(Rejected("max_tokens"), NOT_THIS), (Retryable("away"), NOT_NOW)])
def test_turn_that_fails_keeps_what_ran_and_took_and_tells_the_facts(failed: Exception, words: str) -> None:
    world = World(raising(_after_looking_up(failed, ("Your card 1 is active.",))), a_turn(attempts=2))
    world.answer(3)
    assert world.seen() == (f"{words}\n\n{LOOKED_UP} Your card 1 is active.", True)
    (call,) = json.loads(world.turn.tool_calls or "")
    assert (call["name"], call["state"], world.turn.status) == ("list_cards", "done", "failed")
    assert (world.turn.model_id, world.turn.input_tokens, world.turn.output_tokens) == ("a-model", 900, 30)
    assert world.done["usage"] == {"inputTokens": 900, "outputTokens": 30}


@pytest.mark.parametrize("facts", [("Fact.",) * 2 + tuple(f"Fact {n}." for n in range(6)), ("Fact.", "x" * 2_000)])
def test_turn_that_fails_tells_no_more_facts_than_a_person_reads_through(facts: tuple[str, ...]) -> None:
    world = World(raising(_after_looking_up(Rejected("max_tokens"), facts)), a_turn())
    world.answer()
    text, _ = world.seen()
    assert text.startswith(f"{NOT_THIS}\n\n{LOOKED_UP} Fact.")
    assert text.endswith(f" {THERE_IS_MORE}")
    assert text.count("Fact") <= 6


def test_turn_that_fails_does_not_tell_as_looked_up_what_a_failed_tool_says() -> None:
    world = World(raising(_after_looking_up(Rejected("max_tokens"), ("It is away.",), "failed")), a_turn())
    world.answer()
    assert world.seen() == (NOT_THIS, True)


def test_person_is_told_that_it_is_not_known_when_a_confirmed_action_fails() -> None:
    agent = FakeAgent(step=_failing_at("before confirm"))
    world = World(agent, *second("yes"), pending=ACTION)
    world.answer_after_all_attempts()
    assert world.seen() == (UNSURE, True)
    assert world.pending is None


def test_confirmed_action_waits_for_its_next_attempt_when_its_tool_is_away_once() -> None:
    agent = FakeAgent(step=_failing_at("before confirm"))
    world = World(agent, *second("yes"), pending=ACTION)
    with pytest.raises(ComeBackError):
        world.answer()
    assert world.pending is not None
    agent.step = lambda _: None
    world.answer(receive=2)
    assert world.agent.confirmed == [ACTION]
    assert world.seen() == ("Done.", True)


def test_refusal_is_told_as_one() -> None:
    world = World(FakeAgent(script=lambda _, __: a_reply("I cannot.", "refused")), a_turn())
    world.answer()
    assert (world.turn.status, world.done["outcome"]) == ("refused", "refused")


def test_answer_stands_in_the_turn_when_the_person_is_gone() -> None:
    world = World(FakeAgent(), a_turn())
    world.poster.gone.add("connection-1")
    world.answer()
    assert world.poster.posted == []
    assert text_as_seen(world.turn.frames, 1) == ("To you: question 1", True)
    assert "FirstTokenMilliseconds" not in world.measured.values


@pytest.mark.parametrize("text", ["👋🏽 my card?", "هل بطاقتي محظورة؟", "\u202e\u05db\u05e8\u05d8", "e\u0301\u0000\n"])
def test_emoji_and_right_to_left_text_go_and_come_back_unchanged(text: str) -> None:
    world = World(FakeAgent(), a_turn(1, text=text))
    world.answer()
    assert world.seen() == (f"To you: {text}", True)


def test_pending_action_survives_being_stored() -> None:
    asked = AskedAction(ACTION, NOON)
    assert decode_pending(encode_pending(asked)) == asked
    assert json.loads(encode_pending(asked))["engineState"] == {"i": "1"}


def _failing_at(where: str) -> Any:
    def step(name: str) -> None:
        if name == where:
            raise Retryable("the tool is away")

    return step
