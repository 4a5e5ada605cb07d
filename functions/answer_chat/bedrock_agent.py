"""The engine ``bedrock-agent``: an agent of Amazon Bedrock (Agents Classic), whose action group is agent_tools.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_InvokeAgent.html
https://docs.aws.amazon.com/bedrock/latest/userguide/agents-userconfirmation.html

The service leads the loop and calls the tools itself, with our session as ``sessionAttributes``. What it did is read
from its trace. A function that the template marks with RequireConfirmation comes back as returnControl: that is the
pending action, and CONFIRM is its yes.

Each message is a session of its own in the service, begun with what our table keeps of the conversation: one memory,
with one expiry, and a message that is tried again meets nothing of the attempt before. Only a change that waits for its
yes lives in the service, for the agent's idle time.

After a change the person is told the tool's own facts, as the trace has them, and not a model's words for them.
"""

import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from agent_port import (
    History,
    Meter,
    Outcome,
    PendingAction,
    Reply,
    Session,
    Sink,
    ToolCall,
    cut_short,
    outcome_of,
)
from agent_trace import AgentReading, ModelCall, Returned, Wanted
from backbone.errors import Rejected, Retryable
from backbone.model import judged
from backbone.tool_catalogue import ACTION_GROUP
from confirmation_question import question_for
from converse_agent import TRY_AGAIN, WITHHELD, conversation_messages

FORGOTTEN = (
    "I no longer know what you said yes to, because too much time has passed or I was interrupted. "
    "Ask me how things stand, and ask for it again if it was not done."
)
ONE_AT_A_TIME = "I can do one of these at a time. Please ask me for the first one only."
# What a call can meet: the service's refusal, no connection, and what botocore hands on of a stream that broke.
_FAULTS = (ClientError, BotoCoreError, HTTPError, ParserError)
# API_agent-runtime_InvokeAgent, "Errors": those whose text says to retry, and that Converse does not have.
_RETRYABLE_HERE = frozenset({"BadGatewayException", "ConflictException", "DependencyFailedException"})


@dataclass(frozen=True, slots=True)
class BedrockAgent:
    """The agent behind ``client`` (boto3 "bedrock-agent-runtime"). See ``agent_port.Agent``.

    It runs its tools itself, so that none are given here.
    """

    client: Any
    agent_id: str
    agent_alias_id: str
    meter: Meter
    clock: Callable[[], float] = time.monotonic

    def reply(self, session: Session, history: History, text: str, sink: Sink) -> Reply:
        reading = AgentReading(sink.text, sink.tool, self._measure)
        try:
            return self._replied(session, history, text, sink, reading)
        except (Retryable, Rejected) as failed:
            raise cut_short(failed, _made(reading, reading.spoken, "failed")) from failed

    def _replied(self, session: Session, history: History, text: str, sink: Sink, reading: AgentReading) -> Reply:
        session_id = f"{session.conversation_id}:{uuid.uuid4()}"
        *earlier, last = conversation_messages(history, text)
        state = {"conversationHistory": {"messages": earlier}} if earlier else {}
        words = "\n\n".join(block["text"] for block in last["content"])
        try:
            self._listen(session, session_id, reading, state, inputText=words)
        except _FAULTS as failed:
            if _code_of(failed) == "DependencyFailedException" and reading.give_up_tools():
                return _said(reading, sink, [*_facts(reading), TRY_AGAIN], outcome_of(reading.calls))
            raise self._judged(failed) from failed
        if reading.withheld:
            return _said(reading, sink, [] if reading.spoken else [WITHHELD], "refused")
        if reading.returned is not None:
            return _asking_first(session, session_id, reading, reading.returned, sink)
        if not reading.spoken.strip():
            raise self._failed("answered without words")
        return _said(reading, sink, [], outcome_of(reading.calls))

    def confirm(self, session: Session, history: History, pending: PendingAction, sink: Sink) -> Reply:  # noqa: ARG002 - the port's; what was said before is in the service's session
        confirmed = Wanted(ACTION_GROUP, pending.tool, pending.arguments)
        reading = AgentReading(_unheard, sink.tool, self._measure, confirmed)
        try:
            return self._confirmed(session, pending, sink, reading)
        except (Retryable, Rejected) as failed:
            raise cut_short(failed, _made(reading, "", "failed")) from failed

    def _confirmed(self, session: Session, pending: PendingAction, sink: Sink, reading: AgentReading) -> Reply:
        try:
            self._listen(session, pending.engine_state["sessionId"], reading, _yes(pending))
        except (*_FAULTS, Retryable, Rejected) as failed:
            if not _facts(reading):  # else it is done, and only the model's words are missing
                if _code_of(failed) == "ValidationException":
                    return _said(reading, sink, [FORGOTTEN], "failed", heard="")
                raise self._judged(failed) from failed
        if not _facts(reading):
            raise self._failed(f"was told yes to {pending.tool}, and its trace has no result")
        if outcome_of(reading.calls) == "failed":
            raise Retryable(f"{pending.tool} failed after its yes")
        return _said(reading, sink, _facts(reading), outcome_of(reading.calls), heard="")

    def _listen(
        self, session: Session, session_id: str, reading: AgentReading, state: dict[str, Any], **said: str
    ) -> None:
        """One invocation, read to its end; raises _FAULTS, and Rejected where it is still at work at the deadline."""
        answer = self.client.invoke_agent(
            agentId=self.agent_id,
            agentAliasId=self.agent_alias_id,
            sessionId=session_id,
            enableTrace=True,
            sessionState={"sessionAttributes": session.attributes(), **state},
            **said,
        )
        with closing(answer["completion"]) as stream:
            for event in stream:
                if self.clock() > session.deadline:
                    raise self._failed("was still at work when the time was up")
                reading.take(event)
        if not reading.is_whole:
            raise Retryable(f"invoke_agent {self.agent_id}: the stream ended before the answer did")

    def _measure(self, call: ModelCall) -> None:
        self.meter.model_call(
            call.model_id or self.agent_id, input_tokens=call.input_tokens, output_tokens=call.output_tokens
        )

    def _judged(self, failed: Exception) -> Retryable | Rejected:
        """As backbone.model judges; here some more codes ask to be tried again, and a stream may break."""
        if isinstance(failed, Retryable | Rejected):
            return failed
        if not isinstance(failed, ClientError | BotoCoreError) or _code_of(failed) in _RETRYABLE_HERE:
            return Retryable(f"invoke_agent {self.agent_id}: {failed}")
        return judged("invoke_agent", self.agent_id, failed)

    def _failed(self, reason: str) -> Rejected:
        return Rejected(f"MODEL_FAILED: the agent {self.agent_id} {reason}")


