"""Why a document was rejected, in words for the person who uploaded it.

Steps raise ``Rejected("CODE: sentence")``; Step Functions hands that on as the error's name and a cause, which is
Lambda's JSON with the message and a stack trace. Anything else is a defect or an outage: people are told that, and
nothing of what is inside.

Source: AWS Step Functions, "Handling errors in workflows", error names; AWS Lambda, "Python function errors".
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.errors import Retryable

PRODUCER = "reject_document"
REJECTED = "DocumentRejected"
INTERNAL = "INTERNAL"
MODEL_FAILED = "MODEL_FAILED"
_SAID = re.compile(r"(?P<code>[A-Z][A-Z_]{1,39}): (?P<sentence>.+)", re.DOTALL)
_MAXIMUM_REASON = 500
_AWAY = "A service that this needs was away or too busy for too long. The file is kept; upload it again later."
_TOO_LONG = "Reading or summarising this file took too long. The file is kept; somebody will look into it."
_DEFECT = "Something went wrong on our side. The file is kept; somebody will look into it."
_TIMEOUTS = {"States.Timeout", "States.HeartbeatTimeout", "Sandbox.Timedout", "Lambda.Timeout"}
_OUTAGES = {
    "Retryable",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}


@dataclass(frozen=True, slots=True)
class RejectRequest:
    """What the state machine says; ``error`` and ``cause`` are the caught error's."""

    document_id: str
    customer_id: str
    key: str
    error: str
    cause: str
    correlation_id: str
    causation_id: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """``code`` is for programs (e.g. NO_TEXT), ``reason`` a sentence or two for people."""

    code: str
    reason: str


class Rows(Protocol):
    """Keeps the document's row. Raises Retryable where it cannot now."""

    def reject(self, asked: RejectRequest, rejection: Rejection, now: float) -> None: ...


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: list[Event]) -> dict[str, str]: ...


def rejection_of(error: str, cause: str) -> Rejection:
    """The rejection behind a caught error's name and cause."""
    said = _SAID.fullmatch(_message(cause)) if error == "Rejected" else None
    if said and said["code"] != INTERNAL and (reason := _one_line(said["sentence"])):
        return Rejection(said["code"], reason)
    if error in _OUTAGES:
        return Rejection(INTERNAL, _AWAY)
    if error in _TIMEOUTS:
        return Rejection(INTERNAL, _TOO_LONG)
    return Rejection(INTERNAL, _DEFECT)


def reject(asked: RejectRequest, *, rows: Rows, bus: Bus, now: float, traceparent: str | None = None) -> Rejection:
    """Notes the rejection on the document's row and publishes DocumentRejected; ``now`` in epoch seconds.

    Raises Retryable where either could not be done; doing it again is safe, for the event's id is made from the
    document and the upload.
    """
    rejection = rejection_of(asked.error, asked.cause)
    rows.reject(asked, rejection, now)
    event = contracts.build(
        REJECTED,
        {
            "documentId": asked.document_id,
            "customerId": asked.customer_id,
            "code": rejection.code,
            "reason": rejection.reason,
        },
        Metadata(
            event_id=contracts.event_id(REJECTED, f"{asked.document_id}:{asked.causation_id}"),
            event_version=1,
            correlation_id=asked.correlation_id,
            causation_id=asked.causation_id,
            occurred_at=contracts.timestamp(now),
            producer=PRODUCER,
            traceparent=traceparent,
        ),
    )
    refused = bus.publish([event])
    if refused:
        raise Retryable(f"DocumentRejected was not taken: {refused[event.metadata.event_id]}")
    return rejection


def _message(cause: str) -> str:
    """The exception's text in a Lambda error's JSON; the cause itself where it is none."""
    try:
        said = json.loads(cause)
    except ValueError:
        return cause
    message = said.get("errorMessage") if isinstance(said, Mapping) else None
    return message if isinstance(message, str) else cause


def _one_line(sentence: str) -> str:
    """A sentence fit for an event and a page: one line, without control characters, not endless."""
    line = " ".join("".join(one if one.isprintable() else " " for one in sentence).split())
    return line if len(line) <= _MAXIMUM_REASON else f"{line[: _MAXIMUM_REASON - 1]}…"
