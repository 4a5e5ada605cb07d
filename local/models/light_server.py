"""The light profile: chat with tools, summaries and embeddings without a language model, behind the OpenAI protocol.

``python -m local.models.light_server`` binds a free port of the loopback, prints ``listening on PORT`` and serves until
its standard input closes: so it ends with whoever started it, even where that was killed.

    POST /v1/chat/completions   with tools: tool calls or a text, decided from the person's words (light_chat);
                                with response_format json_schema of the shape of write_summary: an extractive summary;
                                of the shape of next_move: an investigation's next move (light_investigator);
                                of any other kind, 400 with what to do about it, for there is nothing here that could
                                answer; "stream": true sends a text sentence by sentence, anything else as one chunk
    POST /v1/embeddings         vectors of 384; "normalize": false leaves them as the network made them

https://platform.openai.com/docs/api-reference/chat and /embeddings. Token counts are the embedding model's own pieces.
A summary is as short as max_tokens asks; where not even the fewest sentences fit, it is cut off there, with
finish_reason "length", as a language model's answer would be.
"""

import json
import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from local.models.conversation import read_conversation
from local.models.embeddings import LazyEmbeddingModel, normalised
from local.models.light_chat import next_move
from local.models.light_desk import desk_for
from local.models.light_investigator import asks_for_next_move
from local.models.light_investigator import next_move as next_move_of_investigation
from local.models.profile import HOW_TO_CHANGE
from local.models.summaries import NothingToSummariseError, asks_for_summary, summarise

LONGEST_BODY_BYTES = 8 * 1024 * 1024
SUMMARISER, CHAT, INVESTIGATOR = "extractive-summary", "tool-router", "investigator"
_SENTENCE = re.compile(r".+?(?:[.!?]\s+|$)", re.DOTALL)
logger = logging.getLogger(__name__)

type Body = dict[str, Any]


