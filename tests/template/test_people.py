"""Who may call what: every method asks who calls, nobody makes themselves another, bounds are the functions' own."""

from typing import Any

import pytest

import case_closing
from backbone.cases import OUTCOMES
from decisions import DECISIONS, MAXIMUM_NOTE
from tests.sam_template import resources, target_of
from uploads import CONTENT_TYPES, MAXIMUM_BYTES

API = resources("AWS::Serverless::Api")["BackboneApi"]["DefinitionBody"]
OPERATIONS = [
    (f"{verb.upper()} {path}", operation)
    for path, methods in API["paths"].items()
    for verb, operation in methods.items()
]
MACHINES = {"POST /transactions"}


@pytest.mark.parametrize(("name", "operation"), OPERATIONS, ids=[name for name, _ in OPERATIONS])
def test_every_method_asks_who_calls(name: str, operation: dict[str, Any]) -> None:
    assert operation["security"] == [{"sigv4": []} if name in MACHINES else {"people": []}]


def test_people_are_those_of_the_stacks_own_user_pool() -> None:
    scheme = API["components"]["securitySchemes"]["people"]
    assert (scheme["name"], scheme["in"], scheme["x-amazon-apigateway-authtype"]) == (
        "Authorization",
        "header",
        "cognito_user_pools",
    )
    assert scheme["x-amazon-apigateway-authorizer"] == {
        "type": "cognito_user_pools",
        "providerARNs": [{"Fn::GetAtt": ["UserPool", "Arn"]}],
    }


def test_apis_may_invoke_each_function_for_its_own_methods_and_routes_only() -> None:
    permitted = {
        (target_of(permission["FunctionName"]), method_of(permission["SourceArn"]["Fn::Sub"]))
        for permission in resources("AWS::Lambda::Permission", deployed=True).values()
        if permission["Principal"] == "apigateway.amazonaws.com"
    }
    assert permitted == {
        ("CreateUploadFunction", "POST/documents"),
        ("ReadDocumentsFunction", "GET/documents"),
        ("ReadDocumentsFunction", "GET/documents/*"),
        ("ReadActionsFunction", "GET/approvals"),
        ("ReadActionsFunction", "GET/approvals/*"),
        ("DecideActionFunction", "POST/approvals/*"),
        ("ReadCasesFunction", "GET/cases"),
        ("ReadCasesFunction", "GET/cases/*"),
        ("CloseCaseFunction", "POST/cases/*/close"),
        ("CreateChatTicketFunction", "POST/chat/tickets"),
        ("AuthorizeChatFunction", "${ChatApi}/authorizers/${ChatAuthorizer}"),
        ("TrackChatConnectionFunction", "${ChatApi}/v1/*connect"),
        ("ReceiveChatMessageFunction", "${ChatApi}/v1/*"),
    }


def method_of(source: str | list[Any]) -> str:
    """What of an API a permission is for: what SAM writes, or what stands in the template."""
    if isinstance(source, list):
        return str(source[0].rpartition("${__Stage__}/")[2])
    return source.rpartition("${AWS::AccountId}:")[2]


def test_accounts_are_opened_by_the_bank_alone() -> None:
    pool = resources("AWS::Cognito::UserPool")["UserPool"]
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["AccountRecoverySetting"]["RecoveryMechanisms"] == [{"Name": "admin_only", "Priority": 1}]
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 14


def test_nobody_can_make_themselves_another_customer() -> None:
    (attribute,) = resources("AWS::Cognito::UserPool")["UserPool"]["Schema"]
    assert (attribute["Name"], attribute["Mutable"]) == ("customerId", False)
    (client,) = resources("AWS::Cognito::UserPoolClient").values()
    assert client["WriteAttributes"], "without a list, every standard attribute could be written"
    assert "custom:customerId" not in client["WriteAttributes"]
    assert "custom:customerId" in client["ReadAttributes"]


def test_groups_are_those_that_functions_ask_for() -> None:
    groups = resources("AWS::Cognito::UserPoolGroup").values()
    assert {group["GroupName"] for group in groups} == {"customer", "analyst"}


def test_token_lives_an_hour_and_a_session_a_working_day() -> None:
    (client,) = resources("AWS::Cognito::UserPoolClient").values()
    validity = {name: client[f"{name}Validity"] for name in ("IdToken", "AccessToken", "RefreshToken")}
    assert validity == {"IdToken": 60, "AccessToken": 60, "RefreshToken": 12}
    assert client["TokenValidityUnits"] == {"IdToken": "minutes", "AccessToken": "minutes", "RefreshToken": "hours"}


def test_bounds_of_the_apis_model_are_those_of_the_function() -> None:
    model = API["components"]["schemas"]["UploadRequest"]
    assert (set(model["required"]), model["additionalProperties"]) == ({"fileName", "contentType", "bytes"}, False)
    properties = model["properties"]
    assert set(properties["contentType"]["enum"]) == CONTENT_TYPES
    assert (properties["bytes"]["minimum"], properties["bytes"]["maximum"]) == (1, MAXIMUM_BYTES)
    assert (properties["fileName"]["minLength"], properties["fileName"]["maxLength"]) == (1, 255)


def test_the_bounds_of_a_decision_are_the_functions_own() -> None:
    model = API["components"]["schemas"]["DecisionRequest"]
    assert (set(model["required"]), model["additionalProperties"]) == ({"decision", "seen"}, False)
    assert tuple(model["properties"]["decision"]["enum"]) == DECISIONS
    assert model["properties"]["note"]["maxLength"] == MAXIMUM_NOTE


def test_the_bounds_of_a_closing_are_the_functions_own() -> None:
    model = API["components"]["schemas"]["ClosingRequest"]
    assert (set(model["required"]), model["additionalProperties"]) == ({"outcome"}, False)
    assert tuple(model["properties"]["outcome"]["enum"]) == OUTCOMES
    assert model["properties"]["note"]["maxLength"] == case_closing.MAXIMUM_NOTE
