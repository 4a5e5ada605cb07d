"""The Lambda Runtime API's client for AWS's Runtime Interface Client, on sockets alone.

awslambdaric calls a module of this name, which it ships as a C++ extension for Linux and not at all for macOS. This one
stands in for it on both, so that one path is run everywhere. It answers to the calls that awslambdaric 4 makes, speaks
HTTP/1.1 over one kept connection to ``AWS_LAMBDA_RUNTIME_API``, and imports nothing but ``socket`` (``http.client``
would add 50 ms and 8 MB to every cold start).

Protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import os
import socket
from typing import BinaryIO

_INVOCATION = "/2018-06-01/runtime/invocation"


class RuntimeApiError(RuntimeError):
    """The Runtime API is gone or refused; awslambdaric lets it end the process, as it should."""


class _Connection:
    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._socket: socket.socket | None = None
        self._reader: BinaryIO | None = None

    def call(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> tuple[dict[str, str], bytes]:
        """Sends one request; returns the answer's headers, by their names in Title-Case, and its body."""
        connection, reader = self._connected()
        head = f"{method} {path} HTTP/1.1\r\nHost: {_address()}\r\nUser-Agent: {self._user_agent}\r\n"
        if method == "POST":
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}\r\n".encode() + body)
        status = reader.readline().split(b" ", 2)
        if len(status) < 2:
            raise RuntimeApiError("The Lambda Runtime API closed the connection")
        headers = _read_headers(reader)
        answer = reader.read(int(headers.get("Content-Length", "0")))
        if not status[1].startswith(b"2"):
            raise RuntimeApiError(f"{method} {path} was answered with {status[1].decode()}: {answer.decode()}")
        return headers, answer

    def _connected(self) -> tuple[socket.socket, BinaryIO]:
        if self._socket is None or self._reader is None:
            host, _, port = _address().rpartition(":")
            self._socket = socket.create_connection((host, int(port)))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._reader = self._socket.makefile("rb")
        return self._socket, self._reader


_connection = _Connection("aws-lambda-python")


def initialize_client(user_agent: str) -> None:
    """Called once by awslambdaric while it is imported. Connects on first use, not yet."""
    global _connection  # noqa: PLW0603 - the interface that awslambdaric expects is a module
    _connection = _Connection(user_agent)


def next() -> tuple[bytes, dict[str, str | int]]:  # noqa: A001 - the name that awslambdaric calls
    """Waits for the next invocation: its event and the Runtime API's headers (the deadline as a number)."""
    headers, event = _connection.call("GET", f"{_INVOCATION}/next")
    values: dict[str, str | int] = dict(headers)
    if "Lambda-Runtime-Deadline-Ms" in headers:
        values["Lambda-Runtime-Deadline-Ms"] = int(headers["Lambda-Runtime-Deadline-Ms"])
    return event, values


def post_invocation_result(invoke_id: str, result: bytes, content_type: str, _invocation_id: str | None) -> None:
    """Hands in the handler's return value, already JSON."""
    _connection.call("POST", f"{_INVOCATION}/{invoke_id}/response", result, content_type)


def post_error(invoke_id: str, error: str, _xray_cause: str, _invocation_id: str | None) -> None:
    """Hands in the document of an error (errorType, errorMessage, stackTrace, requestId)."""
    body = error.encode("utf-8", errors="replace")
    _connection.call("POST", f"{_INVOCATION}/{invoke_id}/error", body, "application/vnd.aws.lambda.error+json")


def _address() -> str:
    return os.environ["AWS_LAMBDA_RUNTIME_API"]


def _read_headers(reader: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().title()] = value.strip()
    return headers
