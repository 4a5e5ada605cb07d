"""answer_chat: answers what people write in the chat, with facts that it looks up, and does what they say yes to.

Trigger: SQS ChatRequestsQueue, one request at a time, fed by the bus (ChatMessageReceived).
Posts:   the answer, piece by piece, to the conversation's connection; keeps it in the conversation's rows.
Emits:   ChatAnswered.            Idempotent by: conversation and turn (each is answered once, in order, under a lease).
Retries: model or tool throttled or away: the request comes again in seconds; after 3 attempts the turn ends in plain
         words. Another answers the conversation: it comes again when that one must be done. The table or the bus away:
         it comes again. A request that cannot be read, or names no conversation, fails until it is in
         ChatRequestsDeadLetterQueue.
"""

import os
import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from agent_engines import MODEL_TIMEOUT_SECONDS, agent_for
from agent_tools_client import AgentToolsClient
from answer_measures import AnswerMeasures
from backbone import contracts
from backbone.chat_frames import ConnectionPoster
from backbone.clients import client
from backbone.errors import Retryable
from backbone.model import Model
from backbone.publishing import EventBus
from backbone.settings import from_environment
from chat_request_queue import ChatRequestQueue
from conversation_lease import Claim, ComeBackError
from conversation_store import ConversationStore
from turn_answering import Answering
from turn_order import ChatWork, answer_waiting

TOOL_TIMEOUT_SECONDS = 20
# What is left of the function's time when the agent must be done: for the plain words, the rows and the bus.
SECONDS_TO_END = 15
# A request comes again, and a lease is over, so long after the function can at most be at work.
SECONDS_AFTER_THE_END = 5
SECONDS_BEFORE_AGAIN = 5


@dataclass(frozen=True, slots=True)
class Settings:
    agent_tools_function_name: str
    chat_requests_queue_url: str
    conversations_table_name: str
    conversation_retention_days: int
    event_bus_name: str
    model_id: str
    aws_endpoint_url_apigatewaymanagementapi: str  # for the SDK; without it a post would go to no API
    agent_engine: str = "converse"
    agent_id: str = ""
    agent_alias_id: str = ""
    harness_arn: str = ""
    input_token_price: int = 0
    output_token_price: int = 0


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
measures = AnswerMeasures(metrics, settings)
queue = ChatRequestQueue(client("sqs"), settings.chat_requests_queue_url, logger.warning)
tools = AgentToolsClient(
    client("lambda", TOOL_TIMEOUT_SECONDS), settings.agent_tools_function_name, measures.value, logger.warning
)
work = ChatWork(
    answering=Answering(
        conversations=ConversationStore(
            client("dynamodb"), settings.conversations_table_name, settings.conversation_retention_days
        ),
        agent=agent_for(settings, tools, measures),
        engine=settings.agent_engine,
        poster=ConnectionPoster(client("apigatewaymanagementapi")),
        measure=measures.value,
        log=logger.warning,
    ),
    bus=EventBus(client("events"), settings.event_bus_name),
    writer=Model(client("bedrock-runtime", MODEL_TIMEOUT_SECONDS), settings.model_id),
    meter=measures,
    traceparent=lambda: contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID")),
)
# A request that is given back is no failure of the function.
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    metrics.add_metric("ChatRequests", MetricUnit.Count, len(event["Records"]))
    return process_partial_response(event, answer_from_record, processor, context)


def answer_from_record(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """Answers for one request; every failure is told here, for the batch processor keeps them to itself."""
    try:
        answer(record, lambda_context.get_remaining_time_in_millis() // 1000)
    except Retryable as failed:
        logger.warning("A chat request is given back.", reason=str(failed))
        metrics.add_metric("ChatRequestsGivenBack", MetricUnit.Count, 1)
        again = failed.seconds if isinstance(failed, ComeBackError) else SECONDS_BEFORE_AGAIN
        queue.come_back(record.receipt_handle, again)
        raise
    except Exception:
        logger.exception("A chat request failed.")
        metrics.add_metric("ChatRequestsFailed", MetricUnit.Count, 1)
        raise


def answer(record: SQSRecord, seconds: int) -> None:
    """Answers what waits in the request's conversation within ``seconds``, the rest of the function's time."""
    request = contracts.parse("ChatMessageReceived", record.json_body).data
    logger.append_keys(conversation_id=request["conversationId"], turn=request["turn"])
    claim = Claim(
        conversation_id=request["conversationId"],
        owner=record.message_id,
        receive=int(record.attributes.approximate_receive_count),
        until=int((time.time() + seconds + SECONDS_AFTER_THE_END) * 1000),
    )
    queue.come_back(record.receipt_handle, seconds + SECONDS_AFTER_THE_END)
    answer_waiting(claim, time.monotonic() + seconds - SECONDS_TO_END, work)
