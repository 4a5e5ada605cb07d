"""combine_summaries: the summaries of a document's chunks become one summary, each sentence with its passages.

Trigger: state CombineSummaries of SummarizeDocument; attempt 2 where the check did not support all of attempt 1.
Writes:  work/<documentId>/draft-<attempt>.json. Idempotent by: that key.
Retries: none of its own; raises Retryable where the model or the bucket is throttled or away (the state retries).
Refuses: an answer that is cut off, withheld, of another shape, or without citations (Rejected, MODEL_FAILED).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.clients import client
from backbone.documents import (
    Chunk,
    ChunkSummary,
    DocumentBucket,
    Draft,
    Grounding,
    SourceDocument,
    chunk_key,
    chunk_summary_key,
    draft_key,
    grounding_key,
    passages_key,
)
from backbone.json_objects import request
from backbone.model import Model
from backbone.settings import from_environment
from backbone.token_usage import measure
from candidates import first_candidates, strict_candidates
from draft_summary import draft_of_one, total_use, write_draft

# Shorter than the function's own timeout (120 s), so that a model that hangs is seen as one.
MODEL_TIMEOUT_SECONDS = 100


@dataclass(frozen=True, slots=True)
class Settings:
    documents_bucket_name: str
    model_id: str
    input_token_price: int = 0
    output_token_price: int = 0


@dataclass(frozen=True, slots=True)
class CombineRequest:
    """``attempt``: 1, or 2 for the stricter one."""

    document_id: str
    attempt: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
bucket = DocumentBucket(client("s3"), settings.documents_bucket_name)
model = Model(client("bedrock-runtime", MODEL_TIMEOUT_SECONDS), settings.model_id)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("DraftsAsked", MetricUnit.Count, 1)
    asked = request(CombineRequest, event)
    logger.append_keys(document_id=asked.document_id, attempt=asked.attempt)
    draft = first_draft(asked.document_id) if asked.attempt == 1 else stricter_draft(asked.document_id, asked.attempt)
    key = draft_key(asked.document_id, asked.attempt)
    bucket.write(key, draft)
    return {"key": key, "sentences": len(draft.sentences)}


def first_draft(document_id: str) -> Draft:
    """Written from all that the chunks' summaries say."""
    document = bucket.read(SourceDocument, passages_key(document_id))
    summaries = list(chunk_summaries(document))
    if len(summaries) == 1:
        return draft_of_one(summaries[0])
    used = total_use([summary.model for summary in summaries])
    draft, answer = write_draft(document_id, 1, first_candidates(summaries), used, model)
    measure(metrics, answer, settings)
    return draft


def stricter_draft(document_id: str, attempt: int) -> Draft:
    """Written without what led to the sentences that the last check did not support."""
    document = bucket.read(SourceDocument, passages_key(document_id))
    last = bucket.read(Draft, draft_key(document_id, attempt - 1))
    grounding = bucket.read(Grounding, grounding_key(document_id, attempt - 1))
    candidates = strict_candidates(list(chunk_summaries(document)), grounding, document.passages)
    draft, answer = write_draft(document_id, attempt, candidates, last.model, model)
    measure(metrics, answer, settings)
    return draft


def chunk_summaries(document: SourceDocument) -> Iterator[ChunkSummary]:
    """The summaries of the document's chunks, up to the chunk with its last passage.

    Not "all that lie there": an earlier, longer version of the same document may have left more of them.
    """
    number = 0
    last_seen = None
    while last_seen != document.passages[-1].id:
        number += 1
        chunk = bucket.read(Chunk, chunk_key(document.document_id, number))
        last_seen = chunk.passages[-1].id
        yield bucket.read(ChunkSummary, chunk_summary_key(document.document_id, number))
