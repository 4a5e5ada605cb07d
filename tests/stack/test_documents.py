"""Documents through the deployed stack: an upload becomes a grounded summary, or a rejection that says why."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from backbone import contracts
from tests.documents_builder import (
    corrupt_pdf,
    docx_zip_bomb,
    image_only_pdf,
    long_pdf,
    password_protected_pdf,
    sample_document,
)
from tests.engine.waiting import wait_until
from tests.injection_attacks import ATTACKS
from tests.stack.deployed import Stack
from tests.stack.observers import BusObserver, Envelope
from tests.stack.test_failures import denied

SAMPLES = ["terms-and-conditions.pdf", "dispute-policy.docx", "annual-report.html", "technical-report.txt"]
BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "locked.pdf": (password_protected_pdf, "PASSWORD_PROTECTED"),
    "scanned.pdf": (image_only_pdf, "NO_TEXT"),
    "broken.pdf": (corrupt_pdf, "CORRUPT"),
    "bomb.docx": (docx_zip_bomb, "DECOMPRESSION_LIMIT"),
    "very-long.pdf": (lambda: long_pdf(500), "TOO_MANY_PAGES"),
    "empty.txt": (lambda: b"", "EMPTY"),
    "picture.pdf": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(2_000), "UNSUPPORTED_TYPE"),
}


def upload(stack: Stack, content: bytes, name: str, customer: str = "CUST-000001") -> str:
    """Puts a document where uploads arrive; returns its document id."""
    document = f"doc-{uuid4().hex[:12]}"
    key = f"incoming/{customer}/{document}/{name}"
    stack.client("s3").put_object(Bucket=stack.resource("DocumentsBucket"), Key=key, Body=content)
    return document


def outcome(bus: BusObserver, document: str, seconds: float = 90) -> Envelope:
    """The event that ends a document: DocumentSummarized or DocumentRejected."""

    def ends(event: Envelope) -> bool:
        ended = event["detail-type"] in {"DocumentSummarized", "DocumentRejected"}
        return ended and event["detail"]["data"]["documentId"] == document

    return bus.wait_for(ends, f"the end of document {document}", seconds)


def stored(stack: Stack, key: str) -> Any:
    """A JSON object of the documents bucket."""
    return json.load(stack.client("s3").get_object(Bucket=stack.resource("DocumentsBucket"), Key=key)["Body"])


def row(stack: Stack, document: str) -> dict[str, Any]:
    """The document's row, without DynamoDB's types; empty where there is none yet."""
    item = (
        stack.client("dynamodb")
        .get_item(TableName=stack.resource("DocumentsTable"), Key={"documentId": {"S": document}}, ConsistentRead=True)
        .get("Item", {})
    )
    return {name: next(iter(value.values())) for name, value in item.items()}


@pytest.mark.parametrize("name", SAMPLES)
def test_document_becomes_a_summary_whose_sentences_cite_their_passages(
    stack: Stack, bus: BusObserver, name: str
) -> None:
    document = upload(stack, sample_document(name), name)
    event = outcome(bus, document)
    assert event["detail-type"] == "DocumentSummarized", event
    assert contracts.violation("backbone.documents/DocumentSummarized.v1", event["detail"]) is None
    summary = stored(stack, event["detail"]["data"]["summaryKey"])
    passages = {one["id"]: one["text"] for one in stored(stack, f"work/{document}/passages.json")["passages"]}
    assert summary["status"] == event["detail"]["data"]["status"] == row(stack, document)["status"] == "summarized"
    assert summary["model"]["profile"] == "light"
    assert 3 <= len(summary["sentences"]) <= 10
    assert all(sentence["supported"] and sentence["passages"] for sentence in summary["sentences"])
    assert {cited for sentence in summary["sentences"] for cited in sentence["passages"]} <= passages.keys()
    index = stored(stack, f"index/{document}.json")
    assert [passage["id"] for passage in index["passages"]] == list(passages)


@pytest.mark.parametrize("name", BAD_FILES)
def test_file_that_cannot_be_read_is_rejected_with_its_own_reason_and_kept(
    stack: Stack, bus: BusObserver, name: str
) -> None:
    make, code = BAD_FILES[name]
    content = make()
    document = upload(stack, content, name)
    event = outcome(bus, document)
    assert event["detail-type"] == "DocumentRejected", event
    assert contracts.violation("backbone.documents/DocumentRejected.v1", event["detail"]) is None
    assert event["detail"]["data"]["code"] == code
    said = row(stack, document)
    assert said["status"] == "rejected"
    assert said["reason"] == event["detail"]["data"]["reason"]
    kept = stack.client("s3").get_object(Bucket=stack.resource("DocumentsBucket"), Key=said["key"])["Body"].read()
    assert kept == content


def memory_of(stack: Stack, step: str) -> tuple[int, int]:
    """The most memory that a function has ever used here, and its setting, in MB, as Lambda's own reports say it."""

    def reports() -> list[dict[str, Any]]:
        events = stack.client("logs").filter_log_events(
            logGroupName=stack.resource(f"{step}LogGroup"), filterPattern='"platform.report"', limit=10_000
        )["events"]
        lines = [json.loads(event["message"]) for event in events if "platform.report" in event["message"]]
        return [line["record"]["metrics"] for line in lines if line.get("type") == "platform.report"]

    metrics = wait_until(reports, 10, f"a report of {step}")
    return max(one["maxMemoryUsedMB"] for one in metrics), metrics[-1]["memorySizeMB"]


