"""A bound on the processes that all functions together may have, and the queue before it.

AWS starts as many execution environments as there are concurrent invocations; one machine cannot. So at most ``limit``
are at work. An invocation takes, in this order: an idle environment of its function; a new one while there is room; the
place of another function's idle one, which is ended; else it queues.

A start takes a processor for most of a second. So at most ``starts`` are under way: a burst of calls of one function
waits for the first of its environments instead of for eight that share two processors, and finds that few will do.

The queue is first come, first served, with one exception: a freed environment goes to the first in the queue *for its
function*, as long as the head of the queue has waited less than ``_HEAD_PATIENCE_SECONDS``. Without that, two busy
functions would take turns in ending each other's warm environments.

**A handler that invokes another function and waits** holds an environment meanwhile, and uses no processor. Were all
environments held like that, nobody would ever be served. So what is ``awaited`` is served first, and does not count to
``limit``: there is room for ``reserve`` more environments. Where that does not do (calls within calls within calls),
nobody waits for ever either: after ``patience`` seconds the caller is told TooManyInvocationsError, which leaves
Lambda's door as TooManyRequestsException (429). The SDK in the waiting handler retries or fails, the handler ends, and
its environment is free again.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from local.overlay.lambda_environment import ExecutionEnvironment

_HEAD_PATIENCE_SECONDS = 0.5


class TooManyInvocationsError(Exception):
    """No environment became free within the patience of the queue."""


@dataclass
class _Ticket:
    """A place in the queue. Once ``granted`` is set: ``environment``, or leave to create one where that is None."""

    identity: str
    awaited: bool
    since: float
    granted: threading.Event = field(default_factory=threading.Event)
    environment: ExecutionEnvironment | None = None


class EnvironmentPool:
    """At most ``limit`` environments at work, and ``limit + reserve`` in all; each serves one invocation at a time.

    Whoever leased one says when it ``is_ready``. Safe for any number of threads.
    """

    def __init__(self, limit: int, patience: float, reserve: int = 0, starts: float = math.inf) -> None:
        self.limit = limit
        self.reserve = reserve
        self.starts = starts
        self.patience = patience
        self._lock = threading.Lock()
        self._count = 0
        self._at_work = 0  # leased, and not to an awaited invocation
        self._awaited: set[ExecutionEnvironment] = set()  # leased to one
        self._starts_under_way = 0
        self._starting: set[ExecutionEnvironment] = set()
        self._idle: list[ExecutionEnvironment] = []  # the longest idle first
        self._queue: deque[_Ticket] = deque()
        self._generation = 0
        self._generation_of: dict[ExecutionEnvironment, int] = {}

    def lease(
        self, identity: str, create: Callable[[], ExecutionEnvironment], *, awaited: bool = False
    ) -> ExecutionEnvironment:
        """An environment of ``identity`` for the caller alone, until ``release``.

        ``awaited``: a handler that holds an environment of this pool waits for the invocation. Raises
        TooManyInvocationsError, or what ``create`` raises.
        """
        ticket = _Ticket(identity, awaited, time.monotonic())
        with self._lock:
            place = sum(waiting.awaited for waiting in self._queue) if awaited else len(self._queue)
            self._queue.insert(place, ticket)
            ended = self._grant()
        _end_all(ended)
        if not ticket.granted.wait(self.patience):
            with self._lock:
                if not ticket.granted.is_set():
                    self._queue.remove(ticket)
                    raise TooManyInvocationsError(f"All {self.limit} processes were busy for {self.patience:g} s.")
        environment = ticket.environment or self._create(create, awaited=awaited)
        if awaited:
            with self._lock:
                self._awaited.add(environment)
        return environment

    def is_ready(self, environment: ExecutionEnvironment) -> None:
        """A leased environment has started, or had before."""
        with self._lock:
            ended = self._grant() if self._has_started(environment) else []
        _end_all(ended)

    def release(self, environment: ExecutionEnvironment) -> None:
        """Gives an environment back; it serves the next invocation of its function, or makes room."""
        with self._lock:
            self._has_started(environment)
            if environment in self._awaited:
                self._awaited.remove(environment)
            else:
                self._at_work -= 1
            if self._generation_of[environment] == self._generation:
                self._idle.append(environment)
                ended = []
            else:
                ended = [self._forget(environment)]
            ended += self._grant()
        _end_all(ended)

    def end_idle(self, matches: Callable[[ExecutionEnvironment], bool]) -> None:
        """Ends the idle environments that ``matches`` picks: those of a function that was changed or deleted."""
        with self._lock:
            ended = [environment for environment in self._idle if matches(environment)]
            for environment in ended:
                self._forget(environment)
            ended += self._grant()
        _end_all(ended)

    def end_everything(self) -> None:
        """Ends all idle environments now, and every leased one as soon as it is released."""
        with self._lock:
            self._generation += 1
        self.end_idle(lambda _environment: True)

    def _create(self, create: Callable[[], ExecutionEnvironment], *, awaited: bool) -> ExecutionEnvironment:
        try:
            environment = create()
        except BaseException:
            with self._lock:
                self._count -= 1
                self._starts_under_way -= 1
                self._at_work -= not awaited
                ended = self._grant()
            _end_all(ended)
            raise
        with self._lock:
            self._generation_of[environment] = self._generation
            self._starting.add(environment)
        return environment

    def _has_started(self, environment: ExecutionEnvironment) -> bool:
        """Whether a start was under way that is over now."""
        if environment not in self._starting:
            return False
        self._starting.remove(environment)
        self._starts_under_way -= 1
        return True

    def _grant(self) -> list[ExecutionEnvironment]:
        """Serves the queue as far as it goes; returns environments that gave up their place, for the caller to end."""
        ended: list[ExecutionEnvironment] = []
        while self._queue and self._may_work(self._queue[0]):
            head = self._queue[0]
            own = self._idle_of(head)
            if own is not None:
                self._serve(head, own)
            elif self._starts_under_way >= self.starts:
                if not self._serve_a_warm_one():
                    break
            elif self._count < self.limit + self.reserve:
                self._start_for(head)
            elif self._idle and not self._serve_another_than(head):
                ended.append(self._forget(self._idle[0]))
                self._start_for(head)
            elif not self._idle:
                break
        return ended

    def _start_for(self, ticket: _Ticket) -> None:
        self._count += 1
        self._starts_under_way += 1
        self._serve(ticket, None)

    def _may_work(self, ticket: _Ticket) -> bool:
        return ticket.awaited or self._at_work < self.limit

    def _serve_another_than(self, head: _Ticket) -> bool:
        """Lets someone behind ``head`` have a warm environment of their own, unless ``head`` has waited long enough."""
        return time.monotonic() - head.since <= _HEAD_PATIENCE_SECONDS and self._serve_a_warm_one()

    def _serve_a_warm_one(self) -> bool:
        """Serves the first in the queue whose function has an idle environment; False where nobody's has."""
        for ticket in self._queue:
            own = self._idle_of(ticket)
            if own is not None and self._may_work(ticket):
                self._serve(ticket, own)
                return True
        return False

    def _serve(self, ticket: _Ticket, environment: ExecutionEnvironment | None) -> None:
        self._queue.remove(ticket)
        if environment is not None:
            self._idle.remove(environment)
        self._at_work += not ticket.awaited
        ticket.environment = environment
        ticket.granted.set()

    def _idle_of(self, ticket: _Ticket) -> ExecutionEnvironment | None:
        matching = (found for found in reversed(self._idle) if found.settings.identity == ticket.identity)
        return next(matching, None)

    def _forget(self, environment: ExecutionEnvironment) -> ExecutionEnvironment:
        if environment in self._idle:
            self._idle.remove(environment)
        del self._generation_of[environment]
        self._count -= 1
        return environment


def _end_all(environments: list[ExecutionEnvironment]) -> None:
    for environment in environments:
        environment.end()