class RefusedError(Exception):
    """A request that is not served: the HTTP status and a message for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def complete(request: Mapping[str, Any], model: LazyEmbeddingModel) -> Body:
    """The chat completion for ``request``; raises RefusedError where this profile has no answer."""
    if request.get("tools"):
        return _chat(request, model)
    schema = ((request.get("response_format") or {}).get("json_schema") or {}).get("schema") or {}
    if asks_for_next_move(schema):
        return _investigation(request, schema, model)
    if asks_for_summary(schema):
        return _summary(request, schema, model)
    what_there_is = "it summarises, embeds, uses tools, and chooses an investigation's moves"
    raise RefusedError(400, f"The light profile has no language model: {what_there_is}. {HOW_TO_CHANGE}")


def _chat(request: Mapping[str, Any], model: LazyEmbeddingModel) -> Body:
    desk = desk_for(request["tools"], model, datetime.now(UTC).date())
    try:
        conversation = read_conversation(request["messages"])
    except ValueError as error:
        raise RefusedError(400, str(error)) from error
    must_call = request.get("tool_choice") == "required"
    move = next_move(conversation, desk, must_call=must_call)
    if must_call and not move.calls:
        raise RefusedError(400, f"The light profile cannot fill any tool from this conversation: {move.text}")
    asked = json.dumps([request["messages"], request["tools"]], ensure_ascii=False)
    if not move.calls:
        completion = _completion(CHAT, move.text, asked, request, model)
        message = completion["choices"][0]["message"]
        message |= {"kind": move.kind, "possible": move.possible}  # ours: local.models.advice reads them
        return completion
    calls = [
        {
            "id": f"call_{uuid4().hex}",
            "type": "function",
            "function": {"name": call.tool, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for call in move.calls
    ]
    completion = _completion(CHAT, json.dumps(calls), asked, request, model)
    (choice,) = completion["choices"]
    if choice["finish_reason"] == "stop":
        choice |= {
            "message": {"role": "assistant", "content": None, "tool_calls": calls},
            "finish_reason": "tool_calls",
        }
    else:
        choice["message"]["content"] = ""
    return completion


def _investigation(request: Mapping[str, Any], schema: Mapping[str, Any], model: LazyEmbeddingModel) -> Body:
    move = next_move_of_investigation(_said_by_user(request), schema)
    return _completion(INVESTIGATOR, _written(move), _asked(request), request, model)


def _summary(request: Mapping[str, Any], schema: Mapping[str, Any], model: LazyEmbeddingModel) -> Body:
    said = _said_by_user(request)
    loaded, limit = model.get(), _limit(request)

    def fits(summary: Body) -> bool:
        return loaded.count_tokens(_written(summary)) <= limit

    try:
        summary = summarise(said, schema, lambda texts: normalised(loaded.embed(texts)), fits)
    except NothingToSummariseError as error:
        raise RefusedError(400, str(error)) from error
    return _completion(SUMMARISER, _written(summary), _asked(request), request, model)


def _said_by_user(request: Mapping[str, Any]) -> str:
    return "\n".join(str(message["content"]) for message in request["messages"] if message["role"] == "user")


def _asked(request: Mapping[str, Any]) -> str:
    return "\n".join(str(message["content"]) for message in request["messages"])


def _completion(answerer: str, content: str, asked: str, request: Mapping[str, Any], model: LazyEmbeddingModel) -> Body:
    """A chat completion with ``content``, cut off where it is longer than max_tokens."""
    loaded, limit = model.get(), _limit(request)
    answered = loaded.count_tokens(content)
    whole = answered <= limit
    message = {"role": "assistant", "content": content if whole else content[: len(content) * limit // answered]}
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answerer,
        "choices": [{"index": 0, "finish_reason": "stop" if whole else "length", "message": message}],
        "usage": _usage(loaded.count_tokens(asked), min(answered, limit)),
    }


def _limit(request: Mapping[str, Any]) -> int:
    """The most tokens that an answer may have."""
    return int(request.get("max_tokens") or sys.maxsize)


def _written(answer: Body) -> str:
    return json.dumps(answer, ensure_ascii=False)


def as_events(completion: Body) -> bytes:
    """``completion`` as the events of a stream: a text of the chat sentence by sentence, anything else at once."""
    (choice,) = completion["choices"]
    head = {**completion, "object": "chat.completion.chunk"}
    usage = head.pop("usage")
    deltas = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in _deltas(choice["message"], head["model"])
    ]
    chunks = (
        *({**head, "choices": [delta]} for delta in deltas),
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {**head, "choices": [], "usage": usage},
    )
    return b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"


def _deltas(message: Mapping[str, Any], answerer: str) -> list[Body]:
    calls = message.get("tool_calls")
    if calls:
        return [{"role": "assistant", "tool_calls": [{**call, "index": place} for place, call in enumerate(calls)]}]
    if answerer != CHAT:
        return [dict(message)]
    return [{"role": "assistant", "content": piece} for piece in _SENTENCE.findall(message["content"])]


def embed(request: Mapping[str, Any], model: LazyEmbeddingModel) -> Body:
    """The embeddings for ``request``; raises RefusedError where there is no text to embed."""
    texts = [request["input"]] if isinstance(request["input"], str) else request["input"]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise RefusedError(400, "The input is a text, or a list of texts, none of them empty.")
    loaded = model.get()
    vectors = loaded.embed(texts)
    if request.get("normalize", True):
        vectors = normalised(vectors)
    return {
        "object": "list",
        "model": request.get("model"),
        "data": [
            {"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(vectors.tolist())
        ],
        "usage": _usage(sum(loaded.count_tokens(text) for text in texts), 0),
    }


def _usage(asked: int, answered: int) -> Body:
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


_ROUTES: dict[str, Callable[[Mapping[str, Any], LazyEmbeddingModel], Body]] = {
    "/v1/chat/completions": complete,
    "/v1/embeddings": embed,
}


def start_server(model: LazyEmbeddingModel) -> ThreadingHTTPServer:
    """A server on a free port of the loopback, serving in threads of its own; ``shutdown`` ends it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(model))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _handler_for(model: LazyEmbeddingModel) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits 40 ms for the acknowledgement of its headers
        wbufsize = -1

        def do_POST(self) -> None:
            try:
                request = self._request()
                answer = _ROUTES[self.path](request, model)
                if request.get("stream"):
                    self._send(200, "text/event-stream", as_events(answer))
                else:
                    self._answer(200, answer)
            except RefusedError as refused:
                self._answer(refused.status, _error(refused.message))
            except (KeyError, TypeError, AttributeError) as error:
                logger.exception("%s: a request that is not understood", self.path)
                self._answer(400, _error(f"{self.path}: the request is not understood: {error!r}"))
            except Exception as error:
                logger.exception("%s", self.path)
                self._answer(500, _error(f"{type(error).__name__}: {error}"))

        def _request(self) -> Body:
            length = int(self.headers.get("Content-Length") or 0)
            if length > LONGEST_BODY_BYTES:
                self.close_connection = True
                raise RefusedError(413, f"The body exceeds {LONGEST_BODY_BYTES} bytes.")
            try:
                document: Body = json.loads(self.rfile.read(length))
            except ValueError as error:
                raise RefusedError(400, f"The body is not JSON: {error}") from error
            return document

        def _answer(self, status: int, document: Body) -> None:
            self._send(status, "application/json", json.dumps(document).encode())

        def _send(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            """A line for every request would be all that the log holds."""

    return Handler


def _error(message: str) -> Body:
    return {"error": {"message": message, "type": "invalid_request_error"}}


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    server = start_server(LazyEmbeddingModel())
    sys.stdout.write(f"listening on {server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
