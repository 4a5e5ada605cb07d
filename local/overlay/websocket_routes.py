"""From a message on a WebSocket connection to the function that its route names, and what came of it.

Follows "Working with routes for WebSocket APIs" and "Set up a WebSocket API integration request"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-routes-integrations.html), and
"Set up route responses" (.../apigateway-websocket-api-route-response.html) where a function's answer goes back to the
client only if its route has a route response. The engine sent every answer, took any function without asking its
policy, and said a failure's details to the client; API Gateway says ``Internal server error`` and who asks.

A function must answer with a proxy response, ``{"statusCode": 200}`` at least: anything else is an internal server
error there and here. Integrations that are no Lambda proxies (MOCK, AWS) stay with the engine.
"""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from ministack.core.concurrency import run_reentrant
from ministack.services import apigateway, lambda_svc

from local.overlay.service_calls import Caller, CallError, require_invocation
from local.overlay.websocket_connections import Ending, Visitor

type Event = dict[str, Any]
type EventType = Literal["CONNECT", "MESSAGE", "DISCONNECT"]

INTEGRATION_SECONDS = 29.0
_GATEWAY = "apigateway.amazonaws.com"
_PROXY_RESPONSE = {"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RouteAnswer:
    """What a route's integration answered: a status as of HTTP, and the body that a route response would carry."""

    status: int
    body: str


class RouteError(Exception):
    """A route has no answer; ``message`` is API Gateway's word to the client, ``status`` the handshake's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def exact_route(api_id: str, route_key: str) -> dict[str, Any] | None:
    """The API's route of that key; None where it has none."""
    routes = apigateway._routes.get(api_id, {}).values()
    matching: Iterator[dict[str, Any]] = (route for route in routes if route.get("routeKey") == route_key)
    return next(matching, None)


def route_of_message(api_id: str, text: str) -> dict[str, Any] | None:
    """The route that the API's selection expression picks for a message, else $default; None where there is neither."""
    api = apigateway._apis.get(api_id) or {}
    key = apigateway._evaluate_route_selection(api.get("routeSelectionExpression") or "", text)
    # "$connect" is no message's route, whatever a client writes into its message.
    named = None if key in ("$connect", "$disconnect") else exact_route(api_id, key)
    return named or exact_route(api_id, "$default")


def connect_event(visitor: Visitor, route: Mapping[str, Any], authorizer: Mapping[str, str] | None) -> Event:
    """The event of $connect: handshake headers and query string with it."""
    handshake: Event = apigateway._ws_connect_fields(visitor.headers, visitor.query)
    return _event(visitor, route, "CONNECT", authorizer) | handshake


def message_event(visitor: Visitor, route: Mapping[str, Any], authorizer: Mapping[str, str] | None, text: str) -> Event:
    """The event of a message."""
    event = _event(visitor, route, "MESSAGE", authorizer)
    event["requestContext"]["messageId"] = event["requestContext"]["requestId"]
    return event | {"body": text}


def disconnect_event(
    visitor: Visitor, route: Mapping[str, Any], authorizer: Mapping[str, str] | None, ending: Ending
) -> Event:
    """The event of $disconnect."""
    event = _event(visitor, route, "DISCONNECT", authorizer)
    event["requestContext"] |= {"disconnectStatusCode": ending.code, "disconnectReason": ending.reason}
    return event


async def answer(visitor: Visitor, route: Mapping[str, Any], event: Event) -> RouteAnswer:
    """Runs the route's integration; RouteError where it cannot be run, fails, or does not answer in 29 seconds."""
    integration_id = str(route.get("target", "")).rpartition("/")[2]
    integration = apigateway._integrations.get(visitor.api_id, {}).get(integration_id)
    if integration is None:
        raise RouteError(500, "Internal server error")
    if integration.get("integrationType") != "AWS_PROXY":
        return await _answer_of_engine(visitor, route, event)
    function_arn = apigateway._extract_lambda_ref_from_integration_uri(integration.get("integrationUri", ""))
    require_permission(visitor, route["routeKey"], function_arn)
    seconds = min(INTEGRATION_SECONDS, float(integration.get("timeoutInMillis") or 29_000) / 1000)
    return _proxy_response(await invoke(function_arn, event, seconds))


async def invoke(function_arn: str, event: Event, seconds: float) -> dict[str, Any]:
    """The engine's result of a function that exists: ``body``, and ``error`` where it failed.

    RouteError where it takes longer; it goes on to its own time-out then, and nobody waits for it.
    """
    function, configuration, _ = lambda_svc._get_func_record_for_ref(function_arn)
    record = lambda_svc._execution_record_for_config(function, configuration)
    run = asyncio.ensure_future(
        run_reentrant(
            lambda_svc._execute_function_with_config_scope, record, event, thread_name="api-gateway-websocket"
        )
    )
    done, _ = await asyncio.wait({run}, timeout=seconds)
    if not done:
        raise RouteError(504, "Endpoint request timed out")
    result: dict[str, Any] = run.result()
    return result


def require_permission(visitor: Visitor, source: str, function_arn: str) -> None:
    """RouteError, and the reason in the log, where the function's policy does not let the API's ``source`` invoke it.

    ``source`` is a route key, or ``authorizers/{id}``; its ARN is what a Lambda permission's SourceArn has to match:
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html
    """
    stage = "" if source.startswith("authorizers/") else f"{visitor.stage}/"
    arn = f"arn:aws:execute-api:{visitor.region}:{visitor.account_id}:{visitor.api_id}/{stage}{source}"
    try:
        require_invocation(Caller(_GATEWAY, arn, visitor.account_id, visitor.region), function_arn)
    except CallError as refusal:
        logger.error("Invalid permissions on Lambda function: %s", refusal)
        raise RouteError(500, "Internal server error") from refusal


def has_route_response(api_id: str, route: Mapping[str, Any]) -> bool:
    """Whether the route is set up for two-way communication."""
    responses = apigateway._route_responses.get(api_id, {}).get(route["routeId"])
    return bool(responses) and bool(route.get("routeResponseSelectionExpression"))


def _event(
    visitor: Visitor, route: Mapping[str, Any], event_type: EventType, authorizer: Mapping[str, str] | None
) -> Event:
    context = apigateway._ws_request_context(
        visitor.api_id,
        route["routeKey"],
        visitor.stage,
        visitor.connection_id,
        event_type,
        str(uuid4()),
        visitor.source_ip,
        visitor.headers,
    )
    context |= {"connectedAt": int(visitor.connected_at * 1000), "messageDirection": "IN"}
    if authorizer is not None:
        context["authorizer"] = dict(authorizer)
    variables = apigateway._get_stage_variables(visitor.api_id, visitor.stage)
    event: Event = {"requestContext": context, "isBase64Encoded": False}
    return event | {"stageVariables": variables} if variables else event


def _proxy_response(outcome: Mapping[str, Any]) -> RouteAnswer:
    response = outcome.get("body")
    if outcome.get("error") or not isinstance(response, dict) or not response.keys() <= _PROXY_RESPONSE:
        raise RouteError(502, "Internal server error")
    try:
        status = int(response["statusCode"])
    except (KeyError, TypeError, ValueError) as malformed:
        raise RouteError(502, "Internal server error") from malformed
    body = response.get("body")
    if body is not None and not isinstance(body, str):
        raise RouteError(502, "Internal server error")
    return RouteAnswer(status, body or "")


async def _answer_of_engine(visitor: Visitor, route: Mapping[str, Any], event: Event) -> RouteAnswer:
    context = event["requestContext"]
    response = await apigateway._invoke_ws_lambda(
        visitor.api_id,
        visitor.account_id,
        visitor.region,
        route,
        visitor.stage,
        visitor.connection_id,
        context["eventType"],
        context["requestId"],
        event.get("body", ""),
        visitor.source_ip,
        visitor.headers,
        query_params=visitor.query,
        authorizer=context.get("authorizer"),
        disconnect_code=context.get("disconnectStatusCode", 1005),
        disconnect_reason=context.get("disconnectReason", ""),
    )
    if response is None:
        raise RouteError(500, "Internal server error")
    body = response.get("body") or ""
    return RouteAnswer(int(response.get("statusCode", 200)), body if isinstance(body, str) else json.dumps(body))
