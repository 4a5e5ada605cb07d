"""The investigation as real executions whose steps do as a plan says: through every state, every Catch, every bound."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from local.process import PROJECT
from tests.engine.stacks import Client
from tests.workflow.planned_steps import Ended, a_machine, execution_of

DEFINITION = (PROJECT / "statemachines" / "investigate_transaction.asl.json").read_text()
BOUNDS = {"MaximumSteps": "6", "MaximumTokens": "1000", "MaximumCostMicroDollars": "500", "MaximumMinutes": "15"}
LOOK_UP = {"kind": "look_up", "move": "review_card", "tokens": 100, "costMicroDollars": 10}
ACT = LOOK_UP | {"kind": "act", "move": "block_card"}
CONCLUDE = LOOK_UP | {"kind": "conclude", "move": "verdict_genuine"}
ASK = LOOK_UP | {"kind": "ask_person", "move": "ask_person", "reason": "asked"}
OVER = LOOK_UP | {"kind": "over", "move": ""}
ANSWERS: dict[str, Any] = {
    "PerceiveTransactionFunction": {"found": True},
    "PlanNextActionFunction": CONCLUDE,
    "ActOnPlanFunction": {"tool": "review_card"},
    "RequestActionFunction": {"outcome": "approved"},
    "ObserveOutcomeFunction": {"outcome": "done"},
    "ConcludeCaseFunction": {"end": "closed"},
}
TASKS = {
    "PerceiveTransaction": "Perceive",
    "PlanNextAction": "Plan",
    "ActOnPlan": "Act",
    "RequestAction": "RequestAction",
    "ObserveOutcome": "Observe",
}
ESCALATED = ("Escalate", "WasItAFailure", "PersonHasTheCase")
BROKE = ("Escalate", "WasItAFailure", "InvestigationFailed")


@pytest.fixture(scope="module")
def switch(aws: Client) -> Iterator[str]:
    """The parameter that pauses agents, set to go on."""
    name = f"switch-{uuid4().hex[:8]}"
    aws("ssm").put_parameter(Name=name, Value="on", Type="String")
    yield name
    aws("ssm").delete_parameter(Name=name)


@pytest.fixture(scope="module")
def cases(aws: Client) -> Iterator[str]:
    """A table of cases."""
    name = f"cases-{uuid4().hex[:8]}"
    aws("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "caseId", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "caseId", "AttributeType": "S"}],
    )
    yield name
    aws("dynamodb").delete_table(TableName=name)


@pytest.fixture(scope="module")
def machine(aws: Client, switch: str, cases: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The definition as it is deployed but for a shorter wait, over functions that do as they are told."""
    grants = (
        {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"},
        {"Effect": "Allow", "Action": "dynamodb:UpdateItem", "Resource": "*"},
    )
    shorter = DEFINITION.replace('"TimeoutSeconds": 90000', '"TimeoutSeconds": 3')
    with a_machine(
        aws,
        shorter,
        tmp_path_factory.mktemp("calls"),
        answers=ANSWERS,
        plan_of='(event.get("investigation") or event)["caseId"]',
        substitutions={"CasesTable": cases, "AutonomySwitch": switch, **BOUNDS},
        grants=grants,
    ) as arn:
        yield arn


def executed(aws: Client, machine: str, cases: str, *, has_a_row: bool = True, **plan: list[Any]) -> Ended:
    """Runs one investigation; ``plan`` says by step what its calls do."""
    case_id = json.dumps(plan | {"id": uuid4().hex})
    if has_a_row:
        aws("dynamodb").put_item(TableName=cases, Item={"caseId": {"S": case_id}})
    given = {
        "caseId": case_id,
        "transactionId": "TX-1",
        "customerId": "CUST-1",
        "cardId": "CARD-1",
        "terminalId": "TERM-1",
        "correlationId": "correlation",
        "causationId": "causation",
        "causationDepth": 1,
    }
    return execution_of(aws, machine, given)


def test_investigation_perceives_plans_acts_observes_and_concludes(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[LOOK_UP, ACT, CONCLUDE])
    assert (ended.status, ended.error) == ("SUCCEEDED", None)
    again = ("ReadSwitch", "CheckBounds", "Plan", "WhatWasPlanned")
    assert ended.entered == (
        *("TakeUpFlag", "Perceive", "WasItFound", "SetGoal"),
        *(*again, "Act", "Observe"),
        *(*again, "ReadSwitchAgain", "MayItAct", "RequestAction", "Observe"),
        *(*again, "ReadSwitchAgain", "MayItAct", "Conclude"),
    )


def test_the_goal_is_on_the_cases_row_and_names_what_it_is_about(aws: Client, machine: str, cases: str) -> None:
    assert executed(aws, machine, cases).status == "SUCCEEDED"
    goals = [item["goal"]["S"] for item in aws("dynamodb").scan(TableName=cases)["Items"] if "goal" in item]
    assert goals
    goal = "Decide whether transaction TX-1 of customer CUST-1, paid with CARD-1 at terminal TERM-1, was a fraud,"
    assert set(goals) == {f"{goal} and do what follows from it."}


def test_agent_that_cannot_tell_gives_its_case_to_a_person(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[LOOK_UP, ASK])
    assert (ended.status, ended.entered[-3:]) == ("SUCCEEDED", ESCALATED)


def test_case_that_somebody_closed_meanwhile_is_left_alone(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[LOOK_UP, OVER])
    assert (ended.status, ended.entered[-1]) == ("SUCCEEDED", "CaseWasClosed")
    assert not {"Conclude", "Escalate"} & set(ended.entered)


@pytest.mark.parametrize(
    "plans",
    [
        pytest.param([LOOK_UP] * 9, id="steps"),
        pytest.param([LOOK_UP | {"tokens": 1000}] * 2, id="tokens"),
        pytest.param([LOOK_UP | {"costMicroDollars": 500}] * 2, id="cost"),
    ],
)
def test_bound_that_is_reached_gives_the_case_to_a_person_and_never_a_verdict(
    aws: Client, machine: str, cases: str, plans: list[Any]
) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=plans)
    assert (ended.status, ended.entered[-4:]) == ("SUCCEEDED", ("CheckBounds", *ESCALATED))
    assert "Conclude" not in ended.entered


