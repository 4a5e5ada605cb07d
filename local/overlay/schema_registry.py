"""The EventBridge schema registry: the ``schemas`` API and AWS::EventSchemas::Registry, ::Schema and ::Discoverer.

The engine has neither. Follows https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-schema-registry.html and
botocore's model of the service. What the registry refuses on AWS is refused here when the template is deployed: a type
other than OpenApi3 and JSONSchemaDraft4, content that is not JSON, a JSON Schema that is not one of draft 4, an OpenAPI
document without its required parts (``schema_content``).

A discoverer can be made, described, started and stopped, and says STARTED, but discovers nothing here. Code bindings
and resource policies are answered with an error.
"""

from collections.abc import Callable

from botocore.session import Session

from local.overlay.authorization import Response, access_denied, refusal_of_caller
from local.overlay.cloudformation_types import register
from local.overlay.engine_hooks import Engine
from local.overlay.schema_registry_types import RESOURCE_TYPES
from local.overlay.schema_store import OPERATIONS, Parameters, Result, arn_of
from local.overlay.service_routes import Call, ServiceError, add_service, answer, refuse, understand


def install(_engine: Engine) -> None:
    service = Session().get_service_model("schemas")

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        try:
            call = understand(service, method, path, query, body)
            refusal = refusal_of_caller(headers, query, f"schemas:{call.operation.name}", _resource_arn(call))
            if refusal:
                return access_denied(refusal)
            return answer(call.operation, _operation(call.operation.name)(call.parameters))
        except ServiceError as error:
            return refuse(error)

    add_service("schemas", handle)
    for kind in RESOURCE_TYPES:
        register(kind)


def _operation(name: str) -> Callable[[Parameters], Result]:
    if name not in OPERATIONS:
        raise ServiceError("BadRequestException", 400, f"The local schema registry has no {name}.")
    return OPERATIONS[name]


def _resource_arn(call: Call) -> str:
    """What the caller needs a grant on: the schema, the registry, the discoverer, or all of a list."""
    registry, schema = call.parameters.get("RegistryName"), call.parameters.get("SchemaName")
    if schema:
        return arn_of(f"schema/{registry}/{schema}")
    if registry:
        return arn_of(f"registry/{registry}")
    if "DiscovererId" in call.parameters:
        return arn_of(f"discoverer/{call.parameters['DiscovererId']}")
    return "*"
