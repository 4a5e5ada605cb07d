"""An agent's turn: the model is asked, what it wants to use is used, and it is asked again until it answers.

Not an overlay by itself; it knows no HTTP and no engine. Follows
https://docs.aws.amazon.com/bedrock/latest/userguide/agents-how.html, .../agents-userconfirmation.html and
.../agents-returncontrol.html. The model is asked by Converse with the agent's instruction as the system prompt and its
functions as tools, so whichever local model answers Converse runs the agent. AWS's own prompt templates are not public
for every model and are not imitated.

A failure ends the turn with ServiceError and leaves the session as it was before the turn.
"""

import base64
import itertools
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from local.overlay import agent_traces as traces
from local.overlay.agent_actions import ActionAnswer, Conversation, parameters_of
from local.overlay.agent_definition import Agent, Function, KnowledgeBaseUse
from local.overlay.agent_sessions import Message, Pending, Session, ToolCall
from local.overlay.service_routes import ServiceError, invalid

_MOST_STEPS = 10
_MOST_RETURNED = 5  # what one returnControl event may carry, by botocore's model
_INFERENCE = {"temperature": 0.0, "maxTokens": 2048}
_NOTHING_SAID = "(The answer is empty.)"
_NOT_CONFIRMED = "This action was not carried out, because the user went on without confirming it."
_DENIED = "The user has denied this action. It was not carried out."

type Event = tuple[str, dict[str, Any]]
type Json = Mapping[str, Any]
type Steps[Found] = Generator[Event, None, Found]


def _trace_ids() -> Iterator[str]:
    prefix = uuid4().hex[:8]
    return (f"{prefix}-{number}" for number in itertools.count())


@dataclass(frozen=True, slots=True)
class Guarded:
    """A text after the guardrail: what may go on, whether that is the guardrail's refusal, and its assessment."""

    text: str
    blocked: bool
    assessment: Json | None


@dataclass(frozen=True, slots=True)
class Ports:
    """What a turn needs of the world; each raises ServiceError."""

    converse: Callable[[Json], Json]
    run_action: Callable[[Function, list[dict[str, str]], Conversation], ActionAnswer]
    look_up: Callable[[KnowledgeBaseUse, str], list[dict[str, Any]]]
    guard: Callable[[str, str], Guarded]


@dataclass
class Turn:
    """One invocation of an agent in a session. ``prompt_attributes`` last for this turn only."""

    agent: Agent
    alias_id: str
    session_id: str
    session: Session
    ports: Ports
    input_text: str
    prompt_attributes: dict[str, str]
    attributes: dict[str, str]
    messages: list[Message] = field(default_factory=list)
    references: list[dict[str, Any]] = field(default_factory=list)
    trace_ids: Iterator[str] = field(default_factory=_trace_ids)

    @property
    def conversation(self) -> Conversation:
        return Conversation(self.alias_id, self.session_id, self.input_text, self.attributes, self.prompt_attributes)


def answer_text(turn: Turn) -> Iterator[Event]:
    """The events of a turn that a person's text begins: ``trace``, and in the end ``chunk`` or ``returnControl``."""
    guarded = turn.ports.guard("INPUT", turn.input_text)
    yield from _traced_guard(turn, "INPUT", guarded)
    turn.messages = _opening(turn, guarded.text)
    if guarded.blocked:
        yield from _deliver(turn, guarded.text)
        return
    yield from _orchestrate(turn)


def answer_results(turn: Turn, invocation_id: str, results: Sequence[Json]) -> Iterator[Event]:
    """The events of a turn that goes on with what the caller answers to its ``returnControl``."""
    pending = turn.session.pending
    if pending is None or pending.invocation_id != invocation_id:
        raise invalid("The invocationId does not match any pending invocation of this session.")
    answers = [_matching(call, results) for call in pending.calls]
    turn.input_text = pending.input_text
    turn.messages = list(pending.messages)
    outcomes = list(pending.results)
    for call, given in zip(pending.calls, answers, strict=True):
        outcomes.append((yield from _resumed(turn, call, given)))
    turn.messages.append({"role": "user", "content": outcomes})
    yield from _orchestrate(turn)


def _orchestrate(turn: Turn) -> Iterator[Event]:
    for _ in range(_MOST_STEPS):
        answer = yield from _ask_model(turn)
        message = answer["output"]["message"]
        text = "\n".join(block["text"] for block in message["content"] if "text" in block)
        if answer["stopReason"] in ("end_turn", "stop_sequence"):
            turn.messages.append(message)
            yield from _finish(turn, text)
            return
        if answer["stopReason"] != "tool_use":
            raise _dependency_failed(f"The model gave no whole answer: {answer['stopReason']}.")
        turn.messages.append(message)
        if text:
            yield _trace(traces.rationale(next(turn.trace_ids), text))
        outcomes, returned = yield from _act(turn, message)
        if returned:
            yield from _return_control(turn, outcomes, returned)
            return
        turn.messages.append({"role": "user", "content": outcomes})
    raise _dependency_failed(f"The agent gave no answer within {_MOST_STEPS} steps.")


