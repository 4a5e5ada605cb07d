"""A REST API behind a Cognito user pool: whose token is taken, what the function is told, and that it must agree."""

import base64
import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from ministack.services import apigateway_v1

from local.overlay.rest_api_authorizers import claims_as_text
from tests.engine.functions import a_function, invoke
from tests.engine.people import UserPool, a_user_pool
from tests.engine.stacks import Client, deployed, outputs_of, template
from tests.engine.waiting import wait_until

ECHO = """
import json

def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"].get("authorizer"))}
"""


@dataclass(frozen=True)
class Api:
    """The deployed API's local address."""

    url: str

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        """Status and JSON body of a GET."""
        headers = {} if token is None else {"Authorization": token}
        try:
            with urlopen(Request(self.url + path, headers=headers)) as answer:  # noqa: S310 - the engine's own address
                return answer.status, json.load(answer)
        except HTTPError as refused:
            return refused.code, json.load(refused)


def definition(pool_arn: str, function_arn: str) -> dict[str, Any]:
    """GET /me for id tokens, GET /scoped for access tokens with the scope that API sign-ins carry."""
    uri = f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{function_arn}/invocations"

    def operation(*scopes: str) -> dict[str, Any]:
        return {
            "security": [{"people": list(scopes)}],
            "responses": {},
            "x-amazon-apigateway-integration": {"type": "aws_proxy", "httpMethod": "POST", "uri": uri},
        }

    return {
        "openapi": "3.0.1",
        "info": {"title": "people", "version": "1"},
        "paths": {
            "/me/{part}": {"get": operation()},
            "/scoped": {"get": operation("aws.cognito.signin.user.admin")},
        },
        "components": {
            "securitySchemes": {
                "people": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "cognito_user_pools",
                    "x-amazon-apigateway-authorizer": {"type": "cognito_user_pools", "providerARNs": [pool_arn]},
                }
            }
        },
    }


@contextmanager
def an_api(aws: Client, endpoint: str, pool: UserPool, function: str, permitted: str | None) -> Iterator[Api]:
    """The API in front of ``function``, which allows it the method ARNs ``permitted`` (after the stage)."""
    arn = aws("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    resources: dict[str, Any] = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": definition(pool.arn, arn)}},
        "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}},
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {"RestApiId": {"Ref": "Api"}, "DeploymentId": {"Ref": "Deployment"}, "StageName": "v1"},
        },
    }
    if permitted:
        source = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/v1/" + permitted
        resources["Permission"] = {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": function,
                "Action": "lambda:InvokeFunction",
                "Principal": "apigateway.amazonaws.com",
                "SourceArn": {"Fn::Sub": source},
            },
        }
    with deployed(aws, template(resources, {"Id": {"Ref": "Api"}})) as stack:
        yield Api(f"{endpoint}/restapis/{outputs_of(aws, stack)['Id']}/v1/_user_request_")


@pytest.fixture(scope="module")
def pool(aws: Client) -> Iterator[UserPool]:
    with a_user_pool(aws) as made:
        yield made


@pytest.fixture(scope="module")
def function(aws: Client) -> Iterator[str]:
    with a_function(aws, ECHO) as name:
        yield name


@pytest.fixture(scope="module")
def api(aws: Client, engine: Any, pool: UserPool, function: str) -> Iterator[Api]:
    with an_api(aws, engine.endpoint, pool, function, "GET/*") as made:
        yield made


def payload(token: str) -> dict[str, Any]:
    """A JWT's claims, unverified."""
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def with_claims(token: str, **changes: Any) -> str:
    """The token with other claims and the old signature."""
    head, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps(payload(token) | changes).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


# ---- whose token is taken


@pytest.mark.parametrize("prefix", ["", "Bearer "])
def test_id_token_reaches_the_function_with_its_claims_as_text(api: Api, pool: UserPool, prefix: str) -> None:
    name = pool.add("customer", "analyst", customerId="CUST-000001")
    token = pool.sign_in(name)["IdToken"]
    status, authorizer = api.get("/me/x", prefix + token)
    assert status == 200
    claims, said = authorizer["claims"], payload(token)
    assert claims["custom:customerId"] == "CUST-000001"
    assert claims["cognito:username"] == name
    assert sorted(claims["cognito:groups"].split(",")) == ["analyst", "customer"]
    assert claims["auth_time"] == str(said["auth_time"])
    assert claims["exp"].endswith(" UTC " + claims["exp"][-4:])
    assert all(isinstance(value, str) for value in claims.values())


def test_request_without_a_token_is_unauthorized(api: Api) -> None:
    assert api.get("/me/x") == (401, {"message": "Unauthorized"})


