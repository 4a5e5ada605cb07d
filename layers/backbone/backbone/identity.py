"""Who calls: a person, as the user pool's token says it and API Gateway has verified it.

Nothing that a caller can write (body, path, query, headers) says who they are. The claims come from
``requestContext.authorizer`` of a REST API whose authorizer is a Cognito user pool:
https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-integrate-with-cognito.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backbone.rest import RefusedError

CUSTOMER = "customer"
ANALYST = "analyst"
# The customer id of documents that somebody put into the bucket without being offered it: no person's, ever.
NOBODY = "unassigned"
# It becomes a folder's name in the bucket: no dot or slash at its beginning.
_CUSTOMER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Caller:
    """A person who signed in. ``customer_id`` is whose documents are theirs; None for who is no customer."""

    customer_id: str | None
    is_analyst: bool


def caller_of(event: Mapping[str, Any]) -> Caller:
    """The person behind an API Gateway proxy event; raises RefusedError (401) where nobody was authenticated."""
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    claims = authorizer.get("claims")
    if not claims or claims.get("token_use") != "id":
        raise RefusedError(401, "Sign in, and send the id token in the header Authorization.")
    # A REST API hands the claim's list on as one text, joined with commas; our groups have none in their names.
    groups = set(claims.get("cognito:groups", "").split(","))
    customer_id = claims.get("custom:customerId", "")
    is_customer = CUSTOMER in groups and customer_id != NOBODY and _CUSTOMER_ID.fullmatch(customer_id) is not None
    return Caller(customer_id if is_customer else None, ANALYST in groups)


def person_id_of(event: Mapping[str, Any]) -> str:
    """The person's id in the user pool (``sub``): it never changes and is never given to another. Raises as above."""
    claims = (event.get("requestContext", {}).get("authorizer") or {}).get("claims") or {}
    if claims.get("token_use") != "id" or not claims.get("sub"):
        raise RefusedError(401, "Sign in, and send the id token in the header Authorization.")
    return str(claims["sub"])
