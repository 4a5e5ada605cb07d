"""The resume_investigation handler: the decision on the action's row is told once, to the investigation that waits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from backbone.action_tokens import SealedToken, TokenRows, TokenSeal
from tests.unit.action_builder import ANNA, BEN, a_decision, action_in, an_analyst, put_action, seen_of
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import STRANGER, put_card
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import Resources
from tests.unit.waiting_investigation import CASE, NUMBER, Execution, an_execution, observe_step, plan_step, token_in

OTHER_CASE = "5f0c7a52-6d1b-5c58-9a3e-0d5f6a7b8c9e"


@pytest.fixture
def execution() -> Iterator[Execution]:
    def no_tools(_: dict[str, Any]) -> dict[str, Any]:
        raise AssertionError("nothing here runs a tool")

    with an_execution(no_tools) as waiting:
        yield waiting


@pytest.fixture
def action_id(resources: Resources) -> str:
    """An action that the investigation proposed, as agent_tools keeps it; its step is planned and acted on."""
    plan_step(resources)
    return put_action(resources, proposed_by="agent", person_id="agent", case_id=CASE)


@pytest.fixture
def decide(resources: Resources, handler_module: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """Decides through decide_action; the event that came of it."""

    def decided(action_id: str, decision: str = "approve") -> dict[str, Any]:
        event = a_decision(an_analyst(ANNA), action_id, {"decision": decision, "seen": seen_of(resources, action_id)})
        answer = handler_module("decide_action").handler(event, Context(aws_request_id=action_id))
        assert answer["statusCode"] == 200, answer
        (envelope,) = resources.published()
        return dict(envelope)

    return decided


@pytest.fixture
def expire(resources: Resources, handler_module: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    """Lets an action's time pass; the event that came of it."""

    def expired(action_id: str) -> dict[str, Any]:
        resources.client("dynamodb").update_item(
            TableName="actions",
            Key={"actionId": {"S": action_id}},
            UpdateExpression="SET expiresAt = :past",
            ExpressionAttributeValues={":past": {"N": "1"}},
        )
        handler_module("expire_actions").handler({}, Context())
        (envelope,) = resources.published()
        return dict(envelope)

    return expired


@dataclass(frozen=True)
class Desk:
    """The handler, what it works on, and the execution that waits."""

    module: Any
    resources: Resources
    execution: Execution

    def keep_token(self, action_id: str, **changes: Any) -> SealedToken:
        """The token's row as request_action keeps it; ``changes``: ``token``, and fields of the row."""
        token = changes.pop("token", "token-1")
        kept = replace(SealedToken(CASE, NUMBER, action_id, 1, b""), **changes)
        seal = TokenSeal(self.resources.client("kms"), "alias/action-tokens")
        kept = replace(kept, sealed=seal.seal(kept.case_id, kept.step, token))
        assert TokenRows(self.resources.client("dynamodb"), "action-tokens").put(kept, 2_000_000_000)
        return kept

    def deliver(self, *bodies: object) -> int:
        """How many messages were given back."""
        return len(self.module.handler(sqs_event(*bodies), Context())["batchItemFailures"])


@pytest.fixture
def desk(resources: Resources, execution: Execution, handler_module: Callable[[str], Any]) -> Desk:
    return Desk(handler_module("resume_investigation"), resources, execution)


@pytest.mark.parametrize(("decision", "outcome"), [("approve", "approved"), ("reject", "rejected")])
def test_investigation_that_waits_is_told_what_the_analyst_decided(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]], decision: str, outcome: str
) -> None:
    desk.keep_token(action_id)
    assert desk.deliver(decide(action_id, decision)) == 0
    assert (desk.execution.told, token_in(desk.resources)) == ([outcome], None)


def test_investigation_that_waits_is_told_that_nobody_decided(
    desk: Desk, action_id: str, expire: Callable[[str], dict[str, Any]]
) -> None:
    desk.keep_token(action_id)
    assert desk.deliver(expire(action_id)) == 0
    assert desk.execution.told == ["expired"]