@pytest.mark.timeout(180)
def test_hundred_pages_are_summarised_within_a_minute(stack: Stack, bus: BusObserver) -> None:
    began = time.monotonic()
    document = upload(stack, long_pdf(100), "hundred.pdf")
    event = outcome(bus, document, 120)
    assert event["detail-type"] == "DocumentSummarized"
    assert event["detail"]["data"]["pages"] == 100
    assert time.monotonic() - began < 60
    for step in ("ExtractText", "SummarizeChunk", "CombineSummaries", "CheckGrounding", "StoreSummary"):
        used, bought = memory_of(stack, step)
        assert used <= bought, step
        assert used > 0 or sys.platform != "linux", step  # elsewhere the system does not tell


@pytest.mark.timeout(400)
def test_fifty_documents_at_once_each_end_once(stack: Stack, bus: BusObserver) -> None:
    documents = [upload(stack, sample_document(SAMPLES[number % 4]), SAMPLES[number % 4]) for number in range(45)]
    documents += [upload(stack, b"", "empty.txt") for _ in range(5)]
    for document in documents:
        outcome(bus, document, 300)
    bus.poll()
    ends = Counter(
        event["detail"]["data"]["documentId"]
        for event in bus.seen
        if event["detail-type"] in {"DocumentSummarized", "DocumentRejected"}
    )
    assert {document: ends[document] for document in documents} == dict.fromkeys(documents, 1)


def test_same_upload_told_twice_starts_one_summary(stack: Stack, bus: BusObserver) -> None:
    content, name = sample_document("technical-report.txt"), "technical-report.txt"
    document = upload(stack, content, name)
    outcome(bus, document)
    machine = stack.resource("SummarizeDocumentStateMachine")
    executions = stack.client("stepfunctions")

    def of_document() -> list[str]:
        pages = executions.get_paginator("list_executions").paginate(stateMachineArn=machine)
        return [one["name"] for page in pages for one in page["executions"] if document in one["name"]]

    (started,) = of_document()
    described = executions.describe_execution(
        executionArn=machine.replace(":stateMachine:", ":execution:") + f":{started}"
    )
    key = json.loads(described["input"])["key"]
    head = stack.client("s3").head_object(Bucket=stack.resource("DocumentsBucket"), Key=key)
    again = {
        "version": "0",
        "id": str(uuid4()),
        "source": "aws.s3",
        "detail-type": "Object Created",
        "time": "2026-01-01T00:00:00Z",
        "detail": {
            "bucket": {"name": stack.resource("DocumentsBucket")},
            "object": {"key": key, "size": len(content), "version-id": head["VersionId"], "sequencer": "00"},
        },
    }
    queue = stack.queue("DocumentUploadsQueue")
    queue.sqs.send_message(QueueUrl=queue.url, MessageBody=json.dumps(again))
    later = upload(stack, content, name)
    outcome(bus, later)
    wait_until(lambda: stack.depth("DocumentUploadsQueue") == 0, 30, "the queue of uploads empty")
    assert len(of_document()) == 1


def test_summary_goes_on_where_it_was_when_its_steps_can_be_invoked_again(stack: Stack, bus: BusObserver) -> None:
    executions, machine = stack.client("stepfunctions"), stack.resource("SummarizeDocumentStateMachine")
    with denied(stack, "SummarizeDocumentRole", "lambda:InvokeFunction"):
        document = upload(stack, sample_document("technical-report.txt"), "technical-report.txt")
        wait_until(lambda: row(stack, document).get("executionName"), 30, "the workflow's start")
        execution = machine.replace(":stateMachine:", ":execution:") + ":" + row(stack, document)["executionName"]

        def failures() -> list[Any]:
            events = executions.get_execution_history(executionArn=execution)["events"]
            return [event for event in events if event["type"] == "TaskFailed"]

        wait_until(failures, 30, "a step that could not be invoked")
    event = outcome(bus, document, 120)
    assert event["detail-type"] == "DocumentSummarized", event
    assert executions.describe_execution(executionArn=execution)["status"] == "SUCCEEDED"


def test_documents_that_give_orders_are_summarised_and_not_obeyed(stack: Stack, bus: BusObserver) -> None:
    report = sample_document("technical-report.txt").decode()
    half = len(report) // 2
    documents = {
        upload(stack, f"{report[:half]}\n\n{attack.text}\n\n{report[half:]}".encode(), "report.txt"): attack
        for attack in ATTACKS
    }
    assert len(documents) >= 10
    for document, attack in documents.items():
        event = outcome(bus, document, 180)
        assert event["detail-type"] == "DocumentSummarized", event
        summary = stored(stack, event["detail"]["data"]["summaryKey"])
        text = " ".join(sentence["text"] for sentence in summary["sentences"])
        assert attack.marker not in text, attack.name
        assert len(summary["sentences"]) >= 3
