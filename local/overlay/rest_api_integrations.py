"""AWS integrations of a REST API that call Kinesis or EventBridge without a function between.

The request goes through the method's mapping template to the service, as the integration's role; the service's answer
goes through the integration response whose pattern fits its HTTP status. Follows
https://docs.aws.amazon.com/apigateway/latest/developerguide/integrating-api-with-aws-services-kinesis.html and
api-gateway-override-request-response-parameters.html. The role is checked as the service itself would check it: a role
without kinesis:PutRecord gets AccessDeniedException with status 400, which then takes the way of any other 400.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack import app
from ministack.core import iam_actions
from ministack.core.responses import get_account_id, get_region

from local.overlay.authorization import Response, refusal_of_assumption, refusal_of_role
from local.overlay.rest_api_templates import TemplateError, TemplateInput, render, select

logger = logging.getLogger(__name__)

_URI = re.compile(r"arn:aws:apigateway:([\w-]+):(\w+):action/(\w+)")
_PRINCIPAL = "apigateway.amazonaws.com"
_JSON_1_1 = ("application/x-amz-json-1.1", "x-amz-json-1.1")  # the second is how the Kinesis tutorial has it


@dataclass(frozen=True)
class Service:
    """A service that takes JSON: the prefix of its X-Amz-Target, and whether API Gateway sets that header itself."""

    target_prefix: str
    sets_target: bool


_SERVICES = {
    "kinesis": Service("Kinesis_20131202", sets_target=True),
    "events": Service("AWSEvents", sets_target=False),
}


class GatewayError(Exception):
    """API Gateway itself answers: the type of its gateway response, and a reason that only the log shows."""

    def __init__(self, response_type: str, message: str, reason: str) -> None:
        super().__init__(reason)
        self.response_type = response_type
        self.message = message
        self.reason = reason


@dataclass(frozen=True)
class BackendAnswer:
    status: int
    headers: Mapping[str, str]
    body: str


def calls_a_service(integration: Mapping[str, Any]) -> bool:
    """Whether the integration is one that this module runs."""
    target = _URI.fullmatch(str(integration.get("uri", "")))
    return target is not None and target[2] in _SERVICES


async def run(integration: Mapping[str, Any], source: TemplateInput) -> Response:
    """The answer to the client; raises GatewayError where there is none from the service."""
    target = _URI.fullmatch(integration["uri"])
    if target is None:
        raise GatewayError("API_CONFIGURATION_ERROR", "Internal server error", f"unknown uri {integration['uri']}")
    service, action = target[2], target[3]
    body = _request_body(integration, source)
    headers = _request_headers(integration, source)
    deadline = int(integration["timeoutInMillis"]) / 1000
    try:
        answer = await asyncio.wait_for(_call(service, action, integration["credentials"], headers, body), deadline)
    except TimeoutError as error:
        reason = f"{service}:{action} took more than {deadline} s"
        raise GatewayError("INTEGRATION_TIMEOUT", "Endpoint request timed out", reason) from error
    return _to_client(integration, source, answer)


def _request_body(integration: Mapping[str, Any], source: TemplateInput) -> str:
    templates = {_media_type(key): template for key, template in integration["requestTemplates"].items()}
    template = templates.get(_media_type(_header(source.headers, "content-type") or "application/json"))
    if template is not None:
        return _rendered(template, source)
    behaviour = integration["passthroughBehavior"]
    if behaviour == "NEVER" or (behaviour == "WHEN_NO_TEMPLATES" and templates):
        raise GatewayError("UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type", "no template for the content type")
    return source.body


def _request_headers(integration: Mapping[str, Any], source: TemplateInput) -> dict[str, str]:
    prefix = "integration.request.header."
    mapped = {
        place.removeprefix(prefix): _mapped(expression, source)
        for place, expression in integration["requestParameters"].items()
        if place.startswith(prefix)
    }
    overridden = source.context["requestOverride"]["header"]
    return {name.lower(): str(value) for name, value in {**mapped, **overridden}.items() if value is not None}


async def _call(service: str, action: str, role_arn: str, headers: Mapping[str, str], body: str) -> BackendAnswer:
    if reason := refusal_of_assumption(role_arn, _PRINCIPAL):
        raise GatewayError("API_CONFIGURATION_ERROR", "Internal server error", reason)
    known = _SERVICES[service]
    target = f"{known.target_prefix}.{action}"
    content_type = headers.get("content-type", "application/json")
    if content_type not in _JSON_1_1 or (not known.sets_target and headers.get("x-amz-target") != target):
        return _backend_error(
            "UnknownOperationException",
            f"{service}:{action} needs Content-Type {_JSON_1_1[0]}"
            + ("" if known.sets_target else f" and X-Amz-Target {target}"),
        )
    for resource in _resources(service, body):
        if reason := refusal_of_role(role_arn, _PRINCIPAL, f"{service}:{action}", resource):
            logger.error("The integration's role may not: %s", reason)
            return _backend_error("AccessDeniedException", reason)
    sent = {"x-amz-target": target, "content-type": _JSON_1_1[0]}
    status, answered, content = await app.SERVICE_HANDLERS[service]("POST", "/", sent, body.encode(), {})
    return BackendAnswer(status, answered, content.decode())


def _resources(service: str, body: str) -> list[str]:
    raw, region, account = body.encode(), get_region(), get_account_id()
    if service == "events":
        return list(iam_actions.eventbridge_resource_arns(raw, region, account)) or ["*"]
    return [str(iam_actions.extract_resource_arn(service, "POST", "/", {}, raw, {}, region, account))]


def _to_client(integration: Mapping[str, Any], source: TemplateInput, answer: BackendAnswer) -> Response:
    response = _select_response(integration["integrationResponses"], answer.status)
    if response is None:
        reason = f"no integration response for status {answer.status}: {answer.body}"
        raise GatewayError("API_CONFIGURATION_ERROR", "Internal server error", reason)
    seen = TemplateInput(answer.body, source.path, source.query, source.headers, source.context, source.stage_variables)
    templates = response["responseTemplates"]
    template = templates.get("application/json", next(iter(templates.values()), None))
    body = answer.body if template is None else _rendered(template, seen)
    headers = {"Content-Type": "application/json"}
    prefix = "method.response.header."
    for place, expression in response["responseParameters"].items():
        value = _mapped(expression, source, answer)
        if place.startswith(prefix) and value is not None:
            headers[place.removeprefix(prefix)] = value
    override = source.context["responseOverride"]
    headers.update({name: str(value) for name, value in override["header"].items()})
    headers["x-amzn-RequestId"] = source.context["requestId"]
    return int(override.get("status") or response["statusCode"]), headers, body.encode()


def _select_response(responses: Mapping[str, Mapping[str, Any]], status: int) -> Mapping[str, Any] | None:
    for response in responses.values():
        if response["selectionPattern"] and re.fullmatch(response["selectionPattern"], str(status)):
            return response
    return next((response for response in responses.values() if not response["selectionPattern"]), None)


def _mapped(expression: str, source: TemplateInput, answer: BackendAnswer | None = None) -> str | None:
    """The value of a parameter mapping: a 'literal', or a place in the request, the answer, the context, the stage.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/request-response-data-mappings.html
    """
    if expression.startswith("'") and expression.endswith("'"):
        return expression[1:-1]
    places: dict[str, Callable[[str], Any]] = {
        "stageVariables.": source.stage_variables.get,
        "context.": lambda path: select(source.context, f"$.{path}"),
        "method.request.header.": lambda name: _header(source.headers, name),
        "method.request.querystring.": source.query.get,
        "method.request.path.": source.path.get,
        "method.request.body": lambda path: select(json.loads(source.body), f"${path}"),
    }
    if answer:
        places["integration.response.header."] = lambda name: _header(answer.headers, name)
        places["integration.response.body"] = lambda path: select(json.loads(answer.body), f"${path}")
    for prefix, find in places.items():
        if expression.startswith(prefix):
            value = find(expression.removeprefix(prefix))
            return value if value is None or isinstance(value, str) else json.dumps(value)
    raise GatewayError("API_CONFIGURATION_ERROR", "Internal server error", f"unknown mapping expression {expression}")


def _rendered(template: str, source: TemplateInput) -> str:
    try:
        return render(template, source)
    except TemplateError as error:
        raise GatewayError("DEFAULT_5XX", "Internal server error", str(error)) from error


def _backend_error(code: str, message: str) -> BackendAnswer:
    return BackendAnswer(400, {}, json.dumps({"__type": code, "message": message}))


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name.lower()), None)
