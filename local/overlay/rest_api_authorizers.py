"""Cognito authorizers of REST APIs, and the permission that a function gives to the API in front of it.

The engine verifies a user pool's token (RS256 by the pool's own keys, issuer, expiry, scopes). What differs from AWS:

* It takes an access token where the method names no scope. API Gateway reads the token as an id token there, so an
  access token gets 401 (https://repost.aws/knowledge-center/api-gateway-cognito-401-unauthorized).
* It hands claims on as an HTTP API does: a list as ``[a b]``. A REST API joins it with commas, and writes ``exp`` and
  ``iat`` as ``Sat Nov 22 10:00:00 UTC 2026``.
* It says ``Unauthorized`` of an expired token, where API Gateway says ``The incoming token has expired``.
* It invokes a function that never allowed it. API Gateway needs ``lambda:InvokeFunction`` in the function's policy, or
  an integration's role that has it, and answers 500 otherwise
  (https://docs.aws.amazon.com/apigateway/latest/developerguide/permissions.html).

A token is good for every app client of its pool, here as there. Tokens that were revoked stay good until they expire.
"""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway_v1, cognito

from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.service_calls import Caller, CallError, require_invocation

logger = logging.getLogger(__name__)

_GATEWAY = "apigateway.amazonaws.com"
_TIMES = ("exp", "iat")


def install(_engine: Engine) -> None:
    _verify_as_rest_apis_do()
    replace(apigateway_v1, "_stringify_claims", claims_as_text)
    _ask_for_permission()


def _verify_as_rest_apis_do() -> None:
    verify = original(apigateway_v1, "_validate_cognito_authorizer")

    async def verify_identity(authorizer: dict[str, Any], method: dict[str, Any], *request: Any) -> tuple[Any, Any]:
        claims, refusal = await verify(authorizer, method, *request)
        if refusal is None and not method.get("authorizationScopes") and claims.get("token_use") != "id":
            return None, apigateway_v1._gw_error("UNAUTHORIZED", "Unauthorized")
        if refusal is not None and _has_expired(authorizer, *request):
            return None, apigateway_v1._gw_error("UNAUTHORIZED", "The incoming token has expired")
        return claims, refusal

    replace(apigateway_v1, "_validate_cognito_authorizer", verify_identity)


def _has_expired(authorizer: dict[str, Any], *request: Any) -> bool:
    """Whether the request's token is one that the authorizer's pools did issue, and too old."""
    token = apigateway_v1._cognito_token_from_request(authorizer, *request) or ""
    claims = cognito._token_claims(token)
    issued = claims.get("iss") in apigateway_v1._cognito_pool_issuers(authorizer) and cognito._signature_valid(token)
    return issued and isinstance(claims.get("exp"), int) and claims["exp"] <= time.time()


def claims_as_text(claims: Mapping[str, Any]) -> dict[str, str]:
    """A token's claims as a REST API hands them to a function: every value is text."""
    return {name: _as_text(name, value) for name, value in claims.items() if value is not None}


def _as_text(name: str, value: Any) -> str:
    if name in _TIMES:
        return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(int(value)))
    if isinstance(value, list):
        return ",".join(item if isinstance(item, str) else json.dumps(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _ask_for_permission() -> None:
    invoke_function = original(apigateway_v1, "_invoke_lambda_proxy_v1")

    async def invoke(integration: dict[str, Any], api_id: str, stage: str, *request: Any, **known: Any) -> Any:
        _, _, path, verb = request[:4]
        account, region = known["owner_account_id"], known["owner_region"]
        source = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage}/{verb}{path}"
        caller = Caller(_GATEWAY, source, account, region, integration.get("credentials") or "")
        function = apigateway_v1._extract_lambda_ref_from_integration_uri(integration.get("uri", ""))
        try:
            require_invocation(caller, function)
        except CallError as refusal:
            logger.error("Invalid permissions on Lambda function: %s", refusal)
            return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
        return await invoke_function(integration, api_id, stage, *request, **known)

    replace(apigateway_v1, "_invoke_lambda_proxy_v1", invoke)
