"""Several processes of answer_chat at once, one step at a time: a test says who goes on, and who dies, at each step.

Each process is a thread that stops before and after every piece of its work until it is told to go on. A process that
died does nothing more: whatever it tries, also while it is cleaning up, ends it.
"""

import itertools
import threading
from dataclasses import dataclass, field
from queue import SimpleQueue

from backbone.errors import Retryable
from conversation_lease import Claim
from tests.unit.chat_answering import (
    CONVERSATION,
    NOW,
    ConversationRowsInMemory,
    FakeAgent,
    FakeBus,
    FakePoster,
    Step,
    a_turn,
    some_work,
)
from turn_order import ChatWork, answer_waiting

# Far above what a step takes: only a defect of the test waits so long.
_PATIENCE_SECONDS = 20
LEASE_SECONDS = 125
# Time passes whenever a process looks at its clock: enough for each piece of text to be posted, and some to be kept.
_SECONDS_PER_LOOK = 0.4


class DiedError(BaseException):
    """The process ended here, without warning."""


@dataclass
class Request:
    """A chat request in the queue; ``receives`` counts its deliveries."""

    name: str
    receives: int = 0
    is_deleted: bool = False


class Process:
    """One delivery of a request, being worked on."""

    def __init__(self, world: "ChatWorld", request: Request) -> None:
        self.request = request
        self.is_over = False
        self._is_dead = False
        self._go: SimpleQueue[None] = SimpleQueue()
        self._stopped: SimpleQueue[str] = SimpleQueue()
        request.receives += 1
        self._claim = Claim(CONVERSATION, request.name, request.receives, int((world.now + LEASE_SECONDS) * 1000))
        self._work = world.work(self._step)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._await()

    def go_on(self) -> None:
        """Does the next piece of work."""
        self._go.put(None)
        self._await()

    def die(self) -> None:
        self._is_dead = True
        while not self.is_over:
            self.go_on()

    def _await(self) -> None:
        self.is_over = self._stopped.get(timeout=_PATIENCE_SECONDS) == "over"

    def _step(self, name: str) -> None:
        if self._is_dead:
            raise DiedError
        self._stopped.put(name)
        self._go.get(timeout=_PATIENCE_SECONDS)
        if self._is_dead:
            raise DiedError

    def _run(self) -> None:
        try:
            answer_waiting(self._claim, deadline=1000.0, work=self._work)
            self.request.is_deleted = True
        except (Retryable, DiedError):
            pass  # the request stays in the queue
        finally:
            self._stopped.put("over")


@dataclass
class ChatWorld:
    """A conversation, the requests for its turns, and the processes that work on them."""

    now: float = NOW
    rows: ConversationRowsInMemory = field(default_factory=ConversationRowsInMemory)
    poster: FakePoster = field(default_factory=FakePoster)
    bus: FakeBus = field(default_factory=FakeBus)
    requests: list[Request] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    def work(self, step: Step) -> ChatWork:
        agent = FakeAgent(step)
        poster = FakePoster(step, posted=self.poster.posted)
        bus = FakeBus(step, published=self.bus.published)
        ticks = itertools.count(step=_SECONDS_PER_LOOK)
        return some_work(self.rows, agent, poster, bus, step=step, now=lambda: self.now, clock=lambda: next(ticks))

    def send(self) -> None:
        """A person's next message, and the request for it."""
        turn = a_turn(len(self.rows.turns) + 1)
        self.rows.receive(turn)
        self.requests.append(Request(f"request-{turn.turn}"))

    def deliver(self, request: Request) -> Process:
        process = Process(self, request)
        self.processes.append(process)
        return process

    def waiting(self) -> list[Request]:
        return [request for request in self.requests if not request.is_deleted]

    def running(self) -> list[Process]:
        return [process for process in self.processes if not process.is_over]

    def settle(self) -> None:
        """Lets everything that runs end, then delivers what is left until nothing is; time passes meanwhile."""
        for process in self.running():
            while not process.is_over:
                process.go_on()
        for _ in range(20):
            self.now += LEASE_SECONDS + 1
            for request in self.waiting():
                process = self.deliver(request)
                while not process.is_over:
                    process.go_on()
        assert self.waiting() == []
