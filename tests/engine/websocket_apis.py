"""WebSocket APIs in a test: routes to functions in, an address out, and all of it gone again at the end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.engine.stacks import Client, deployed, outputs_of, template

STAGE = "v1"


@dataclass(frozen=True)
class WebSocketApi:
    """A deployed API: where clients connect, and the address that functions and SDKs post to, as on AWS and here."""

    id: str
    url: str
    management_url: str
    aws_management_url: str

    def connect(self, query: str = "", **options: Any) -> ClientConnection:
        """A client's connection, to be used by ``with``; raises InvalidStatus where the handshake is refused."""
        url = f"{self.url}?{query}"
        connection: ClientConnection = connect(url, compression=None, max_size=None, proxy=None, **options)
        return connection


@contextmanager
def a_websocket_api(
    aws: Client,
    routes: Mapping[str, str],
    *,
    authorizer: str = "",
    permitted: bool = True,
    two_way: tuple[str, ...] = (),
) -> Iterator[WebSocketApi]:
    """An API from a template: function name by route key.

    ``authorizer`` names the function that guards $connect by the query string's ``ticket``; ``permitted`` grants the
    API to invoke them; ``two_way`` are the routes with a route response.
    """
    resources: dict[str, Any] = {
        "Api": {
            "Type": "AWS::ApiGatewayV2::Api",
            "Properties": {
                "Name": "chat",
                "ProtocolType": "WEBSOCKET",
                "RouteSelectionExpression": "$request.body.action",
            },
        },
        "Stage": {
            "Type": "AWS::ApiGatewayV2::Stage",
            "Properties": {"ApiId": {"Ref": "Api"}, "StageName": STAGE, "AutoDeploy": True},
        },
    }
    for number, (key, function) in enumerate(routes.items()):
        resources |= _route(number, key, function, guarded=bool(authorizer) and key == "$connect")
        if permitted:
            resources[f"Permission{number}"] = _permission(function, f"{STAGE}/{key}")
    if authorizer:
        resources["Authorizer"] = _authorizer(authorizer)
        if permitted:
            source = {"Fn::Sub": "authorizers/${Authorizer}"}
            resources["AuthorizerPermission"] = _permission(authorizer, source)
    host = "${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
    outputs = {
        "Id": {"Ref": "Api"},
        "Address": {"Fn::Sub": f"https://{host}/{STAGE}"},
        "ApiEndpoint": {"Fn::GetAtt": ["Api", "ApiEndpoint"]},
    }
    with deployed(aws, template(resources, outputs)) as stack:
        found = outputs_of(aws, stack)
        assert found["ApiEndpoint"].startswith(f"wss://{found['Id']}.execute-api.")
        endpoint = aws("apigatewayv2").meta.endpoint_url
        here = f"{endpoint}/_aws/execute-api/{found['Id']}/{STAGE}"
        api = WebSocketApi(found["Id"], here.replace("http://", "ws://", 1), here, found["Address"])
        _make_two_way(aws, api, two_way)
        yield api


def _route(number: int, key: str, function: str, *, guarded: bool) -> dict[str, Any]:
    guard = {"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "Authorizer"}} if guarded else {}
    return {
        f"Route{number}": {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "RouteKey": key,
                "Target": {"Fn::Sub": f"integrations/${{Integration{number}}}"},
                **guard,
            },
        },
        f"Integration{number}": {
            "Type": "AWS::ApiGatewayV2::Integration",
            "Properties": {
                "ApiId": {"Ref": "Api"},
                "IntegrationType": "AWS_PROXY",
                "IntegrationUri": _invocation_uri(function),
                "TimeoutInMillis": 3000,
            },
        },
    }


def _authorizer(function: str) -> dict[str, Any]:
    return {
        "Type": "AWS::ApiGatewayV2::Authorizer",
        "Properties": {
            "ApiId": {"Ref": "Api"},
            "Name": "ticket",
            "AuthorizerType": "REQUEST",
            "AuthorizerUri": _invocation_uri(function),
            "IdentitySource": ["route.request.querystring.ticket"],
        },
    }


def _permission(function: str, source: str | dict[str, str]) -> dict[str, Any]:
    arn = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}"
    return {
        "Type": "AWS::Lambda::Permission",
        "Properties": {
            "FunctionName": function,
            "Action": "lambda:InvokeFunction",
            "Principal": "apigateway.amazonaws.com",
            "SourceArn": {"Fn::Join": ["/", [{"Fn::Sub": arn}, source]]},
        },
    }


def _invocation_uri(function: str) -> dict[str, str]:
    arn = f"arn:${{AWS::Partition}}:lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:{function}"
    service = "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions"
    return {"Fn::Sub": f"{service}/{arn}/invocations"}


def _make_two_way(aws: Client, api: WebSocketApi, keys: tuple[str, ...]) -> None:
    gateway = aws("apigatewayv2")
    for route in gateway.get_routes(ApiId=api.id)["Items"]:
        if route["RouteKey"] not in keys:
            continue
        gateway.update_route(ApiId=api.id, RouteId=route["RouteId"], RouteResponseSelectionExpression="$default")
        gateway.create_route_response(ApiId=api.id, RouteId=route["RouteId"], RouteResponseKey="$default")
