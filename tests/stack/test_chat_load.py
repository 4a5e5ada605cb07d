"""Fifty people chat at once: every message is answered once, in its order, none lost - also when functions are killed.

``CHAT_CONNECTIONS`` sets how many chat.
"""

import os
import random
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.chat_client import ChatClient
from tests.engine.waiting import wait_until
from tests.stack.chat_people import Message, configured, put_card, say_at_once, somebody, turns_of
from tests.stack.deployed import Stack
from tests.stack.observers import BusObserver
from tests.stack.test_chat import p95

CONNECTIONS = int(os.environ.get("CHAT_CONNECTIONS", "50"))
SECONDS = 240.0
# What is asked, and the tools that its answer takes: an answer to another question would show.
CARDS, ABILITIES, PAYMENTS = "Which cards do I have?", "What can you do?", "Show my transactions of the last 7 days."
TOOLS = {CARDS: ["list_cards"], ABILITIES: [], PAYMENTS: ["list_transactions"]}
# Groups of messages that are sent without waiting: one after another, and two at once.
ONE_BY_ONE = [[CARDS], [PAYMENTS]]
TWO_AT_ONCE = [[CARDS], [PAYMENTS, ABILITIES]]

# To its runtime, perhaps to X-Ray, and to each of the six services that an answer takes.
SOCKETS_OF_WORK = 5


@dataclass
class Talker:
    """Somebody with a card and an open connection."""

    client: ChatClient
    card_id: str
    groups: Sequence[Sequence[str]]

    def talk(self) -> list[Message]:
        """Says all in a new conversation, group by group; each group waits for its answers."""
        self.client.conversation_id = None
        return [message for group in self.groups for message in say_at_once(self.client, group, SECONDS)]


@pytest.fixture(scope="module")
def people(stack: Stack) -> Iterator[list[Talker]]:
    """Fifty customers, connected all at once; every second one says two things at once."""

    def talker(number: int) -> Talker:
        person = somebody(stack)
        return Talker(person.client(), put_card(stack, person.customer_id), (ONE_BY_ONE, TWO_AT_ONCE)[number % 2])

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        made = list(threads.map(talker, range(CONNECTIONS)))
        try:
            list(threads.map(lambda one: one.client.connect(), made))
            yield made
        finally:
            list(threads.map(lambda one: one.client.close(), made))


def all_talk(people: Sequence[Talker]) -> list[list[Message]]:
    """What each of them said and heard."""
    with ThreadPoolExecutor(len(people)) as threads:
        return list(threads.map(Talker.talk, people))


def assert_each_was_answered_once_in_order(
    stack: Stack, bus: BusObserver, people: Sequence[Talker], heard: Sequence[Sequence[Message]]
) -> None:
    """By the client's account, the rows' and the bus's alike."""
    for person, messages in zip(people, heard, strict=True):
        conversation_id = str(person.client.conversation_id)
        assert [message.turn for message in messages] == list(range(1, len(messages) + 1))
        assert [message.outcome for message in messages] == ["answered"] * len(messages)
        assert [message.tools for message in messages] == [TOOLS[message.text] for message in messages]
        assert [person.card_id in message.frames.text for message in messages] == [
            message.text == CARDS for message in messages
        ]
        turns = turns_of(stack, conversation_id)
        assert [(turn.message_id, turn.text, turn.answer) for turn in turns] == [
            (message.message_id, message.text, message.frames.text) for message in messages
        ]
    expected = {
        (str(person.client.conversation_id), message.turn)
        for person, messages in zip(people, heard, strict=True)
        for message in messages
    }
    wait_until(lambda: answers_told(bus).keys() >= expected, 30, "ChatAnswered of every turn")
    told = answers_told(bus)
    assert {turn: len(told[turn]) for turn in expected} == dict.fromkeys(expected, 1)
    assert stack.depth("ChatRequestsDeadLetterQueue") == 0


