"""Offering an upload: what may be uploaded, by whom, under which name, for how long.

Knows no AWS: where the upload goes and where its row is kept are arguments.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from backbone.identity import Caller
from backbone.rest import RefusedError

# The types that extract_text reads; it looks at the content again, for a type can be claimed.
CONTENT_TYPES = frozenset(
    {
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "text/html",
        "text/plain",
    }
)
MAXIMUM_BYTES = 20 * 1024 * 1024
EXPIRES_IN_SECONDS = 900
_MAXIMUM_NAME = 255
_MAXIMUM_KEY_NAME = 100
_FIELDS = {"fileName", "contentType", "bytes"}


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What a caller says of the file that is to come."""

    file_name: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A document that does not exist yet. ``created_at`` in epoch seconds; ``key`` is where it will lie."""

    document_id: str
    customer_id: str
    request: UploadRequest
    key: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Offer:
    """Where and with which form fields to POST the file (field ``file``, last)."""

    document_id: str
    url: str
    fields: Mapping[str, str]
    expires_in_seconds: int


class Posts(Protocol):
    """Signs an upload: url and fields of a form that the storage takes for this one key, type and size."""

    def sign(self, upload: Upload, expires_in_seconds: int) -> tuple[str, Mapping[str, str]]: ...


class Rows(Protocol):
    """Remembers a document. Raises Retryable where it cannot now."""

    def add(self, upload: Upload) -> None: ...


def offer_upload(
    caller: Caller, request: UploadRequest, *, posts: Posts, rows: Rows, document_id: str, now: float
) -> Offer:
    """An upload for ``caller``, remembered. Raises RefusedError (403) for who is no customer, Retryable as ``rows``."""
    if caller.customer_id is None:
        raise RefusedError(403, "Only customers upload documents. Ask the bank to make your account a customer's.")
    key = f"incoming/{caller.customer_id}/{document_id}/{key_name(request.file_name)}"
    upload = Upload(document_id, caller.customer_id, request, key, now)
    url, fields = posts.sign(upload, EXPIRES_IN_SECONDS)
    rows.add(upload)
    return Offer(document_id, url, fields, EXPIRES_IN_SECONDS)


def parse_request(body: str | None) -> UploadRequest:
    """The request in a JSON body; raises RefusedError (400) that says what is wrong with it.

    API Gateway checks the same by its model, but only a body that is called application/json.
    """
    try:
        said = json.loads(body or "")
    except ValueError:
        raise RefusedError(400, "The body is not JSON.") from None
    if not isinstance(said, dict) or said.keys() != _FIELDS:
        raise RefusedError(400, "The body is an object with exactly fileName, contentType and bytes.")
    name, content_type, size = said["fileName"], said["contentType"], said["bytes"]
    if not isinstance(name, str) or not 1 <= len(name) <= _MAXIMUM_NAME:
        raise RefusedError(400, f"fileName is a text of 1 to {_MAXIMUM_NAME} characters.")
    if not isinstance(content_type, str) or content_type not in CONTENT_TYPES:
        raise RefusedError(400, f"contentType is one of {', '.join(sorted(CONTENT_TYPES))}.")
    if type(size) is not int or not 1 <= size <= MAXIMUM_BYTES:  # True is no number of bytes
        raise RefusedError(400, f"bytes is the file's size, a whole number from 1 to {MAXIMUM_BYTES}.")
    return UploadRequest(display_name(name), content_type, size)


def display_name(name: str) -> str:
    """``name`` as people are shown it: one line, without control or direction-changing characters."""
    shown = "".join(character for character in name if unicodedata.category(character)[0] != "C").strip()
    return shown or "document"


def key_name(name: str) -> str:
    """``name`` as the last part of an object's key: ASCII letters, digits, dot, dash and underscore, at most 100."""
    last = re.split(r"[/\\]", name)[-1]
    ascii_only = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_only).lstrip(".-")
    stem, dot, extension = safe.rpartition(".")
    if not dot or len(extension) > 10:
        return safe[:_MAXIMUM_KEY_NAME] or "document"
    return f"{stem[: _MAXIMUM_KEY_NAME - len(extension) - 1] or 'document'}.{extension}"
