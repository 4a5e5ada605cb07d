"""What a model is told of earlier turns: the newest as they were, the oldest as a summary."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_port import Exchange
from backbone.conversations import Turn
from backbone.errors import Rejected, Retryable
from backbone.model import Answer, Tool
from conversation_memory import estimated_tokens, history_of, recall, summarise
from tests.unit.chat_answering import (
    CONVERSATION,
    ConversationRowsInMemory,
    FakeAgent,
    FakeBus,
    FakePoster,
    Measured,
    a_claim,
    a_turn,
    some_work,
)
from turn_order import answer_waiting


class FakeWriter:
    """A model that summarises: one sentence that cites the first passage. Keeps what it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.texts: list[str] = []

    def generate(self, *, tool: Tool, system: str, text: str, max_tokens: int) -> Answer:  # noqa: ARG002 - the port's
        self.texts.append(text)
        if self.failure is not None:
            raise self.failure
        known = tool.schema["properties"]["sentences"]["items"]["properties"]["passages"]["items"]["enum"]
        sentences = [{"text": f"Summary {len(self.texts)}.", "passages": [known[0]]}]
        return Answer({"sentences": sentences}, 50, 10, "model-1", "tool_use")


def answered(number: int, question: str = "q" * 2_000, answer: str = "a" * 2_000) -> Turn:
    """A turn of 1,000 tokens."""
    return a_turn(number, text=question, answer=answer, status="answered")


def read_once(turns: list[Turn], limit: int) -> Iterator[Turn]:
    """The turns, newest first; reading more than ``limit`` fails."""
    for count, turn in enumerate(reversed(turns), 1):
        assert count <= limit, "more turns were read than fit"
        yield turn


def test_turns_that_fit_are_recalled_oldest_first_and_no_more_are_read() -> None:
    turns = [answered(number) for number in range(1, 10)]
    recalled = recall(read_once(turns, 5))
    assert [turn.turn for turn in recalled.turns] == [6, 7, 8, 9]
    assert recalled.overflows is True


def test_short_conversation_does_not_overflow() -> None:
    assert recall(iter([answered(2, "Hi", "Hello."), answered(1, "Hi", "Hello.")])).overflows is False


def test_one_long_answer_does_not_push_out_all_else() -> None:
    recalled = recall(iter([answered(2, "Hi", "a" * 24_000), answered(1, "Hi", "Hello.")]))
    assert [turn.turn for turn in recalled.turns] == [1, 2]
    (_, last) = history_of("", recalled.turns).exchanges
    assert len(last.answer) < 4_100


def test_turn_without_an_answer_is_left_out() -> None:
    history = history_of("Before.", [a_turn(1), answered(2, "Hi", "Hello.")])
    assert (history.summary, history.exchanges) == ("Before.", (Exchange("Hi", "Hello."),))


@given(st.text())
def test_every_character_counts(text: str) -> None:
    assert 4 * (estimated_tokens(text) - 1) < len(text) <= 4 * estimated_tokens(text) or text == ""


def test_summary_is_made_of_the_one_before_and_the_oldest_turns() -> None:
    writer = FakeWriter()
    summary = summarise(writer, "They lost a card.", [answered(3, "Is <it> blocked?", "Yes."), answered(4)])
    assert (summary.text, summary.through) == ("Summary 1.", 4)
    assert '<passage id="earlier">They lost a card.</passage>' in writer.texts[0]
    assert "The person wrote: Is &lt;it&gt; blocked?" in writer.texts[0]


def test_summary_takes_no_more_at_once_than_its_bound() -> None:
    summary = summarise(FakeWriter(), "", [answered(number) for number in range(1, 20)])
    assert summary.through == 6


def long_conversation(count: int) -> ConversationRowsInMemory:
    rows = ConversationRowsInMemory()
    for number in range(1, count + 1):
        rows.receive(a_turn(number, text="q" * 3_000))
    return rows


def test_older_turns_are_summarised_and_told_as_a_summary_from_then_on() -> None:
    rows, agent, writer, measured = long_conversation(8), FakeAgent(), FakeWriter(), Measured()
    work = some_work(rows, agent, FakePoster(), FakeBus(), writer=writer, measured=measured)
    answer_waiting(a_claim(), 1000.0, work)
    conversation = rows.conversations[CONVERSATION]
    assert conversation.summary.startswith("Summary")
    assert 0 < conversation.summarized_through < 8
    _, history, _ = agent.asked[-1]
    assert history.summary.startswith("Summary")
    assert 0 < len(history.exchanges) < 4
    assert measured.model_calls == ["model-1"] * len(writer.texts)


@pytest.mark.parametrize("failure", [Retryable("throttled"), Rejected("MODEL_FAILED: no sentences")])
def test_answers_go_on_with_what_fits_when_summarising_fails(failure: Exception) -> None:
    rows, agent, measured = long_conversation(5), FakeAgent(), Measured()
    work: Any = some_work(rows, agent, FakePoster(), FakeBus(), writer=FakeWriter(failure), measured=measured)
    answer_waiting(a_claim(), 1000.0, work)
    assert [ending.turn for ending in rows.endings] == [1, 2, 3, 4, 5]
    assert rows.conversations[CONVERSATION].summary == ""
    assert measured.values["SummariesFailed"]
    assert "not summarised" in measured.logged[0]
    _, history, _ = agent.asked[-1]
    assert 0 < len(history.exchanges) < 4