def _ask_model(turn: Turn) -> Steps[Json]:
    earlier = itertools.chain.from_iterable(turn.session.exchanges)
    request: dict[str, Any] = {
        "system": [{"text": _system_prompt(turn)}],
        "messages": [*earlier, *turn.messages],
        "inferenceConfig": _INFERENCE,
    }
    tools = _tools(turn.agent)
    if tools:
        request["toolConfig"] = {"tools": tools}
    yield _trace(traces.model_asked(next(turn.trace_ids), turn.agent.foundation_model, request))
    answer = turn.ports.converse(request)
    yield _trace(traces.model_answered(next(turn.trace_ids), answer))
    return answer


def _system_prompt(turn: Turn) -> str:
    """Session attributes are for the functions only; prompt session attributes are for the model too, as on AWS."""
    told = [f"{name}: {value}" for name, value in turn.prompt_attributes.items()]
    return "\n".join([turn.agent.instruction, *told])


def _tools(agent: Agent) -> list[dict[str, Any]]:
    functions = [_tool(one.name, one.description, one.input_schema) for one in agent.functions]
    query = {"type": "object", "properties": {"searchQuery": {"type": "string"}}, "required": ["searchQuery"]}
    return functions + [_tool(base.tool_name, base.description, query) for base in agent.knowledge_bases]


def _tool(name: str, description: str, schema: Json) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "description": description or name, "inputSchema": {"json": schema}}}


# --- Acting


def _act(turn: Turn, message: Json) -> Steps[tuple[list[Message], list[ToolCall]]]:
    """Runs what may be run; returns the results so far, and the calls that the caller must answer first."""
    functions = {function.name: function for function in turn.agent.functions}
    bases = {base.tool_name: base for base in turn.agent.knowledge_bases}
    outcomes: list[Message] = []
    returned: list[ToolCall] = []
    for block in message["content"]:
        use = block.get("toolUse")
        if use is None:
            continue
        if use["name"] in bases:
            outcomes.append((yield from _searched(turn, bases[use["name"]], use)))
            continue
        function = functions.get(use["name"])
        if function is None:
            outcomes.append((yield from _not_called(turn, use["toolUseId"], f"There is no function {use['name']}.")))
            continue
        call = ToolCall(use["toolUseId"], function, use["input"])
        try:
            parameters = parameters_of(function, call.arguments)
        except ValueError as error:
            outcomes.append((yield from _not_called(turn, call.tool_use_id, str(error))))
            continue
        if function.needs_confirmation or not function.lambda_arn:
            returned.append(call)
            continue
        outcomes.append((yield from _called(turn, call, parameters)))
    return outcomes, returned


def _called(turn: Turn, call: ToolCall, parameters: list[dict[str, str]]) -> Steps[Message]:
    yield _trace(traces.action_called(next(turn.trace_ids), call.function, parameters))
    answer = turn.ports.run_action(call.function, parameters, turn.conversation)
    turn.attributes.update(answer.session_attributes or {})
    turn.prompt_attributes.update(answer.prompt_session_attributes or {})
    if answer.state == "REPROMPT":
        yield _trace(traces.reprompted(next(turn.trace_ids), "ACTION_GROUP", answer.text))
    else:
        yield _trace(traces.action_answered(next(turn.trace_ids), answer.text))
    return _result(call.tool_use_id, answer.text)


def _not_called(turn: Turn, tool_use_id: str, why: str) -> Steps[Message]:
    yield _trace(traces.reprompted(next(turn.trace_ids), "PARSER", why))
    return _result(tool_use_id, why, failed=True)


def _searched(turn: Turn, base: KnowledgeBaseUse, use: Json) -> Steps[Message]:
    query = str(use["input"].get("searchQuery") or turn.input_text)
    yield _trace(traces.knowledge_base_asked(next(turn.trace_ids), base.knowledge_base_id, query))
    found = turn.ports.look_up(base, query)
    turn.references.extend(found)
    yield _trace(traces.knowledge_base_answered(next(turn.trace_ids), found))
    passages = [{"text": reference["content"]["text"]} for reference in found]
    return _result(use["toolUseId"], json.dumps({"passages": passages}, ensure_ascii=False))


def _result(tool_use_id: str, text: str, *, failed: bool = False) -> Message:
    status = "error" if failed else "success"
    return {"toolResult": {"toolUseId": tool_use_id, "content": [_content(text)], "status": status}}


def _content(text: str) -> dict[str, Any]:
    """What a function said, as JSON where it is an object, for a model reads that better than text in text."""
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    return {"json": said} if isinstance(said, dict) else {"text": text if text.strip() else _NOTHING_SAID}


# --- Asking the caller, and going on


