"""However attempts, decisions and deliveries interleave and die, a waiting investigation is told once, the truth.

Each call that request_action and resume_investigation make of a collaborator may be their last, before or after it has
done its work; and other attempts, decisions and deliveries may run in between. At the end Step Functions has tried
again whatever failed, and every event was delivered once more.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

import action_request
import resumption
from action_request import ActionRequest, ask
from backbone.action_tokens import SealedToken
from backbone.actions import Action, Occasion, approved, decision_on, rejected
from backbone.errors import Retryable
from backbone.investigations import Outcome, Step
from backbone.outbox import publish_kept
from backbone.tool_calls import ToolReply, read_reply
from tests.unit.action_builder import ANNA
from tests.unit.fake_actions import FakeActions
from tests.unit.fake_adapters import FakeBus
from tests.unit.fake_tokens import FakeTokens
from tests.unit.waiting_investigation import AT, CASE, INVESTIGATION, NUMBER, Execution

ACTION = "0b6c7f0e-3f0a-5a52-9a07-3f3c5a0f6c11"
NOW = 2_000_000_000

type Kind = Literal["attempt", "approve", "reject", "expire", "deliver", "observe"]


class KilledError(Exception):
    """The function's process is gone."""


@dataclass(frozen=True)
class Run:
    """One thing that happens. ``dies_at``: its so-manieth point between calls is its last; ``between``: what else
    happens at its so-manieth point."""

    kind: Kind
    dies_at: int | None = None
    between: "tuple[tuple[int, Run], ...]" = ()


def runs(depth: int) -> st.SearchStrategy[Run]:
    points = st.integers(0, 14)
    inner = st.just(()) if depth == 0 else st.lists(st.tuples(points, runs(depth - 1)), max_size=2).map(tuple)
    kinds: list[Kind] = [
        "attempt",
        "attempt",
        "attempt",
        "approve",
        "reject",
        "expire",
        "deliver",
        "deliver",
        "observe",
    ]
    return st.builds(Run, kind=st.sampled_from(kinds), dies_at=st.none() | points, between=inner)


@dataclass
class Steps:
    """The one step, in memory."""

    step: Step

    def get(self, case_id: str, number: int) -> Step | None:
        return self.step if (case_id, number) == (CASE, NUMBER) else None

    def acted(self, _: str, __: int, reply: str, action_id: str | None = None) -> Step:
        if self.step.reply is None:
            self.step = replace(self.step, reply=reply, action_id=action_id)
        return self.step


@dataclass
class Open:
    """A seal that seals nothing: that tokens open for their rows only is test_action_tokens' concern."""

    def seal(self, _: str, __: int, token: str) -> bytes:
        return token.encode()

    def open(self, token: SealedToken) -> str:
        return token.sealed.decode()


class World:
    """The investigation, everybody who acts on it, and the clock, which each thing that happens moves on."""

    def __init__(self, tool_state: Literal["proposed", "done"]) -> None:
        planned = Step(CASE, NUMBER, "act", "block_card", "-", AT, tool="block_card", arguments={"cardId": "CARD-1"})
        self.tool_state = tool_state
        self.steps = Steps(planned)
        self.actions = FakeActions()
        self.tokens = FakeTokens()
        self.execution = Execution()
        self.events: list[Any] = []
        self.taken: set[str] = set()
        self.clock = float(NOW)
        self.attempts = 0
        self.must_retry = True

    # ---- what happens

    def run(self, run: Run) -> None:
        self.clock += 1
        with suppress(KilledError, Retryable):
            match run.kind:
                case "attempt":
                    self.attempt(run)
                case "deliver":
                    self.deliver(run)
                case "observe":
                    self.observe()
                case "approve" | "reject" | "expire":
                    self.decide(run.kind)

    def attempt(self, run: Run) -> None:
        """An attempt of state RequestAction; Step Functions makes another only while nobody was told anything."""
        if self.execution.told:
            return
        token = self.execution.token if self.attempts == 0 else self.execution.tried_again()
        self.attempts += 1
        mine = self.attempts
        self.must_retry = True
        point = self.points(run)
        desk = action_request.Desk(
            steps=Watched(self.steps, point),
            actions=Watched(self.actions, point),
            tools=Watched(self, point),
            seal=Watched(Open(), point),
            tokens=Watched(self.tokens, point),
            executions=Watched(self.execution, point),
        )
        ask(ActionRequest(INVESTIGATION, NUMBER, token), desk, self.clock)
        # It ended well: Step Functions waits, unless it had given this attempt up and made another.
        if mine == self.attempts:
            self.must_retry = False

    def deliver(self, run: Run) -> None:
        """A delivery of the decision's event, of which there may be many; one that ends well may be the last."""
        for event in self.events:
            point = self.points(run)
            resumption.resume(
                event,
                actions=Watched(self.actions, point),
                tokens=Watched(self.tokens, point),
                seal=Watched(Open(), point),
                steps=Watched(self.steps, point),
                executions=Watched(self.execution, point),
            )
            self.taken.add(event.metadata.event_id)

    def decide(self, decision: Literal["approve", "reject", "expire"]) -> None:
        action = self.actions.get(ACTION)
        if action is None or not action.is_open:
            return
        occasion = Occasion(self.clock, "tests")
        if decision == "approve":
            ended = approved(action, ANNA, occasion)
        elif decision == "reject":
            ended = rejected(action, (ANNA,), "rejected", occasion)
        else:
            ended = rejected(action, (), "expired", occasion)
        self.actions.rows[ACTION] = ended
        bus = FakeBus()
        publish_kept(ended.event_to_publish, bus, lambda _: None)
        self.events += bus.published

    def observe(self) -> None:
        """What comes after RequestAction; it may take its time."""
        if self.execution.told and self.steps.step.outcome is None:
            outcome: Any = self.execution.told[0]
            self.steps.step = replace(self.steps.step, outcome=outcome)

    # ---- agent_tools

    def tool(self, tool: str, _: Mapping[str, Any], attributes: Mapping[str, str]) -> ToolReply:
        assert tool == "block_card"
        assert attributes["role"] == "agent"
        data = ""
        if self.tool_state == "proposed":
            self.actions.rows.setdefault(ACTION, an_action())
            data = f'"action": {{"actionId": "{ACTION}"}}'
        return read_reply(f'{{"state": "{self.tool_state}", "facts": [], "data": {{{data}}}}}')

    # ---- points

    def points(self, run: Run) -> Callable[[], None]:
        """What to call between any two steps of a run: here it is killed, here something else happens."""
        passed = -1

        def point() -> None:
            nonlocal passed
            passed += 1
            for at, other in run.between:
                if at == passed:
                    self.run(other)
            if run.dies_at == passed:
                raise KilledError

        return point


