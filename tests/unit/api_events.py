"""API Gateway proxy events, and people as the authorizer describes them."""

import json
from typing import Any

from tests.unit.lambda_events import sample


def claims_of(groups: str, customer_id: str | None = None, **changes: str) -> dict[str, str]:
    """The claims of an id token; ``groups`` joined with commas as a REST API has them."""
    claims = {"token_use": "id", "cognito:groups": groups, "sub": "8f3b5c1e"} | changes
    return claims if customer_id is None else claims | {"custom:customerId": customer_id}


def as_person(event: dict[str, Any], claims: dict[str, str] | None) -> dict[str, Any]:
    """``event`` as another person's; None for nobody's."""
    authorizer = None if claims is None else {"claims": claims}
    return event | {"requestContext": event["requestContext"] | {"authorizer": authorizer}}


def a_post(claims: dict[str, str] | None, body: object) -> dict[str, Any]:
    """POST /documents; a body that is no text is sent as JSON."""
    event = sample("create_upload", "good") | {"body": body if isinstance(body, str | None) else json.dumps(body)}
    return as_person(event, claims)


def a_get(claims: dict[str, str] | None, document_id: str) -> dict[str, Any]:
    """GET /documents/{documentId}."""
    return as_person(sample("read_documents", "good"), claims) | {"pathParameters": {"documentId": document_id}}


def a_list(claims: dict[str, str] | None, **query: str) -> dict[str, Any]:
    """GET /documents."""
    return as_person(sample("read_documents", "edge"), claims) | {"queryStringParameters": query or None}


def answer_of(answer: dict[str, Any]) -> tuple[int, Any]:
    """Status and JSON body of a function's answer."""
    return answer["statusCode"], json.loads(answer["body"])