def test_investigation_that_waits_is_told_that_nothing_was_left_to_do(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]], handler_module: Callable[[str], Any]
) -> None:
    desk.keep_token(action_id)
    put_card(desk.resources)
    approval = decide(put_action(desk.resources))
    handler_module("carry_out_action").handler(sqs_event(approval), Context())
    (ended,) = [one for one in desk.resources.published() if one["detail-type"] == "ActionRejected"]
    assert desk.deliver(ended) == 0
    assert desk.execution.told == ["nothing_to_do"]


def test_action_that_was_carried_out_meanwhile_was_approved(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]], handler_module: Callable[[str], Any]
) -> None:
    desk.keep_token(action_id)
    put_card(desk.resources)
    approval = decide(action_id)
    handler_module("carry_out_action").handler(sqs_event(approval), Context())
    assert action_in(desk.resources, action_id).status == "done"
    assert desk.deliver(approval) == 0
    assert desk.execution.told == ["approved"]


def test_decision_that_comes_again_is_told_once(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    desk.keep_token(action_id)
    approval = decide(action_id)
    assert desk.deliver(approval, approval) == 0
    assert desk.deliver(approval) == 0
    assert (desk.execution.told, desk.execution.calls) == (["approved"], 1)


# ---- nobody waits


def test_decision_on_an_action_that_no_investigation_asked_for_is_counted(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    approval = decide(action_id)
    capsys.readouterr()
    assert desk.deliver(approval) == 0
    assert metrics_in(capsys.readouterr().out) == {"DecisionsReceived": 1, "DecisionsNobodyWaitsFor": 1}
    assert desk.execution.calls == 0


def test_decision_on_another_action_of_the_case_lets_nobody_go_on(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    kept = desk.keep_token(action_id)
    earlier = put_action(desk.resources, proposed_by="agent", person_id="agent", case_id=CASE)
    assert desk.deliver(decide(earlier)) == 0
    assert (desk.execution.calls, token_in(desk.resources)) == (0, kept)


def test_decision_on_another_cases_action_lets_nobody_go_on(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    kept = desk.keep_token(action_id)
    other = put_action(desk.resources, proposed_by="agent", person_id="agent", case_id=OTHER_CASE)
    assert desk.deliver(decide(other)) == 0
    assert (desk.execution.calls, token_in(desk.resources)) == (0, kept)


# ---- a token that is no good any more


def test_stale_token_is_tried_again_until_the_next_attempts_token_is_there(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    desk.keep_token(action_id)
    desk.execution.tried_again()
    approval = decide(action_id)
    assert desk.deliver(approval) == 1
    assert desk.execution.told == []
    desk.keep_token(action_id, token=desk.execution.token, asked_at=2)
    assert desk.deliver(approval) == 0
    assert (desk.execution.told, token_in(desk.resources)) == (["approved"], None)


def test_stale_token_of_an_investigation_that_has_gone_on_is_forgotten(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    desk.keep_token(action_id)
    desk.execution.tried_again()
    approval = decide(action_id)
    assert desk.deliver(approval) == 1
    observe_step(desk.resources, "approved")
    assert desk.deliver(approval) == 0
    assert (desk.execution.told, token_in(desk.resources)) == ([], None)


def test_token_that_was_put_into_another_cases_row_does_not_open(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    stolen = desk.keep_token("-", case_id=OTHER_CASE)
    moved = SealedToken(CASE, NUMBER, action_id, 2, stolen.sealed)
    TokenRows(desk.resources.client("dynamodb"), "action-tokens").put(moved, 2_000_000_000)
    assert desk.deliver(decide(action_id)) == 1
    assert desk.execution.calls == 0


# ---- what nobody decided


def forged(approval: dict[str, Any], **changes: Any) -> dict[str, Any]:
    detail = approval["detail"]
    return approval | {"detail": detail | {"data": detail["data"] | changes}}


@pytest.mark.parametrize("stage", ["unknown", "open", "half approved"])
def test_decision_that_no_row_knows_of_lets_nobody_go_on(desk: Desk, action_id: str, stage: str) -> None:
    desk.keep_token(action_id)
    if stage == "half approved":
        desk.resources.client("dynamodb").update_item(
            TableName="actions",
            Key={"actionId": {"S": action_id}},
            UpdateExpression="SET #status = :half",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":half": {"S": "half_approved"}},
        )
    envelope = sample("resume_investigation", "good")["Records"][0]["body"]
    named = OTHER_CASE if stage == "unknown" else action_id
    body = envelope.replace("0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11", named)
    assert desk.deliver(body) == 1
    assert desk.execution.calls == 0


@pytest.mark.parametrize(
    "changes", [{"customerId": STRANGER}, {"caseId": OTHER_CASE}, {"decidedBy": [BEN]}, {"action": "refund"}]
)
def test_event_that_says_something_else_than_its_row_lets_nobody_go_on(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]], changes: dict[str, Any]
) -> None:
    desk.keep_token(action_id)
    assert desk.deliver(forged(decide(action_id), **changes)) == 1
    assert desk.execution.calls == 0


def test_rejection_that_somebody_calls_an_approval_lets_nobody_go_on(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    desk.keep_token(action_id)
    rejection = decide(action_id, "reject")
    data = {name: value for name, value in rejection["detail"]["data"].items() if name != "cause"}
    approval = rejection | {"detail-type": "ActionApproved", "detail": rejection["detail"] | {"data": data}}
    assert desk.deliver(approval) == 1
    assert desk.deliver(forged(rejection, cause="nothing_to_do")) == 1
    assert desk.execution.calls == 0
    assert desk.deliver(rejection) == 0
    assert desk.execution.told == ["rejected"]


# ---- services that are away


@pytest.mark.parametrize(
    ("operation", "after"), [("GetItem", 0), ("GetItem", 1), ("Decrypt", 0), ("SendTaskSuccess", 0), ("DeleteItem", 0)]
)
def test_what_failed_half_way_is_finished_when_it_comes_again(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]], operation: str, after: int
) -> None:
    desk.keep_token(action_id)
    approval = decide(action_id)
    with failing(operation, "ThrottlingException", after=after):
        assert desk.deliver(approval) == 1
    if operation == "DeleteItem":
        observe_step(desk.resources, "approved")
    assert desk.deliver(approval) == 0
    assert (desk.execution.told, token_in(desk.resources)) == (["approved"], None)


def test_step_that_cannot_be_looked_at_is_tried_again(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]]
) -> None:
    desk.keep_token(action_id)
    desk.execution.tried_again()
    approval = decide(action_id)
    observe_step(desk.resources, "approved")
    with failing("GetItem", "ThrottlingException", after=2):
        assert desk.deliver(approval) == 1
    assert desk.deliver(approval) == 0


def test_token_is_in_no_log(
    desk: Desk, action_id: str, decide: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    desk.keep_token(action_id)
    approval = decide(action_id)
    with failing("SendTaskSuccess", "ThrottlingException"):
        desk.deliver(approval)
    desk.deliver(approval)
    seen = capsys.readouterr()
    assert desk.execution.token not in seen.out + seen.err


@pytest.mark.parametrize("name", samples("resume_investigation"))
def test_samples_are_given_back_by_a_stack_that_knows_of_no_decision(desk: Desk, name: str) -> None:
    event = sample("resume_investigation", name)
    given_back = desk.module.handler(event, Context())["batchItemFailures"]
    assert len(given_back) == len(event["Records"]) == {"good": 1, "bad": 4, "edge": 3}[name]
    assert desk.execution.calls == 0
