"""The engine ``converse``: our own loop over Bedrock Converse with tools, streamed.

Ask the model; run the tools that it asks for, all of one answer at once; tell it the results in one message; again,
until it answers in words. Bounded by model turns, tokens and the session's deadline. The first change that it asks for
ends the loop with a question to the person.

https://docs.aws.amazon.com/bedrock/latest/userguide/tool-use-inference-call.html
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from xml.sax.saxutils import escape

from agent_instructions import SUMMARY_ELEMENT, system_prompt
from agent_port import (
    History,
    Meter,
    Outcome,
    PendingAction,
    Reply,
    Session,
    Sink,
    ToolCall,
    ToolResult,
    Tools,
    citations_of,
    cut_short,
    outcome_of,
    progress_of,
)
from backbone.errors import Rejected, Retryable
from backbone.model import WHY_NOT_WHOLE
from backbone.tool_catalogue import tool_config
from confirmation_question import question_for
from converse_stream import ModelAnswer, ToolUse, converse
from thinking_filter import ThinkingFilter
from tool_round import CheckedUses, check_uses, run_uses, told_problem, told_result

MAXIMUM_MODEL_TURNS = 6
# A model's thinking before it uses a tool counts too.
MAXIMUM_OUTPUT_TOKENS = 2048
MAXIMUM_TOTAL_TOKENS = 40_000
MAXIMUM_USES_AT_ONCE = 8
WITHHELD = "I cannot answer that. Ask me about your cards, transactions, cases or documents."
TRY_AGAIN = "Please try again in a few minutes."
_WHOLE = frozenset({"end_turn", "stop_sequence", "tool_use"})
_WITHHELD = frozenset({"guardrail_intervened", "content_filtered"})


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class ConverseAgent:
    """The model ``model_id`` behind ``client`` (boto3 "bedrock-runtime") with ``tools``. See ``agent_port.Agent``."""

    client: Any
    model_id: str
    tools: Tools
    meter: Meter
    today: Callable[[], date] = _today
    clock: Callable[[], float] = time.monotonic

    def reply(self, session: Session, history: History, text: str, sink: Sink) -> Reply:
        answering = _Answering(self, session, sink, conversation_messages(history, text))
        try:
            return answering.run()
        except (Retryable, Rejected) as failed:
            raise cut_short(failed, answering.made("failed")) from failed

    def confirm(self, session: Session, history: History, pending: PendingAction, sink: Sink) -> Reply:  # noqa: ARG002 - the port's; what was asked for stands in ``pending``
        """Tells the tool's own facts: after a change nothing is left for a model to word."""
        sink.tool(pending.tool, "started")
        result = self.tools.run(pending.tool, pending.arguments, session)
        sink.tool(pending.tool, progress_of(result))
        call = ToolCall(pending.tool, pending.arguments, result)
        made = Reply(" ".join(result.facts), outcome_of([call]), (call,), citations_of([call]))
        if result.state == "failed":
            raise cut_short(Retryable(f"{pending.tool} failed after its yes"), made)
        if not result.facts:
            untold = f"MODEL_FAILED: {pending.tool} answered {result.state} and nothing that could be told"
            raise cut_short(Rejected(untold), made)
        sink.text(made.text)
        return made

    def request(self, session: Session, messages: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The ConverseStream request."""
        return {
            "modelId": self.model_id,
            "system": [{"text": system_prompt(session, self.today())}],
            "messages": list(messages),
            "inferenceConfig": {"maxTokens": MAXIMUM_OUTPUT_TOKENS, "temperature": 0},
            "toolConfig": tool_config(),
        }


def conversation_messages(history: History, text: str) -> list[dict[str, Any]]:
    """The conversation in Converse's form: user and assistant in turns, the summary as data before the first words."""
    messages: list[dict[str, Any]] = []
    for exchange in history.exchanges:
        messages += [_message("user", exchange.question), _message("assistant", exchange.answer)]
    messages.append(_message("user", text))
    if history.summary:
        summary = f"<{SUMMARY_ELEMENT}>{escape(history.summary)}</{SUMMARY_ELEMENT}>"
        messages[0]["content"].insert(0, {"text": f"What was said before, in short: {summary}"})
    return messages


def _message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"text": text}]}


@dataclass(slots=True)
class _Speech:
    """What was said to the person so far; what is said after a tool begins a paragraph of its own."""

    sink: Sink
    pieces: list[str] = field(default_factory=list)
    is_new_paragraph: bool = False

    def say(self, piece: str) -> None:
        if not piece:
            return
        if self.is_new_paragraph and self.pieces:
            piece = f"\n\n{piece}"
        self.is_new_paragraph = False
        self.pieces.append(piece)
        self.sink.text(piece)

    def say_apart(self, text: str) -> None:
        self.is_new_paragraph = True
        self.say(text)