def test_access_token_is_unauthorized_where_the_method_names_no_scope(api: Api, pool: UserPool) -> None:
    assert api.get("/me/x", pool.sign_in(pool.add())["AccessToken"]) == (401, {"message": "Unauthorized"})


def test_method_with_a_scope_takes_the_access_token_and_not_the_id_token(api: Api, pool: UserPool) -> None:
    tokens = pool.sign_in(pool.add())
    assert api.get("/scoped", tokens["AccessToken"])[0] == 200
    assert api.get("/scoped", tokens["IdToken"]) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize(
    "changes",
    [{"custom:customerId": "CUST-000002"}, {"cognito:groups": ["analyst"]}, {"exp": 4_000_000_000}],
    ids=lambda changes: next(iter(changes)),
)
def test_token_with_a_changed_claim_is_unauthorized(api: Api, pool: UserPool, changes: dict[str, Any]) -> None:
    token = pool.sign_in(pool.add("customer", customerId="CUST-000001"))["IdToken"]
    assert api.get("/me/x", with_claims(token, **changes)) == (401, {"message": "Unauthorized"})


def test_token_without_a_signature_is_unauthorized(api: Api, pool: UserPool) -> None:
    _, body, _ = pool.sign_in(pool.add())["IdToken"].split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert api.get("/me/x", f"{unsigned}.{body}.") == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("token", ["x", "a.b.c", "Bearer ", "....", "é"])
def test_what_is_no_token_is_unauthorized(api: Api, token: str) -> None:
    assert api.get("/me/x", token) == (401, {"message": "Unauthorized"})


def test_token_of_another_pool_is_unauthorized(aws: Client, api: Api) -> None:
    with a_user_pool(aws) as other:
        token = other.sign_in(other.add("analyst"))["IdToken"]
        assert api.get("/me/x", token) == (401, {"message": "Unauthorized"})


def test_expired_token_is_refused_and_told_so(aws: Client, engine: Any, function: str) -> None:
    # AWS takes no validity under five minutes; the engine does, and time cannot be moved in it.
    brief = {"IdTokenValidity": 1, "TokenValidityUnits": {"IdToken": "seconds"}}
    with a_user_pool(aws, **brief) as pool, an_api(aws, engine.endpoint, pool, function, "GET/*") as api:
        token = pool.sign_in(pool.add())["IdToken"]
        refused = wait_until(lambda: (a := api.get("/me/x", token))[0] == 401 and a, 10, "the token expires")
        assert refused == (401, {"message": "The incoming token has expired"})
        assert api.get("/me/x", with_claims(token, sub="another")) == (401, {"message": "Unauthorized"})


# ---- the function must allow the API


@pytest.mark.parametrize("permitted", [None, "POST/*", "GET/scoped"])
def test_function_that_did_not_allow_the_method_is_not_invoked(
    aws: Client, engine: Any, pool: UserPool, permitted: str | None
) -> None:
    token = pool.sign_in(pool.add())["IdToken"]
    with a_function(aws, ECHO) as fresh, an_api(aws, engine.endpoint, pool, fresh, permitted) as api:
        assert api.get("/me/x", token) == (500, {"message": "Internal server error"})
        assert invoke(aws, fresh, {"requestContext": {}}).payload["statusCode"] == 200  # it works: it was not asked


def test_function_that_allows_one_method_by_its_path_answers_it(aws: Client, engine: Any, pool: UserPool) -> None:
    token = pool.sign_in(pool.add())["IdToken"]
    with a_function(aws, ECHO) as fresh, an_api(aws, engine.endpoint, pool, fresh, "GET/me/*") as api:
        assert api.get("/me/x", token)[0] == 200


# ---- claims


def test_claims_are_text_as_a_rest_api_writes_them() -> None:
    claims = {"exp": 1469818373, "cognito:groups": ["a", "b"], "email_verified": True, "nothing": None, "sub": "s"}
    assert claims_as_text(claims) == {
        "exp": "Fri Jul 29 18:52:53 UTC 2016",
        "cognito:groups": "a,b",
        "email_verified": "true",
        "sub": "s",
    }


# ---- the gap


def test_engine_still_lacks_the_rest_apis_reading_of_tokens_and_the_functions_consent() -> None:
    assert apigateway_v1._stringify_claims({"cognito:groups": ["a", "b"]}) == {"cognito:groups": "[a b]"}
    assert "token_use" not in inspect.getsource(apigateway_v1._validate_cognito_authorizer)
    assert "policy" not in inspect.getsource(apigateway_v1._call_lambda_raw)