def answers_told(bus: BusObserver) -> dict[tuple[str, int], set[str]]:
    """The ids of ChatAnswered by conversation and turn: an event that is published twice has one id."""
    bus.poll()
    told: dict[tuple[str, int], set[str]] = {}
    for event in bus.seen:
        if event["detail-type"] == "ChatAnswered":
            data = event["detail"]["data"]
            ids = told.setdefault((data["conversationId"], data["turn"]), set())
            ids.add(event["detail"]["metadata"]["eventId"])
    return told


@pytest.mark.timeout(400)
def test_fifty_people_at_once_are_each_answered_once_and_in_order(
    stack: Stack, bus: BusObserver, people: list[Talker]
) -> None:
    began = time.monotonic()
    heard = all_talk(people)
    took = time.monotonic() - began
    assert_each_was_answered_once_in_order(stack, bus, people, heard)
    firsts = [message.accepted_ms for messages in heard for message in messages if message.accepted_ms is not None]
    seconds = [one / 1000 for one in firsts]
    print(  # noqa: T201 - the figures of the burst
        f"\n{CONNECTIONS} people at once: {sum(map(len, heard))} messages answered in {took:.1f} s; accepted after "
        f"p50 {statistics.median(seconds):.2f} s, p95 {p95(seconds):.2f} s, at most {max(seconds):.2f} s"
    )


# ---- functions that are killed


@pytest.mark.timeout(400)
def test_fifty_people_at_once_are_each_answered_once_and_in_order_while_functions_are_killed(
    stack: Stack, bus: BusObserver, people: list[Talker]
) -> None:
    """Has the function 25 s instead of 120, so that what a killed one worked on comes again after 30 s, not after 125.

    The function itself sets that: it keeps a request away for as long as it can run, and five seconds (answer_chat.py).
    """
    with configured(stack, "AnswerChatFunction", Timeout=25):
        with killing(stack, "AnswerChatFunction", every=0.5, times=16) as killed:
            heard = all_talk(people)
        assert_each_was_answered_once_in_order(stack, bus, people, heard)
    attempts = Counter(turn.attempts for one in people for turn in turns_of(stack, str(one.client.conversation_id)))
    print(f"\n{len(killed)} processes killed; turns by attempts: {dict(attempts)}")  # noqa: T201 - as above
    assert max(attempts) > 1, "no process was killed while it answered"


@contextmanager
def killing(
    stack: Stack, function: str, *, every: float, times: int, sockets: int = SOCKETS_OF_WORK
) -> Iterator[list[int]]:
    """Kills one of the function's working processes ``every`` so many seconds, at most ``times``; yields who died.

    One that works holds ``sockets`` at least.
    """
    killed: list[int] = []
    ended = threading.Event()
    choice = random.Random(4)  # noqa: S311 - repeatable, not secret

    def kill() -> None:
        while len(killed) < times and not ended.wait(every):
            processes = [process for process in processes_of(stack, function) if has_worked(process, sockets)]
            if processes:
                chosen = choice.choice(processes)
                with suppress(ProcessLookupError):
                    os.kill(chosen, signal.SIGKILL)
                    killed.append(chosen)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def processes_of(stack: Stack, function: str) -> list[int]:
    """The processes of this engine that run the function: those whose environment says so."""
    wanted = {
        f"AWS_LAMBDA_FUNCTION_NAME={stack.resource(function)}".encode(),
        f"AWS_ENDPOINT_URL={stack.client('lambda').meta.endpoint_url}".encode(),
    }
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            if wanted <= set(environment.read_bytes().split(b"\0")):
                found.append(int(environment.parent.name))
    return found


def has_worked(process: int, at_least: int) -> bool:
    """Whether the function has called services in it: one that is still starting holds no connection to any."""
    sockets = 0
    with suppress(OSError):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            sockets += str(descriptor.readlink()).startswith("socket:")
    return sockets >= at_least
