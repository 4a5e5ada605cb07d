"""The moves that an investigation may make: what no model, no fact and no order of events can talk away."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.cases import Outcome as CaseOutcome
from backbone.investigations import Investigation, Outcome, Step
from next_moves import Move, allowed_moves, why_nothing_is_left
from tests.unit.investigation_builder import a_step, an_investigation, the_first_step

LOOK_UPS = ("review_card", "review_terminal", "review_past_cases", "list_transactions")
CHANGES = ("block_card", "refund", "release_transaction")
FRAUD, GENUINE, ASK = "verdict_confirmed_fraud", "verdict_genuine", "ask_person"
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome.__value__)


def names(steps: list[Step], investigation: Investigation | None = None) -> list[str]:
    return [move.name for move in allowed_moves(investigation or an_investigation(), steps)]


def after(*made: tuple[str, Outcome]) -> list[Step]:
    """The steps of an investigation that made these moves, which ended so."""
    steps = [the_first_step()]
    for number, (move, outcome) in enumerate(made, 2):
        steps.append(a_step(number, move, kind="act" if move in CHANGES else "look_up", outcome=outcome))
    return steps


def outcome_of(steps: list[Step], move: str) -> Outcome | None:
    return next((step.outcome for step in steps if step.move == move), None)


# ---- random investigations: each move one that was allowed, each end one that a tool or an analyst may say


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """An investigation up to some step, as a model that chooses at random would have led it."""
    investigation = an_investigation()
    steps = [the_first_step(outcome=draw(st.sampled_from(["done", "refused"])))]
    for number in range(2, 2 + draw(st.integers(0, 9))):
        may = [move for move in allowed_moves(investigation, steps) if move.tool is not None]
        if not may:
            break
        move = draw(st.sampled_from(may))
        ends = OUTCOMES if move.kind == "act" else ("done", "refused")
        steps.append(
            a_step(
                number,
                move.name,
                kind=move.kind,
                tool=move.tool,
                arguments=move.arguments,
                outcome=draw(st.sampled_from(ends)),
            )
        )
    return steps


# Also such as no investigation comes to: moves in an order that is never allowed.
anything = st.lists(
    st.tuples(st.sampled_from([*LOOK_UPS, *CHANGES]), st.sampled_from(OUTCOMES)), unique_by=lambda made: made[0]
).map(lambda made: after(*made))


@settings(max_examples=500)
@given(histories() | anything)
def test_fraud_is_never_confirmed_without_an_analysts_word(steps: list[Step]) -> None:
    if FRAUD in names(steps):
        assert "approved" in (outcome_of(steps, "block_card"), outcome_of(steps, "refund"))


@settings(max_examples=500)
@given(histories() | anything)
def test_payment_is_never_called_genuine_before_it_was_released(steps: list[Step]) -> None:
    if GENUINE in names(steps):
        assert outcome_of(steps, "release_transaction") in ("done", "approved", "nothing_to_do")


@settings(max_examples=500)
@given(histories() | anything)
def test_nothing_is_looked_up_or_proposed_twice(steps: list[Step]) -> None:
    may = names(steps)
    assert len(set(may)) == len(may)
    assert not {step.move for step in steps} & set(may)


@settings(max_examples=500)
@given(histories() | anything)
def test_what_was_turned_down_leaves_everything_to_a_person(steps: list[Step]) -> None:
    if {"rejected", "expired"} & {step.outcome for step in steps}:
        assert names(steps) == [ASK]


@settings(max_examples=500)
@given(histories() | anything)
def test_person_can_always_be_asked_and_comes_last(steps: list[Step]) -> None:
    assert names(steps)[-1] == ASK


@settings(max_examples=500)
@given(histories())
def test_card_is_not_blocked_where_the_payment_was_released_nor_the_other_way_round(steps: list[Step]) -> None:
    assert not {"block_card", "release_transaction"} <= {step.move for step in steps}
    assert not {FRAUD, GENUINE} <= set(names(steps))


@settings(max_examples=500)
@given(histories(), st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_every_argument_is_one_of_the_cases_own_ids_whatever_facts_say(steps: list[Step], facts: list[str]) -> None:
    investigation = an_investigation()
    own = {investigation.transaction_id, investigation.card_id, "fraud", "30"}
    told = [a_step(step.number, step.move, kind=step.kind, outcome=step.outcome, facts=tuple(facts)) for step in steps]
    moves = allowed_moves(investigation, told)
    assert {value for move in moves for value in move.arguments.values()} <= own
    assert moves == allowed_moves(investigation, steps)


@settings(max_examples=500)
@given(histories())
def test_move_does_one_thing_runs_a_tool_comes_to_a_verdict_or_asks(steps: list[Step]) -> None:
    for move in allowed_moves(an_investigation(), steps):
        assert move.description.endswith(".")
        if move.kind in ("look_up", "act"):
            assert (move.tool, move.verdict) == (move.name, None)
        else:
            assert (move.tool, move.arguments) == (None, {})
            assert (move.verdict is not None) == (move.kind == "conclude")


def test_random_investigations_reach_every_move() -> None:
    """What is above could pass if nothing ever got far."""
    ways = {
        FRAUD: after(("block_card", "approved"), ("refund", "approved")),
        GENUINE: after(("release_transaction", "done")),
        "refund": after(("block_card", "approved")),
    }
    assert all(move in names(steps) for move, steps in ways.items())


# ---- the rules one by one


def test_at_the_beginning_everything_may_be_looked_up_and_one_thing_done() -> None:
    assert names(after()) == [*LOOK_UPS, "block_card", "release_transaction", ASK]


@pytest.mark.parametrize("outcome", ["approved", "nothing_to_do", "done"])
def test_payment_can_be_paid_back_once_its_card_is_blocked(outcome: Outcome) -> None:
    assert "refund" not in names(after())
    assert "refund" in names(after(("block_card", outcome)))


@pytest.mark.parametrize(
    ("made", "verdicts"),
    [
        ([("block_card", "approved")], [FRAUD]),
        ([("block_card", "nothing_to_do")], []),
        ([("block_card", "done")], []),
        ([("block_card", "refused")], []),
        ([("block_card", "nothing_to_do"), ("refund", "approved")], [FRAUD]),
        ([("block_card", "nothing_to_do"), ("refund", "nothing_to_do")], []),
        ([("block_card", "approved"), ("refund", "refused")], [FRAUD]),
        ([("block_card", "approved"), ("refund", "rejected")], []),
        ([("release_transaction", "done")], [GENUINE]),
        ([("release_transaction", "approved")], [GENUINE]),
        ([("release_transaction", "nothing_to_do")], [GENUINE]),
        ([("release_transaction", "refused")], []),
        ([("release_transaction", "expired")], []),
    ],
)
def test_verdicts_follow_from_what_was_done(made: list[tuple[str, Outcome]], verdicts: list[str]) -> None:
    assert [name for name in names(after(*made)) if name.startswith("verdict")] == verdicts


@pytest.mark.parametrize("change", ["block_card", "release_transaction"])
def test_change_that_was_refused_is_not_tried_again_nor_its_opposite(change: str) -> None:
    assert not set(CHANGES) & set(names(after((change, "refused"))))


def test_where_everything_was_looked_up_and_nothing_could_be_done_a_person_goes_on() -> None:
    made = [(look_up, "done") for look_up in LOOK_UPS]
    steps = after(*made, ("block_card", "refused"))  # type: ignore[arg-type] # mypy widens the words
    assert names(steps) == [ASK]
    assert why_nothing_is_left(steps) == ("asked", "Nothing is left that an agent may do.")


@pytest.mark.parametrize(
    ("outcome", "words"), [("rejected", "An analyst rejected"), ("expired", "Nobody decided in time")]
)
def test_why_a_person_must_go_on_is_said_in_words(outcome: Outcome, words: str) -> None:
    reason, why = why_nothing_is_left(after(("block_card", outcome)))
    assert reason == outcome
    assert words in why
    assert "block_card" in why


def test_arguments_are_the_ids_of_this_case() -> None:
    other = an_investigation(transaction_id="TX-9", card_id="CARD-9")
    steps = after(("block_card", "approved"))
    moves: dict[str, Move] = {move.name: move for move in allowed_moves(other, [the_first_step()])}
    moves |= {move.name: move for move in allowed_moves(other, steps)}
    assert {name: moves[name].arguments for name in (*LOOK_UPS, *CHANGES)} == {
        "review_card": {"transactionId": "TX-9"},
        "review_terminal": {"transactionId": "TX-9"},
        "review_past_cases": {},
        "list_transactions": {"cardId": "CARD-9", "days": "30"},
        "block_card": {"cardId": "CARD-9", "reason": "fraud"},
        "refund": {"transactionId": "TX-9"},
        "release_transaction": {"transactionId": "TX-9"},
    }


def test_verdicts_are_outcomes_that_a_case_can_have() -> None:
    moves = [
        *allowed_moves(an_investigation(), after(("block_card", "approved"))),
        *allowed_moves(an_investigation(), after(("release_transaction", "done"))),
    ]
    assert {move.verdict for move in moves if move.verdict} <= set(get_args(CaseOutcome.__value__))
