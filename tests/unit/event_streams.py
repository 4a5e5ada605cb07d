"""Services in a test that answer with event streams: a real boto3 client, whose requests are kept and never sent.

So what our code asks is checked against botocore's model of the service, and what it is answered goes through
botocore's own parser: frames, exceptions in the stream, errors of the call. Encoding of frames:
https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import binascii
import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

_STRING = 7


@dataclass(frozen=True)
class Failing:
    """An answer that is an error of the call."""

    code: str
    status: int
    message: str = "no"


@dataclass(frozen=True)
class Broken:
    """In a stream: an exception, as the last thing in it."""

    name: str
    message: str = "no"


type Answer = Failing | Sequence[Mapping[str, Any] | Broken]


@dataclass
class StreamingService:
    """``client`` gets ``answers`` one after another; ``requests`` are the bodies that it sent, and so on."""

    client: Any
    answers: list[Answer]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        body = request.body
        assert isinstance(body, str | bytes)
        self.urls.append(request.url)
        self.requests.append(json.loads(body))
        self.headers.append({name.lower(): _text(value) for name, value in request.headers.items()})
        answer = self.answers.pop(0)
        if isinstance(answer, Failing):
            said = HTTPHeaders()
            said["x-amzn-errortype"] = answer.code
            refusal = json.dumps({"message": answer.message}).encode()
            return AWSResponse(request.url, answer.status, said, _Raw([refusal]))
        return AWSResponse(request.url, 200, HTTPHeaders(), _Raw([encoded_event(event) for event in answer]))


def streaming_service(service: str, operation: str, *answers: Answer) -> StreamingService:
    """A client of ``service`` (``bedrock-agentcore``) whose ``operation`` (``InvokeHarness``) is answered so."""
    once = Config(region_name="eu-central-1", retries={"total_max_attempts": 1})  # as backbone.clients
    client = boto3.client(service, config=once)  # type: ignore[call-overload] # the name is no literal
    streaming = StreamingService(client, list(answers))
    client.meta.events.register(f"before-send.{service}.{operation}", streaming.send)
    return streaming


class _Raw:
    """What urllib3 would be: a body in pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield from self._pieces

    def close(self) -> None:
        """Nothing is open."""


def encoded_event(event: Mapping[str, Any] | Broken) -> bytes:
    """The event, or the exception, as a frame of a stream."""
    if isinstance(event, Broken):
        headers = {":message-type": "exception", ":exception-type": event.name}
        return _encoded(headers, json.dumps({"message": event.message}).encode())
    ((name, content),) = event.items()
    headers = {":message-type": "event", ":event-type": name}
    return _encoded(headers, json.dumps(content).encode())


def _encoded(headers: Mapping[str, str], payload: bytes) -> bytes:
    said = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(value)) + value.encode()
        for name, value in {**headers, ":content-type": "application/json"}.items()
    )
    prelude = struct.pack("!II", 16 + len(said) + len(payload), len(said))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + said + payload
    return message + struct.pack("!I", binascii.crc32(message))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
