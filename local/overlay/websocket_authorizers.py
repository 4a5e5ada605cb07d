"""Who may open a connection to a WebSocket API: the authorizer of its $connect route.

Follows "Control access to WebSocket APIs with AWS Lambda REQUEST authorizers"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html): 401 without
the identity sources, and where the function raises just ``Unauthorized``; 403 where its policy does not allow $connect;
500 where it fails otherwise, answers what is no policy, or never allowed the API to invoke it. The engine said 500 to
an ``Unauthorized``, and asked no function's policy. For an AWS_IAM route the engine checks signature and policy itself.
"""

import logging
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway, apigateway_v1

from local.overlay import websocket_routes
from local.overlay.engine_hooks import Scope
from local.overlay.websocket_connections import Visitor
from local.overlay.websocket_routes import RouteError

_REASONS = {
    "Deny": "with an explicit deny in an identity-based policy",
    "NoMatch": "because no identity-based policy allows the execute-api:Invoke action",
}

logger = logging.getLogger(__name__)

type Context = dict[str, str]


async def authorize(scope: Scope, visitor: Visitor, route: Mapping[str, Any]) -> Context | None:
    """The context that the route's authorizer gives, None without one; RouteError where the visitor may not connect."""
    kind = str(route.get("authorizationType") or "NONE").upper()
    if kind == "NONE":
        return None
    if kind == "CUSTOM":
        return await _ask_function(visitor, route)
    if kind == "AWS_IAM":
        refusal = apigateway._authorize_ws_iam(
            scope, _connect_arn(visitor), visitor.headers, visitor.query, visitor.region
        )
        if refusal is None:
            return None
        raise RouteError(*refusal)
    raise RouteError(500, "Internal server error")


async def _ask_function(visitor: Visitor, route: Mapping[str, Any]) -> Context:
    authorizer_id = route.get("authorizerId") or ""
    authorizer = apigateway._authorizers.get(visitor.api_id, {}).get(authorizer_id) or {}
    variables = apigateway._get_stage_variables(visitor.api_id, visitor.stage)
    all_present, _ = apigateway._request_authorizer_identity_sources(
        authorizer.get("identitySource"), visitor.headers, visitor.query, variables
    )
    if not all_present:
        raise RouteError(401, "Unauthorized")
    function_arn = apigateway._extract_lambda_ref_from_integration_uri(authorizer.get("authorizerUri", ""))
    websocket_routes.require_permission(visitor, f"authorizers/{authorizer_id}", function_arn)
    event = websocket_routes.connect_event(visitor, route, None) | {
        "type": "REQUEST",
        "methodArn": _connect_arn(visitor),
        "stageVariables": variables or {},
    }
    outcome = await websocket_routes.invoke(function_arn, event, websocket_routes.INTEGRATION_SECONDS)
    return _context(visitor, outcome)


def _context(visitor: Visitor, outcome: Mapping[str, Any]) -> Context:
    """What the function says of who connects, if its policy lets them."""
    said = outcome.get("body")
    if outcome.get("error"):
        unauthorized = isinstance(said, dict) and said.get("errorMessage") == "Unauthorized"
        raise RouteError(401, "Unauthorized") if unauthorized else RouteError(500, "Internal server error")
    said = said if isinstance(said, dict) else {}
    policy, context = said.get("policyDocument"), said.get("context") or {}
    if not isinstance(policy, dict) or not isinstance(context, dict) or not _is_flat(context):
        logger.error("The authorizer of %s answered what is no policy with a flat context.", visitor.api_id)
        raise RouteError(500, "Internal server error")
    decision = apigateway._evaluate_authorizer_policy(policy, _connect_arn(visitor))
    if decision != "Allow":
        raise RouteError(403, f"User is not authorized to access this resource {_REASONS[decision]}")
    texts: Context = apigateway_v1._stringify_context(context)
    return texts | {"principalId": str(said["principalId"])} if "principalId" in said else texts


def _is_flat(context: Mapping[str, Any]) -> bool:
    """Whether it holds texts, numbers and truth values only, as it must."""
    return all(isinstance(value, str | int | float | None) for value in context.values())


def _connect_arn(visitor: Visitor) -> str:
    return f"arn:aws:execute-api:{visitor.region}:{visitor.account_id}:{visitor.api_id}/{visitor.stage}/$connect"
