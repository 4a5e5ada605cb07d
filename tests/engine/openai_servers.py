"""An OpenAI-compatible server in a test, which answers what the test tells it to and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

type Reply = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class ScriptedServer:
    """``reply`` answers every request; ``requests`` has their bodies."""

    address: str
    reply: Reply = lambda _: None
    requests: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def a_scripted_server() -> Iterator[ScriptedServer]:
    """A server on a free port of the loopback, gone at the end."""
    scripted = ScriptedServer("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            scripted.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.close_connection = True
            scripted.reply(self)

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    scripted.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()


def a_status(status: int, body: bytes | dict[str, Any]) -> Reply:
    """Answers ``status`` with ``body``."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def a_completion(content: str | None, finish_reason: str = "stop") -> Reply:
    """Answers a whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24}
    return a_status(200, {"object": "chat.completion", "choices": [choice], "usage": usage})


def a_silence(until: threading.Event) -> Reply:
    """Says nothing until the event is set."""

    def reply(_: BaseHTTPRequestHandler) -> None:
        until.wait(20)

    return reply


def a_stream(*parts: str | threading.Event | None, chunked: bool = False, timings: bool = False) -> Reply:
    """Streams a chat completion in ``parts``; waits at an Event until it is set, breaks off at None.

    Its length is told by HTTP/1.1 chunks or by the end of the connection: servers do either. ``timings``: each part
    tells what it took, as llama.cpp does for who asks.
    """
    took = {"timings": {"cache_n": 15, "prompt_n": 5, "predicted_n": 4}} if timings else {}

    def send(handler: BaseHTTPRequestHandler, said: bytes) -> None:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(said), said) if chunked else said)

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for part in parts:
            if part is None:
                return
            if isinstance(part, threading.Event):
                assert part.wait(10)
            else:
                choice = {"index": 0, "delta": {"content": part}, "finish_reason": None}
                send(handler, _event({"choices": [choice], **took}))
        send(handler, _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}))
        send(handler, _event({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 4}}))
        send(handler, b"data: [DONE]\n\n")
        if chunked:
            send(handler, b"")

    return reply


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
