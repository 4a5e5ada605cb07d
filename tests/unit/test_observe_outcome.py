"""observe_outcome: what came of a step becomes facts, bounded in number and length, once."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backbone.errors import Rejected, Retryable
from backbone.investigations import LONGEST_FACT, MOST_FACTS, Outcome, Step
from observing import observe
from tests.unit.aws_faults import failing
from tests.unit.investigation_builder import (
    AT_NOON,
    CASE,
    NOON,
    FakeSteps,
    a_reply,
    a_step,
    an_investigation,
    as_input,
    put_investigation,
    step_rows,
    steps_of,
)
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

NAME = "observe_outcome"
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome.__value__)
BLOCK: dict[str, Any] = {"kind": "act", "move": "block_card", "reply": a_reply("It waits.", state="proposed")}


def observed(
    step: Step, decided: Outcome | None = None, *, steps: FakeSteps | None = None, now: float = NOON
) -> tuple[Outcome, Step]:
    """What is answered, and the step as it stands then."""
    kept = steps_of(step) if steps is None else steps
    outcome = observe(an_investigation(), step.number, decided, steps=kept, now=now)
    return outcome, kept.kept[CASE, step.number]


# ---- look-ups


def test_tools_sentences_become_facts_in_their_order() -> None:
    outcome, step = observed(a_step(reply=a_reply("One.", "Two.")))
    assert (outcome, step.outcome, step.facts, step.observed_at) == ("done", "done", ("One.", "Two."), AT_NOON)


def test_refusal_is_a_fact_too() -> None:
    outcome, step = observed(a_step(reply=a_reply("There is no such card.", state="refused")))
    assert (outcome, step.facts) == ("refused", ("There is no such card.",))


@given(st.lists(st.text(max_size=2 * LONGEST_FACT), max_size=2 * MOST_FACTS))
@example(["x" * (LONGEST_FACT + 1)])
@example([str(number) for number in range(MOST_FACTS + 1)])
def test_facts_are_bounded_in_number_and_length_and_nothing_else_is_changed(sentences: list[str]) -> None:
    _, step = observed(a_step(reply=a_reply(*sentences)))
    assert len(step.facts) == min(len(sentences), MOST_FACTS)
    assert all(len(fact) <= LONGEST_FACT for fact in step.facts)
    assert all(told.startswith(fact) for told, fact in zip(sentences, step.facts, strict=False))
    assert step.reply == a_reply(*sentences)


def test_listed_payments_and_their_headline_fit() -> None:
    sentences = [f"{number}. 20.00 EUR at TERM-00001." for number in range(21)]
    assert observed(a_step(reply=a_reply(*sentences)))[1].facts == tuple(sentences)


# ---- what was done or decided on


@pytest.mark.parametrize(
    ("decided", "fact"),
    [
        ("approved", "An analyst approved what was proposed (block_card)."),
        ("rejected", "An analyst rejected what was proposed (block_card)."),
        ("expired", "Nobody decided in time on what was proposed (block_card), so it is rejected."),
        ("nothing_to_do", "What was proposed (block_card) had been done meanwhile, so nothing was left to do."),
    ],
)
def test_decision_is_told_in_words_and_not_in_the_tools(decided: Outcome, fact: str) -> None:
    outcome, step = observed(a_step(2, **BLOCK), decided)
    assert (outcome, step.outcome, step.facts) == (decided, decided, (fact,))


def test_decision_is_told_even_where_the_proposals_answer_never_came_here() -> None:
    assert observed(a_step(2, **(BLOCK | {"reply": None})), "expired")[0] == "expired"


@pytest.mark.parametrize(("state", "decided"), [("done", "done"), ("refused", "refused")])
def test_what_an_action_did_at_once_is_told_by_its_tool(state: str, decided: Outcome) -> None:
    step = a_step(2, "release_transaction", kind="act", reply=a_reply("TX-1 is released.", state=state))
    assert observed(step, decided)[1].facts == ("TX-1 is released.",)


def test_proposal_that_nobody_has_decided_on_is_never_observed_as_done() -> None:
    assert observed(a_step(2, **BLOCK), "done")[0] == "refused"


# ---- once


@pytest.mark.parametrize("later", [None, *OUTCOMES])
def test_what_was_observed_first_stands_whatever_comes_later(later: Outcome | None) -> None:
    step = a_step(2, **BLOCK)
    steps = steps_of(step)
    observed(step, "approved", steps=steps)
    outcome, standing = observed(step, later, steps=steps, now=NOON + 60)
    assert (outcome, standing.observed_at) == ("approved", AT_NOON)
    assert standing.facts == ("An analyst approved what was proposed (block_card).",)


def test_expiry_without_an_answer_is_answered_again_as_it_stands() -> None:
    step = a_step(2, **(BLOCK | {"reply": None}))
    steps = steps_of(step)
    observed(step, "expired", steps=steps)
    assert observed(step, None, steps=steps)[0] == "expired"


def test_of_two_at_once_both_answer_what_stands() -> None:
    class Overtaken(FakeSteps):
        def observe(self, case_id: str, number: int, outcome: Outcome, facts: tuple[str, ...], at: str) -> Step:
            super().observe(case_id, number, "approved", ("An analyst approved it.",), AT_NOON)
            return super().observe(case_id, number, outcome, facts, at)

    step = a_step(2, **BLOCK)
    outcome, standing = observed(step, "expired", steps=Overtaken(steps_of(step).kept))
    assert (outcome, standing.outcome) == ("approved", "approved")


@pytest.mark.parametrize("decided", [None, "done", "refused"])
def test_step_of_which_nothing_came_is_not_observed(decided: Outcome | None) -> None:
    steps = steps_of(a_step())
    with pytest.raises(Rejected, match=r"INTERNAL: step 2 .* before it was acted on"):
        observe(an_investigation(), 2, decided, steps=steps, now=NOON)
    assert steps.kept[CASE, 2].outcome is None


def test_step_that_was_never_planned_is_not_observed() -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: step 2 .* was never planned"):
        observe(an_investigation(), 2, "approved", steps=steps_of(), now=NOON)


# ---- the handler


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module(NAME)


def invoke(module: Any, **said: Any) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(as_input(step=2, **said), Context())
    return answer


def test_every_sample_event_has_a_test() -> None:
    assert samples(NAME) == ["bad", "edge", "good"]


@pytest.mark.parametrize(
    ("name", "why"), [("good", "never planned"), ("bad", "ends as 'perhaps'"), ("edge", "never planned")]
)
def test_samples_are_rejected_by_a_stack_in_which_nothing_was_planned(module: Any, name: str, why: str) -> None:
    with pytest.raises(Rejected, match=f"INTERNAL: .*{why}"):
        module.handler(sample(NAME, name), Context())


@pytest.mark.parametrize("said", [{}, {"outcome": None}], ids=["absent", "null"])
def test_look_up_is_observed_and_state_is_told_the_outcome_alone(
    module: Any, resources: Resources, said: dict[str, Any]
) -> None:
    put_investigation(resources, a_step(reply=a_reply("Straße — ✓.")))
    assert invoke(module, **said) == {"outcome": "done"}
    step = step_rows(resources).get(CASE, 2)
    assert step is not None
    assert (step.facts, step.outcome) == (("Straße — ✓.",), "done")
    assert (step.observed_at or "").endswith("Z")


@pytest.mark.parametrize("outcome", ["perhaps", "APPROVED", "", 1, {"outcome": "approved"}])
def test_outcome_that_there_is_not_is_rejected(module: Any, resources: Resources, outcome: object) -> None:
    put_investigation(resources, a_step(2, **BLOCK))
    with pytest.raises(Rejected, match="INTERNAL"):
        invoke(module, outcome=outcome)
    step = step_rows(resources).get(CASE, 2)
    assert step is not None
    assert step.outcome is None


@pytest.mark.parametrize("operation", ["GetItem", "UpdateItem"])
def test_table_that_is_away_is_retryable_and_the_second_try_observes(
    module: Any, resources: Resources, operation: str
) -> None:
    put_investigation(resources, a_step(2, **BLOCK))
    with failing(operation, "ThrottlingException"), pytest.raises(Retryable):
        invoke(module, outcome="approved")
    assert invoke(module, outcome="approved") == {"outcome": "approved"}


def test_outcomes_are_counted(module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]) -> None:
    put_investigation(resources, a_step(reply=a_reply("One.")))
    capsys.readouterr()
    invoke(module)
    assert metrics_in(capsys.readouterr().out) == {"OutcomesObserved": 1}
