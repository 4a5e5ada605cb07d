"""InvokeAgent with real orchestration, and Retrieve by meaning; nothing of the runtime answers a made-up text.

The engine answers every InvokeAgent, of any agent id, with a canned chunk, and likewise InvokeInlineAgent, flows and
RetrieveAndGenerate. Here an agent runs over the local models (``agent_orchestration``): its instruction, its functions,
its knowledge bases, its guardrail; what does not run here is refused with a word why. Follows
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_agent-runtime_InvokeAgent.html.

Who may: the caller bedrock:InvokeAgent on the alias; the agent's role, which must trust bedrock.amazonaws.com for the
agent, bedrock:InvokeModel on its model, bedrock:Retrieve on its knowledge bases and bedrock:ApplyGuardrail on its
guardrail; the function's own policy must let bedrock.amazonaws.com invoke it for the agent. As on AWS an error of the
orchestration is an exception in the stream, one of the request an error of the call.
"""

import asyncio
import contextvars
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote

from ministack import app
from ministack.core import iam_actions
from ministack.core.responses import StreamingResponse, get_account_id, get_region
from ministack.services import bedrock_agent_runtime

from local.models.answering import Models
from local.overlay import agent_traces
from local.overlay.agent_actions import run_action
from local.overlay.agent_definition import Agent, KnowledgeBaseUse
from local.overlay.agent_orchestration import Event, Ports, Turn, answer_results, answer_text, chunk_of
from local.overlay.agent_sessions import Key, Session, Sessions
from local.overlay.authorization import refusal_of_caller, refusal_of_role
from local.overlay.bedrock_agents import version_behind
from local.overlay.bedrock_guardrails import guard
from local.overlay.bedrock_knowledge_bases import Embed, remembering, retrieve
from local.overlay.bedrock_runtime import arns_of, converse, embed, exception_frame, models_of
from local.overlay.engine_hooks import Engine, Receive, Send, original, replace
from local.overlay.service_routes import ServiceError, invalid, json_answer, json_object

logger = logging.getLogger("local.bedrock.agents")

_INVOCATION = re.compile(r"/agents/([^/]+)/agentAliases/([^/]+)/sessions/([^/]+)/text")
_RETRIEVAL = re.compile(r"/knowledgebases/([^/]+)/retrieve")
_RECORDS = ("/sessions", "/tags/")  # the engine keeps these, and makes nothing up
_SESSION_ID = re.compile(r"[0-9a-zA-Z._:-]{2,100}")
_PRINCIPAL = "bedrock.amazonaws.com"
_CALLS_AT_ONCE = 64  # each holds a thread while its model and its functions work
_SESSION_ENDED = "Session is terminated as 'endSession' flag is set in request."
_IN_STREAM = {
    "ServiceUnavailableException": "badGatewayException",
    "ModelTimeoutException": "badGatewayException",
    "ModelErrorException": "dependencyFailedException",
}


def install(engine: Engine) -> None:
    """Puts the agents, and retrieval, in the place of the engine's answers."""
    models = models_of(engine)
    runtime = _Runtime(models, remembering(partial(embed, models)), Sessions())
    calls = ThreadPoolExecutor(_CALLS_AT_ONCE, "bedrock-agents")  # not the loop's own: see bedrock_runtime
    handlers = original(app, "SERVICE_HANDLERS")
    records = handlers["bedrock-agent-runtime"]

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Any:
        try:
            invocation, retrieval = _INVOCATION.fullmatch(path), _RETRIEVAL.fullmatch(path)
            if invocation and method == "POST":
                agent_id, alias_id, session_id = map(unquote, invocation.groups())
                _authorise(agent_id, alias_id, headers, query)
                address = _Address(version_behind(agent_id, alias_id), alias_id, session_id)
                return _streamed(calls, _accepted(runtime, address, json_object(body or b"{}")))
            if retrieval and method == "POST":
                search = partial(retrieve, runtime.embed, unquote(retrieval[1]), json_object(body or b"{}"))
                return json_answer({"retrievalResults": await _in_thread(calls, search)})
            if path.startswith(_RECORDS):
                return await records(method, path, headers, body, query)
            raise ServiceError(
                "UnknownOperationException", 404, f"The local Bedrock Agents have no operation {method} {path}."
            )
        except ServiceError as error:
            answered = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
            return error.status, answered, json.dumps({"message": error.message}).encode()

    handlers["bedrock-agent-runtime"] = handle
    replace(bedrock_agent_runtime, "_mock_reply", _out_of_reach)
    _authorise_here()