@dataclass
class Watched:
    """A collaborator with a point before and after each of its calls."""

    real: Any
    point: Callable[[], None]

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.real, "tool" if isinstance(self.real, World) else name)

        def call(*arguments: Any, **more: Any) -> Any:
            self.point()
            answer = method(*arguments, **more)
            self.point()
            return answer

        return call


def an_action() -> Action:
    return Action(
        action_id=ACTION,
        action="block_card",
        customer_id=INVESTIGATION.customer_id,
        reason="fraud",
        proposed_by="agent",
        person_id="agent",
        correlation_id=INVESTIGATION.correlation_id,
        status="proposed",
        created_at=AT,
        expires_at=NOW + 86_400,
        card_id=INVESTIGATION.card_id,
        case_id=CASE,
    )


def play(todo: list[Run], tool_state: Literal["proposed", "done"]) -> World:
    """Lets everything happen, then what always happens in the end."""
    world = World(tool_state)
    for run in todo:
        world.run(run)
    if world.must_retry:  # Step Functions tries again what failed
        world.run(Run("attempt"))
    world.run(Run("expire"))  # what nobody decided on expires
    for _ in range(2):  # and an event is delivered until it is taken, which it is once the investigation has gone on
        if len(world.taken) < len(world.events):
            world.run(Run("deliver"))
        world.run(Run("observe"))
    assert len(world.taken) == len(world.events)
    return world


@settings(max_examples=1000)
@given(todo=st.lists(runs(depth=2), max_size=6))
def test_waiting_investigation_is_told_once_what_was_decided(todo: list[Run]) -> None:
    world = play(todo, "proposed")
    decision = decision_on(world.actions.rows[ACTION])
    assert decision is not None
    assert world.execution.told == [decision]
    assert world.steps.step.outcome == decision


@settings(max_examples=200)
@given(todo=st.lists(runs(depth=2), max_size=4))
def test_investigation_whose_action_was_done_at_once_is_told_so_once(todo: list[Run]) -> None:
    world = play(todo, "done")
    assert (world.execution.told, world.tokens.rows) == (["done"], {})


def test_the_interleavings_reach_every_end_by_each_of_the_two_ways() -> None:
    """What is above could pass if nothing ever got through, or always by the same function."""
    outcomes: dict[tuple[Outcome, str], list[Run]] = {
        ("approved", "resume_investigation"): [Run("attempt"), Run("approve"), Run("deliver")],
        ("rejected", "resume_investigation"): [Run("attempt", dies_at=14), Run("attempt"), Run("reject")],
        ("expired", "resume_investigation"): [Run("attempt")],
        ("approved", "request_action"): [Run("attempt", between=((9, Run("approve")), (9, Run("deliver"))))],
        ("rejected", "request_action"): [Run("attempt", dies_at=7), Run("reject"), Run("deliver")],
    }
    for (outcome, function), todo in outcomes.items():
        world = World("proposed")
        for run in todo:
            world.run(run)
        waits_for_delivery = not world.execution.told and not world.must_retry
        assert waits_for_delivery or function == "request_action" or world.execution.told == [outcome]
        assert play(todo, "proposed").execution.told == [outcome]


def test_deliveries_alone_tell_nobody_anything() -> None:
    world = World("proposed")
    world.run(Run("attempt", dies_at=5))
    world.run(Run("approve"))
    world.run(Run("deliver"))
    assert (world.execution.told, len(world.events)) == ([], 1)
