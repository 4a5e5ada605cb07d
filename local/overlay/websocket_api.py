"""WebSocket APIs of API Gateway: the handshake, the conversation, its limits.

The engine has the control plane (routes, integrations, authorizers, stages) and a data plane. What differs from AWS in
the latter, and why this module serves connections itself:

* limits are not kept: 32 KB a frame, 128 KB a message (closed with 1009), 10 minutes without a message, 2 hours
  (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html);
* while a function runs, the engine does not see that the client has left;
* a $connect function that says no is not quoted: API Gateway answers the handshake with the function's status;
* a message without a route gets no word: API Gateway says ``Forbidden``, and ``Internal server error`` where the
  integration fails, with the ids of connection and request;
* see ``websocket_authorizers``, ``websocket_routes`` and ``websocket_connections`` for the rest.

Messages of one connection reach their functions one after another, in order; those of others are not held up. AWS
promises no order, so a client that needs one waits for an answer before it sends on. The server that the engine runs on
does not tell with what code a client closed: $disconnect says 1006 where AWS passes the client's code on.

Address here: ``ws://127.0.0.1:PORT/_aws/execute-api/{id}/{stage}``.
"""

import asyncio
import json
import logging
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

from hypercorn.protocol import ws_stream
from ministack.core.responses import request_scope
from ministack.services import apigateway
from wsproto.events import Message

from local.overlay import websocket_authorizers, websocket_connections, websocket_routes
from local.overlay.engine_hooks import Engine, Receive, Scope, Send, original, replace
from local.overlay.websocket_connections import GOING_AWAY, LARGEST_MESSAGE_BYTES, Connection, Ending, Visitor
from local.overlay.websocket_routes import RouteError

LARGEST_FRAME_BYTES = 32 * 1024
IDLE_SECONDS = 10 * 60.0
LIFE_SECONDS = 2 * 60 * 60.0
TOO_LARGE = Ending(1009, "Message or frame too large")
_CLIENT_LEFT = Ending(1006)
_WAITING_MESSAGES = 100
_FRAME_SIZE = "largest_frame_bytes"

logger = logging.getLogger(__name__)


def install(engine: Engine) -> None:
    replace(apigateway, "handle_websocket", serve)
    replace(apigateway, "handle_connections_api", websocket_connections.handle)
    replace(ws_stream, "WebsocketBuffer", MeasuringBuffer)
    engine.before_stop.append(websocket_connections.end_all)
    scheme_of = original(apigateway, "_api_endpoint_scheme")
    replace(
        apigateway,
        "_api_endpoint_scheme",
        lambda protocol: "wss" if protocol == "WEBSOCKET" else scheme_of(protocol),
    )


class MeasuringBuffer(ws_stream.WebsocketBuffer):
    """The server's buffer of one connection, which also tells the size of a message's largest frame: ASGI does not."""

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length)
        self._frame_bytes = 0
        self._largest_bytes = 0

    def extend(self, event: Message[Any]) -> None:
        """Takes the next piece of a frame."""
        piece = event.data.encode() if isinstance(event.data, str) else event.data
        self._frame_bytes += len(piece)
        self._largest_bytes = max(self._largest_bytes, self._frame_bytes)
        if event.frame_finished:
            self._frame_bytes = 0
        super().extend(event)

    def to_message(self) -> dict[str, Any]:
        """The ASGI event of the whole message."""
        largest, self._largest_bytes = self._largest_bytes, 0
        return {**super().to_message(), _FRAME_SIZE: largest}


async def serve(scope: Scope, receive: Receive, send: Send, api_id: str, path_override: str | None = None) -> None:
    """Serves one client from its handshake to its $disconnect. ``path_override`` begins with the stage."""
    await receive()  # the client's wish to connect
    protocol, account_id, region = apigateway._api_owner(api_id) or ("", "", "")
    path = path_override if path_override is not None else scope["path"]
    with request_scope(account_id, region):
        visitor = _visitor(scope, api_id, path.strip("/").partition("/")[0], account_id, region)
        try:
            if protocol != "WEBSOCKET" or visitor.stage not in apigateway._stages.get(api_id, {}):
                raise RouteError(403, "Forbidden")
            authorizer = await _admit(scope, visitor)
        except RouteError as refusal:
            request_id = str(uuid4())
            message = refusal.message
            await apigateway._refuse_ws_handshake(
                scope, send, refusal.status, message, visitor.connection_id, request_id
            )
            return
        await send({"type": "websocket.accept"})
        await _converse(Connection(visitor, authorizer, send), receive)


