"""May this caller do this? Asked for the services and integrations that the overlay adds.

The engine checks callers of its own services at its HTTP edge and checks nothing that one service does for another.
This module puts its evaluator (identity policies, permissions boundary, session policies, explicit denies) behind two
questions: one for the caller of a request that the engine has already authenticated, and one for a role that a service
assumes, such as the credentials of an API Gateway integration. So a missing grant shows here, as it would on AWS:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import iam

type Response = tuple[int, dict[str, str], bytes]


def refusal_of_caller(
    headers: Mapping[str, str], query: Mapping[str, list[str]], action: str, resource_arn: str
) -> str | None:
    """Why the signer of the request in hand may not do ``action`` (``service:Operation``), or None where it may."""
    service = action.partition(":")[0]
    denied = iam_evaluator.enforce(
        extract_access_key_id(headers, query), action, service, get_region(), resource_arn=resource_arn
    )
    if denied is None:
        return None
    if isinstance(denied, iam_evaluator.AuthError):
        return str(denied.message)
    return _wording(denied.principal_arn, action, resource_arn, explicit=denied.decision == "Deny")


def refusal_of_assumption(role_arn: str, service_principal: str, source_arn: str = "") -> str | None:
    """Why ``service_principal`` (``apigateway.amazonaws.com``) may not assume the role, or None where it may.

    ``source_arn`` is the resource on whose behalf the service does, for trust policies with ``aws:SourceArn``.
    """
    role = iam._roles.get(_name_of(role_arn))
    if role is None:
        return f"The role {role_arn} does not exist."
    trust = role.get("AssumeRolePolicyDocument") or {}
    if not _trusts(trust if isinstance(trust, dict) else json.loads(trust), service_principal, source_arn):
        return f"The role {role_arn} does not trust {service_principal}: see its AssumeRolePolicyDocument."
    return None


def refusal_of_role(
    role_arn: str, service_principal: str, action: str, resource_arn: str, source_arn: str = ""
) -> str | None:
    """Why ``service_principal`` may not do ``action`` as the role, or None where it may.

    Three things can be missing: the role, its trust in the service, a statement that allows the action.
    """
    if reason := refusal_of_assumption(role_arn, service_principal, source_arn):
        return reason
    name = _name_of(role_arn)
    account = get_account_id()
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{service_principal.partition('.')[0]}"
    context = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
    )
    result = iam_evaluator.evaluate(
        context,
        iam_evaluator._gather_role_policies(name, account),
        *iam_evaluator._permissions_boundary(iam._roles, name, account),
    )
    if result.decision == "Allow":
        return None
    return _wording(principal, action, resource_arn, explicit=result.decision == "Deny")


def access_denied(message: str) -> Response:
    """The answer of a JSON service to a caller who may not."""
    body = json.dumps({"__type": "AccessDeniedException", "Message": message}).encode()
    return 403, {"Content-Type": "application/json", "x-amzn-errortype": "AccessDeniedException"}, body


def _trusts(trust_policy: Mapping[str, Any], service_principal: str, source_arn: str) -> bool:
    """Whether a statement lets the service assume the role. The engine's own matcher knows no service principals."""
    context = iam_evaluator.EvalContext(
        principal_arn=service_principal,
        principal_type="Service",
        principal_account=get_account_id(),
        action="sts:AssumeRole",
        resource_arn="*",
        region=get_region(),
        service_context={
            "aws:sourceaccount": get_account_id(),
            **({"aws:sourcearn": source_arn} if source_arn else {}),
        },
    )
    effects = {
        statement["Effect"]
        for statement in _listed(trust_policy.get("Statement"))
        if service_principal in _listed(dict(statement.get("Principal") or {}).get("Service"))
        and "sts:AssumeRole" in _listed(statement.get("Action"))
        and iam_evaluator._conditions_met(statement.get("Condition") or {}, context)
    }
    return effects == {"Allow"}


def _name_of(role_arn: str) -> str:
    return role_arn.rpartition("/")[2]


def _listed(value: Any) -> list[Any]:
    """IAM writes a list of one without the list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _wording(principal_arn: str, action: str, resource_arn: str, *, explicit: bool) -> str:
    reason = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource_arn} {reason}"