@dataclass(frozen=True, slots=True)
class _Runtime:
    models: Models
    embed: Embed
    sessions: Sessions


@dataclass(frozen=True, slots=True)
class _Address:
    """Whom a request speaks to, and in which session."""

    agent: Agent
    alias_id: str
    session_id: str

    @property
    def key(self) -> Key:
        return get_account_id(), get_region(), self.agent.agent_id, self.alias_id, self.session_id


@dataclass(frozen=True, slots=True)
class _Invocation:
    """An accepted request: ``events`` run it, ``release`` gives its session back."""

    address: _Address
    traced: bool
    events: Iterator[Event]
    release: Callable[[], None]


# --- Who may


def _authorise_here() -> None:
    """InvokeAgent is granted on the alias, which the engine would not ask for: it asks for the agent."""
    extract = original(iam_actions, "extract_iam_action")

    def action_of(service: str, method: str, path: str, *rest: Any, **options: Any) -> str | None:
        if service == "bedrock-agent-runtime" and _INVOCATION.fullmatch(path):
            return None  # the engine still authenticates
        action: str | None = extract(service, method, path, *rest, **options)
        return action

    replace(iam_actions, "extract_iam_action", action_of)


def _authorise(agent_id: str, alias_id: str, headers: Mapping[str, str], query: Mapping[str, list[str]]) -> None:
    refusal = refusal_of_caller(headers, query, "bedrock:InvokeAgent", _alias_arn(agent_id, alias_id))
    if refusal:
        raise ServiceError("AccessDeniedException", 403, refusal)


def _require_role(agent: Agent, action: str, resource_arn: str) -> None:
    refusal = refusal_of_role(agent.role_arn, _PRINCIPAL, action, resource_arn, agent.arn)
    if refusal:
        raise ServiceError(
            "AccessDeniedException",
            403,
            f"Access denied when calling Bedrock. Check your request permissions and retry the request. ({refusal})",
        )


# --- One request


def _accepted(runtime: _Runtime, address: _Address, request: Mapping[str, Any]) -> _Invocation:
    """The request as something to run; raises ServiceError where it cannot be."""
    if not _SESSION_ID.fullmatch(address.session_id):
        raise invalid("sessionId has 2 to 100 of the characters 0-9 a-z A-Z . _ : -")
    state = request.get("sessionState") or {}
    _refuse_unserved(request, state)
    if request.get("endSession"):
        runtime.sessions.end(address.key)
        return _Invocation(address, False, _farewell(), lambda: None)
    results = state.get("returnControlInvocationResults") or []
    if not results and not str(request.get("inputText") or "").strip():
        raise invalid("inputText is required where returnControlInvocationResults has nothing.")
    session = runtime.sessions.take(address.key, address.agent.idle_seconds)
    turn = _turn(runtime, address, session, request)
    events = answer_results(turn, str(state.get("invocationId", "")), results) if results else answer_text(turn)
    return _Invocation(address, bool(request.get("enableTrace")), events, partial(runtime.sessions.give_back, session))


def _turn(runtime: _Runtime, address: _Address, session: Session, request: Mapping[str, Any]) -> Turn:
    state = request.get("sessionState") or {}
    history = (state.get("conversationHistory") or {}).get("messages") or []
    if history and not session.exchanges:
        session.exchanges = [[{"role": said["role"], "content": list(said["content"])} for said in history]]
    return Turn(
        agent=address.agent,
        alias_id=address.alias_id,
        session_id=address.session_id,
        session=session,
        ports=_ports(runtime, address.agent),
        input_text=str(request.get("inputText") or ""),
        prompt_attributes=dict(state.get("promptSessionAttributes") or {}),
        attributes=session.attributes | dict(state.get("sessionAttributes") or {}),
    )


