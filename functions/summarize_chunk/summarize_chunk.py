"""summarize_chunk: one part of a document becomes a few sentences that each name the passages behind them.

Trigger: state SummarizeChunk of SummarizeDocument, once for each chunk, several at a time.
Writes:  work/<documentId>/chunk_summaries/<chunk>.json. Idempotent by: that key.
Retries: none of its own; raises Retryable where the model or the bucket is throttled or away (the state retries).
Refuses: an answer that is cut off, withheld, of another shape, or without citations (Rejected, MODEL_FAILED).
"""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.clients import client
from backbone.documents import Chunk, DocumentBucket, chunk_summary_key
from backbone.json_objects import request
from backbone.model import Model
from backbone.settings import from_environment
from backbone.token_usage import measure
from chunk_summary import summarize

# Shorter than the function's own timeout (120 s), so that a model that hangs is seen as one.
MODEL_TIMEOUT_SECONDS = 100


@dataclass(frozen=True, slots=True)
class Settings:
    documents_bucket_name: str
    model_id: str
    input_token_price: int = 0
    output_token_price: int = 0


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """``key``: the chunk, e.g. work/<documentId>/chunks/0001.json."""

    document_id: str
    key: str


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
    metrics.add_metric("ChunksReceived", MetricUnit.Count, 1)
    asked = request(ChunkRequest, event)
    logger.append_keys(document_id=asked.document_id, chunk=asked.key)
    chunk = bucket.read(Chunk, asked.key)
    summary, answer = summarize(chunk, model)
    measure(metrics, answer, settings)
    key = chunk_summary_key(asked.document_id, chunk.chunk)
    bucket.write(key, summary)
    return {
        "key": key,
        "sentences": len(summary.sentences),
        "inputTokens": answer.input_tokens,
        "outputTokens": answer.output_tokens,
    }
