"""receive_chat_message: takes a person's chat message, has it answered, and says so; sends again what they missed.

Trigger: routes sendMessage, resume and $default (WebSocket API). Who it is stands in the connection's row, which was
         written when the connection was opened; nothing in a frame says so.
Posts:   accepted; for a resume the stored frames of the answer; for anything else an error in plain words.
Emits:   ChatMessageReceived, after the turn was written.        Idempotent by: the client's messageId.
Retries: none here: a table or bus that cannot now is an error UNAVAILABLE, and the client sends the same message again.
         Where even that cannot be posted the call fails, and API Gateway tells the client.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone import contracts
from backbone.chat_connections import ChatConnections
from backbone.chat_frames import ConnectionPoster, ServerFrame, error
from backbone.clients import client
from backbone.errors import Retryable
from backbone.publishing import EventBus
from backbone.settings import from_environment
from chat_reception import Sender, resume, take_message
from client_frames import FrameRefusedError, Resume, SendMessage, parse
from received_turns import ReceivedTurns


@dataclass(frozen=True, slots=True)
class Settings:
    chat_connections_table_name: str
    conversations_table_name: str
    conversation_retention_days: int
    event_bus_name: str
    aws_endpoint_url_apigatewaymanagementapi: str  # for the SDK; without it a post would go to no API


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
connections = ChatConnections(client("dynamodb"), settings.chat_connections_table_name)
turns = ReceivedTurns(client("dynamodb"), settings.conversations_table_name, settings.conversation_retention_days)
bus = EventBus(client("events"), settings.event_bus_name)
poster = ConnectionPoster(client("apigatewaymanagementapi"))


@logger.inject_lambda_context(log_event=False)  # what a person writes is for no log
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("ChatFramesReceived", MetricUnit.Count, 1)
    connection_id = event["requestContext"]["connectionId"]
    for frame in answers(event, connection_id):
        if not poster.post(connection_id, frame):
            connections.remove(connection_id)
            break
    return {"statusCode": 200}


def answers(event: dict[str, Any], connection_id: str) -> Sequence[ServerFrame]:
    """What the client is told."""
    message_id = None
    try:
        frame = parse(None if event.get("isBase64Encoded") else event.get("body"))
        message_id = frame.message_id if isinstance(frame, SendMessage) else None
        return taken(frame, connection_id)
    except FrameRefusedError as refused:
        metrics.add_metric("ChatFramesRefused", MetricUnit.Count, 1)
        logger.info("Frame refused.", code=refused.code)
        return [error(refused.code, refused.message, refused.message_id or message_id)]
    except Retryable as failed:
        metrics.add_metric("ChatFramesUnavailable", MetricUnit.Count, 1)
        logger.warning("Answered UNAVAILABLE.", reason=str(failed))
        return [error("UNAVAILABLE", "This cannot be done just now. Send it again in a moment.", message_id)]


def taken(frame: SendMessage | Resume, connection_id: str) -> Sequence[ServerFrame]:
    now = time.time()
    person = connections.get(connection_id, now)
    if person is None:
        raise FrameRefusedError("NOT_YOURS", "This connection is not known any more. Connect again with a new ticket.")
    sender = Sender(person, connection_id)
    trace = contracts.traceparent(os.environ.get("_X_AMZN_TRACE_ID"))
    if isinstance(frame, Resume):
        return resume(frame, sender, turns=turns, bus=bus, traceparent=trace)
    accepted = take_message(frame, sender, turns=turns, bus=bus, now=now, traceparent=trace)
    metrics.add_metric("ChatMessagesAccepted", MetricUnit.Count, 1)
    logger.info("Message accepted.", conversation_id=accepted["conversationId"], turn=accepted["turn"])
    return [accepted]
