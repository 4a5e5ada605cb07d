"""SageMaker hosting: AWS::SageMaker::Model, ::EndpointConfig and ::Endpoint, their API, and InvokeEndpoint.

The engine has nothing of it. Follows https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, the
CloudFormation pages of the three types, and botocore's models of ``sagemaker`` and ``sagemaker-runtime``. One
serverless variant per endpoint, which is what serverless allows; any other configuration is refused when it is created.
An endpoint's container is ``local.sagemaker_container`` with the real model: there is no answer without one.

A model's role must be able to read the artefact and a caller must be granted sagemaker:InvokeEndpoint on the endpoint's
ARN, as on AWS. Names in ARNs are lower case there: grant on ``!Ref Endpoint`` rather than on a name put together.
Other operations (training, real-time instances, auto scaling) are answered with an error.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region

from local.overlay.authorization import Response, access_denied, refusal_of_caller, refusal_of_role
from local.overlay.cloudformation_types import Properties, Provisioned, ResourceType, generated_name, register
from local.overlay.engine_hooks import Engine
from local.overlay.sagemaker_hosting import (
    Container,
    HostingError,
    bucket_and_key,
    read_artefact,
    require_framework,
    start_container,
)
from local.overlay.service_routes import ServiceError, add_service

_LONGEST_NAME = 63
_LONGEST_SERVERLESS_BODY_BYTES = 4 * 1024 * 1024
_MEMORY_SIZES_MB = range(1024, 6144 + 1, 1024)
_MAX_CONCURRENCY = range(1, 200 + 1)
_INVOCATION = re.compile(r"/endpoints/([^/]+)/invocations")
_FORWARDED_HEADERS = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes")


@dataclass(frozen=True)
class Model:
    name: str
    image: str
    artefact_url: str
    role_arn: str
    created: datetime


@dataclass(frozen=True)
class EndpointConfig:
    name: str
    variant: dict[str, Any]
    created: datetime


@dataclass
class Endpoint:
    name: str
    config: EndpointConfig
    container: Container
    created: datetime
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))


_models = AccountRegionScopedDict()
_configs = AccountRegionScopedDict()
_endpoints = AccountRegionScopedDict()


def install(engine: Engine) -> None:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        try:
            invocation = _INVOCATION.fullmatch(path)
            if invocation and method == "POST":
                return await _invoke_endpoint(unquote(invocation[1]), headers, body, query)
            return _control_plane(headers, body, query)
        except ServiceError as error:
            return _error(error, {"Message": error.message})

    add_service("sagemaker", handle, target_prefix="SageMaker.")
    containers = partial(_container_for, home=engine.home / "sagemaker", project=engine.project)
    for kind in (_MODEL_TYPE, _CONFIG_TYPE, _endpoint_type(containers)):
        register(kind)


# --- Invoking


async def _invoke_endpoint(
    name: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]
) -> Response:
    refusal = refusal_of_caller(headers, query, "sagemaker:InvokeEndpoint", _arn("endpoint", name))
    if refusal:
        return access_denied(refusal)
    endpoint: Endpoint | None = _endpoints.get(name)
    if endpoint is None:
        raise ServiceError("ValidationError", 400, f"Endpoint {name} of account {get_account_id()} not found.")
    variant = endpoint.config.variant["VariantName"]
    if headers.get("x-amzn-sagemaker-target-variant", variant) != variant:
        raise ServiceError("ValidationError", 400, f"Endpoint {name} has no such variant; it has {variant}.")
    if len(body) > _LONGEST_SERVERLESS_BODY_BYTES:
        raise ServiceError("ValidationError", 400, "The body exceeds the 4 MB that a serverless endpoint takes.")
    forwarded = {header: headers[header] for header in _FORWARDED_HEADERS if header in headers}
    try:
        reply = await asyncio.to_thread(endpoint.container.invoke, body, forwarded)
    except TimeoutError:
        return _model_error(0, "Your invocation timed out while waiting for a response from container primary.")
    except HostingError as error:
        raise ServiceError("ServiceUnavailable", 503, str(error)) from error
    if reply.status >= 400:
        return _model_error(reply.status, reply.body.decode(errors="replace"))
    # In lower case, because the engine rewrites a "Content-Type" of JSON to that of the control plane.
    answered = {"content-type": reply.content_type, "x-Amzn-Invoked-Production-Variant": variant}
    return 200, answered, reply.body


def _model_error(status: int, original: str) -> Response:
    side = "client" if 400 <= status < 500 else "server"
    message = f'Received {side} error ({status}) from primary with message "{original}"'
    body = {"Message": message, "OriginalStatusCode": status, "OriginalMessage": original}
    return _error(ServiceError("ModelError", 424, message), body)


# --- Describing


def _control_plane(headers: Mapping[str, str], body: bytes, query: Mapping[str, list[str]]) -> Response:
    name = headers.get("x-amz-target", "").removeprefix("SageMaker.")
    if name not in _OPERATIONS:
        raise ServiceError("UnknownOperationException", 400, f"The local SageMaker has no operation {name or '?'}.")
    resource, operation = _OPERATIONS[name]
    try:
        parameters: dict[str, Any] = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", 400, f"The body is not JSON: {error}") from error
    arn = _arn(*resource(parameters)) if resource else "*"
    refusal = refusal_of_caller(headers, query, f"sagemaker:{name}", arn)
    if refusal:
        return access_denied(refusal)
    answer = json.dumps(operation(parameters), default=lambda moment: moment.timestamp())
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, answer.encode()


def _describe_model(parameters: Mapping[str, Any]) -> dict[str, Any]:
    model: Model = _find(_models, "model", parameters["ModelName"])
    return {
        "ModelName": model.name,
        "ModelArn": _arn("model", model.name),
        "PrimaryContainer": {"Image": model.image, "ModelDataUrl": model.artefact_url, "Mode": "SingleModel"},
        "ExecutionRoleArn": model.role_arn,
        "CreationTime": model.created,
    }


def _describe_config(parameters: Mapping[str, Any]) -> dict[str, Any]:
    config: EndpointConfig = _find(_configs, "endpoint configuration", parameters["EndpointConfigName"])
    return {
        "EndpointConfigName": config.name,
        "EndpointConfigArn": _arn("endpoint-config", config.name),
        "ProductionVariants": [config.variant],
        "CreationTime": config.created,
    }


def _describe_endpoint(parameters: Mapping[str, Any]) -> dict[str, Any]:
    endpoint: Endpoint = _find(_endpoints, "endpoint", parameters["EndpointName"])
    variant = endpoint.config.variant
    return _summary(endpoint) | {
        "EndpointConfigName": endpoint.config.name,
        "ProductionVariants": [
            {"VariantName": variant["VariantName"], "CurrentServerlessConfig": variant["ServerlessConfig"]}
        ],
    }


def _list_endpoints(parameters: Mapping[str, Any]) -> dict[str, Any]:
    wanted = parameters.get("NameContains", "")
    return {"Endpoints": [_summary(found) for name, found in sorted(_endpoints.items()) if wanted in name]}


def _summary(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": _arn("endpoint", endpoint.name),
        "EndpointStatus": "InService" if endpoint.container.process.poll() is None else "Failed",
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
    }


type _ResourceOf = Callable[[Mapping[str, Any]], tuple[str, str]]
_OPERATIONS: dict[str, tuple[_ResourceOf | None, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "DescribeModel": (lambda parameters: ("model", parameters["ModelName"]), _describe_model),
    "DescribeEndpointConfig": (
        lambda parameters: ("endpoint-config", parameters["EndpointConfigName"]),
        _describe_config,
    ),
    "DescribeEndpoint": (lambda parameters: ("endpoint", parameters["EndpointName"]), _describe_endpoint),
    "ListEndpoints": (None, _list_endpoints),
}


# --- CloudFormation


def _create_model(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("ModelName") or generated_name(stack_name, logical_id, _LONGEST_NAME)
    _refuse_taken(_models, "model", name)
    require_framework()
    container = properties.get("PrimaryContainer") or {}
    if properties.get("Containers") or not {"Image", "ModelDataUrl"} <= container.keys():
        raise ValueError("The local SageMaker runs a model with one PrimaryContainer that has Image and ModelDataUrl.")
    url, role_arn = container["ModelDataUrl"], properties["ExecutionRoleArn"]
    _require_readable(url, role_arn)
    _models[name] = Model(name, container["Image"], url, role_arn, datetime.now(UTC))
    arn = _arn("model", name)
    return Provisioned(arn, {"ModelName": name, "ModelArn": arn})


def _require_readable(url: str, role_arn: str) -> None:
    """As CreateModel does: the artefact must be there, and the model's role must be able to fetch it."""
    bucket, key = bucket_and_key(url)
    refusal = refusal_of_role(role_arn, "sagemaker.amazonaws.com", "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
    if refusal:
        raise HostingError(f"Could not access model data at {url}. {refusal}")
    read_artefact(url)


def _create_config(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
    name = properties.get("EndpointConfigName") or generated_name(stack_name, logical_id, _LONGEST_NAME)
    _refuse_taken(_configs, "endpoint configuration", name)
    variant = _serverless_variant(properties["ProductionVariants"])
    _find(_models, "model", variant["ModelName"])
    _configs[name] = EndpointConfig(name, variant, datetime.now(UTC))
    arn = _arn("endpoint-config", name)
    return Provisioned(arn, {"EndpointConfigName": name, "Id": arn})


def _serverless_variant(variants: list[dict[str, Any]]) -> dict[str, Any]:
    """The one variant, its numbers as numbers; raises ValueError with what AWS would not take either."""
    if len(variants) != 1:
        raise ValueError("A serverless endpoint has exactly one production variant.")
    variant = dict(variants[0])
    if not isinstance(variant.get("ServerlessConfig"), dict) or "InstanceType" in variant:
        raise ValueError("The local SageMaker runs serverless variants: ServerlessConfig, and no InstanceType.")
    settings = {name: int(value) for name, value in variant["ServerlessConfig"].items()}
    if settings.get("MemorySizeInMB") not in _MEMORY_SIZES_MB:
        raise ValueError("ServerlessConfig.MemorySizeInMB is 1024 to 6144 in steps of 1024.")
    if settings.get("MaxConcurrency") not in _MAX_CONCURRENCY:
        raise ValueError("ServerlessConfig.MaxConcurrency is 1 to 200.")
    weight = float(variant.get("InitialVariantWeight", 1))
    return variant | {"ServerlessConfig": settings, "InitialVariantWeight": weight}


def _endpoint_type(container_for: Callable[[str, EndpointConfig], Container]) -> ResourceType:
    def create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        name = properties.get("EndpointName") or generated_name(stack_name, logical_id, _LONGEST_NAME)
        _refuse_taken(_endpoints, "endpoint", name)
        config: EndpointConfig = _find(_configs, "endpoint configuration", properties["EndpointConfigName"])
        _endpoints[name] = Endpoint(name, config, container_for(name, config), datetime.now(UTC))
        return _provisioned_endpoint(name)

    def update(arn: str, properties: Properties) -> Provisioned:
        endpoint = _endpoint_at(arn)
        config: EndpointConfig = _find(_configs, "endpoint configuration", properties["EndpointConfigName"])
        if config is endpoint.config:
            return _provisioned_endpoint(endpoint.name)
        before = endpoint.container
        endpoint.container = container_for(endpoint.name, config)  # raises with the old one still serving
        endpoint.config, endpoint.modified = config, datetime.now(UTC)
        before.stop()
        return _provisioned_endpoint(endpoint.name)

    def delete(arn: str) -> None:
        endpoint = _endpoint_at(arn)
        endpoint.container.stop()
        del _endpoints[endpoint.name]

    return ResourceType(
        "AWS::SageMaker::Endpoint", create, update, delete, ("EndpointName",), named_by="EndpointName", slow=True
    )


def _container_for(name: str, config: EndpointConfig, home: Path, project: Path) -> Container:
    model: Model = _find(_models, "model", config.variant["ModelName"])
    return start_container(read_artefact(model.artefact_url), home / name / config.name, project)


def _provisioned_endpoint(name: str) -> Provisioned:
    arn = _arn("endpoint", name)
    return Provisioned(arn, {"EndpointName": name, "EndpointArn": arn})


def _keep(store: AccountRegionScopedDict, attribute: str) -> Callable[[str, Properties], Provisioned]:
    """The update of what cannot change: only its tags differ, everything else replaces the resource."""

    def update(arn: str, _properties: Properties) -> Provisioned:
        return Provisioned(arn, {attribute: _named(store, arn)})

    return update


def _forget(store: AccountRegionScopedDict) -> Callable[[str], None]:
    def delete(arn: str) -> None:
        del store[_named(store, arn)]

    return delete


_MODEL_TYPE = ResourceType(
    "AWS::SageMaker::Model",
    create=_create_model,
    update=_keep(_models, "ModelName"),
    delete=_forget(_models),
    replaced_by=("ModelName", "ExecutionRoleArn", "PrimaryContainer", "Containers", "VpcConfig"),
    named_by="ModelName",
)
_CONFIG_TYPE = ResourceType(
    "AWS::SageMaker::EndpointConfig",
    create=_create_config,
    update=_keep(_configs, "EndpointConfigName"),
    delete=_forget(_configs),
    replaced_by=("EndpointConfigName", "ProductionVariants", "KmsKeyId", "DataCaptureConfig"),
    named_by="EndpointConfigName",
)


# --- Names


def _find(store: AccountRegionScopedDict, kind: str, name: str) -> Any:
    if name not in store:
        raise ServiceError("ValidationException", 400, f'Could not find {kind} "{name}".')
    return store[name]


def _refuse_taken(store: AccountRegionScopedDict, kind: str, name: str) -> None:
    if name in store:
        raise ValueError(f'Cannot create already existing {kind} "{name}".')


def _endpoint_at(arn: str) -> Endpoint:
    endpoint: Endpoint = _endpoints[_named(_endpoints, arn)]
    return endpoint


def _named(store: AccountRegionScopedDict, arn: str) -> str:
    """The name in its own case: an ARN has it in lower case."""
    lower = arn.rpartition("/")[2]
    return next(str(name) for name in store if str(name).lower() == lower)


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{get_region()}:{get_account_id()}:{kind}/{name.lower()}"


def _error(error: ServiceError, body: Mapping[str, Any]) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps({"__type": error.code, **body}).encode()
