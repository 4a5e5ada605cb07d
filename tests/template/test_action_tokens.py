"""Whoever holds a task token can approve: one function may seal and keep tokens, another may open and use them up."""

import json

import pytest

from action_request import TOKEN_LIFETIME_SECONDS
from proposals import ACTION_LIFETIME_SECONDS
from tests.sam_template import PROJECT, as_list, resources, written_template
from tests.template.test_permissions import GRANTS

DEFINITION = json.loads((PROJECT / "statemachines" / "investigate_transaction.asl.json").read_text())
WAITING = DEFINITION["States"]["RequestAction"]


def granted_on(resource: str) -> set[tuple[str, str]]:
    """Which role may do what with a resource."""
    return {
        (role, action)
        for role, grant in GRANTS
        for arn in as_list(grant["Resource"])
        if arn in ({"Ref": resource}, {"Fn::GetAtt": [resource, "Arn"]})
        for action in as_list(grant["Action"])
    }


def test_no_function_can_both_keep_a_token_and_read_one() -> None:
    assert granted_on("ActionTokensTable") == {
        ("RequestActionRole", "dynamodb:PutItem"),
        ("ResumeInvestigationRole", "dynamodb:GetItem"),
        ("ResumeInvestigationRole", "dynamodb:DeleteItem"),
    }
    assert granted_on("ActionTokensKey") == {
        ("RequestActionRole", "kms:Encrypt"),
        ("ResumeInvestigationRole", "kms:Decrypt"),
    }


def test_nobody_else_lets_an_investigation_go_on() -> None:
    allowed = {
        (role, action)
        for role, grant in GRANTS
        for action in as_list(grant["Action"])
        if action.startswith("states:SendTask")
    }
    assert allowed == {
        ("RequestActionRole", "states:SendTaskSuccess"),
        ("ResumeInvestigationRole", "states:SendTaskSuccess"),
    }
    assert allowed <= granted_on("InvestigateTransactionStateMachine")


@pytest.mark.parametrize("action", ["kms:Encrypt", "kms:Decrypt"])
def test_key_serves_for_a_case_and_its_step_and_for_nothing_else(action: str) -> None:
    ((_, grant),) = [(role, grant) for role, grant in GRANTS if action in as_list(grant["Action"])]
    assert grant["Condition"] == {
        "Null": {"kms:EncryptionContext:caseId": "false", "kms:EncryptionContext:step": "false"},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["caseId", "step"]},
    }


def test_key_rotates_and_lets_in_whom_the_accounts_own_policies_let_in() -> None:
    ((name, key),) = resources("AWS::KMS::Key").items()
    assert key["EnableKeyRotation"] is True
    (statement,) = key["KeyPolicy"]["Statement"]
    assert statement["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert {"DeletionPolicy", "UpdateReplacePolicy"} <= written_template()["Resources"][name].keys()
    # Deleted with its stack, it can be brought back for longer than a token lives.
    assert key["PendingWindowInDays"] * 86_400 > TOKEN_LIFETIME_SECONDS


def test_execution_waits_for_longer_than_a_proposal_lives_and_its_token_for_longer_than_that() -> None:
    assert ACTION_LIFETIME_SECONDS < WAITING["TimeoutSeconds"] < TOKEN_LIFETIME_SECONDS


def test_token_reaches_the_function_and_no_log() -> None:
    assert WAITING["Arguments"]["Payload"]["taskToken"] == "{% $states.context.Task.Token %}"
    assert "taskToken" not in json.dumps({name: part for name, part in WAITING.items() if name != "Arguments"})
    machine = resources("AWS::Serverless::StateMachine")["InvestigateTransactionStateMachine"]
    assert machine["Logging"]["IncludeExecutionData"] is False
