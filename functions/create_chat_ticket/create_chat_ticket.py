"""create_chat_ticket: lets a person open one chat connection, once, within a minute.

Trigger: POST /chat/tickets (API Gateway, Cognito). Who chats stands in the token; the body is not read.
Answers: 201 with the ticket and the address to open with it (?ticket=...); 401, 403 who may not; 503 the table cannot
         now.
Writes:  the ticket's digest and whose it is. Idempotent: no need; a ticket that nobody uses expires.
Retries: none here; the caller asks again. A ticket is never logged.
"""

import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.chat_tickets import EXPIRES_IN_SECONDS, ChatTickets, new_ticket
from backbone.clients import client
from backbone.rest import Answer, answer, answered
from backbone.settings import from_environment
from ticket_offers import offer_ticket


@dataclass(frozen=True, slots=True)
class Settings:
    chat_connections_table_name: str
    chat_url: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
tickets = ChatTickets(client("dynamodb"), settings.chat_connections_table_name)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tokens
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Answer:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("ChatTicketRequests", MetricUnit.Count, 1)
    return answered(lambda: create(event), logger.warning)


def create(event: dict[str, Any]) -> Answer:
    ticket = new_ticket()
    person = offer_ticket(event, tickets=tickets, ticket=ticket, now=time.time())
    metrics.add_metric("ChatTicketsCreated", MetricUnit.Count, 1)
    logger.info("Ticket created.", role=person.role)
    return answer(201, {"ticket": ticket, "url": settings.chat_url, "expiresInSeconds": EXPIRES_IN_SECONDS})
