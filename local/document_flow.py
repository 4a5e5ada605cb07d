"""The document flow as a customer sees it: sign in, be offered an upload, upload, and read what became of it.

Times are seconds of this machine's clock since 1970, for the workflow's own history is told in them too.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.api_client import ask, post_form
from local.bus_queue import bus_queue
from local.people import Person, create_person, sign_in, user_pool
from local.process import PROJECT
from local.stack import Stack
from local.transaction_flow import FlowError

SUMMARIZED, REJECTED = "DocumentSummarized", "DocumentRejected"
_SAMPLES = (
    ("terms-and-conditions.pdf", "application/pdf"),
    ("dispute-policy.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("annual-report.html", "text/html"),
)
_PATIENCE_SECONDS = 90.0

type Envelope = dict[str, Any]


@dataclass
class DocumentJourney:
    """A document that was uploaded. ``states`` are the workflow's, each with its begin and end, in order of begin."""

    file_name: str
    document_id: str
    uploaded_at: float
    event: Envelope | None = None
    ended_at: float = 0.0
    states: list[tuple[str, float, float]] = field(default_factory=list)
    shown: dict[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> str | None:
        """What of it did not come; None where all is well."""
        if self.event is None:
            return f"{self.file_name}: neither a summary nor a rejection within {_PATIENCE_SECONDS:.0f} s"
        if self.event["detail-type"] != SUMMARIZED:
            return f"{self.file_name}: {self.event['detail']['data'].get('reason')}"
        if self.shown.get("status") != "summarized":
            return f"{self.file_name}: its owner is shown status {self.shown.get('status')}"
        return None


def play_documents(stack: Stack, token: str, on_end: Callable[[DocumentJourney], None]) -> Sequence[DocumentJourney]:
    """Uploads the sample documents as who the id token names, and follows each to its end.

    ``on_end`` is told as they come. Raises FlowError where the customer is refused.
    """
    with bus_queue(stack, (SUMMARIZED, REJECTED)) as queue:
        journeys = [_upload(stack, token, name, content_type) for name, content_type in _SAMPLES]
        for journey in _ended(stack, queue, journeys):
            journey.states = _states(stack, journey.document_id)
            _, journey.shown = ask("GET", f"{stack.outputs['DocumentsUrl']}/{journey.document_id}", token)
            on_end(journey)
    return journeys


def made_up_customer(stack: Stack, customer_id: str) -> str:
    """The id token of a made-up customer who has just been given an account."""
    cognito, pool, name = stack.client("cognito-idp"), user_pool(stack.outputs), f"demo-{customer_id}"
    return sign_in(cognito, pool, name, create_person(cognito, pool, Person(name, "customer", customer_id)))


def _upload(stack: Stack, token: str, name: str, content_type: str) -> DocumentJourney:
    content = (PROJECT / "documents" / name).read_bytes()
    request = {"fileName": name, "contentType": content_type, "bytes": len(content)}
    status, offer = ask("POST", stack.outputs["DocumentsUrl"], token, request)
    if status != 201:
        raise FlowError(f"POST /documents for {name} answered {status}: {offer}")
    at = time.time()
    status, answer = post_form(offer["upload"]["url"], offer["upload"]["fields"], content)
    if status != 201:
        raise FlowError(f"The upload of {name} answered {status}: {answer}")
    return DocumentJourney(name, offer["documentId"], at)


def _ended(stack: Stack, queue: str, journeys: Sequence[DocumentJourney]) -> Iterator[DocumentJourney]:
    """Each journey whose end comes on the bus, when it comes; ends where all have, or patience does."""
    sqs, pending = stack.client("sqs"), {journey.document_id: journey for journey in journeys}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while pending and time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            envelope: Envelope = json.loads(message["Body"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            journey = pending.pop(envelope["detail"]["data"]["documentId"], None)
            if journey is not None:
                journey.event, journey.ended_at = envelope, time.time()
                yield journey


def _states(stack: Stack, document_id: str) -> list[tuple[str, float, float]]:
    """The states that the document's execution went through; a state that ran more than once at a time is one."""
    row = stack.client("dynamodb").get_item(
        TableName=stack.outputs["DocumentsTableName"], Key={"documentId": {"S": document_id}}
    )["Item"]
    machine = stack.outputs["SummarizeDocumentStateMachineArn"].replace(":stateMachine:", ":execution:")
    pages = stack.client("stepfunctions").get_paginator("get_execution_history")
    spans: dict[str, tuple[float, float]] = {}
    for page in pages.paginate(executionArn=f"{machine}:{row['executionName']['S']}"):
        for event in page["events"]:
            details = event.get("stateEnteredEventDetails") or event.get("stateExitedEventDetails")
            if details:
                at = event["timestamp"].timestamp()
                begun, _ = spans.get(details["name"], (at, at))
                spans[details["name"]] = begun, at
    return [(name, begun, ended) for name, (begun, ended) in spans.items()]
