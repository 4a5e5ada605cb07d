"""An investigation that waits, on the deployed stack: it goes on with what an analyst, or the clock, has decided.

The waiting state is a machine of the test's own, so that what else the stack's machine does is no concern here. The
functions may let only the stack's machine go on; for these tests, and as IAM is enforced, the test's is granted beside.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation, Step
from backbone.json_objects import encode
from local.process import EngineProcess
from local.stack import REGION
from tests.engine.functions import a_role
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, iam_decision, now, table_arn
from tests.stack.observers import BusObserver
from tests.stack.test_approvals import Approvals, a_card, about, card_of, set_expiry
from tests.stack.test_documents_api import Somebody, somebody
from tests.stack.test_failures import denied

STEP = 3
AT = "2026-01-01T12:00:00.000Z"
RETRIED = ["Retryable", "Sandbox.Timedout", "Lambda.ServiceException", "Lambda.AWSLambdaException"]


@dataclass(frozen=True)
class Waiting:
    """An execution that asks for a card to be blocked, and waits."""

    stack: Stack
    execution: str
    investigation: Investigation

    def step(self) -> Step:
        found = InvestigationRows(self.stack.client("dynamodb"), self.stack.resource("InvestigationStepsTable")).get(
            self.investigation.case_id, STEP
        )
        assert found
        return found

    def token_row(self) -> dict[str, Any] | None:
        row: dict[str, Any] | None = (
            self.stack.client("dynamodb")
            .get_item(
                TableName=self.stack.resource("ActionTokensTable"),
                Key={"caseId": {"S": self.investigation.case_id}},
                ConsistentRead=True,
            )
            .get("Item")
        )
        return row

    def action_id(self) -> str:
        """The action that it waits for, once its token is kept."""
        row = wait_until(self.token_row, 30, "the token's row")
        assert row
        return str(row["actionId"]["S"])

    def ended(self, seconds: float = 30) -> dict[str, Any]:
        """Its description, once it has ended."""

        def ended() -> dict[str, Any] | None:
            said: dict[str, Any] = self.stack.client("stepfunctions").describe_execution(executionArn=self.execution)
            return said if said["status"] != "RUNNING" else None

        described = wait_until(ended, seconds, "the execution's end")
        assert described
        return described

    def told(self) -> dict[str, Any]:
        """What it was told, once it has gone on."""
        described = self.ended()
        assert described["status"] == "SUCCEEDED", described
        output: dict[str, Any] = json.loads(described["output"])
        return output


@pytest.fixture(scope="module")
def approvals(stack: Stack, engine: EngineProcess) -> Approvals:
    return Approvals(stack, f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_/approvals")


@pytest.fixture(scope="module")
def anna(stack: Stack) -> Somebody:
    return somebody(stack, "analyst")


@contextmanager
def granted(stack: Stack, role: str, machine: str) -> Iterator[None]:
    """A role of the stack may let ``machine`` go on, too."""
    iam, name = stack.client("iam"), stack.resource(role)
    grant = {"Effect": "Allow", "Action": "states:SendTaskSuccess", "Resource": machine}
    document = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    iam.put_role_policy(RoleName=name, PolicyName="the-tests-machine", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="the-tests-machine")


@contextmanager
def a_machine(stack: Stack, **more: Any) -> Iterator[str]:
    """The ARN of a machine of the one state RequestAction."""
    machines, functions = stack.client("stepfunctions"), stack.client("lambda")
    function = functions.get_function_configuration(FunctionName=stack.resource("RequestActionFunction"))["FunctionArn"]
    payload = {
        "investigation": "{% $states.input.investigation %}",
        "step": "{% $states.input.step %}",
        "taskToken": "{% $states.context.Task.Token %}",
    }
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Arguments": {"FunctionName": function, "Payload": payload},
        "TimeoutSeconds": 120,
        "End": True,
    }
    definition = {"QueryLanguage": "JSONata", "StartAt": "RequestAction", "States": {"RequestAction": task | more}}
    grant = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function}
    with a_role(stack.client, grant, service="states.amazonaws.com") as role:
        arn = machines.create_state_machine(
            name=f"waiting-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=role
        )["stateMachineArn"]
        yield arn
        machines.delete_state_machine(stateMachineArn=arn)


@pytest.fixture(scope="module")
def machine(stack: Stack) -> Iterator[str]:
    """One that tries again, and that the stack's functions may let go on."""
    retry = [{"ErrorEquals": RETRIED, "IntervalSeconds": 1, "MaxAttempts": 5}]
    with (
        a_machine(stack, Retry=retry) as arn,
        granted(stack, "RequestActionRole", arn),
        granted(stack, "ResumeInvestigationRole", arn),
    ):
        yield arn