class _Answering:
    """One reply in the making."""

    def __init__(self, agent: ConverseAgent, session: Session, sink: Sink, messages: list[dict[str, Any]]) -> None:
        self._agent = agent
        self._session = session
        self._sink = sink
        self._messages = messages
        self._speech = _Speech(sink)
        self._calls: list[ToolCall] = []
        self._input_tokens = self._output_tokens = 0
        self._profile: str | None = None
        self._was_corrected = False

    def run(self) -> Reply:
        for _ in range(MAXIMUM_MODEL_TURNS):
            answer = self._ask()
            if answer.stop_reason in _WITHHELD:
                return self._withheld()
            if answer.stop_reason not in _WHOLE:
                why = WHY_NOT_WHOLE.get(answer.stop_reason, "unforeseen")
                raise self._failed(f"stopped with {answer.stop_reason}: {why}")
            if not answer.tool_uses:
                return self._answered()
            ending = self._use_tools(answer)
            if ending is not None:
                return ending
        raise self._failed(f"asked for tools {MAXIMUM_MODEL_TURNS} times and did not answer")

    def _ask(self) -> ModelAnswer:
        if self._agent.clock() > self._session.deadline:
            raise self._failed("had no time left to answer")
        if self._input_tokens + self._output_tokens > MAXIMUM_TOTAL_TOKENS:
            raise self._failed(f"took more than {MAXIMUM_TOTAL_TOKENS:,} tokens")
        self._speech.is_new_paragraph = True
        shown = ThinkingFilter()
        answer = converse(
            self._agent.client,
            self._agent.request(self._session, self._messages),
            lambda piece: self._speech.say(shown.take(piece)),
            deadline=self._session.deadline,
            clock=self._agent.clock,
        )
        self._speech.say(shown.end())
        self._agent.meter.model_call(
            self._agent.model_id,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            first_token_milliseconds=answer.first_token_milliseconds,
        )
        self._input_tokens += answer.input_tokens
        self._output_tokens += answer.output_tokens
        self._profile = answer.profile
        return answer

    def _use_tools(self, answer: ModelAnswer) -> Reply | None:
        """Runs what the answer asks for; the reply where that ends the loop."""
        if len(answer.tool_uses) > MAXIMUM_USES_AT_ONCE:
            raise self._failed(f"asked for {len(answer.tool_uses)} tools at once")
        checked = check_uses(answer.tool_uses)
        if checked.problems:
            self._note_misuse(checked)
        results = run_uses(checked.reading, self._agent.tools, self._session, self._sink)
        calls = [ToolCall(use.name, use.arguments or {}, results[use.use_id]) for use in checked.reading]
        self._calls += calls
        facts = list(dict.fromkeys(fact for result in results.values() for fact in result.facts))
        if checked.changing:
            return self._asking_first(checked.changing, facts)
        if calls and not checked.problems and outcome_of(calls) == "failed":
            return self._tools_away(facts)
        self._messages += [
            {"role": "assistant", "content": list(answer.content)},
            {"role": "user", "content": [_told(use, checked, results) for use in answer.tool_uses]},
        ]
        return None

    def _note_misuse(self, checked: CheckedUses) -> None:
        """A model is told once what is wrong with its tool use; the second time it will not learn it."""
        if self._was_corrected:
            raise self._failed(f"used tools wrongly twice: {'; '.join(checked.problems.values())}")
        self._was_corrected = True

    def _asking_first(self, changing: Sequence[ToolUse], facts: Sequence[str]) -> Reply:
        """The ``facts`` that were read beside it, and the question whether to do the first of ``changing``."""
        if facts:
            self._speech.say_apart(" ".join(facts))
        first = changing[0]
        arguments = first.arguments or {}
        question = question_for(first.name, arguments)
        self._calls.append(ToolCall(first.name, arguments))
        self._speech.say_apart(question)
        if len(changing) > 1:
            self._speech.say(" One thing at a time: ask me for the next one after this.")
        return self.made("answered", PendingAction(first.name, arguments, question, self._session.turn))

    def _tools_away(self, facts: Sequence[str]) -> Reply:
        """No tool answered: nothing is left that an answer could rest on, so no model words one."""
        self._speech.say_apart(" ".join([*facts, TRY_AGAIN]))
        return self.made("failed")

    def _withheld(self) -> Reply:
        if not self._speech.pieces:  # a guardrail says its own words, a provider's filter none
            self._speech.say(WITHHELD)
        return self.made("refused")

    def _answered(self) -> Reply:
        if not "".join(self._speech.pieces).strip():
            raise self._failed("answered without words")
        return self.made(outcome_of(self._calls))

    def made(self, outcome: Outcome, pending: PendingAction | None = None) -> Reply:
        """The reply with what was said, ran and was spent until now."""
        return Reply(
            text="".join(self._speech.pieces),
            outcome=outcome,
            tool_calls=tuple(self._calls),
            citations=citations_of(self._calls),
            pending=pending,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            model_id=self._agent.model_id,
            profile=self._profile,
        )

    def _failed(self, reason: str) -> Rejected:
        return Rejected(f"MODEL_FAILED: {self._agent.model_id} {reason}")


def _told(use: ToolUse, checked: CheckedUses, results: Mapping[str, ToolResult]) -> dict[str, Any]:
    problem = checked.problems.get(use.use_id)
    return told_result(use, results[use.use_id]) if problem is None else told_problem(use, problem)
