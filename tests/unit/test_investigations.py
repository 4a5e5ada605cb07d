"""An investigation's own words: its case, its facts' ids, what it took, and who its agent is to the tools."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from backbone.contracts import event_id
from backbone.investigations import (
    Investigation,
    Totals,
    case_id_of,
    fact_id,
    known_facts,
    session_attributes,
    totals,
)
from backbone.json_objects import decode, encode
from tests.unit.bank_builder import OWNER, STRANGER
from tests.unit.investigation_builder import CASE, FLAG, a_step, an_investigation, the_first_step
from tool_session import read_session


def test_case_of_a_flag_is_a_uuid_always_the_same_and_no_other_flags() -> None:
    assert case_id_of(FLAG) == CASE == str(UUID(CASE))
    assert case_id_of(event_id("TransactionFlagged", "TX-2")) != CASE
    assert CASE != FLAG


def test_input_of_an_execution_is_read_as_it_was_written() -> None:
    investigation = an_investigation(causation_depth=7)
    assert decode(Investigation, encode(investigation)) == investigation


def test_facts_have_the_number_of_their_step_and_their_own_from_one() -> None:
    steps = [the_first_step("One.", "Two."), a_step(2), a_step(12, facts=("Three.",))]
    assert list(known_facts(steps)) == [("F1.1", "One."), ("F1.2", "Two."), ("F12.1", "Three.")]
    assert fact_id(12, 1) == "F12.1"


def test_sentence_that_came_before_is_told_once_and_the_others_keep_their_ids() -> None:
    steps = [the_first_step("Same.", "Same."), a_step(2, facts=("Same.", "New."))]
    assert list(known_facts(steps)) == [("F1.1", "Same."), ("F2.2", "New.")]


@given(st.lists(st.lists(st.text(max_size=5), max_size=4).map(tuple), max_size=5))
def test_no_two_facts_have_one_id_or_say_the_same(told: list[tuple[str, ...]]) -> None:
    known = list(known_facts([a_step(number, facts=facts) for number, facts in enumerate(told, 1)]))
    assert len({identity for identity, _ in known}) == len({sentence for _, sentence in known}) == len(known)
    assert {sentence for _, sentence in known} == {sentence for facts in told for sentence in facts}


def test_totals_are_the_sums_of_the_steps() -> None:
    steps = [
        the_first_step(),
        a_step(2, input_tokens=100, output_tokens=7, cost_micro_dollars=5),
        a_step(3, input_tokens=20, output_tokens=1, cost_micro_dollars=2),
    ]
    assert totals(steps) == Totals(steps=3, input_tokens=120, output_tokens=8, cost_micro_dollars=7)
    assert totals([]) == Totals(0, 0, 0, 0)


def test_agent_tools_reads_the_agents_session_as_that_of_its_case_and_customer() -> None:
    session = read_session(session_attributes(an_investigation(), 4))
    assert (session.role, session.person_id, session.customer_id) == ("agent", "agent", OWNER)
    assert (session.conversation_id, session.case_id, session.turn) == (CASE, CASE, 4)
    assert session.whose == "the customer's"


def test_another_customers_investigation_is_another_session() -> None:
    attributes = session_attributes(an_investigation(customer_id=STRANGER, causation_depth=3), 2)
    assert (attributes["customerId"], attributes["causationDepth"], attributes["turn"]) == (STRANGER, "3", "2")
