"""perceive_transaction: the case is opened and told of once, the flag explained, however often it is begun again."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone import contracts
from backbone.actions import Occasion
from backbone.cases import Case
from backbone.errors import Rejected, Retryable
from backbone.investigations import Step, case_id_of
from backbone.json_objects import encode
from backbone.tool_calls import ToolFunction
from perception import Desk, perceive
from tests.unit.aws_faults import failing
from tests.unit.bank_builder import OWNER, STRANGER, put_card, put_transaction
from tests.unit.fake_adapters import FakeBus
from tests.unit.investigation_builder import (
    AT_NOON,
    CASE,
    CORRELATION,
    FLAG,
    NOON,
    FakeCases,
    FakeSteps,
    FakeTools,
    Killed,
    LambdaAtHand,
    a_reply,
    an_investigation,
    case_rows,
    step_rows,
)
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

NAME = "perceive_transaction"
OCCASION = Occasion(NOON, NAME, causation_id=FLAG)
REFUSED = a_reply("There is no transaction TX-1 of this customer's.", state="refused")


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
    monkeypatch.setattr(module, "desk", replace(module.desk, tools=ToolFunction(tools, "agent-tools", NAME)))
    return module


def invoke(module: Any, event: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event or encode(an_investigation()), Context())
    return answer


class World:
    """Everything that perceiving writes to, whose calls ``at`` (counted from 0) are its last."""

    def __init__(self, at: Iterable[int] = (), replies: list[str | Exception] | None = None) -> None:
        self.killed = Killed(frozenset(at))
        self.cases, self.steps = FakeCases(faults=self.killed), FakeSteps(faults=self.killed)
        self.bus, self.tools = FakeBus(faults=self.killed), FakeTools(faults=self.killed)
        if replies is not None:
            self.tools.replies = replies

    def perceive(self, occasion: Occasion = OCCASION) -> bool:
        desk = Desk(self.cases, self.steps, self.tools, self.bus)
        return perceive(an_investigation(), desk, occasion)

    def until_it_ends(self) -> bool:
        """What comes of it, begun again as often as it is killed, each time a second later."""
        for second in range(100):
            try:
                return self.perceive(replace(OCCASION, now=NOON + second))
            except Retryable:
                continue
        raise AssertionError("it never ended")

    def left(self) -> tuple[Case, Step, set[str]]:
        return self.cases.kept[CASE], self.steps.kept[CASE, 1], {one.metadata.event_id for one in self.bus.published}


# ---- what is opened, kept and told


def test_flag_opens_a_case_of_the_agents_and_tells_of_it() -> None:
    world = World()
    assert world.perceive()
    case = world.cases.kept[CASE]
    assert (case.kind, case.status, case.opened_by_role, case.opened_at) == ("investigation", "open", "agent", AT_NOON)
    assert (case.customer_id, case.transaction_id, case.event_to_publish) == (OWNER, "TX-1", None)
    (event,) = world.bus.published
    assert event.detail_type == "CaseOpened"
    assert event.data == {
        "caseId": CASE,
        "customerId": OWNER,
        "transactionId": "TX-1",
        "kind": "investigation",
        "openedBy": "agent",
    }
    assert (event.metadata.correlation_id, event.metadata.causation_id) == (CORRELATION, FLAG)


def test_first_facts_are_the_explained_flags() -> None:
    world = World(replies=[a_reply("It is above the limit.", "The card is active.")])
    assert world.perceive()
    step = world.steps.kept[CASE, 1]
    assert (step.kind, step.move, step.outcome) == ("perceive", "explain_flag", "done")
    assert step.facts == ("It is above the limit.", "The card is active.")
    assert json.loads(step.reply or "")["facts"] == list(step.facts)
    assert step.reasoning
    (asked,) = world.tools.runs
    assert asked[:2] == ("explain_flag", {"transactionId": "TX-1"})
    assert (asked[2]["role"], asked[2]["customerId"], asked[2]["turn"]) == ("agent", OWNER, "1")


def test_refusal_to_explain_is_kept_and_answered_as_not_found() -> None:
    world = World(replies=[REFUSED])
    assert [world.perceive(), world.perceive()] == [False, False]
    assert world.steps.kept[CASE, 1].outcome == "refused"
    assert (len(world.tools.runs), len(world.bus.published)) == (1, 1)


def test_again_it_changes_nothing_and_answers_the_same() -> None:
    world = World()
    assert world.perceive()
    before = world.left()
    assert all(world.perceive(replace(OCCASION, now=NOON + later)) for later in (1, 2))
    assert world.left() == before
    assert (len(world.tools.runs), len(world.bus.published)) == (1, 1)


def test_tool_that_is_away_leaves_the_case_open_and_nothing_observed() -> None:
    world = World(replies=[Retryable("explain_flag: away"), a_reply("It is above the limit.")])
    with pytest.raises(Retryable, match="away"):
        world.perceive()
    assert world.steps.kept[CASE, 1].reply is None
    assert world.perceive()
    assert len(world.bus.published) == 1


def test_bus_that_refuses_keeps_the_event_on_the_row_and_it_is_told_before_anything_else() -> None:
    world = World()
    world.bus.refuses = lambda _: True
    with pytest.raises(Retryable, match="CaseOpened was not taken"):
        world.perceive()
    assert (world.cases.kept[CASE].event_to_publish is None, world.steps.kept) == (False, {})
    world.bus.refuses = lambda _: False
    assert world.perceive()
    assert len(world.bus.published) == 1
    assert world.cases.kept[CASE].event_to_publish is None


# ---- killed between any two writes


def calls_of_a_run() -> int:
    world = World()
    world.perceive()
    return world.killed.calls


CALLS = calls_of_a_run()


def test_there_are_calls_to_be_killed_at() -> None:
    assert CALLS > 10


@pytest.mark.parametrize("reply", [a_reply("It is above the limit."), REFUSED], ids=["explained", "refused"])
@pytest.mark.parametrize("call", range(CALLS))
def test_killed_at_any_call_and_begun_again_it_leaves_what_an_undisturbed_run_leaves(call: int, reply: str) -> None:
    undisturbed, world = World(replies=[reply]), World([call], [reply])
    assert world.until_it_ends() == undisturbed.perceive()
    assert_the_same_but_for_the_moment(world, undisturbed)


@given(st.sets(st.integers(0, 60), max_size=12))
def test_killed_as_often_as_you_like_it_leaves_what_an_undisturbed_run_leaves(at: set[int]) -> None:
    undisturbed, world = World(), World(at)
    assert world.until_it_ends() == undisturbed.perceive()
    assert_the_same_but_for_the_moment(world, undisturbed)


def assert_the_same_but_for_the_moment(world: World, undisturbed: World) -> None:
    (case, step, events), (expected_case, expected_step, expected_events) = world.left(), undisturbed.left()
    assert replace(case, opened_at="") == replace(expected_case, opened_at="")
    assert replace(step, planned_at="", observed_at="") == replace(expected_step, planned_at="", observed_at="")
    assert events == expected_events


@pytest.mark.parametrize("call", range(CALLS))
def test_facts_are_those_of_the_answer_that_is_kept_even_where_a_second_one_says_otherwise(call: int) -> None:
    world = World([call], [a_reply("The card is active."), a_reply("The card is blocked.")])
    assert world.until_it_ends()
    step = world.steps.kept[CASE, 1]
    assert json.loads(step.reply or "")["facts"] == list(step.facts)


# ---- the handler, with agent_tools at hand


def test_every_sample_event_has_a_test() -> None:
    assert samples(NAME) == ["bad", "edge", "good"]


@pytest.mark.parametrize("name", ["good", "edge"])
def test_samples_of_transactions_that_are_not_there_open_a_case_and_answer_not_found(
    module: Any, resources: Resources, name: str
) -> None:
    event = sample(NAME, name)
    assert invoke(module, event) == {"found": False}
    (envelope,) = resources.published()
    opened = contracts.parse("CaseOpened", envelope)
    assert (opened.data["caseId"], opened.metadata.correlation_id) == (event["caseId"], event["correlationId"])
    (step,) = step_rows(resources).steps(event["caseId"])
    assert step.outcome == "refused"


@pytest.mark.parametrize("name", ["good", "bad", "edge"])
def test_cases_of_the_samples_are_made_from_their_flags(name: str) -> None:
    event = sample(NAME, name)
    assert event.get("caseId", case_id_of(event["causationId"])) == case_id_of(event["causationId"])


def test_the_bad_sample_is_rejected_and_nothing_is_written(module: Any, resources: Resources) -> None:
    with pytest.raises(Rejected, match=r"INTERNAL: .*caseId"):
        invoke(module, sample(NAME, "bad"))
    assert (resources.rows("cases"), resources.rows("investigation-steps"), resources.published()) == ([], [], [])


def test_flagged_transaction_is_explained_by_agent_tools(
    module: Any, resources: Resources, tools: LambdaAtHand
) -> None:
    put_card(resources)
    put_transaction(resources, 1, flagged=True)
    assert invoke(module) == {"found": True}
    (step,) = step_rows(resources).steps(CASE)
    assert (step.outcome, step.tool) == ("done", "explain_flag")
    assert any("flagged" in fact for fact in step.facts)
    assert any("CARD-000042" in fact for fact in step.facts)
    (asked,) = tools.events
    assert (asked["function"], asked["agent"]["name"]) == ("explain_flag", NAME)
    assert asked["sessionAttributes"]["caseId"] == asked["sessionId"] == CASE


def test_another_customers_transaction_is_as_if_it_were_not_there(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True, customer_id=STRANGER)
    assert invoke(module) == {"found": False}


@pytest.mark.parametrize(
    ("operation", "after"), [("PutItem", 0), ("PutItem", 1), ("PutEvents", 0), ("UpdateItem", 0), ("UpdateItem", 2)]
)
def test_service_that_is_away_is_retryable_and_the_second_try_does_the_rest(
    module: Any, resources: Resources, operation: str, after: int
) -> None:
    put_transaction(resources, 1, flagged=True)
    with failing(operation, "ThrottlingException", after=after), pytest.raises(Retryable):
        invoke(module)
    assert invoke(module) == {"found": True}
    events = resources.published()
    assert {(one["detail-type"], one["detail"]["metadata"]["eventId"]) for one in events} == {
        ("CaseOpened", contracts.event_id("CaseOpened", CASE))
    }
    case, (step,) = case_rows(resources).get(CASE), step_rows(resources).steps(CASE)
    assert case is not None
    assert (case.status, case.event_to_publish, step.outcome) == ("open", None, "done")


def test_agent_tools_that_fails_is_retryable(module: Any, tools: LambdaAtHand, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: dict[str, Any], __: Context) -> dict[str, Any]:
        return {"errorMessage": "boom"}

    monkeypatch.setattr(tools, "handler", broken)
    with pytest.raises(Retryable, match="explain_flag"):
        invoke(module)


def test_case_that_somebody_closed_meanwhile_stays_closed(module: Any, resources: Resources) -> None:
    put_transaction(resources, 1, flagged=True)
    invoke(module)
    resources.client("dynamodb").update_item(
        TableName="cases",
        Key={"caseId": {"S": CASE}},
        UpdateExpression="SET #status = :closed",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":closed": {"S": "closed"}},
    )
    assert invoke(module) == {"found": True}
    case = case_rows(resources).get(CASE)
    assert case is not None
    assert case.status == "closed"


def test_transactions_are_counted(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    invoke(module)
    assert metrics_in(capsys.readouterr().out)["TransactionsPerceived"] == 1