def _ports(runtime: _Runtime, agent: Agent) -> Ports:
    def ask(request: Mapping[str, Any]) -> Mapping[str, Any]:
        for arn in arns_of(agent.foundation_model):
            _require_role(agent, "bedrock:InvokeModel", arn)
        return converse(runtime.models, agent.foundation_model, request)

    def look_up(base: KnowledgeBaseUse, query: str) -> list[dict[str, Any]]:
        arn = f"arn:aws:bedrock:{get_region()}:{get_account_id()}:knowledge-base/{base.knowledge_base_id}"
        _require_role(agent, "bedrock:Retrieve", arn)
        found = retrieve(runtime.embed, base.knowledge_base_id, {"retrievalQuery": {"text": query}})
        return [{name: value for name, value in result.items() if name != "score"} for result in found]

    return Ports(ask, partial(run_action, agent), look_up, partial(guard, agent))


def _refuse_unserved(request: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    unserved = [
        *(name for name in ("memoryId", "promptCreationConfigurations", "sourceArn") if request.get(name)),
        *(f"sessionState.{name}" for name in ("files", "knowledgeBaseConfigurations") if state.get(name)),
    ]
    if (request.get("streamingConfigurations") or {}).get("streamFinalResponse"):
        unserved.append("streamFinalResponse")
    if unserved:
        raise invalid(f"The local Bedrock Agents do not serve {', '.join(unserved)}.")


def _farewell() -> Iterator[Event]:
    yield chunk_of(_SESSION_ENDED)


# --- The stream


def _streamed(calls: ThreadPoolExecutor, invocation: _Invocation) -> Any:
    """The events as AWS frames them. The turn runs to its end in its thread, also where its caller has gone."""
    loop, frames = asyncio.get_running_loop(), asyncio.Queue[bytes | None]()

    def produce() -> None:
        try:
            for frame in _frames(invocation):
                loop.call_soon_threadsafe(frames.put_nowait, frame)
        except Exception:
            # A stream that only breaks off would read as an empty answer.
            logger.exception("Session %s of agent %s failed", invocation.address.session_id, invocation.address.agent)
            failure = exception_frame("internalServerException", "An internal server error occurred. See the log.")
            loop.call_soon_threadsafe(frames.put_nowait, failure)
        finally:
            invocation.release()
            loop.call_soon_threadsafe(frames.put_nowait, None)

    loop.run_in_executor(calls, partial(contextvars.copy_context().run, produce))

    async def run(send: Send, _receive: Receive) -> None:
        while frame := await frames.get():
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    headers = {
        "Content-Type": "application/vnd.amazon.eventstream",
        "x-amzn-bedrock-agent-content-type": "application/json",
        "x-amz-bedrock-agent-session-id": invocation.address.session_id,
    }
    return 200, headers, StreamingResponse(run)


def _frames(invocation: _Invocation) -> Iterator[bytes]:
    frame_of = original(bedrock_agent_runtime, "_es_event")
    try:
        for kind, content in invocation.events:
            if kind != "trace":
                yield frame_of(kind, content)
            elif invocation.traced:
                yield frame_of(kind, _trace_part(invocation, content))
    except ServiceError as error:
        if invocation.traced:
            failure = agent_traces.failed(error.message, error.status)
            yield frame_of("trace", _trace_part(invocation, failure))
        name = _IN_STREAM.get(error.code, error.code[0].lower() + error.code[1:])
        yield exception_frame(name, error.message)


def _trace_part(invocation: _Invocation, content: Mapping[str, Any]) -> dict[str, Any]:
    address = invocation.address
    return {
        "agentId": address.agent.agent_id,
        "agentAliasId": address.alias_id,
        "agentVersion": address.agent.version,
        "sessionId": address.session_id,
        "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "callerChain": [{"agentAliasArn": _alias_arn(address.agent.agent_id, address.alias_id)}],
        "trace": content,
    }


async def _in_thread[Found](calls: ThreadPoolExecutor, call: Callable[[], Found]) -> Found:
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(calls, lambda: context.run(call))


def _alias_arn(agent_id: str, alias_id: str) -> str:
    return f"arn:aws:bedrock:{get_region()}:{get_account_id()}:agent-alias/{agent_id}/{alias_id}"


def _out_of_reach(*_: object) -> str:
    raise RuntimeError("The embedded AWS makes up no agent's answer.")