def overdue_in(connection: Connection, now: float) -> float:
    """In how many seconds the connection has been idle, or open, for as long as it may be."""
    idle_until = connection.last_active_at + IDLE_SECONDS
    return min(idle_until, connection.visitor.connected_at + LIFE_SECONDS) - now


def _visitor(scope: Scope, api_id: str, stage: str, account_id: str, region: str) -> Visitor:
    source_ip, _ = scope.get("client") or ("127.0.0.1", 0)
    return Visitor(
        connection_id=urlsafe_b64encode(os.urandom(11)).decode(),  # 15 characters and "=", as AWS's look
        api_id=api_id,
        stage=stage,
        account_id=account_id,
        region=region,
        source_ip=source_ip,
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        query=parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True),
    )


async def _admit(scope: Scope, visitor: Visitor) -> dict[str, str] | None:
    """Asks the $connect route's authorizer and its integration; the authorizer's context, or RouteError."""
    route = websocket_routes.exact_route(visitor.api_id, "$connect")
    if route is None:
        return None
    authorizer = await websocket_authorizers.authorize(scope, visitor, route)
    if route.get("target"):
        event = websocket_routes.connect_event(visitor, route, authorizer)
        answer = await websocket_routes.answer(visitor, route, event)
        if not 200 <= answer.status < 300:
            raise RouteError(answer.status if 400 <= answer.status < 600 else 502, _phrase(answer.status))
    return authorizer


async def _converse(connection: Connection, receive: Receive) -> None:
    """Everything between the accepted handshake and $disconnect."""
    websocket_connections.remember(connection)
    messages: asyncio.Queue[str | None] = asyncio.Queue(_WAITING_MESSAGES)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_answer_in_order(connection, messages))
            ending = await _take_messages(connection, receive, messages)
            websocket_connections.forget(connection)
            await connection.close(ending)
            tasks.create_task(_tell_of_disconnection(connection, ending))
            await messages.put(None)
    finally:
        websocket_connections.forget(connection)


async def _take_messages(connection: Connection, receive: Receive, messages: asyncio.Queue[str | None]) -> Ending:
    """Queues what the client sends; returns how the conversation ended, whoever ended it."""
    closing = asyncio.ensure_future(connection.closing.wait())
    receiving = asyncio.ensure_future(receive())
    try:
        while True:
            seconds = overdue_in(connection, time.time())
            if seconds <= 0:
                return GOING_AWAY
            await asyncio.wait({closing, receiving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if closing.done():
                return connection.ending
            if not receiving.done():
                continue  # it may have been posted to meanwhile
            event = receiving.result()
            if event["type"] == "websocket.disconnect":
                return _CLIENT_LEFT
            text = _text(event)
            if len(text.encode()) > LARGEST_MESSAGE_BYTES or event.get(_FRAME_SIZE, 0) > LARGEST_FRAME_BYTES:
                return TOO_LARGE
            connection.last_active_at = time.time()
            await messages.put(text)
            receiving = asyncio.ensure_future(receive())
    finally:
        closing.cancel()
        receiving.cancel()


async def _answer_in_order(connection: Connection, messages: asyncio.Queue[str | None]) -> None:
    while (text := await messages.get()) is not None:
        await _answer_message(connection, text)


async def _answer_message(connection: Connection, text: str) -> None:
    visitor = connection.visitor
    route = websocket_routes.route_of_message(visitor.api_id, text)
    request_id = str(uuid4())
    try:
        if route is None:
            raise RouteError(403, "Forbidden")
        event = websocket_routes.message_event(visitor, route, connection.authorizer, text)
        request_id = event["requestContext"]["requestId"]
        answer = await websocket_routes.answer(visitor, route, event)
    except RouteError as error:
        refusal = {"message": error.message, "connectionId": visitor.connection_id, "requestId": request_id}
        await connection.post(json.dumps(refusal))
        return
    if answer.body and websocket_routes.has_route_response(visitor.api_id, route):
        await connection.post(answer.body)


async def _tell_of_disconnection(connection: Connection, ending: Ending) -> None:
    """Runs $disconnect. API Gateway's best effort: nobody is told where it fails."""
    visitor = connection.visitor
    route = websocket_routes.exact_route(visitor.api_id, "$disconnect")
    if route is None:
        return
    try:
        event = websocket_routes.disconnect_event(visitor, route, connection.authorizer, ending)
        await websocket_routes.answer(visitor, route, event)
    except RouteError as error:
        logger.error("$disconnect of %s failed: %s", visitor.connection_id, error)


def _text(event: Mapping[str, Any]) -> str:
    text: str | None = event.get("text")
    return text if text is not None else bytes(event.get("bytes") or b"").decode("utf-8", errors="replace")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Internal server error"
