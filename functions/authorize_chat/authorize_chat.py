"""authorize_chat: lets a connection in that brings a good ticket, which is used up by that.

Trigger: the REQUEST authorizer of $connect (WebSocket API); identity source route.request.querystring.ticket.
Answers: a policy for this one route, with who it is as its context. A ticket that is unknown, used, expired or
         malformed raises "Unauthorized", which API Gateway turns into a 401.
Retries: none; a table that is away fails the call (API Gateway answers 500) and the client asks for a new ticket.
         A ticket is never logged.
"""

import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.chat_tickets import ChatTickets
from backbone.clients import client
from backbone.settings import from_environment
from connection_policy import allow


@dataclass(frozen=True, slots=True)
class Settings:
    chat_connections_table_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
tickets = ChatTickets(client("dynamodb"), settings.chat_connections_table_name)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tickets
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("ChatTicketsShown", MetricUnit.Count, 1)
    person = tickets.consume((event.get("queryStringParameters") or {}).get("ticket"), time.time())
    if person is None:
        metrics.add_metric("ChatTicketsRefused", MetricUnit.Count, 1)
        logger.info("Ticket refused.")
        raise Exception("Unauthorized")  # API Gateway knows this one word
    return allow(person, event["methodArn"])
