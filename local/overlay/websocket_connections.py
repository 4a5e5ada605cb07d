"""Open connections of WebSocket APIs, and the @connections API by which functions speak to them.

Follows https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
and the model of ApiGatewayManagementApi. The engine took data of any size, answered GetConnection with names that no
SDK reads, and kept what a client did not take in memory without end. Here data over 128 KB is refused (413), and a
client that takes nothing for ``TAKE_SECONDS`` is let go, as one whose connection broke.

That the caller may (execute-api:ManageConnections) the engine checks before it asks this module.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ministack.services import apigateway

from local.overlay.authorization import Response
from local.overlay.engine_hooks import Send

LARGEST_MESSAGE_BYTES = 128 * 1024
TAKE_SECONDS = 10.0
NORMAL_CLOSURE = 1000


@dataclass(frozen=True)
class Ending:
    """How a connection ends: the status code and reason of RFC 6455, as the client and $disconnect are told."""

    code: int
    reason: str = ""


DELETED = Ending(NORMAL_CLOSURE, "Connection Closed Normally")
GOING_AWAY = Ending(1001, "Going away")
STUCK = Ending(1008, "The client takes no messages")


@dataclass(frozen=True)
class Visitor:
    """Who opened a connection, and to which API and stage: what the handshake told. Header names in lower case."""

    connection_id: str
    api_id: str
    stage: str
    account_id: str
    region: str
    source_ip: str
    headers: Mapping[str, str]
    query: Mapping[str, list[str]]
    connected_at: float = field(default_factory=time.time)


@dataclass(eq=False)
class Connection:
    """An open connection. ``authorizer`` is the context that the $connect authorizer gave, None without one.

    Times in seconds since 1970. ``closing`` is set by whoever wants it closed from this side, after ``ending``.
    """

    visitor: Visitor
    authorizer: dict[str, str] | None
    send: Send
    last_active_at: float = field(default_factory=time.time)
    ending: Ending = DELETED
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False
    _order: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def post(self, text: str) -> bool:
        """Sends one message, after all that were posted before it; False where the client is gone, or takes nothing."""
        try:
            async with asyncio.timeout(TAKE_SECONDS), self._order:
                if self.closed or self.closing.is_set():
                    return False
                await self.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            self.end(STUCK)
            return False
        self.last_active_at = time.time()
        return True

    def end(self, ending: Ending) -> None:
        """Asks for the connection to be closed; what asked first decides how."""
        if not self.closing.is_set():
            self.ending = ending
            self.closing.set()

    async def close(self, ending: Ending) -> None:
        """Closes it on this side, which does nothing where the client has closed it already."""
        self.closed = True
        with suppress(TimeoutError):  # a client that takes nothing takes no goodbye either
            async with asyncio.timeout(TAKE_SECONDS):
                await self.send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})


def remember(connection: Connection) -> None:
    """From now on @connections finds it."""
    # In the engine's own table, whose entries its reset closes by this key.
    apigateway._ws_connections[connection.visitor.connection_id] = {
        "close_event": connection.closing,
        "connection": connection,
    }


def forget(connection: Connection) -> None:
    """From now on it is gone, whoever asks."""
    apigateway._ws_connections.pop(connection.visitor.connection_id, None)


def end_all() -> None:
    """Asks for every connection to be closed: the engine stops."""
    for entry in list(apigateway._ws_connections.values()):
        entry["connection"].end(GOING_AWAY)


async def handle(
    method: str, api_id: str, stage: str, connection_id: str, body: bytes, _headers: Mapping[str, str]
) -> Response:
    """Answers PostToConnection, GetConnection and DeleteConnection."""
    connection = _find(api_id, stage, connection_id)
    if connection is None:
        return _error(410, "GoneException", None)
    if method == "POST":
        return await _post(connection, body)
    if method == "GET":
        return 200, {"Content-Type": "application/json"}, json.dumps(_described(connection)).encode()
    if method == "DELETE":
        forget(connection)
        connection.end(DELETED)
        return 204, {}, b""
    return _error(403, "MissingAuthenticationTokenException", "Missing Authentication Token")


def _find(api_id: str, stage: str, connection_id: str) -> Connection | None:
    entry = apigateway._ws_connections.get(connection_id) or {}
    connection: Connection | None = entry.get("connection")
    if connection is None or (connection.visitor.api_id, connection.visitor.stage) != (api_id, stage):
        return None
    return connection


async def _post(connection: Connection, body: bytes) -> Response:
    if len(body) > LARGEST_MESSAGE_BYTES:
        return _error(413, "PayloadTooLargeException", "Message too long")
    if not await connection.post(apigateway._post_to_connection_text(body)):
        return _error(410, "GoneException", None)
    return 200, {"Content-Type": "application/json"}, b""


def _described(connection: Connection) -> dict[str, Any]:
    visitor = connection.visitor
    return {
        "connectedAt": _iso(visitor.connected_at),
        "identity": {"sourceIp": visitor.source_ip, "userAgent": visitor.headers.get("user-agent", "")},
        "lastActiveAt": _iso(connection.last_active_at),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(status: int, code: str, message: str | None) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return status, headers, json.dumps({"message": message} if message else {}).encode()
