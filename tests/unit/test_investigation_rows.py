"""An investigation's steps, in DynamoDB and in the fake that other tests trust: each write once, and nothing lost."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backbone.errors import Rejected, Retryable
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Step
from tests.unit.aws_faults import failing
from tests.unit.investigation_builder import (
    AT_NOON,
    CASE,
    FakeSteps,
    a_reply,
    a_step,
    a_verdict,
    step_rows,
    the_first_step,
)
from tests.unit.resources import Resources

WHOLE = a_step(
    2,
    "block_card",
    kind="act",
    arguments={"cardId": "CARD-000042", "reason": "fraud"},
    reasoning="Straße — 5 000,00 € ✓",
    evidence=("F1.1", "F1.2"),
    input_tokens=1_000,
    output_tokens=50,
    cost_micro_dollars=72,
    model_id="amazon.nova-lite-v1:0",
    model_profile="light",
)


@pytest.fixture(params=["rows", "fake"])
def steps(request: pytest.FixtureRequest, resources: Resources) -> InvestigationRows | FakeSteps:
    return step_rows(resources) if request.param == "rows" else FakeSteps()


# ---- the contract of the rows and of the fake


@pytest.mark.parametrize(
    "step", [WHOLE, a_step(), a_verdict(9, "genuine"), a_step(3, "ask_person", kind="ask_person", tool=None)]
)
def test_planned_step_is_read_as_it_was_written(steps: InvestigationRows | FakeSteps, step: Step) -> None:
    assert steps.add(step) == step
    assert steps.get(CASE, step.number) == step
    assert steps.steps(CASE) == [step]


def test_step_that_was_not_planned_is_not_there(steps: InvestigationRows | FakeSteps) -> None:
    assert (steps.get(CASE, 2), steps.steps(CASE)) == (None, [])


def test_step_that_stands_is_not_replaced_and_is_answered(steps: InvestigationRows | FakeSteps) -> None:
    steps.add(WHOLE)
    assert steps.add(a_step(2, "review_card", reasoning="Another thought.")) == WHOLE
    assert steps.get(CASE, 2) == WHOLE


def test_steps_come_in_the_order_of_their_numbers_and_of_one_case_only(steps: InvestigationRows | FakeSteps) -> None:
    for number in (10, 2, 1, 9, 11):
        steps.add(a_step(number))
    steps.add(a_step(3, case_id="another"))
    assert [step.number for step in steps.steps(CASE)] == [1, 2, 9, 10, 11]


def test_answer_is_kept_once_with_the_action_that_it_proposed(steps: InvestigationRows | FakeSteps) -> None:
    steps.add(WHOLE)
    first = steps.acted(CASE, 2, a_reply("It waits.", state="proposed"), "action-1")
    assert (first.reply, first.action_id) == (a_reply("It waits.", state="proposed"), "action-1")
    assert steps.acted(CASE, 2, a_reply("Again."), "action-2") == first
    assert steps.get(CASE, 2) == replace(WHOLE, reply=first.reply, action_id="action-1")


def test_outcome_is_kept_once_with_its_facts(steps: InvestigationRows | FakeSteps) -> None:
    steps.add(WHOLE)
    first = steps.observe(CASE, 2, "approved", ("Straße ✓", ""), AT_NOON)
    assert (first.outcome, first.facts, first.observed_at) == ("approved", ("Straße ✓", ""), AT_NOON)
    assert steps.observe(CASE, 2, "expired", ("Other.",), "2026-01-02T12:00:00.000Z") == first
    assert steps.get(CASE, 2) == first


def test_step_without_facts_is_observed_too(steps: InvestigationRows | FakeSteps) -> None:
    steps.add(a_step())
    assert steps.observe(CASE, 2, "done", (), AT_NOON).facts == ()
    assert steps.observe(CASE, 2, "refused", ("Later.",), AT_NOON).outcome == "done"


def test_acting_and_observing_do_not_touch_the_plan_nor_each_other(steps: InvestigationRows | FakeSteps) -> None:
    steps.add(WHOLE)
    steps.observe(CASE, 2, "done", ("One.",), AT_NOON)
    steps.acted(CASE, 2, a_reply("One."))
    expected = replace(WHOLE, reply=a_reply("One."), outcome="done", facts=("One.",), observed_at=AT_NOON)
    assert steps.get(CASE, 2) == expected


def test_step_that_was_never_planned_is_neither_acted_on_nor_observed(steps: InvestigationRows | FakeSteps) -> None:
    with pytest.raises(Rejected, match="never planned"):
        steps.acted(CASE, 2, a_reply("One."))
    with pytest.raises(Rejected, match="never planned"):
        steps.observe(CASE, 2, "done", (), AT_NOON)
    assert steps.steps(CASE) == []


# ---- the rows alone


def test_steps_of_more_than_a_page_are_all_read(resources: Resources) -> None:
    rows = step_rows(resources)
    for number in range(1, 8):
        rows.add(a_step(number))
        rows.acted(CASE, number, a_reply("x" * 300_000))
    assert [step.number for step in rows.steps(CASE)] == list(range(1, 8))


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("Query", lambda rows: rows.steps(CASE)),
        ("GetItem", lambda rows: rows.get(CASE, 1)),
        ("PutItem", lambda rows: rows.add(a_step(2))),
        ("GetItem", lambda rows: rows.add(a_step(1))),
        ("UpdateItem", lambda rows: rows.acted(CASE, 1, "{}")),
        ("GetItem", lambda rows: rows.acted(CASE, 1, "{}")),
        ("UpdateItem", lambda rows: rows.observe(CASE, 1, "done", (), AT_NOON)),
    ],
)
@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "ResourceNotFoundException"])
def test_table_that_is_away_is_retryable(
    resources: Resources, operation: str, call: Callable[[InvestigationRows], Any], code: str
) -> None:
    rows = step_rows(resources)
    rows.add(the_first_step())
    with failing(operation, code), pytest.raises(Retryable, match="investigation-steps"):
        call(rows)


def test_step_that_is_gone_just_after_it_stood_is_retryable(resources: Resources) -> None:
    with failing("PutItem", "ConditionalCheckFailedException"), pytest.raises(Retryable, match="was there and is gone"):
        step_rows(resources).add(a_step())


def test_nothing_of_a_step_expires_and_its_texts_can_be_read_by_people(resources: Resources) -> None:
    step_rows(resources).add(WHOLE)
    (row,) = resources.rows("investigation-steps")
    assert not {name for name in row if "expire" in name.lower()}
    assert row["reasoning"] == {"S": WHOLE.reasoning}
    assert json.loads(row["arguments"]["S"]) == WHOLE.arguments
