"""Asking an OpenAI-compatible server, ours or any other: one attempt, and each way to fail under its own name.

https://platform.openai.com/docs/api-reference/chat. Streams are server-sent events, one JSON chunk each, ``[DONE]``
last: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections.abc import Generator, Iterator, Mapping
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

_CONNECT_SECONDS = 2.0
_TOO_MANY_REQUESTS, _AWAY = 429, frozenset({502, 503, 504})

type Json = dict[str, Any]


class ModelServerError(Exception):
    """The server did not answer the question; the kinds below say why."""


class BusyError(ModelServerError):
    """It asked to come back later."""


class AwayError(ModelServerError):
    """It is not there, is starting, or went away before it had answered."""


class LateError(ModelServerError):
    """It did not answer in time."""


class RefusedError(ModelServerError):
    """It understood the request and does not serve it."""


class BrokenError(ModelServerError):
    """It failed, or what it said is not of the protocol."""


_connections = urllib3.PoolManager(maxsize=16, retries=False)


def ask(address: str, path: str, request: Mapping[str, Any], seconds: float) -> Json:
    """What ``address`` (http://127.0.0.1:11434) answers to a POST of ``request``, silent for at most ``seconds``.

    Raises ModelServerError.
    """
    response = _post(address, path, request, seconds, preload=True)
    return _document(response.data)


def ask_streamed(address: str, path: str, request: Mapping[str, Any], seconds: float) -> Generator[Json]:
    """The chunks of the answer as they come, at most ``seconds`` apart; the request is made when the first is taken.

    Raises ModelServerError, at the first or on the way.
    """
    response = _post(address, path, {**request, "stream": True}, seconds, preload=False)
    try:
        yield from _chunks(response)
    except (HTTPError, OSError) as error:
        raise _unanswered(address, error) from error
    finally:
        response.close()


def _chunks(response: urllib3.BaseHTTPResponse) -> Iterator[Json]:
    pending = b""
    while received := response.read1(2**16):  # what is there, without waiting for more
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            said = line.strip().removeprefix(b"data:").strip()
            if said == b"[DONE]":
                return
            if line.startswith(b"data:"):
                yield _document(said)
    raise BrokenError("The stream ended without its end mark.")


def _post(
    address: str, path: str, request: Mapping[str, Any], seconds: float, *, preload: bool
) -> urllib3.BaseHTTPResponse:
    patience = urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds)
    try:
        response = _connections.request("POST", address + path, json=request, timeout=patience, preload_content=preload)
        if response.status >= 300:
            raise _refusal(response.status, response.read() if not preload else response.data)
    except (HTTPError, OSError) as error:
        raise _unanswered(address, error) from error
    return response


def _unanswered(address: str, error: Exception) -> ModelServerError:
    if isinstance(error, ReadTimeoutError):
        return LateError(f"The model server at {address} did not answer in time: {error}")
    went = "went away" if isinstance(error, ProtocolError) else "cannot be reached"
    return AwayError(f"The model server at {address} {went}: {error}")


def _refusal(status: int, body: bytes) -> ModelServerError:
    try:
        message = str(_document(body)["error"]["message"])
    except (BrokenError, KeyError, TypeError):
        message = body[:500].decode(errors="replace")
    said = f"The model server answered {status}: {message}"
    if status == _TOO_MANY_REQUESTS:
        return BusyError(said)
    if status in _AWAY:
        return AwayError(said)
    return RefusedError(message) if status < 500 else BrokenError(said)


def _document(body: bytes) -> Json:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise BrokenError(f"The model server answered no JSON: {body[:200]!r}") from error
    if not isinstance(document, dict):
        raise BrokenError(f"The model server answered no JSON object: {body[:200]!r}")
    return document
