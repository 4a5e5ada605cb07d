"""A chat that is played by a test: tickets over HTTP, and what each connection in turn is told."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from backbone.chat_frames import ServerFrame, TurnFrames, accepted
from local.chat_client import ChatClient, ticket_url

CONVERSATION = "11111111-2222-4333-8444-555555555555"


@dataclass
class Played:
    """One connection, from the server's side. ``received`` are the client's frames, over all connections."""

    connection: ServerConnection
    received: list[dict[str, Any]]

    def hear(self) -> dict[str, Any]:
        """The client's next frame."""
        frame: dict[str, Any] = json.loads(self.connection.recv(timeout=10))
        self.received.append(frame)
        return frame

    def say(self, *frames: ServerFrame | dict[str, Any]) -> None:
        for frame in frames:
            self.connection.send(json.dumps(frame))

    def cut(self) -> None:
        """Ends the connection as a lost network does: without a goodbye."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)


type Scene = Callable[[Played], None]


@dataclass
class ChatServer:
    """Where tickets are to be had. ``tickets`` are those that connections came with, in order."""

    tickets_url: str
    tickets: list[str] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def client(self, **options: Any) -> ChatClient:
        """A client that is signed in here."""
        return ChatClient(lambda: ticket_url(self.tickets_url, "an-id-token"), **options)


@contextmanager
def a_chat(*scenes: Scene) -> Iterator[ChatServer]:
    """A chat whose first connection plays the first scene, and so on; a scene that fails, fails the test."""
    left = list(scenes)
    served = threading.Lock()

    def play(connection: ServerConnection) -> None:
        assert connection.request is not None
        with served:
            chat.tickets.append(connection.request.path.partition("ticket=")[2])
            scene = left.pop(0)
        try:
            scene(Played(connection, chat.received))
        except ConnectionClosed:
            return  # the client has what it wanted
        except BaseException as failure:  # told to the test, below
            chat.failures.append(failure)
            raise

    with serve(play, "127.0.0.1", 0, compression=None) as chatting:
        threading.Thread(target=chatting.serve_forever, daemon=True).start()
        address = f"ws://127.0.0.1:{chatting.socket.getsockname()[1]}/v1"
        with _tickets(address) as tickets_url:
            chat = ChatServer(tickets_url)
            yield chat
        chatting.shutdown()
    assert not chat.failures


def turn_of(message: dict[str, Any], number: int = 1) -> TurnFrames:
    """Makes the frames of the answer to a client's message."""
    return TurnFrames(CONVERSATION, message["messageId"], number)


def acceptance(message: dict[str, Any], number: int = 1) -> ServerFrame:
    return accepted(CONVERSATION, message["messageId"], number)


def ending(turn: TurnFrames, sequence: int, **options: Any) -> ServerFrame:
    """The frame ``done``, all well and without more to say, but for ``options``."""
    options = {"citations": [], "confirm": None, "outcome": "answered"} | options
    return turn.done(
        sequence,
        options["outcome"],
        citations=options["citations"],
        confirm=options["confirm"],
        model={"engine": "converse", "modelId": "a-model", "profile": "light"},
        usage={"inputTokens": 10, "outputTokens": 20},
    )


@contextmanager
def _tickets(address: str) -> Iterator[str]:
    numbers = iter(range(1, 1000))

    class Tickets(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            allowed = bool(self.headers.get("Authorization"))
            offer = {"ticket": f"ticket-{next(numbers)}", "url": address, "expiresInSeconds": 60}
            body = json.dumps(offer if allowed else {"message": "Unauthorized"}).encode()
            self.send_response(201 if allowed else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Says nothing: a test's output is its own."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Tickets) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/chat/tickets"
        finally:
            server.shutdown()
