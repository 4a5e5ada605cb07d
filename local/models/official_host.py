"""The weights from where their makers publish them, over HTTP.

A connection that breaks is taken up where it broke (RFC 9110, section 14: a range request), as long as each one brings
something. Proxies and certificates are those of the environment (``HTTPS_PROXY``, ``SSL_CERT_FILE``).
"""

import http.client
import urllib.error
import urllib.request
from pathlib import Path

from local.models.weights import Weights
from local.models.weights_sources import SourceError, Told

_SILENCE_SECONDS = 20.0
_PIECE_BYTES = 2**20


def append_rest(weights: Weights, partial: Path, told: Told) -> None:
    """Appends what ``partial`` lacks of ``weights``; raises SourceError."""
    there = partial.stat().st_size
    while there < weights.bytes:
        try:
            _append(weights, partial, there, told)
        except (OSError, http.client.HTTPException) as error:
            broke = str(getattr(error, "reason", "") or error)
        else:
            broke = "it closed the connection"
        before, there = there, partial.stat().st_size
        if there <= before:
            raise SourceError(broke)


def _append(weights: Weights, partial: Path, there: int, told: Told) -> None:
    """One connection's worth. A server that gives no ranges begins again, and so does the file."""
    request = urllib.request.Request(weights.url)  # noqa: S310 - the address is ours
    if there:
        request.add_header("Range", f"bytes={there}-")
    with urllib.request.urlopen(request, timeout=_SILENCE_SECONDS) as response:  # noqa: S310 - as above
        begins_at = there if response.status == http.HTTPStatus.PARTIAL_CONTENT else 0
        _ensure_same_file(weights, response, begins_at)
        with partial.open("ab") as sink:
            sink.truncate(begins_at)
            while piece := response.read(_PIECE_BYTES):
                sink.write(piece)
                told(sink.tell())


def _ensure_same_file(weights: Weights, response: http.client.HTTPResponse, begins_at: int) -> None:
    """What comes is the rest of a file as long as the weights: a portal's log-in page is not."""
    last = weights.bytes - 1
    expected = f"bytes {begins_at}-{last}/{weights.bytes}" if begins_at else str(weights.bytes)
    said = response.headers.get("Content-Range" if begins_at else "Content-Length")
    if said != expected:
        raise SourceError(f"it answers with {said or 'an unknown number of bytes'} where {expected} was expected")