@pytest.fixture
def wait(stack: Stack, machine: str) -> Callable[..., Waiting]:
    """Starts an execution whose step asks to block a new card of a new customer's."""

    def started(of: str = machine, **arguments: str) -> Waiting:
        customer = f"CUST-{uuid.uuid4().hex[:12]}"
        card = a_card(stack, customer, 120_000)
        investigation = Investigation(
            case_id=str(uuid.uuid4()),
            transaction_id=card.replace("CARD", "TX"),
            customer_id=customer,
            card_id=card,
            terminal_id="TERM-00001",
            correlation_id=f"investigation-{card}",
            causation_id=str(uuid.uuid4()),
        )
        planned = {"cardId": card, "reason": "fraud"} | arguments
        InvestigationRows(stack.client("dynamodb"), stack.resource("InvestigationStepsTable")).add(
            Step(investigation.case_id, STEP, "act", "block_card", "-", AT, tool="block_card", arguments=planned)
        )
        payload = json.dumps({"investigation": encode(investigation), "step": STEP})
        execution = stack.client("stepfunctions").start_execution(stateMachineArn=of, input=payload)
        return Waiting(stack, execution["executionArn"], investigation)

    return started


def test_approval_lets_the_investigation_go_on_and_the_card_is_blocked(
    stack: Stack, bus: BusObserver, approvals: Approvals, anna: Somebody, wait: Callable[..., Waiting]
) -> None:
    waiting = wait()
    action_id = waiting.action_id()
    proposed = bus.wait_for(about("ActionProposed", action_id), "ActionProposed")
    assert proposed["detail"]["data"]["caseId"] == waiting.investigation.case_id
    assert approvals.decide(anna, action_id, "approve") == 200
    assert waiting.told() == {"outcome": "approved"}
    bus.wait_for(about("CardBlocked", action_id), "CardBlocked")
    assert card_of(stack, waiting.investigation.card_id)["status"] == "blocked"
    assert waiting.step().action_id == action_id
    wait_until(lambda: waiting.token_row() is None, 30, "the token's row gone")


def test_rejection_lets_the_investigation_go_on_and_nothing_is_done(
    stack: Stack, approvals: Approvals, anna: Somebody, wait: Callable[..., Waiting]
) -> None:
    waiting = wait()
    assert approvals.decide(anna, waiting.action_id(), "reject") == 200
    assert waiting.told() == {"outcome": "rejected"}
    assert card_of(stack, waiting.investigation.card_id)["status"] == "active"


def test_expiry_lets_the_investigation_go_on_without_an_approval(stack: Stack, wait: Callable[..., Waiting]) -> None:
    waiting = wait()
    set_expiry(stack, waiting.action_id(), now() - 1)
    run = stack.client("lambda").invoke(FunctionName=stack.resource("ExpireActionsFunction"), Payload=b"{}")
    assert "FunctionError" not in run, run["Payload"].read()
    assert waiting.told() == {"outcome": "expired"}
    assert card_of(stack, waiting.investigation.card_id)["status"] == "active"


def test_what_is_refused_is_told_at_once(wait: Callable[..., Waiting]) -> None:
    waiting = wait(cardId="CARD-somebody-elses")
    assert waiting.told() == {"outcome": "refused"}
    assert (waiting.step().action_id, waiting.token_row()) == (None, None)


