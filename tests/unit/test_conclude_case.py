"""conclude_case: an investigation ends once, with a verdict or at a person's desk, and tells of it once."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone import contracts
from backbone.actions import Occasion
from backbone.cases import Case, Reason
from backbone.errors import Rejected, Retryable
from backbone.investigations import Step, Totals
from conclusion import Desk, End, conclude, escalate
from tests.unit.action_builder import ANNA, an_analyst
from tests.unit.api_events import answer_of
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, put_transaction
from tests.unit.case_builder import a_closing, case_in
from tests.unit.fake_adapters import FakeBus
from tests.unit.investigation_builder import (
    AT_NOON,
    CASE,
    CORRELATION,
    NOON,
    FakeCases,
    Killed,
    a_case,
    a_step,
    a_verdict,
    an_investigation,
    an_unpublished_case,
    as_input,
    put_investigation,
    steps_of,
    the_first_step,
)
from tests.unit.lambda_events import Context, metrics_in, sample, samples, sqs_event
from tests.unit.resources import Resources

NAME = "conclude_case"
OCCASION = Occasion(NOON, NAME)
REASONS: tuple[Reason, ...] = get_args(Reason.__value__)
BLOCKED = a_step(2, "block_card", kind="act", outcome="approved", facts=("An analyst approved it.",))
FRAUD = (
    the_first_step(),
    replace(BLOCKED, input_tokens=900, output_tokens=40, cost_micro_dollars=64),
    a_verdict(3, "confirmed_fraud", input_tokens=1_000, output_tokens=50, cost_micro_dollars=72),
)
TOTALS = Totals(steps=3, input_tokens=1_900, output_tokens=90, cost_micro_dollars=136)


class World:
    """A case and its steps, and everything that ending writes to; a run is killed at its calls ``at``, from 0."""

    def __init__(self, *steps: Step, case: Case | None = None, at: Iterable[int] = ()) -> None:
        self.killed = Killed(frozenset(at))
        self.cases = FakeCases({CASE: case or a_case()}, faults=self.killed)
        self.steps = steps_of(*(steps or FRAUD))
        self.steps.faults = self.killed
        self.bus = FakeBus(faults=self.killed)

    def end(self, reason: Reason | None = None, now: float = NOON) -> End:
        desk, occasion = Desk(self.cases, self.steps, self.bus), replace(OCCASION, now=now)
        if reason is None:
            return conclude(an_investigation(), desk, occasion)
        return escalate(an_investigation(), reason, desk, occasion)

    def until_it_ends(self, reason: Reason | None = None) -> End:
        """What comes of it, begun again as often as it is killed, each time a second later."""
        for second in range(100):
            try:
                return self.end(reason, NOON + second)
            except Retryable:
                continue
        raise AssertionError("it never ended")

    def case(self) -> Case:
        return self.cases.kept[CASE]

    def told(self) -> list[str]:
        return [event.detail_type for event in self.bus.published]


# ---- a verdict


def test_verdict_closes_the_case_in_the_agents_name_with_its_reasons_and_what_it_took() -> None:
    world = World()
    assert world.end() == "closed"
    case = world.case()
    assert (case.status, case.outcome, case.closed_by, case.closed_by_role, case.closed_at) == (
        "closed",
        "confirmed_fraud",
        "agent",
        "agent",
        AT_NOON,
    )
    assert (case.note, case.event_to_publish) == ("The card was blocked by an analyst's word.", None)
    assert world.cases.totals == {CASE: TOTALS}


@pytest.mark.parametrize("verdict", ["confirmed_fraud", "genuine"])
def test_verdict_is_told_once_without_the_agents_words(verdict: str) -> None:
    world = World(the_first_step(), a_verdict(2, verdict))
    assert [world.end(), world.end(now=NOON + 60)] == ["closed", "closed"]
    (event,) = world.bus.published
    assert event.detail_type == "CaseClosed"
    assert event.data == {
        "caseId": CASE,
        "customerId": OWNER,
        "transactionId": "TX-1",
        "kind": "investigation",
        "openedBy": "agent",
        "outcome": verdict,
        "closedBy": "agent",
        "closedAt": AT_NOON,
    }
    assert (event.metadata.correlation_id, event.metadata.producer) == (CORRELATION, NAME)
    assert event.metadata.causation_id == contracts.event_id("CaseOpened", CASE)


@pytest.mark.parametrize(
    "steps",
    [
        [the_first_step()],
        [the_first_step(), BLOCKED],
        [the_first_step(), a_verdict(2, "genuine"), a_step(3)],
        [the_first_step(), a_step(2, "ask_person", kind="ask_person", tool=None)],
    ],
    ids=["nothing planned", "an action last", "something after the verdict", "a person asked"],
)
def test_investigation_whose_last_step_is_no_verdict_closes_nothing(steps: list[Step]) -> None:
    world = World(*steps)
    with pytest.raises(Rejected, match=r"INTERNAL: .* has come to no verdict"):
        world.end()
    assert (world.case().status, world.told()) == ("open", [])


def test_investigation_without_steps_closes_nothing() -> None:
    world = World()
    world.steps.kept.clear()
    with pytest.raises(Rejected, match="no verdict"):
        world.end()


# ---- a person


@pytest.mark.parametrize("reason", REASONS)
def test_case_is_given_to_a_person_once_with_the_reason_and_stays_open(reason: Reason) -> None:
    world = World(the_first_step(), BLOCKED)
    assert [world.end(reason), world.end(reason, NOON + 60), world.end("failed", NOON + 90)] == ["escalated"] * 3
    case = world.case()
    assert (case.status, case.escalated_because, case.escalated_at, case.outcome) == ("open", reason, AT_NOON, None)
    assert world.cases.totals[CASE].steps == 2
    (event,) = world.bus.published
    assert event.detail_type == "CaseEscalated"
    assert event.data == {
        "caseId": CASE,
        "customerId": OWNER,
        "transactionId": "TX-1",
        "reason": reason,
        "escalatedAt": AT_NOON,
    }
    assert event.metadata.causation_id == contracts.event_id("CaseOpened", CASE)


def test_case_is_given_to_a_person_even_where_no_step_was_ever_kept() -> None:
    world = World()
    world.steps.kept.clear()
    assert world.end("failed") == "escalated"


@pytest.mark.parametrize("reason", [None, "failed"])
def test_investigation_that_could_not_even_open_a_case_is_rejected(reason: Reason | None) -> None:
    world = World()
    world.cases.kept.clear()
    with pytest.raises(Rejected, match="INTERNAL: there is no case"):
        world.end(reason)
    assert world.cases.totals == {}


# ---- somebody else was there first


@pytest.mark.parametrize("reason", [None, "asked"])
@pytest.mark.parametrize("status", ["closing", "closed"])
def test_case_that_an_analyst_closed_first_keeps_their_outcome_and_nothing_is_told(
    reason: Reason | None, status: Any
) -> None:
    by_anna = a_case(status=status, outcome="genuine", closed_by=ANNA, closed_by_role="analyst", closed_at=AT_NOON)
    world = World(case=by_anna)
    assert [world.end(reason), world.end(reason)] == ["closed_before", "closed_before"]
    assert (world.case(), world.told()) == (by_anna, [])


def test_analyst_who_closes_between_reading_and_writing_is_not_overruled() -> None:
    by_anna = a_case(status="closed", outcome="genuine", closed_by=ANNA, closed_by_role="analyst", closed_at=AT_NOON)
    for operation, reason in (("close case", None), ("escalate case", "asked")):
        world = World()

        def overtake(called: str, world: World = world, operation: str = operation) -> None:
            if called == operation:
                world.cases.kept[CASE] = by_anna

        world.cases.faults = overtake
        with pytest.raises(Retryable, match="somebody else"):
            world.end(reason)  # type: ignore[arg-type] # mypy widens the words
        assert world.end(reason) == "closed_before"  # type: ignore[arg-type]
        assert (world.case(), world.told()) == (by_anna, [])


def test_verdict_after_a_failed_conclusion_is_not_escalated() -> None:
    world = World()
    world.end()
    assert world.end("failed") == "closed"
    assert world.told() == ["CaseClosed"]


# ---- the bus, and killed between any two writes


@pytest.mark.parametrize(("reason", "end"), [(None, "CaseClosed"), ("asked", "CaseEscalated")])
def test_events_that_the_row_keeps_are_told_first(reason: Reason | None, end: str) -> None:
    world = World(case=an_unpublished_case())
    world.end(reason)
    assert world.told() == ["CaseOpened", end]


@pytest.mark.parametrize(("reason", "end"), [(None, "CaseClosed"), ("asked", "CaseEscalated")])
def test_bus_that_refuses_is_retryable_and_the_end_is_told_the_next_time(reason: Reason | None, end: str) -> None:
    world = World()
    world.bus.refuses = lambda event: event.detail_type == end
    with pytest.raises(Retryable, match=f"{end} was not taken"):
        world.end(reason)
    assert world.case().event_to_publish is not None
    assert world.told() == []
    world.bus.refuses = lambda _: False
    assert world.end(reason, NOON + 60) == ("closed" if reason is None else "escalated")
    assert (world.told(), world.case().event_to_publish) == ([end], None)
    assert AT_NOON in (world.case().closed_at, world.case().escalated_at)


def test_case_is_not_ended_before_its_opening_is_told() -> None:
    world = World(case=an_unpublished_case())
    world.bus.refuses = lambda _: True
    with pytest.raises(Retryable, match="CaseOpened"):
        world.end()
    assert world.case().status == "open"


@pytest.mark.parametrize("reason", [None, "asked"])
@pytest.mark.parametrize("call", range(25))
def test_killed_at_any_call_and_begun_again_it_ends_as_an_undisturbed_run(call: int, reason: Reason | None) -> None:
    undisturbed, world = World(case=an_unpublished_case()), World(case=an_unpublished_case(), at=[call])
    assert world.until_it_ends(reason) == undisturbed.end(reason)
    assert_the_same_but_for_the_moment(world, undisturbed)


def test_calls_to_be_killed_at_are_all_of_a_run() -> None:
    world = World(case=an_unpublished_case())
    world.end()
    assert 10 < world.killed.calls <= 25


@given(st.sets(st.integers(0, 60), max_size=12), st.sampled_from([None, "asked"]))
def test_killed_as_often_as_you_like_it_ends_as_an_undisturbed_run(at: set[int], reason: Reason | None) -> None:
    undisturbed, world = World(case=an_unpublished_case()), World(case=an_unpublished_case(), at=at)
    assert world.until_it_ends(reason) == undisturbed.end(reason)
    assert_the_same_but_for_the_moment(world, undisturbed)


def assert_the_same_but_for_the_moment(world: World, undisturbed: World) -> None:
    def without(case: Case) -> Case:
        return replace(case, closed_at=None, escalated_at=None)

    assert without(world.case()) == without(undisturbed.case())
    assert world.cases.totals == undisturbed.cases.totals
    events = {event.metadata.event_id: event.detail_type for event in world.bus.published}
    assert list(events.values()) == undisturbed.told()


# ---- the handler


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module(NAME)


def invoke(module: Any, **said: Any) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(as_input(**said), Context())
    return answer


def test_every_sample_event_has_a_test() -> None:
    assert samples(NAME) == ["bad", "edge", "good"]


@pytest.mark.parametrize(
    ("name", "why"), [("good", "no verdict"), ("bad", "for the reason 'tired'"), ("edge", "there is no case")]
)
def test_samples_are_rejected_by_a_stack_that_knows_of_no_case(
    module: Any, resources: Resources, name: str, why: str
) -> None:
    with pytest.raises(Rejected, match=f"INTERNAL: .*{why}"):
        module.handler(sample(NAME, name), Context())
    assert (resources.rows("cases"), resources.published()) == ([], [])


def test_case_is_closed_with_its_totals_on_the_row_and_state_is_told_the_end_alone(
    module: Any, resources: Resources
) -> None:
    put_investigation(resources, *FRAUD)
    assert [invoke(module), invoke(module)] == [{"end": "closed"}, {"end": "closed"}]
    (row,) = resources.rows("cases")
    assert {name: row[name] for name in ("steps", "inputTokens", "outputTokens", "costMicroDollars")} == {
        "steps": {"N": "3"},
        "inputTokens": {"N": "1900"},
        "outputTokens": {"N": "90"},
        "costMicroDollars": {"N": "136"},
    }
    assert (row["status"], row["closedByRole"]) == ({"S": "closed"}, {"S": "agent"})
    (envelope,) = resources.published()
    assert contracts.parse("CaseClosed", envelope).data["closedBy"] == "agent"


def test_case_is_escalated_and_an_analyst_closes_it_after_all(
    module: Any, resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    put_investigation(resources, the_first_step())
    assert invoke(module, reason="tokens") == {"end": "escalated"}
    event = a_closing(an_analyst(ANNA), CASE, {"outcome": "confirmed_fraud"})
    assert answer_of(handler_module("close_case").handler(event, Context()))[0] == 200
    assert [one["detail-type"] for one in resources.published()] == ["CaseEscalated", "CaseClosed"]
    case = case_in(resources, CASE)
    assert (case.closed_by_role, case.escalated_because) == ("analyst", "tokens")
    assert invoke(module, reason="tokens") == {"end": "closed_before"}


@pytest.mark.parametrize("reason", ["tired", "ASKED", "", 1])
def test_reason_that_there_is_not_is_rejected_and_nothing_is_written(
    module: Any, resources: Resources, reason: object
) -> None:
    put_investigation(resources, the_first_step())
    with pytest.raises(Rejected, match="INTERNAL"):
        invoke(module, reason=reason)
    assert (case_in(resources, CASE).escalated_at, resources.published()) == (None, [])


@pytest.mark.parametrize("reason", [None, "asked"])
@pytest.mark.parametrize(
    ("operation", "after"),
    [("Query", 0), ("GetItem", 0), ("UpdateItem", 0), ("UpdateItem", 1), ("UpdateItem", 2), ("PutEvents", 0)],
)
def test_service_that_is_away_is_retryable_and_the_second_try_does_the_rest(
    module: Any, resources: Resources, operation: str, after: int, reason: str | None
) -> None:
    put_investigation(resources, *FRAUD)
    with failing(operation, "ThrottlingException", after=after), pytest.raises(Retryable):
        invoke(module, reason=reason)
    assert invoke(module, reason=reason) == {"end": "closed" if reason is None else "escalated"}
    told = {(one["detail-type"], one["detail"]["metadata"]["eventId"]) for one in resources.published()}
    assert len(told) == 1
    assert case_in(resources, CASE).event_to_publish is None


def test_ends_and_escalations_are_counted(
    module: Any, resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    put_investigation(resources, *FRAUD)
    capsys.readouterr()
    invoke(module, reason="asked")
    assert metrics_in(capsys.readouterr().out) == {"InvestigationsEnded": 1, "CasesEscalated": 1}
    invoke(module)
    assert metrics_in(capsys.readouterr().out) == {"InvestigationsEnded": 1}
    assert invoke(module, reason="failed") == {"end": "closed"}
    assert metrics_in(capsys.readouterr().out) == {"InvestigationsEnded": 1}


# ---- what an agent's verdict teaches


@pytest.mark.parametrize(("verdict", "label"), [("confirmed_fraud", "fraud"), ("genuine", "genuine")])
def test_agents_verdict_labels_its_own_transaction_once_and_no_other(
    module: Any, resources: Resources, handler_module: Callable[[str], Any], verdict: str, label: str
) -> None:
    put_transaction(resources, 1, flagged=True)
    put_transaction(resources, 2, card_id="CARD-000043")
    put_investigation(resources, the_first_step(), a_verdict(2, verdict))
    invoke(module)
    (envelope,) = resources.published()
    learn = handler_module("learn_from_outcome").handler
    for _ in range(2):
        assert learn(sqs_event(envelope), Context())["batchItemFailures"] == []
    labels = {row["transactionId"]["S"]: row.get("label", {}).get("S") for row in resources.rows("transactions")}
    assert labels == {"TX-1": label, "TX-2": None}


def test_case_that_was_given_to_a_person_teaches_nothing(
    module: Any, resources: Resources, handler_module: Callable[[str], Any]
) -> None:
    put_transaction(resources, 1, flagged=True)
    put_investigation(resources, the_first_step())
    invoke(module, reason="asked")
    (envelope,) = resources.published()
    answer = handler_module("learn_from_outcome").handler(sqs_event(envelope), Context())
    assert len(answer["batchItemFailures"]) == 1
    assert all("label" not in row for row in resources.rows("transactions"))
