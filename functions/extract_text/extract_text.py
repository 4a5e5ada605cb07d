"""extract_text: reads an uploaded document into passages that a summary can cite, and chunks that a model can take.

Trigger: state machine SummarizeDocument, its first step: {documentId, customerId, key, versionId}.
Writes:  work/<documentId>/passages.json and chunks/0001.json, ...   Idempotent by: documentId; the same version of the
         same upload gives the same objects.
Calls:   Textract for pages that are pictures, where parameter ScannedPages says so; else such pages are left out, and
         a document that is mostly pictures is refused.
Raises:  Retryable where S3 or Textract is throttled or away (the state machine tries again); Rejected, "CODE: sentence
         for the sender", for what can never be read (the state machine goes to reject_document).
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.clients import client
from backbone.documents import Chunk, DocumentBucket, Passage, SourceDocument, chunk_key, passages_key
from backbone.errors import Rejected
from backbone.json_objects import request
from backbone.settings import from_environment
from document_extraction import Document, extract
from page_scans import ReadScans
from passage_packing import chunks_of, passages_of
from textract_reader import CALL_SECONDS, TextractReader
from upload_reader import UploadReader
from upload_refusals import refused

# What is left of the function's time for writing the passages and for the answer.
RESERVED_SECONDS = 15
_DOCUMENT_ID = re.compile("[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Settings:
    documents_bucket_name: str
    scanned_pages: str = "none"


@dataclass(frozen=True, slots=True)
class Upload:
    """What the state machine asks for: one version of one upload."""

    document_id: str
    key: str
    version_id: str


class Extraction(TypedDict):
    """What goes on in the state machine: sizes and keys, never text. ``pages`` is None for what has no pages."""

    documentId: str
    pages: int | None
    passages: int
    characters: int
    mediaType: str
    chunks: list[str]


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
uploads = UploadReader(client("s3"), settings.documents_bucket_name)
bucket = DocumentBucket(client("s3"), settings.documents_bucket_name)
textract = client("textract", CALL_SECONDS) if settings.scanned_pages == "textract" else None


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Extraction:
    metrics.add_metric("DocumentsReceived", MetricUnit.Count, 1)
    upload = upload_in(event)
    logger.append_keys(document_id=upload.document_id)
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVED_SECONDS
    read_scans = scan_reader(seconds)
    try:
        document = extract(uploads.read(upload.key, upload.version_id), seconds=seconds, read_scans=read_scans)
    except Rejected as rejected:
        metrics.add_metric("DocumentsRefused", MetricUnit.Count, 1)
        logger.info("refused", reason=rejected.reason)
        raise
    return keep(upload, document)


def scan_reader(seconds: float) -> ReadScans | None:
    """What reads scanned pages, where something does; its last call ends before ``seconds`` are over."""
    return TextractReader(textract, time.monotonic() + seconds - CALL_SECONDS).read if textract else None


def upload_in(event: object) -> Upload:
    """The upload that ``event`` names; raises Rejected (INTERNAL) where it names none."""
    upload = request(Upload, event)
    if not _DOCUMENT_ID.fullmatch(upload.document_id):  # keys are made from it
        raise refused("INTERNAL", f"documentId is no id: {upload.document_id!r}")
    if not upload.key.startswith("incoming/") or not upload.version_id:
        raise refused("INTERNAL", f"not one version of an upload: {upload.key!r} {upload.version_id!r}")
    return upload


def keep(upload: Upload, document: Document) -> Extraction:
    """Writes the passages and chunks of ``document`` and answers what was written."""
    passages = passages_of(document.text.paragraphs)
    characters = sum(len(passage.text) for passage in passages)
    source = SourceDocument(
        document_id=upload.document_id,
        file_name=upload.key.rpartition("/")[2],
        media_type=str(document.media_type),
        title=document.text.title,
        pages=document.text.pages,
        passages=tuple(passages),
    )
    bucket.write(passages_key(upload.document_id), source)
    chunks = keep_chunks(upload.document_id, chunks_of(passages))
    metrics.add_metric("DocumentsExtracted", MetricUnit.Count, 1)
    metrics.add_metric("CharactersExtracted", MetricUnit.Count, characters)
    metrics.add_metric("PagesWithoutText", MetricUnit.Count, document.text.pages_without_text)
    if document.text.pages_recognized:
        metrics.add_metric("PagesRecognized", MetricUnit.Count, document.text.pages_recognized)
    return {
        "documentId": upload.document_id,
        "pages": document.text.pages,
        "passages": len(passages),
        "characters": characters,
        "mediaType": str(document.media_type),
        "chunks": chunks,
    }


def keep_chunks(document_id: str, chunks: Sequence[Sequence[Passage]]) -> list[str]:
    """Writes each chunk; answers their keys in order."""
    keys = []
    for number, passages in enumerate(chunks, start=1):
        key = chunk_key(document_id, number)
        bucket.write(key, Chunk(document_id, number, tuple(passages)))
        keys.append(key)
    return keys
