"""check_grounding: is every sentence of a draft supported by a passage of the document?

Trigger: state CheckGrounding of SummarizeDocument, after each draft.
Writes:  work/<documentId>/grounding-<attempt>.json. Idempotent by: that key.
Retries: none of its own; raises Retryable where the embedding model, the guardrail or the bucket is throttled or away.
Refuses: a draft or passages that are not what they should be (Rejected).
"""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.clients import client
from backbone.documents import DocumentBucket, Draft, Grounding, SourceDocument, draft_key, grounding_key, passages_key
from backbone.json_objects import request
from backbone.model import Model
from backbone.settings import from_environment
from grounding import judge
from guardrail_check import Guardrail

# One embedding takes a fraction of a second; shorter than the function's own timeout (120 s).
MODEL_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Settings:
    """``guardrail_id`` is empty where no guardrail is asked for a second opinion."""

    documents_bucket_name: str
    embedding_model_id: str
    guardrail_id: str = ""
    guardrail_version: str = ""


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """``attempt``: which draft."""

    document_id: str
    attempt: int


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
bucket = DocumentBucket(client("s3"), settings.documents_bucket_name)
bedrock = client("bedrock-runtime", MODEL_TIMEOUT_SECONDS)
model = Model(bedrock, "", settings.embedding_model_id)
guardrail = Guardrail(bedrock, settings.guardrail_id, settings.guardrail_version) if settings.guardrail_id else None


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    metrics.add_metric("ChecksAsked", MetricUnit.Count, 1)
    asked = request(CheckRequest, event)
    logger.append_keys(document_id=asked.document_id, attempt=asked.attempt)
    document = bucket.read(SourceDocument, passages_key(asked.document_id))
    draft = bucket.read(Draft, draft_key(asked.document_id, asked.attempt))
    sentences = judge(draft.sentences, document.passages, model.embed)
    if guardrail:
        sentences = guardrail.check(sentences, document.passages)
    unsupported = sum(not sentence.supported for sentence in sentences)
    support_rate = round(1 - unsupported / len(sentences), 4)
    key = grounding_key(asked.document_id, asked.attempt)
    bucket.write(key, Grounding(asked.document_id, asked.attempt, support_rate, tuple(sentences)))
    metrics.add_metric("SentencesChecked", MetricUnit.Count, len(sentences))
    metrics.add_metric("SentencesUnsupported", MetricUnit.Count, unsupported)
    return {"grounded": unsupported == 0, "supportRate": support_rate, "unsupported": unsupported, "key": key}
