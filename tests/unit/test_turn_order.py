"""Each turn is answered once, in order, and told and published, whoever dies, fails or comes twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone import contracts
from backbone.errors import Retryable
from conversation_lease import ComeBackError, LeaseHeldError
from tests.unit.chat_answering import (
    CONVERSATION,
    NOW,
    ConversationRowsInMemory,
    FakeAgent,
    FakeBus,
    FakePoster,
    Measured,
    a_claim,
    a_turn,
    some_work,
    text_as_seen,
)
from tests.unit.chat_processes import ChatWorld
from turn_answering import MAXIMUM_ATTEMPTS
from turn_order import answer_waiting

DEADLINE = 1000.0


def some_turns(count: int) -> ConversationRowsInMemory:
    rows = ConversationRowsInMemory()
    for number in range(1, count + 1):
        rows.receive(a_turn(number))
    return rows


def assert_all_is_well(world: ChatWorld) -> None:
    """Every turn ended once, in order; the person saw what is stored; the bus has one event for each."""
    rows, count = world.rows, len(world.rows.turns)
    assert [ending.turn for ending in rows.endings] == list(range(1, count + 1))
    for number, turn in rows.turns.items():
        answer = f"To you: question {number}"
        assert turn.answer == answer or turn.attempts > MAXIMUM_ATTEMPTS
        seen = text_as_seen(world.poster.on("connection-1"), number)
        assert seen == (turn.answer, True)
        assert text_as_seen(turn.frames, number) == (turn.answer, True)
        assert turn.published_at is not None
    wanted = {contracts.event_id("ChatAnswered", f"{CONVERSATION}:{number}") for number in rows.turns}
    assert {event.metadata.event_id for event in world.bus.published} == wanted


def count_steps() -> int:
    """How many steps it takes to answer two turns in one go."""
    world = ChatWorld()
    world.send()
    world.send()
    process, steps = world.deliver(world.requests[0]), 0
    while not process.is_over:
        process.go_on()
        steps += 1
    return steps


def test_waiting_turns_are_answered_in_order_and_the_lease_is_free_after() -> None:
    world = ChatWorld()
    for _ in range(3):
        world.send()
    world.settle()
    assert_all_is_well(world)
    assert world.rows.conversations[CONVERSATION].lease_owner is None
    assert all(turn.attempts == 1 for turn in world.rows.turns.values())


def test_every_turn_ends_once_when_the_function_dies_at_any_step() -> None:
    steps = count_steps()
    assert steps > 40
    for fatal in range(steps):
        world = ChatWorld()
        world.send()
        world.send()
        process = world.deliver(world.requests[0])
        for _ in range(fatal):
            process.go_on()
        process.die()
        world.settle()
        assert_all_is_well(world)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("gggggggsddk"), st.integers(0, 5)), max_size=150))
def test_every_turn_ends_once_in_order_when_processes_race_die_and_get_requests_twice(
    schedule: list[tuple[str, int]],
) -> None:
    world = ChatWorld()
    world.send()
    for action, choice in schedule:
        running, waiting = world.running(), world.waiting()
        if action == "s" and len(world.requests) < 4:
            world.send()
        elif action == "d" and waiting and len(running) < 3:
            world.deliver(waiting[choice % len(waiting)])  # also one that is being worked on: a duplicate
        elif action == "k" and running:
            running[choice % len(running)].die()
        elif action == "g" and running:
            running[choice % len(running)].go_on()
    world.settle()
    assert_all_is_well(world)


def test_turn_that_kills_its_function_three_times_ends_in_plain_words() -> None:
    world = ChatWorld()
    world.send()
    world.send()
    for _ in range(3):
        process = world.deliver(world.requests[0])
        while world.rows.turns[1].attempts < world.requests[0].receives:
            process.go_on()
        process.die()
    world.settle()
    assert world.rows.turns[1].status == "failed"
    assert "cannot" in str(world.rows.turns[1].answer) or "could not" in str(world.rows.turns[1].answer)
    assert world.rows.turns[2].answer == "To you: question 2"
    assert_all_is_well(world)


def test_message_that_comes_while_the_answer_is_written_is_answered_by_the_same_holder() -> None:
    world = ChatWorld()
    world.send()
    process = world.deliver(world.requests[0])
    while not world.poster.posted:
        process.go_on()
    world.send()
    while not process.is_over:
        process.go_on()
    assert world.rows.conversations[CONVERSATION].answered_turn == 2
    world.settle()
    assert_all_is_well(world)


def test_request_comes_back_when_another_holds_the_lease() -> None:
    rows = some_turns(1)
    work = some_work(rows, FakeAgent(), FakePoster(), FakeBus())
    work.answering.conversations.take(a_claim("request-9", until=int((NOW + 50) * 1000)), int(NOW * 1000))
    with pytest.raises(LeaseHeldError) as held:
        answer_waiting(a_claim(), DEADLINE, work)
    assert held.value.seconds == 51
    assert rows.endings == []


@pytest.mark.parametrize(
    "operation", ["take", "begin", "turns_before", "finish", "reread", "release", "mark_published"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_turn_ends_once_when_the_table_fails_and_the_request_comes_again(operation: str, when: str) -> None:
    rows, poster, bus = some_turns(1), FakePoster(), FakeBus()
    failures = [f"{when} {operation}"]

    def step(name: str) -> None:
        if name in failures:
            failures.remove(name)
            raise Retryable("the table is away")

    work = some_work(rows, FakeAgent(), poster, bus, step=step)
    for receive in range(1, 4):
        try:
            answer_waiting(a_claim(receive=receive), DEADLINE, work)
            break
        except Retryable:
            continue
    assert [ending.turn for ending in rows.endings] == [1]
    assert text_as_seen(poster.on("connection-1"), 1) == ("To you: question 1", True)
    assert len({event.metadata.event_id for event in bus.published}) == 1
    assert rows.conversations[CONVERSATION].lease_owner is None


def test_answers_go_on_and_the_event_follows_when_the_bus_is_away() -> None:
    rows, bus, measured = some_turns(2), FakeBus(refusals=1), Measured()
    answer_waiting(a_claim(), DEADLINE, some_work(rows, FakeAgent(), FakePoster(), bus, measured=measured))
    assert [event.data["turn"] for event in bus.published] == [1, 2]
    assert "ChatAnswered was not taken" in measured.logged[0]


def test_request_comes_back_when_the_bus_stays_away_and_the_answer_is_not_given_twice() -> None:
    rows, bus, agent = some_turns(1), FakeBus(refusals=2), FakeAgent()
    work = some_work(rows, agent, FakePoster(), bus)
    with pytest.raises(ComeBackError, match="bus"):
        answer_waiting(a_claim(), DEADLINE, work)
    answer_waiting(a_claim(receive=2), DEADLINE, work)
    assert len(agent.asked) == 1
    assert [event.data["turn"] for event in bus.published] == [1]


def test_further_turn_is_left_to_another_invocation_when_time_is_short() -> None:
    rows = some_turns(2)
    work = some_work(rows, FakeAgent(), FakePoster(), FakeBus(), clock=lambda: 980.0)
    with pytest.raises(ComeBackError, match="no time") as back:
        answer_waiting(a_claim(), DEADLINE, work)
    assert back.value.seconds == 0
    assert [ending.turn for ending in rows.endings] == [1]
    answer_waiting(a_claim(receive=2), DEADLINE, work)
    assert [ending.turn for ending in rows.endings] == [1, 2]


def test_chat_answered_says_what_the_turn_says() -> None:
    rows, bus = some_turns(1), FakeBus()
    answer_waiting(a_claim(), DEADLINE, some_work(rows, FakeAgent(), FakePoster(), bus))
    (event,) = bus.published
    assert event.data == {
        "conversationId": CONVERSATION,
        "messageId": "message-0001",
        "turn": 1,
        "customerId": "C-000001",
        "outcome": "answered",
        "tools": [],
        "engine": "converse",
        "modelId": "model",
        "inputTokens": 10,
        "outputTokens": 5,
    }
    assert (event.metadata.correlation_id, event.metadata.causation_id) == ("correlation-1", "event-1")
    assert event.metadata.causation_depth == 1


def test_another_request_takes_over_at_once_when_an_attempt_fails() -> None:
    rows, agent = some_turns(1), FakeAgent()

    def be_away(name: str) -> None:
        if name == "before piece":
            raise Retryable("the model is away")

    agent.step = be_away
    work = some_work(rows, agent, FakePoster(), FakeBus())
    with pytest.raises(ComeBackError):
        answer_waiting(a_claim("request-1"), DEADLINE, work)
    agent.step = lambda _: None
    answer_waiting(a_claim("request-2"), DEADLINE, work)
    assert [ending.turn for ending in rows.endings] == [1]
