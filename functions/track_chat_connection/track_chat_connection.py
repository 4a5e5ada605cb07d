"""track_chat_connection: remembers who opened a chat connection, and forgets it when it ends.

Trigger: routes $connect and $disconnect (WebSocket API). Who it is comes from authorize_chat's context.
Answers: 200. Where $connect fails, API Gateway does not open the connection and the client asks for a new ticket.
Writes:  the connection's row. Idempotent by: connectionId.
Retries: none. $disconnect comes once, or not at all: a row that is left over goes when a post meets the gone connection
         (410), or expires ten minutes after the longest connection.
"""

import time
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.tracing import Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from backbone.chat_connections import ChatConnections
from backbone.chat_people import from_texts
from backbone.clients import client
from backbone.errors import Rejected
from backbone.settings import from_environment


@dataclass(frozen=True, slots=True)
class Settings:
    chat_connections_table_name: str


logger = Logger()
tracer = Tracer()
metrics = Metrics()
settings = from_environment(Settings)
connections = ChatConnections(client("dynamodb"), settings.chat_connections_table_name)


@logger.inject_lambda_context(log_event=False)  # goes before a variable that would log tickets
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    metrics.add_metric("ChatConnectionChanges", MetricUnit.Count, 1)
    request = event["requestContext"]
    route, connection_id = request["routeKey"], request["connectionId"]
    if route == "$connect":
        connections.add(connection_id, from_texts(request.get("authorizer") or {}), time.time())
        metrics.add_metric("ChatConnectionsOpened", MetricUnit.Count, 1)
    elif route == "$disconnect":
        connections.remove(connection_id)
        metrics.add_metric("ChatConnectionsClosed", MetricUnit.Count, 1)
    else:
        raise Rejected(f"INTERNAL: the route {route!r} is not this function's")
    return {"statusCode": 200}
