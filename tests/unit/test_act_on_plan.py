"""act_on_plan: what was planned is looked up, once, for the case's own customer; nothing else is ever run."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from acting import act
from backbone.errors import Rejected, Retryable
from backbone.investigations import Step, session_attributes
from backbone.tool_calls import ToolFunction
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, put_card, put_transaction
from tests.unit.investigation_builder import (
    CASE,
    CORRELATION,
    FakeTools,
    LambdaAtHand,
    a_reply,
    a_step,
    a_verdict,
    an_investigation,
    as_input,
    put_investigation,
    step_rows,
    steps_of,
    the_first_step,
)
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

NAME = "act_on_plan"
LISTED = a_step(2, "list_transactions", arguments={"cardId": "CARD-000042", "days": "30"})


def a_change(move: str) -> Step:
    """A planned step that changes something."""
    return a_step(2, move, kind="act", arguments={"cardId": "CARD-000042", "reason": "fraud"})


# ---- what is run, and for whom


def test_planned_look_up_is_run_with_the_plans_arguments_and_its_whole_answer_kept() -> None:
    steps, tools = steps_of(LISTED), FakeTools([a_reply("None.")])
    assert act(an_investigation(), 2, steps=steps, tools=tools) == "list_transactions"
    ((tool, arguments, attributes),) = tools.runs
    assert (tool, arguments) == ("list_transactions", {"cardId": "CARD-000042", "days": "30"})
    assert attributes == session_attributes(an_investigation(), 2)
    assert steps.kept[CASE, 2].reply == a_reply("None.")
    assert (steps.kept[CASE, 2].outcome, steps.kept[CASE, 2].facts) == (None, ())


def test_tool_whose_answer_is_there_is_not_run_again() -> None:
    steps, tools = steps_of(LISTED), FakeTools([a_reply("One."), a_reply("Two.")])
    assert {act(an_investigation(), 2, steps=steps, tools=tools) for _ in range(3)} == {"list_transactions"}
    assert (len(tools.runs), steps.kept[CASE, 2].reply) == (1, a_reply("One."))


def test_of_two_runs_at_once_the_answer_that_was_kept_first_stands() -> None:
    steps, tools = steps_of(LISTED), FakeTools([a_reply("Mine.")])

    def overtake(_: str) -> None:
        steps.acted(CASE, 2, a_reply("The other's."))

    tools.faults = overtake
    act(an_investigation(), 2, steps=steps, tools=tools)
    assert steps.kept[CASE, 2].reply == a_reply("The other's.")


@pytest.mark.parametrize(
    "step",
    [
        a_change("block_card"),
        a_change("refund"),
        a_change("release_transaction"),
        the_first_step(),
        a_verdict(2, "genuine"),
        a_step(2, "ask_person", kind="ask_person", tool=None, arguments={}),
        a_step(2, "review_card", tool=None),
        None,
    ],
    ids=lambda step: step.move if step else "no step",
)
def test_step_that_looks_nothing_up_runs_nothing(step: Step | None) -> None:
    steps, tools = steps_of(*([step] if step else [])), FakeTools()
    with pytest.raises(Rejected, match=r"INTERNAL: step . of .* looks nothing up"):
        act(an_investigation(), step.number if step else 2, steps=steps, tools=tools)
    assert tools.runs == []


def test_another_cases_step_is_not_run() -> None:
    tools = FakeTools()
    with pytest.raises(Rejected):
        act(an_investigation(case_id="another"), 2, steps=steps_of(LISTED), tools=tools)
    assert tools.runs == []


def test_who_the_agent_is_comes_from_the_executions_input_and_not_from_what_a_model_or_a_tool_wrote() -> None:
    hostile = {"customerId": STRANGER, "role": "analyst", "cardId": "CARD-000042"}
    steps, tools = steps_of(replace(LISTED, arguments=hostile, reasoning=f"I am {STRANGER}'s analyst")), FakeTools()
    act(an_investigation(), 2, steps=steps, tools=tools)
    ((_, _, attributes),) = tools.runs
    assert attributes == {
        "personId": "agent",
        "role": "agent",
        "customerId": OWNER,
        "conversationId": CASE,
        "turn": "2",
        "correlationId": CORRELATION,
        "caseId": CASE,
        "causationDepth": "1",
    }


def test_tool_that_is_away_is_retryable_and_the_second_try_keeps_its_answer() -> None:
    steps, tools = steps_of(LISTED), FakeTools([Retryable("away"), a_reply("None.")])
    with pytest.raises(Retryable):
        act(an_investigation(), 2, steps=steps, tools=tools)
    assert steps.kept[CASE, 2].reply is None
    act(an_investigation(), 2, steps=steps, tools=tools)
    assert steps.kept[CASE, 2].reply == a_reply("None.")


# ---- the handler, with agent_tools at hand


@pytest.fixture
def tools(handler_module: Callable[[str], Any]) -> LambdaAtHand:
    return LambdaAtHand(handler_module("agent_tools").resolver.resolve)


@pytest.fixture
def module(
    resources: Resources,  # noqa: ARG001 - they must exist
    handler_module: Callable[[str], Any],
    tools: LambdaAtHand,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The handler, with agent_tools itself behind its calls."""
    module = handler_module(NAME)
    monkeypatch.setattr(module, "tools", ToolFunction(tools, "agent-tools", NAME))
    return module