def _asking_first(session: Session, session_id: str, reading: AgentReading, returned: Returned, sink: Sink) -> Reply:
    """What was read, as facts, and the question whether to do the first thing that the agent wants a yes for.

    The answer to the service names a function, not one call of it: two calls of one function would both be confirmed.
    """
    facts = _facts(reading)
    first, *others = returned.wanted
    if first.name in {other.name for other in others}:
        return _said(reading, sink, [*facts, ONE_AT_A_TIME], "answered")
    question = question_for(first.name, first.arguments)
    state = {
        "sessionId": session_id,
        "invocationId": returned.invocation_id,
        "wanted": [[wanted.action_group, wanted.name] for wanted in returned.wanted],
    }
    reading.calls.append(ToolCall(first.name, first.arguments))
    pending = PendingAction(first.name, first.arguments, question, session.turn, state)
    return _said(reading, sink, [*facts, question], "answered", pending=pending)


def _facts(reading: AgentReading) -> list[str]:
    return [fact for call in reading.calls if call.result is not None for fact in call.result.facts]


def _yes(pending: PendingAction) -> dict[str, Any]:
    """The session state that confirms the pending action, and denies whatever the agent wanted besides."""
    results = [
        {
            "functionResult": {
                "actionGroup": action_group,
                "function": function,
                "confirmationState": "DENY" if number else "CONFIRM",
                "responseBody": {},
            }
        }
        for number, (action_group, function) in enumerate(pending.engine_state["wanted"])
    ]
    return {"invocationId": pending.engine_state["invocationId"], "returnControlInvocationResults": results}


def _said(
    reading: AgentReading,
    sink: Sink,
    sentences: list[str],
    outcome: Outcome,
    *,
    pending: PendingAction | None = None,
    heard: str | None = None,
) -> Reply:
    """The reply whose text is what the sink heard (the agent's words, if not told) and ``sentences``, said here."""
    heard = reading.spoken if heard is None else heard
    text = " ".join(sentences)
    if text:
        text = f"\n\n{text}" if heard.strip() else text
        sink.text(text)
    return _made(reading, heard + text, outcome, pending)


def _made(reading: AgentReading, text: str, outcome: Outcome, pending: PendingAction | None = None) -> Reply:
    """The reply ``text`` with what ran and was spent until now."""
    last = reading.model_calls[-1] if reading.model_calls else None
    return Reply(
        text=text,
        outcome=outcome,
        tool_calls=tuple(reading.calls),
        citations=reading.citations,
        pending=pending,
        input_tokens=sum(call.input_tokens for call in reading.model_calls),
        output_tokens=sum(call.output_tokens for call in reading.model_calls),
        model_id=last.model_id if last else "",
        profile=last.profile if last else None,
    )


def _unheard(_piece: str) -> None:
    """After a yes the tool's facts are told instead."""


def _code_of(failed: Exception) -> str:
    """An error's code as its exception is named: within a stream it comes with a small first letter."""
    code = str(failed.response.get("Error", {}).get("Code", "")) if isinstance(failed, ClientError) else ""
    return code[:1].upper() + code[1:]
