"""Bedrock's runtime over real models on this machine: Converse, ConverseStream, and InvokeModel for embeddings.

The engine answers all of them with a made-up text and ``end_turn``, also where the model server that it was given is
down: a silent success. Here ``local.models`` answers, and where it cannot, the error says so as AWS would. The engine's
made-up answers are put out of reach; of its runtime only ApplyGuardrail is left in place.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html

Converse needs ``bedrock:InvokeModel``, the streamed one ``bedrock:InvokeModelWithResponseStream``, on the foundation
model; through an inference profile on the profile and the model (on AWS in each of its regions, here in the caller's).
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html

Any model id that a Bedrock account could use is answered by the one profile at work; which one that is, a Converse
answer says in ``additionalModelResponseFields.localProfile`` and ``GET /_local/models`` in plain words. Titan's vectors
have 384 dimensions here, for that is what the local network makes. Everything else is refused with a word why.
"""

import asyncio
import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ministack import app
from ministack.core import iam_actions
from ministack.core.responses import StreamingResponse, get_account_id, get_region
from ministack.services import bedrock_runtime

from local.models import openai_client
from local.models.answering import EMBEDDING_MODEL, Models, models_for
from local.models.converse import UntranslatableError
from local.models.description import describe
from local.models.profile import HOW_TO_CHANGE, profile_from
from local.overlay.authorization import Response, refusal_of_caller
from local.overlay.engine_hooks import AsgiApp, Engine, Receive, Scope, Send, original, replace
from local.overlay.service_routes import ServiceError, invalid, json_answer, json_object

# Foundation models that take Converse with a forced tool, as of 2026-11: a misspelt id must fail here as there.
_TEXT_MODELS = frozenset(
    {
        "amazon.nova-2-lite-v1:0",
        "amazon.nova-lite-v1:0",
        "amazon.nova-micro-v1:0",
        "amazon.nova-premier-v1:0",
        "amazon.nova-pro-v1:0",
        "anthropic.claude-3-5-haiku-20241022-v1:0",
        "anthropic.claude-3-7-sonnet-20250219-v1:0",
        "anthropic.claude-3-haiku-20240307-v1:0",
        "anthropic.claude-haiku-4-5-20251001-v1:0",
        "anthropic.claude-sonnet-4-20250514-v1:0",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "mistral.mistral-large-2402-v1:0",
    }
)
_PROFILE_REGIONS = {"eu": "eu-", "us": "us-", "apac": "ap-", "global": ""}  # inference profile: where it may be called
_MODEL_ARN = re.compile(r"arn:aws:bedrock:[a-z0-9-]*:(?:\d{12})?:(?:foundation-model|inference-profile)/(.+)")
_ROUTE = re.compile(r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream)")
_ACTIONS = {
    "converse": "bedrock:InvokeModel",
    "converse-stream": "bedrock:InvokeModelWithResponseStream",
    "invoke": "bedrock:InvokeModel",
    "invoke-with-response-stream": "bedrock:InvokeModelWithResponseStream",
}
_ERRORS: dict[type[Exception], tuple[str, int]] = {
    UntranslatableError: ("ValidationException", 400),
    openai_client.RefusedError: ("ValidationException", 400),
    openai_client.BusyError: ("ThrottlingException", 429),
    openai_client.AwayError: ("ServiceUnavailableException", 503),
    openai_client.LateError: ("ModelTimeoutException", 408),
    openai_client.BrokenError: ("ModelErrorException", 424),
}
_IN_STREAM = {"ModelErrorException": "modelStreamErrorException", "ModelTimeoutException": "modelStreamErrorException"}
_CALLS_AT_ONCE = 64  # they wait for models, which are other processes; the quick ones must not wait for the slow ones
_DESCRIPTION_PATH = "/_local/models"

type Event = tuple[str, dict[str, Any]]