def test_steps_are_bounded_by_their_parameter(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[LOOK_UP] * 9)
    assert ended.entered.count("Plan") == int(BOUNDS["MaximumSteps"]) - 1  # the first step was perceiving


def test_paused_agents_plan_nothing_and_do_nothing(aws: Client, machine: str, cases: str, switch: str) -> None:
    aws("ssm").put_parameter(Name=switch, Value="paused", Overwrite=True)
    try:
        ended = executed(aws, machine, cases)
    finally:
        aws("ssm").put_parameter(Name=switch, Value="on", Overwrite=True)
    assert (ended.status, ended.entered[-4:]) == ("SUCCEEDED", ("CheckBounds", *ESCALATED))
    assert "Plan" not in ended.entered


@pytest.mark.parametrize("outcome", ["done", "refused", "approved", "rejected", "expired", "nothing_to_do"])
def test_whatever_comes_of_an_action_is_observed_and_planned_on(
    aws: Client, machine: str, cases: str, outcome: str
) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[ACT, CONCLUDE], RequestAction=[{"outcome": outcome}])
    assert ended.status == "SUCCEEDED"
    assert ended.entered.count("Observe") == 1
    assert ended.entered[-1] == "Conclude"


def test_decision_that_never_comes_is_a_rejection_by_expiry(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[ACT, ASK], RequestAction=["wait"])
    assert (ended.status, ended.entered[-3:]) == ("SUCCEEDED", ESCALATED)
    assert ended.entered[ended.entered.index("RequestAction") + 1] == "Observe"


def test_transaction_that_is_gone_fails_with_the_case_at_a_person(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PerceiveTransaction=[{"found": False}])
    assert (ended.status, ended.error, ended.entered[-3:]) == ("FAILED", "not_found", BROKE)


@pytest.mark.parametrize("error", ["Rejected", "KeyError"])
@pytest.mark.parametrize("step", TASKS)
def test_step_that_can_never_succeed_is_caught_and_the_case_given_to_a_person(
    aws: Client, machine: str, cases: str, step: str, error: str
) -> None:
    plan: dict[str, Any] = {"PlanNextAction": [ACT if step == "RequestAction" else LOOK_UP]} | {step: [error] * 9}
    ended = executed(aws, machine, cases, **plan)
    assert (ended.status, ended.error, ended.entered[-3:]) == ("FAILED", "failed", BROKE)
    assert ended.entered[-4] == TASKS[step]


def test_verdict_that_cannot_be_written_gives_the_case_to_a_person(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, ConcludeCase=["Rejected"])
    assert (ended.status, ended.error, ended.entered[-4:]) == ("FAILED", "failed", ("Conclude", *BROKE))


def test_model_that_gives_no_whole_answer_is_told_apart(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[{"error": "MODEL_FAILED: cut off"}])
    assert (ended.status, ended.error, ended.entered[-4:]) == ("FAILED", "model_failed", ("Plan", *BROKE))


@pytest.mark.parametrize("failure", ["Retryable", "die"])
@pytest.mark.parametrize("step", [*TASKS, "ConcludeCase"])
def test_step_that_fails_once_or_is_killed_is_made_again(
    aws: Client, machine: str, cases: str, step: str, failure: str
) -> None:
    plans = [LOOK_UP, ACT, CONCLUDE]
    plan = {"PlanNextAction": [failure, *plans]} if step == "PlanNextAction" else {"PlanNextAction": plans}
    ended = executed(aws, machine, cases, **(plan | ({} if step == "PlanNextAction" else {step: [failure]})))
    assert ended.status == "SUCCEEDED", ended
    assert ended.entered[-1] == "Conclude"
    assert ended.entered.count("Plan") == 3


def test_case_that_cannot_be_given_to_anybody_is_a_failed_execution(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, PlanNextAction=[ASK], ConcludeCase=["Rejected"])
    assert (ended.status, ended.error, ended.entered[-1]) == ("FAILED", "Rejected", "Escalate")


def test_goal_that_cannot_be_set_gives_the_case_to_a_person(aws: Client, machine: str, cases: str) -> None:
    ended = executed(aws, machine, cases, has_a_row=False)
    assert (ended.status, ended.error, ended.entered[-4:]) == ("FAILED", "failed", ("SetGoal", *BROKE))