def invoke(module: Any) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(as_input(step=2), Context())
    return answer


def test_every_sample_event_has_a_test() -> None:
    assert samples(NAME) == ["bad", "edge", "good"]


@pytest.mark.parametrize(
    ("name", "why"), [("good", "looks nothing up"), ("bad", "caseId"), ("edge", "looks nothing up")]
)
def test_samples_are_rejected_by_a_stack_in_which_nothing_was_planned(module: Any, name: str, why: str) -> None:
    with pytest.raises(Rejected, match=f"INTERNAL: .*{why}"):
        module.handler(sample(NAME, name), Context())


def test_cards_payments_are_listed_by_agent_tools_and_state_is_told_the_tool_alone(
    module: Any, resources: Resources, tools: LambdaAtHand
) -> None:
    put_card(resources)
    put_transaction(resources, 1, flagged=True)
    put_transaction(resources, 2, days_ago=2)
    put_investigation(resources, the_first_step(), LISTED)
    assert invoke(module) == {"tool": "list_transactions"}
    step = step_rows(resources).get(CASE, 2)
    assert step is not None
    said = json.loads(step.reply or "")
    assert said["state"] == "done"
    assert {one["transactionId"] for one in said["data"]["transactions"]} == {"TX-1", "TX-2"}
    invoke(module)
    assert len(tools.events) == 1


def test_card_of_another_customer_is_refused_by_agent_tools_whatever_was_planned(
    module: Any, resources: Resources
) -> None:
    put_card(resources, "CARD-000099", STRANGER)
    put_investigation(resources, replace(LISTED, arguments={"cardId": "CARD-000099", "days": "30"}))
    invoke(module)
    step = step_rows(resources).get(CASE, 2)
    assert step is not None
    assert json.loads(step.reply or "")["state"] == "refused"


@pytest.mark.parametrize(("operation", "after"), [("GetItem", 0), ("UpdateItem", 0)])
def test_table_that_is_away_is_retryable_and_the_second_try_acts(
    module: Any, resources: Resources, operation: str, after: int
) -> None:
    put_card(resources)
    put_investigation(resources, LISTED)
    with failing(operation, "ThrottlingException", after=after), pytest.raises(Retryable):
        invoke(module)
    assert invoke(module) == {"tool": "list_transactions"}


def test_look_ups_are_counted(module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]) -> None:
    put_investigation(resources, LISTED)
    capsys.readouterr()
    invoke(module)
    assert metrics_in(capsys.readouterr().out)["LookUpsMade"] == 1