def install(engine: Engine) -> None:
    """Puts the local models behind the engine's Bedrock runtime, and what they are on the engine's address."""
    models = models_of(engine)
    calls = ThreadPoolExecutor(_CALLS_AT_ONCE, "bedrock")  # not the loop's own: a slow model must not hold up the rest
    handlers = original(app, "SERVICE_HANDLERS")
    apply_guardrail = handlers["bedrock-runtime"]

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> Any:
        if path.startswith("/guardrail/"):
            return await apply_guardrail(method, path, headers, body, query)
        try:
            operation, model_id = _route(method, path)
            _authorise(model_id, _ACTIONS[operation], headers, query)
            resolved = foundation_model(model_id)
            return await _answer(models, calls, operation, resolved, json_object(body))
        except ServiceError as error:
            return _refuse(error)

    handlers["bedrock-runtime"] = handle
    for name in ("_mock_reply", "_openai_mock_reply"):
        replace(bedrock_runtime, name, _out_of_reach)
    _authorise_here()
    engine.app = _with_description(engine.app, models)


@functools.cache
def _models_below(home: Path) -> Models:
    return models_for(profile_from(os.environ), home / "models")


def models_of(engine: Engine) -> Models:
    """The models of this engine: the same for everything that runs in its process, so one light server serves all."""
    return _models_below(engine.home)