def test_attempt_that_failed_is_made_good_by_one_with_a_token_of_its_own(
    stack: Stack, approvals: Approvals, anna: Somebody, wait: Callable[..., Waiting]
) -> None:
    with denied(stack, "RequestActionRole", "kms:Encrypt"):
        waiting = wait()
        wait_until(lambda: waiting.step().action_id, 30, "the proposal of the first attempt")
    assert approvals.decide(anna, waiting.action_id(), "approve") == 200
    assert waiting.told() == {"outcome": "approved"}


def test_decision_before_the_token_could_be_kept_is_noticed(
    stack: Stack, approvals: Approvals, anna: Somebody, wait: Callable[..., Waiting]
) -> None:
    with denied(stack, "RequestActionRole", "kms:Encrypt"):
        waiting = wait()
        action_id = wait_until(lambda: waiting.step().action_id, 30, "the proposal of the first attempt")
        assert approvals.decide(anna, str(action_id), "reject") == 200
    assert waiting.told() == {"outcome": "rejected"}
    assert waiting.token_row() is None


def test_machine_that_nobody_was_granted_is_not_let_go_on(stack: Stack, wait: Callable[..., Waiting]) -> None:
    with a_machine(stack) as strange:
        described = wait(strange, cardId="CARD-somebody-elses").ended()
    assert described["error"] == "Retryable"
    assert "not authorized to perform: states:SendTaskSuccess" in described["cause"]


def test_token_lies_sealed_and_goes_by_itself_if_nobody_uses_it(stack: Stack, wait: Callable[..., Waiting]) -> None:
    waiting = wait()
    waiting.action_id()
    row = waiting.token_row()
    assert row
    assert waiting.execution.encode() not in row["token"]["B"]
    assert now() + 90_000 < int(row["expiresAt"]["N"]) <= now() + 2 * 86_400
    stack.client("stepfunctions").stop_execution(executionArn=waiting.execution)


def test_analysts_are_told_in_words_what_waits(stack: Stack, wait: Callable[..., Waiting]) -> None:
    with stack.listening_to(stack.resource("ApprovalRequestsTopic")) as inbox:
        waiting = wait()
        action_id = waiting.action_id()
        texts = [message["Body"] for message in inbox.receive()]
    (text,) = [one for one in texts if action_id in one]
    investigation = waiting.investigation
    for said in ("ActionProposed", "block_card", "120000", investigation.customer_id, investigation.case_id):
        assert said in text
    assert f"make approve ID={action_id}" in text
    stack.client("stepfunctions").stop_execution(executionArn=waiting.execution)


@pytest.mark.parametrize(
    ("role", "action", "resource"),
    [
        ("RequestActionRole", "dynamodb:GetItem", "ActionTokensTable"),
        ("RequestActionRole", "dynamodb:UpdateItem", "ActionsTable"),
        ("RequestActionRole", "kms:Decrypt", "ActionTokensKey"),
        ("ResumeInvestigationRole", "dynamodb:PutItem", "ActionTokensTable"),
        ("ResumeInvestigationRole", "dynamodb:UpdateItem", "InvestigationStepsTable"),
        ("ResumeInvestigationRole", "kms:Encrypt", "ActionTokensKey"),
        ("ResumeInvestigationRole", "states:SendTaskSuccess", "SummarizeDocumentStateMachine"),
        ("ResumeInvestigationRole", "states:StartExecution", "InvestigateTransactionStateMachine"),
        ("AgentToolsRole", "dynamodb:GetItem", "ActionTokensTable"),
        ("DecideActionRole", "states:SendTaskSuccess", "InvestigateTransactionStateMachine"),
        ("DecideActionRole", "dynamodb:GetItem", "ActionTokensTable"),
    ],
)
def test_nobody_reads_a_token_and_keeps_it_or_lets_another_machine_go_on(
    stack: Stack, role: str, action: str, resource: str
) -> None:
    arn = stack.resource(resource)
    if action.startswith("dynamodb:"):
        arn = table_arn(stack, resource)
    if action.startswith("kms:"):
        arn = f"arn:aws:kms:{REGION}:000000000000:key/{arn}"
    assert iam_decision(stack, role, action, arn) == "implicitDeny"
