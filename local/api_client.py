"""What a person's program does with the REST API: JSON with an id token, and a form that uploads a file."""

import io
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

type Ask = Callable[..., tuple[int, Any]]


class ApiError(Exception):
    """The API refused; the message says what it answered, ``status`` is the answer's (0: there was none)."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def answered(answer: tuple[int, Any]) -> Mapping[str, Any]:
    """The body of an answer that is 200; raises ApiError with what it says otherwise."""
    status, body = answer
    if status != 200:
        said = body.get("message", body) if isinstance(body, dict) else body
        raise ApiError(f"The API answered {status}: {said}", status)
    view: Mapping[str, Any] = body
    return view


def ask(method: str, url: str, token: str | None, body: object = None) -> tuple[int, Any]:
    """Status and body of an answer, the body as JSON where it is JSON; ``body`` is sent as JSON."""
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"Authorization": token})
    data = None if body is None else json.dumps(body).encode()
    return fetched(Request(url, data=data, headers=headers, method=method))  # noqa: S310 - the stack's own address


def post_form(url: str, fields: Mapping[str, str], content: bytes) -> tuple[int, Any]:
    """POSTs ``content`` as the file of a multipart/form-data form, after ``fields``, as a presigned POST wants it."""
    boundary, form = uuid4().hex, io.BytesIO()
    for name, value in fields.items():
        form.write(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    form.write(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'.encode())
    form.write(content + f"\r\n--{boundary}--\r\n".encode())
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return fetched(Request(url, form.getvalue(), headers, method="POST"))  # noqa: S310 - the stack's own address


def fetched(request: Request) -> tuple[int, Any]:
    """Status and body of the answer to ``request``, whatever the status is; the body as JSON where it is JSON."""
    try:
        with urlopen(request) as answer:  # noqa: S310 - the stack's own address
            status, content = answer.status, answer.read()
    except HTTPError as refused:
        status, content = refused.code, refused.read()
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode()