def converse(models: Models, model_id: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Converse for another service in this process; raises ServiceError as a caller over HTTP would get it.

    Who may is the other service's to ask: ``arns_of`` says what its role must be granted bedrock:InvokeModel on.
    """
    foundation_model(model_id)
    return _or_service_error(models.converse, request)


def converse_stream(models: Models, model_id: str, request: Mapping[str, Any]) -> Iterator[Event]:
    """ConverseStream's events for another service in this process; raises ServiceError, at once or on the way."""
    foundation_model(model_id)
    return _following(models.converse_stream(request))


def _following(events: Iterator[Event]) -> Iterator[Event]:
    while event := _or_service_error(_next_event, events):
        yield event


def _next_event(events: Iterator[Event]) -> Event | None:
    return next(events, None)


def embed(models: Models, text: str) -> list[float]:
    """The vector of ``text``, of length 1; raises ServiceError as a caller of InvokeModel would get it."""
    vector: list[float] = _or_service_error(models.embed, {"inputText": text})["embedding"]
    return vector


def _authorise_here() -> None:
    """Leaves who may to the handler: the engine would ask for an action of the operation's name, which AWS has not."""
    extract = original(iam_actions, "extract_iam_action")

    def action_of(service: str, method: str, path: str, *rest: Any, **options: Any) -> str | None:
        if service == "bedrock-runtime" and _ROUTE.fullmatch(path):
            return None  # the engine still authenticates
        action: str | None = extract(service, method, path, *rest, **options)
        return action

    replace(iam_actions, "extract_iam_action", action_of)


def _route(method: str, path: str) -> tuple[str, str]:
    """The operation and the model id that a request names; raises ServiceError where it names none."""
    route = _ROUTE.fullmatch(path)
    if route is None or method != "POST":
        raise ServiceError("UnknownOperationException", 404, f"The local Bedrock has no operation {method} {path}.")
    return route[2], unquote(route[1])


async def _answer(
    models: Models, calls: ThreadPoolExecutor, operation: str, foundation_model: str, request: dict[str, Any]
) -> Any:
    embeds = foundation_model == EMBEDDING_MODEL
    if embeds and operation == "invoke":
        return json_answer(await _asked(calls, models.embed, request))
    if embeds or operation.startswith("invoke"):
        raise invalid(
            "This action doesn't support the model that you provided. The local models serve InvokeModel for "
            f"{EMBEDDING_MODEL}, and Converse and ConverseStream for the models of text."
        )
    if operation == "converse":
        return json_answer(await _asked(calls, models.converse, request))
    return await _stream(calls, models.converse_stream(request))


# --- Who may, and which model


def _authorise(model_id: str, action: str, headers: Mapping[str, str], query: Mapping[str, list[str]]) -> None:
    for arn in arns_of(model_id):
        refusal = refusal_of_caller(headers, query, action, arn)
        if refusal:
            raise ServiceError("AccessDeniedException", 403, refusal)


def arns_of(model_id: str) -> list[str]:
    """What a call of ``model_id`` must be granted on."""
    found = _MODEL_ARN.fullmatch(model_id)
    name = found[1] if found else model_id
    prefix, _, rest = name.partition(".")
    if prefix not in _PROFILE_REGIONS:
        return [f"arn:aws:bedrock:{get_region()}::foundation-model/{name}"]
    return [
        f"arn:aws:bedrock:{get_region()}:{get_account_id()}:inference-profile/{name}",
        f"arn:aws:bedrock:{get_region()}::foundation-model/{rest}",
    ]


def foundation_model(model_id: str) -> str:
    """The foundation model behind an id or an ARN; raises ServiceError where there is none such in this region."""
    found = _MODEL_ARN.fullmatch(model_id)
    name = found[1] if found else model_id
    prefix, _, rest = name.partition(".")
    if prefix in _PROFILE_REGIONS and get_region().startswith(_PROFILE_REGIONS[prefix]) and rest in _TEXT_MODELS:
        return rest
    if name not in _TEXT_MODELS | {EMBEDDING_MODEL}:
        raise invalid("The provided model identifier is invalid.")
    return name


# --- Answers and errors on the wire


async def _asked[Asked, Answered](
    calls: ThreadPoolExecutor, call: Callable[[Asked], Answered], argument: Asked
) -> Answered:
    """``call`` of ``argument`` in a thread of ``calls``; what the models raise becomes a ServiceError."""
    return await asyncio.get_running_loop().run_in_executor(calls, _or_service_error, call, argument)


def _or_service_error[Asked, Answered](call: Callable[[Asked], Answered], argument: Asked) -> Answered:
    try:
        return call(argument)
    except tuple(_ERRORS) as error:
        code, status = _ERRORS[type(error)]
        raise ServiceError(code, status, str(error)) from error


async def _stream(calls: ThreadPoolExecutor, events: Iterator[Event]) -> Any:
    """The events as AWS frames them. What fails before the first is an error of the call, later one of the stream."""
    frame_of = original(bedrock_runtime, "_es_event")

    def following(events: Iterator[Event]) -> bytes | None:
        event = next(events, None)
        return bytes(frame_of(*event)) if event else None

    head = await _asked(calls, following, events)

    async def run(send: Send, _receive: Receive) -> None:
        frame = head
        while frame:
            await send({"type": "http.response.body", "body": frame, "more_body": True})
            try:
                frame = await _asked(calls, following, events)
            except ServiceError as error:
                await send({"type": "http.response.body", "body": _exception_frame(error), "more_body": True})
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return 200, {"Content-Type": "application/vnd.amazon.eventstream"}, StreamingResponse(run)


def _exception_frame(error: ServiceError) -> bytes:
    return exception_frame(_IN_STREAM.get(error.code, error.code[0].lower() + error.code[1:]), error.message)


def exception_frame(name: str, message: str) -> bytes:
    """The last frame of an event stream that fails: the exception by its name in the stream's model."""
    headers = {":message-type": "exception", ":exception-type": name, ":content-type": "application/json"}
    encode = original(bedrock_runtime, "_es_encode_message")
    return bytes(encode(headers, json.dumps({"message": message}).encode()))


def _refuse(error: ServiceError) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps({"message": error.message}).encode()


def _out_of_reach(*_: object, **__: object) -> str:
    raise RuntimeError(f"The embedded AWS makes up no model's answer. {HOW_TO_CHANGE}")


def _with_description(inner: AsgiApp, models: Models) -> AsgiApp:
    """``GET /_local/models``: what answers, in plain words, without asking a model."""

    async def described(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != _DESCRIPTION_PATH or scope["method"] != "GET":
            await inner(scope, receive, send)
            return
        processes = {
            "lightServerProcess": models.light.process_id(),
            "languageModelProcess": models.llm.process_id() if models.llm else None,
        }
        body = json.dumps(describe(models.profile) | processes).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return described
