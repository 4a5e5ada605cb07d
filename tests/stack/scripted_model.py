"""A model in a test that answers ConverseStream as it is told to: the function asks it in Bedrock's place.

``AWS_ENDPOINT_URL_BEDROCK_RUNTIME`` is the SDK's own variable for that; who asks is not checked.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.unit.event_streams import Broken, Failing, encoded_event

HELD_SECONDS = 30


@dataclass(frozen=True)
class Cut:
    """The connection breaks here: as the first thing of an answer the model is not there at all."""


type Event = Mapping[str, Any] | Broken | Cut | threading.Event
type Answer = Failing | Sequence[Event]


@dataclass
class ScriptedModel:
    """``answers`` by a person's words: one after another, the last again and again; a threading.Event is waited for.

    ``requests`` are the bodies of all requests, in order.
    """

    address: str
    answers: dict[str, Sequence[Answer]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    _asked: Counter[str] = field(default_factory=Counter)

    def next_answer(self, request: dict[str, Any]) -> Answer:
        """What comes next for the words in ``request``."""
        self.requests.append(request)
        words = words_of(request)
        self._asked[words] += 1
        answers = self.answers[words]
        return answers[min(self._asked[words], len(answers)) - 1]


def words_of(request: Mapping[str, Any]) -> str:
    """The person's last words: the last text of the user's in a Converse request."""
    texts = [
        block["text"]
        for message in request["messages"]
        for block in message["content"]
        if message["role"] == "user" and "text" in block
    ]
    return str(texts[-1])


@contextmanager
def a_scripted_model() -> Iterator[ScriptedModel]:
    """A model on a free port of the loopback, gone at the end."""
    model = ScriptedModel("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.close_connection = True
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = model.next_answer(request)
            if isinstance(answer, Failing):
                self._refuse(answer)
            else:
                self._stream(answer)

        def _refuse(self, failing: Failing) -> None:
            self.send_response(failing.status)
            self.send_header("x-amzn-errortype", failing.code)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(json.dumps({"message": failing.message}).encode())

        def _stream(self, events: Sequence[Event]) -> None:
            if isinstance(events[0], Cut):
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.amazon.eventstream")
            self.send_header("Transfer-Encoding", "chunked")  # so that the SDK hands on each event as it comes
            self.end_headers()
            for event in events:
                if isinstance(event, Cut):
                    return
                if isinstance(event, threading.Event):
                    assert event.wait(HELD_SECONDS)
                else:
                    self._send_chunk(encoded_event(event))
            self._send_chunk(b"")

        def _send_chunk(self, said: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(said), said))

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    model.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