def _return_control(turn: Turn, outcomes: list[Message], calls: list[ToolCall]) -> Iterator[Event]:
    if len(calls) > _MOST_RETURNED:
        raise _dependency_failed(f"The model asked for {len(calls)} actions at once; {_MOST_RETURNED} can be returned.")
    pending = Pending(str(uuid4()), turn.input_text, turn.messages, outcomes, calls)
    inputs = []
    for call in calls:
        parameters = parameters_of(call.function, call.arguments)
        yield _trace(traces.action_called(next(turn.trace_ids), call.function, parameters, pending.invocation_id))
        inputs.append(
            {
                "functionInvocationInput": {
                    "actionGroup": call.function.action_group,
                    "function": call.function.name,
                    "parameters": parameters,
                    "actionInvocationType": _asked_for(call.function),
                    "agentId": turn.agent.agent_id,
                }
            }
        )
    turn.session.attributes, turn.session.pending = turn.attributes, pending
    yield "returnControl", {"invocationId": pending.invocation_id, "invocationInputs": inputs}


def _asked_for(function: Function) -> str:
    if not function.needs_confirmation:
        return "RESULT"
    return "USER_CONFIRMATION" if function.lambda_arn else "USER_CONFIRMATION_AND_RESULT"


def _matching(call: ToolCall, results: Sequence[Json]) -> Json:
    """The caller's answer to ``call``; raises ServiceError where there is none or it lacks what was asked for."""
    function = call.function
    for result in results:
        given: Json = result.get("functionResult") or {}
        if (given.get("actionGroup"), given.get("function")) != (function.action_group, function.name):
            continue
        if function.needs_confirmation and given.get("confirmationState") not in ("CONFIRM", "DENY"):
            raise invalid(f"The result of {function.name} needs confirmationState CONFIRM or DENY.")
        return given
    raise invalid(f"returnControlInvocationResults has no functionResult of {function.action_group}/{function.name}.")


def _resumed(turn: Turn, call: ToolCall, given: Json) -> Steps[Message]:
    if given.get("confirmationState") == "DENY":
        yield _trace(traces.action_answered(next(turn.trace_ids), _DENIED))
        return _result(call.tool_use_id, _DENIED)
    if call.function.lambda_arn:
        return (yield from _called(turn, call, parameters_of(call.function, call.arguments)))
    text = str(((given.get("responseBody") or {}).get("TEXT") or {}).get("body", ""))
    if given.get("responseState") == "FAILURE":
        raise _dependency_failed(f"{call.function.name} failed: {text}")
    if given.get("responseState") == "REPROMPT":
        yield _trace(traces.reprompted(next(turn.trace_ids), "ACTION_GROUP", text))
    else:
        yield _trace(traces.action_answered(next(turn.trace_ids), text))
    return _result(call.tool_use_id, text)


def _opening(turn: Turn, text: str) -> list[Message]:
    """The messages that a person's text begins.

    Where a person writes on instead of answering a question, what was asked for does not happen; the model is told so
    in the form of results, because it must see one for each of its calls.
    """
    pending = turn.session.pending
    if pending is None:
        return [{"role": "user", "content": [{"text": text}]}]
    dropped = [_result(call.tool_use_id, _NOT_CONFIRMED) for call in pending.calls]
    return [*pending.messages, {"role": "user", "content": [*pending.results, *dropped, {"text": text}]}]


# --- The end of a turn


def _finish(turn: Turn, text: str) -> Iterator[Event]:
    if not text.strip():
        raise _dependency_failed("The model answered nothing.")
    guarded = turn.ports.guard("OUTPUT", text)
    yield from _traced_guard(turn, "OUTPUT", guarded)
    yield from _deliver(turn, guarded.text)


def _deliver(turn: Turn, text: str) -> Iterator[Event]:
    yield _trace(traces.finished(next(turn.trace_ids), text))
    said = {"role": "assistant", "content": [{"text": text}]}
    before = turn.messages if turn.messages[-1]["role"] == "user" else turn.messages[:-1]
    turn.session.attributes = turn.attributes
    turn.session.remember([*before, said])
    yield chunk_of(text, turn.references)


def chunk_of(text: str, references: Sequence[Json] = ()) -> Event:
    """The event that holds an answer. Attribution is of knowledge bases only: AWS knows no other source."""
    chunk: dict[str, Any] = {"bytes": base64.b64encode(text.encode()).decode()}
    if references:
        part = {"textResponsePart": {"text": text, "span": {"start": 0, "end": len(text) - 1}}}
        chunk["attribution"] = {"citations": [{"generatedResponsePart": part, "retrievedReferences": list(references)}]}
    return "chunk", chunk


def _traced_guard(turn: Turn, source: str, guarded: Guarded) -> Iterator[Event]:
    if guarded.assessment is not None:
        yield _trace(traces.guarded(next(turn.trace_ids), source, guarded.assessment))


def _trace(content: dict[str, Any]) -> Event:
    return "trace", content


def _dependency_failed(message: str) -> ServiceError:
    return ServiceError("DependencyFailedException", 424, message)
