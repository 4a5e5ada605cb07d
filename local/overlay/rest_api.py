"""REST APIs that an OpenAPI document defines, as ``Body`` of AWS::ApiGateway::RestApi or SAM's ``DefinitionBody``.

The engine has REST APIs: routing, authorization (AWS_IAM too, with its own evaluator), validators, stages, gateway
responses. What it loses is most of an imported definition, and it calls no service but SQS. So this module puts
``rest_api_import`` in the place of its import, adds ``rest_api_integrations`` beside its Lambda integration, keeps an
API's id when its definition changes (the engine made a new one, with a new address), says why a body is invalid where a
gateway response asks ($context.error.validationErrorString), and refuses bodies over 10 MB.
https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html (10 MB, 29 s)

A changed definition takes effect at once here; on AWS it does with the next deployment, which SAM makes by itself and a
plain template must ask for with a new AWS::ApiGateway::Deployment.

Address here: ``http://127.0.0.1:PORT/restapis/{id}/{stage}/_user_request_/{path}``.
"""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

from jsonschema import Draft4Validator
from ministack.core.responses import get_request_client_ip
from ministack.services import apigateway_v1
from ministack.services.cloudformation import provisioners

from local.overlay.authorization import Response
from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.rest_api_import import clear_definition, import_definition
from local.overlay.rest_api_integrations import GatewayError, calls_a_service, run
from local.overlay.rest_api_templates import TemplateInput

logger = logging.getLogger(__name__)

_LONGEST_BODY_BYTES = 10 * 1024 * 1024
_VALIDATION_VARIABLE = b"$context.error.validationErrorString"


def install(_engine: Engine) -> None:
    _replace_import()
    _replace_update()
    _add_service_integrations()
    _explain_validation()


def _replace_import() -> None:
    def import_rest_api(definition: Mapping[str, Any], base_data: Mapping[str, Any] | None = None) -> str:
        information = definition.get("info") or {}
        data = {"name": str(information.get("title", "")), **(base_data or {})}
        _, _, body = apigateway_v1._create_rest_api(data | {"version": str(information.get("version", ""))})
        api_id = str(json.loads(body)["id"])
        try:
            import_definition(api_id, definition)
        except ValueError:
            apigateway_v1._delete_rest_api(api_id)
            raise
        return api_id

    replace(apigateway_v1, "_import_rest_api", import_rest_api)
    methods = original(apigateway_v1, "_OPENAPI_HTTP_METHODS")
    replace(apigateway_v1, "_OPENAPI_HTTP_METHODS", methods | {"x-amazon-apigateway-any-method"})


def _replace_update() -> None:
    handlers = original(provisioners, "_RESOURCE_HANDLERS")["AWS::ApiGateway::RestApi"]
    update_properties = handlers["update"]

    def update(api_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None) -> Any:
        if new.get("Body") and old.get("Body") and new["Body"] != old["Body"]:
            _change_definition(api_id, old["Body"], new["Body"])
            old = {**old, "Body": new["Body"]}
        return update_properties(api_id, old, new, stack, logical_id)

    handlers["update"] = update


def _change_definition(api_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Imports ``new``; raises ValueError with ``old`` in force again where ``new`` cannot be imported."""
    clear_definition(api_id)
    try:
        import_definition(api_id, new)
    except ValueError:
        clear_definition(api_id)
        import_definition(api_id, old)
        raise


def _add_service_integrations() -> None:
    invoke_function = original(apigateway_v1, "_invoke_lambda_custom_v1")

    async def invoke(integration: dict[str, Any], *arguments: Any, **known: Any) -> Any:
        if not calls_a_service(integration):
            return await invoke_function(integration, *arguments, **known)
        return await _answer(integration, _template_input(_Invocation(*arguments), known))

    replace(apigateway_v1, "_invoke_lambda_custom_v1", invoke)


class _Invocation(NamedTuple):
    """What the engine tells an integration, in its order."""

    api_id: str
    stage_name: str
    stage: Mapping[str, Any]
    resource: Mapping[str, Any]
    request_path: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    query_params: Mapping[str, list[str]]
    path_params: Mapping[str, str] | None


def _template_input(invocation: _Invocation, known: Mapping[str, Any]) -> TemplateInput:
    now = time.time()
    context = {
        "accountId": known["owner_account_id"],
        "apiId": invocation.api_id,
        "authorizer": known["authorizer_context"] or {},
        "httpMethod": invocation.method,
        "identity": {
            "sourceIp": get_request_client_ip(),
            "userAgent": invocation.headers.get("user-agent", ""),
            **(known["caller_identity"] or {}),
        },
        "path": f"/{invocation.stage_name}{invocation.request_path}",
        "protocol": "HTTP/1.1",
        "requestId": str(uuid4()),
        "requestOverride": {"header": {}, "path": {}, "querystring": {}},
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "requestTimeEpoch": int(now * 1000),
        "resourcePath": invocation.resource["path"],
        "responseOverride": {"header": {}},
        "stage": invocation.stage_name,
    }
    return TemplateInput(
        body=invocation.body.decode(errors="replace"),
        path=invocation.path_params or {},
        query={name: values[-1] for name, values in invocation.query_params.items()},
        headers=invocation.headers,
        context=context,
        stage_variables=invocation.stage.get("variables") or {},
    )


async def _answer(integration: dict[str, Any], source: TemplateInput) -> Response | Any:
    try:
        return await run(integration, source)
    except GatewayError as error:
        logger.error("Execution failed for %s: %s", source.context["path"], error.reason)
        return apigateway_v1._gw_error(error.response_type, error.message)


def _explain_validation() -> None:
    check = original(apigateway_v1, "_check_request_validation")
    respond = original(apigateway_v1, "_gateway_error_response")

    def check_and_explain(method: dict[str, Any], api_id: str, *request: Any) -> Any:
        _, headers, body, _ = request
        if len(body) > _LONGEST_BODY_BYTES:
            return apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        error = check(method, api_id, *request)
        if error is not None and error.response_type == "BAD_REQUEST_BODY":
            error.validation = _reasons(method, api_id, headers, body)
        return error

    def respond_with_reasons(error: Any, request: dict[str, Any]) -> Response:
        status, headers, body = respond(error, request)
        reasons = json.dumps(getattr(error, "validation", error.message or ""))[1:-1]
        return status, headers, body.replace(_VALIDATION_VARIABLE, reasons.encode())

    replace(apigateway_v1, "_check_request_validation", check_and_explain)
    replace(apigateway_v1, "_gateway_error_response", respond_with_reasons)


def _reasons(method: Mapping[str, Any], api_id: str, headers: Mapping[str, str], body: bytes) -> str:
    """Why the body does not fit the method's model, in API Gateway's form: ``[reason, reason]``."""
    models = method.get("requestModels") or {}
    media_type = headers.get("content-type", "application/json").partition(";")[0].strip()
    name = models.get(media_type) or models.get("application/json")
    try:
        document = json.loads(body)
    except ValueError as error:
        return f"[the body is not JSON: {error}]"
    schema = apigateway_v1._model_schema(api_id, name)
    errors = sorted(Draft4Validator(schema).iter_errors(document), key=lambda fault: fault.json_path)
    missing: list[str] = []
    reasons: list[str] = []
    for fault in errors:
        if fault.validator == "required":
            missing += [key for key in fault.validator_value if key not in fault.instance and key not in missing]
        else:
            reasons.append(f"{fault.json_path}: {fault.message}")
    if missing:
        listed = ",".join(json.dumps(key) for key in sorted(missing))
        reasons.insert(0, f"object has missing required properties ([{listed}])")
    return f"[{', '.join(reasons)}]"
