"""Who calls: what the token says, and nothing else."""

from typing import Any

import pytest

from backbone.identity import Caller, caller_of
from backbone.rest import RefusedError
from tests.unit.api_events import a_post, claims_of


@pytest.mark.parametrize(
    ("groups", "customer_id", "caller"),
    [
        ("customer", "CUST-000001", Caller("CUST-000001", is_analyst=False)),
        ("analyst", None, Caller(None, is_analyst=True)),
        ("analyst,customer", "CUST-000001", Caller("CUST-000001", is_analyst=True)),
        ("", "CUST-000001", Caller(None, is_analyst=False)),
        ("customer", None, Caller(None, is_analyst=False)),
        ("customers", "CUST-000001", Caller(None, is_analyst=False)),
        ("not-analyst", None, Caller(None, is_analyst=False)),
        ("[analyst]", None, Caller(None, is_analyst=False)),
    ],
)
def test_caller_is_what_groups_and_customer_id_of_the_token_make_them(
    groups: str, customer_id: str | None, caller: Caller
) -> None:
    assert caller_of(a_post(claims_of(groups, customer_id), {})) == caller


@pytest.mark.parametrize("customer_id", ["", "unassigned", "../CUST-1", ".", "a/b", "a b", "x" * 65, "CUST-1\n", "-"])
def test_customer_id_that_is_no_id_makes_nobody_a_customer(customer_id: str) -> None:
    assert caller_of(a_post(claims_of("customer", customer_id), {})).customer_id is None


@pytest.mark.parametrize(
    "event",
    [
        {},
        a_post(None, {}),
        a_post({}, {}),
        a_post(claims_of("analyst", token_use="access"), {}),  # noqa: S106 - no secret: which kind of token
        {"requestContext": {"authorizer": {"customerId": "CUST-000001"}}},
        {"body": '{"claims": {"token_use": "id"}}', "headers": {"cognito:groups": "analyst"}},
    ],
)
def test_request_without_a_verified_id_token_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(RefusedError) as refused:
        caller_of(event)
    assert refused.value.status == 401


def test_nothing_that_a_caller_writes_says_who_they_are() -> None:
    body = {"customerId": "CUST-000002", "cognito:groups": "analyst", "custom:customerId": "CUST-000002"}
    event = a_post(claims_of("customer", "CUST-000001"), body) | {"queryStringParameters": body, "headers": body}
    assert caller_of(event) == Caller("CUST-000001", is_analyst=False)
