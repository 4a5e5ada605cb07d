"""The request_action handler: the step's tool is run once, and the execution goes on or waits with a sealed token."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backbone.action_tokens import TokenSeal
from backbone.errors import Rejected, Retryable
from tests.unit.action_builder import ANNA, a_decision, action_in, an_analyst, seen_of
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, put_card, put_transaction
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources
from tests.unit.waiting_investigation import (
    CASE,
    NUMBER,
    Execution,
    a_request,
    agent_tools_in,
    an_execution,
    observe_step,
    plan_step,
    step_in,
    token_in,
)


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("request_action")


@pytest.fixture
def execution(handler_module: Callable[[str], Any], resources: Resources) -> Iterator[Execution]:
    """An execution that waits, of an investigation whose customer has an active card."""
    put_card(resources)
    put_transaction(resources)
    with an_execution(agent_tools_in(handler_module)) as waiting:
        yield waiting


@pytest.fixture
def decide(handler_module: Callable[[str], Any], resources: Resources) -> Callable[[str], None]:
    """An analyst decides on the action that waits."""

    def decided(decision: str) -> None:
        (row,) = resources.rows("actions")
        action_id = row["actionId"]["S"]
        event = a_decision(an_analyst(ANNA), action_id, {"decision": decision, "seen": seen_of(resources, action_id)})
        answer = handler_module("decide_action").handler(event, Context(aws_request_id=decision))
        assert answer["statusCode"] == 200, answer

    return decided


def request(module: Any, token: str, **changes: Any) -> None:
    assert module.handler(a_request(token, **changes), Context()) == {}


def test_proposed_action_is_waited_for_with_a_sealed_token(
    module: Any, resources: Resources, execution: Execution
) -> None:
    plan_step(resources)
    request(module, "token-1")
    assert execution.calls == 0
    step, token = step_in(resources), token_in(resources)
    assert token is not None
    assert step.action_id is not None
    action = action_in(resources, step.action_id)
    assert (action.status, action.proposed_by, action.customer_id, action.case_id) == ("proposed", "agent", OWNER, CASE)
    assert json.loads(step.reply or "")["state"] == "proposed"
    assert (token.step, token.action_id) == (NUMBER, action.action_id)
    assert "token-1" not in str(resources.rows("action-tokens"))
    assert TokenSeal(resources.client("kms"), "alias/action-tokens").open(token) == "token-1"


def test_step_that_is_tried_again_proposes_once_and_waits_with_the_newest_token(
    module: Any, resources: Resources, execution: Execution
) -> None:
    plan_step(resources)
    request(module, "token-1")
    request(module, execution.tried_again())
    assert len(resources.rows("actions")) == 1
    assert len([one for one in resources.published() if one["detail-type"] == "ActionProposed"]) == 1
    token = token_in(resources)
    assert token is not None
    assert TokenSeal(resources.client("kms"), "alias/action-tokens").open(token) == "token-2"


def test_card_that_is_blocked_already_is_done_at_once(module: Any, resources: Resources, execution: Execution) -> None:
    put_card(resources, status="blocked", blockedAt="2026-01-01T12:00:00.000Z", blockReason="fraud", changeId="x")
    plan_step(resources)
    request(module, "token-1")
    assert (execution.told, token_in(resources)) == (["done"], None)


def test_refused_tool_is_told_at_once(module: Any, resources: Resources, execution: Execution) -> None:
    plan_step(resources, arguments={"cardId": "CARD-999999", "reason": "fraud"})
    request(module, "token-1")
    assert (execution.told, resources.rows("actions"), token_in(resources)) == (["refused"], [], None)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_attempt_after_the_decision_tells_it_with_its_own_token(
    module: Any, resources: Resources, execution: Execution, decide: Callable[[str], None], decision: str
) -> None:
    plan_step(resources)
    request(module, "token-1")
    decide(decision)
    request(module, execution.tried_again())
    assert execution.told == [{"approve": "approved", "reject": "rejected"}[decision]]


def test_decision_between_the_proposal_and_the_token_is_noticed(
    module: Any, resources: Resources, execution: Execution, decide: Callable[[str], None], monkeypatch: Any
) -> None:
    plan_step(resources)
    real = module.desk.seal.seal

    class Slow:
        def seal(self, *what: Any) -> bytes:
            decide("approve")
            return bytes(real(*what))

    monkeypatch.setattr(module, "desk", replace(module.desk, seal=Slow()))
    request(module, "token-1")
    assert execution.told == ["approved"]


def test_step_that_was_observed_tells_its_outcome_and_runs_nothing(
    module: Any, resources: Resources, execution: Execution
) -> None:
    plan_step(resources)
    observe_step(resources, "expired")
    request(module, "token-1")
    assert (execution.told, resources.rows("actions")) == (["expired"], [])


def test_attempt_that_was_overtaken_keeps_no_token_and_says_so(
    module: Any, resources: Resources, execution: Execution, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_step(resources)
    monkeypatch.setattr("request_action.time.time", lambda: 2_000_000_000.0)
    request(module, execution.tried_again())
    monkeypatch.setattr("request_action.time.time", lambda: 1_999_999_999.0)
    capsys.readouterr()
    request(module, "token-1")
    assert metrics_in(capsys.readouterr().out) == {"ActionRequests": 1, "RequestsStale": 1}
    token = token_in(resources)
    assert token is not None
    assert TokenSeal(resources.client("kms"), "alias/action-tokens").open(token) == "token-2"


def test_token_that_nobody_waits_with_is_counted_and_not_tried_again(
    module: Any, resources: Resources, execution: Execution, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_step(resources, arguments={"cardId": "CARD-999999", "reason": "fraud"})
    execution.tried_again()
    request(module, "token-1")
    assert execution.told == []
    assert metrics_in(capsys.readouterr().out)["RequestsStale"] == 1


# ---- what fails half way


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        ("Invoke", 0),
        ("UpdateItem", 0),
        ("UpdateItem", 1),
        ("PutEvents", 0),
        ("Encrypt", 0),
        ("PutItem", 0),
        ("PutItem", 1),
        *(("GetItem", after) for after in range(6)),
    ],
)
def test_attempt_that_ended_anywhere_is_made_good_by_the_next(
    module: Any, resources: Resources, execution: Execution, operation: str, after: int
) -> None:
    plan_step(resources)
    with failing(operation, "ThrottlingException", after=after), pytest.raises(Retryable):
        request(module, "token-1")
    request(module, execution.tried_again())
    assert len(resources.rows("actions")) == 1
    token = token_in(resources)
    assert token is not None
    assert TokenSeal(resources.client("kms"), "alias/action-tokens").open(token) == "token-2"
    assert execution.told == []


def test_outcome_that_could_not_be_told_is_told_by_the_next_attempt(
    module: Any, resources: Resources, execution: Execution
) -> None:
    plan_step(resources, arguments={"cardId": "CARD-999999", "reason": "fraud"})
    with failing("SendTaskSuccess", "ThrottlingException"), pytest.raises(Retryable):
        request(module, "token-1")
    request(module, execution.tried_again())
    assert execution.told == ["refused"]


# ---- what is asked for nothing


def test_step_that_is_not_there_is_refused(module: Any, resources: Resources, execution: Execution) -> None:
    with pytest.raises(Rejected, match="asks for no action"):
        request(module, "token-1")
    assert (execution.calls, resources.rows("actions")) == (0, [])


def test_step_that_looks_something_up_is_refused(module: Any, resources: Resources, execution: Execution) -> None:
    plan_step(resources, kind="look_up", move="review_card", tool="list_cards", arguments={})
    with pytest.raises(Rejected, match="asks for no action"):
        request(module, "token-1")
    assert execution.calls == 0


@pytest.mark.parametrize("name", samples("request_action"))
def test_samples_are_refused_by_a_stack_that_knows_no_step(module: Any, execution: Execution, name: str) -> None:
    with pytest.raises(Rejected):
        module.handler(sample("request_action", name), Context())
    assert execution.calls == 0


# ---- the token is nobody's to see


def test_token_is_in_no_log_and_no_trace(
    module: Any, resources: Resources, execution: Execution, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_step(resources)
    request(module, execution.token)
    with failing("Encrypt", "KMSInternalException"), pytest.raises(Retryable) as failed:
        request(module, execution.token)
    with pytest.raises(Rejected) as malformed:
        request(module, execution.token, step="three")
    seen = capsys.readouterr()
    for text in (seen.out, seen.err, str(failed.value), str(malformed.value)):
        assert execution.token not in text
