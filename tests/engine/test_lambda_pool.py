"""The bound on processes: who gets an environment, who waits, who is sent away."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from local.overlay import lambda_pool
from local.overlay.lambda_environment import EnvironmentSettings, ExecutionEnvironment
from local.overlay.lambda_pool import EnvironmentPool, TooManyInvocationsError
from tests.engine.waiting import wait_until


class Recorded(ExecutionEnvironment):
    """An environment without a process, which remembers that it was ended."""

    def __init__(self, identity: str) -> None:
        nowhere = Path("/nonexistent")
        super().__init__(EnvironmentSettings(identity, nowhere, None, nowhere, "group", "stream", {}))
        self.ended = False

    def end(self) -> None:
        self.ended = True


def lease(pool: EnvironmentPool, identity: str, *, awaited: bool = False) -> ExecutionEnvironment:
    return pool.lease(identity, lambda: Recorded(identity), awaited=awaited)


def queued(pool: EnvironmentPool, count: int) -> None:
    wait_until(lambda: len(pool._queue) == count, 5, f"{count} callers are in the queue")


def test_idle_environment_of_the_function_is_used_again() -> None:
    pool = EnvironmentPool(2, 1)
    first = lease(pool, "a")
    pool.release(first)
    assert lease(pool, "a") is first


def test_two_callers_at_once_get_two_environments() -> None:
    pool = EnvironmentPool(2, 1)
    assert lease(pool, "a") is not lease(pool, "a")


def test_longest_idle_environment_of_others_makes_room_at_the_bound() -> None:
    pool = EnvironmentPool(2, 1)
    a, b = lease(pool, "a"), lease(pool, "b")
    pool.release(b)
    pool.release(a)
    lease(pool, "c")
    assert isinstance(a, Recorded)
    assert isinstance(b, Recorded)
    assert (a.ended, b.ended) == (False, True)


def test_caller_is_sent_away_when_patience_ends_and_its_place_is_not_lost() -> None:
    pool = EnvironmentPool(1, 0.05)
    held = lease(pool, "a")
    with pytest.raises(TooManyInvocationsError, match="All 1 processes were busy"):
        lease(pool, "b")
    pool.release(held)
    assert lease(pool, "a") is held


def test_place_is_free_again_when_an_environment_cannot_be_made() -> None:
    pool = EnvironmentPool(1, 0.05)

    def broken() -> ExecutionEnvironment:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        pool.lease("a", broken)
    assert lease(pool, "b") is not None


def test_first_come_is_first_served() -> None:
    served, pool = [], EnvironmentPool(1, 10)
    held = lease(pool, "a")

    def take(number: int) -> None:
        environment = lease(pool, "a")
        served.append(number)
        pool.release(environment)

    with ThreadPoolExecutor(5) as threads:
        for number in range(5):
            threads.submit(take, number)
            queued(pool, number + 1)
        pool.release(held)
    assert served == list(range(5))


def _two_in_the_queue(pool: EnvironmentPool, threads: ThreadPoolExecutor) -> "list[Future[ExecutionEnvironment]]":
    """A caller for "other" at the head and one for "a" behind it."""
    waiting = []
    for count, identity in enumerate(("other", "a"), start=1):
        waiting.append(threads.submit(lease, pool, identity))
        queued(pool, count)
    return waiting


def test_warm_environment_goes_past_the_head_of_the_queue_to_its_own_function() -> None:
    pool = EnvironmentPool(1, 10)
    held = lease(pool, "a")
    with ThreadPoolExecutor(2) as threads:
        other, own = _two_in_the_queue(pool, threads)
        pool.release(held)
        assert own.result(5) is held
        pool.release(held)
        assert other.result(5).settings.identity == "other"


def test_head_of_the_queue_is_not_passed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_pool, "_HEAD_PATIENCE_SECONDS", 0.0)
    pool = EnvironmentPool(1, 10)
    held = lease(pool, "a")
    with ThreadPoolExecutor(2) as threads:
        other, own = _two_in_the_queue(pool, threads)
        pool.release(held)
        served = other.result(5)
        assert served.settings.identity == "other"
        pool.release(served)
        assert own.result(5) is not held


def test_awaited_invocation_is_served_beyond_the_bound_and_before_all_others() -> None:
    pool = EnvironmentPool(1, 10, reserve=1)
    waiting_handler = lease(pool, "caller")
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(lease, pool, "other")
        queued(pool, 1)
        called = lease(pool, "called", awaited=True)
        assert not other.done()
        pool.release(called)
        assert lease(pool, "called", awaited=True) is called
        pool.release(called)
        assert not other.done()
        pool.release(waiting_handler)
        assert other.result(5).settings.identity == "other"


def test_awaited_invocations_have_the_reserve_alone_and_wait_for_each_other() -> None:
    pool = EnvironmentPool(1, 10, reserve=1)
    lease(pool, "caller")
    called = lease(pool, "called", awaited=True)
    with ThreadPoolExecutor(2) as threads:
        waiting = []
        for count in (1, 2):
            waiting.append(threads.submit(lease, pool, "called", awaited=True))
            queued(pool, count)
        pool.release(called)
        assert waiting[0].result(5) is called
        assert not waiting[1].done()
        pool.release(called)
        assert waiting[1].result(5) is called


def test_burst_waits_for_the_first_start_and_finds_that_it_will_do() -> None:
    pool = EnvironmentPool(4, 10, starts=1)
    first = lease(pool, "a")
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(lease, pool, "a")
        queued(pool, 1)
        pool.release(first)
        assert second.result(5) is first


def test_next_start_begins_when_the_one_before_is_ready() -> None:
    pool = EnvironmentPool(4, 10, starts=1)
    first = lease(pool, "a")
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(lease, pool, "a")
        queued(pool, 1)
        pool.is_ready(first)
        assert second.result(5) is not first


def test_warm_environments_are_leased_while_a_start_is_under_way() -> None:
    pool = EnvironmentPool(4, 10, starts=1)
    warm = lease(pool, "warm")
    pool.release(warm)
    starting = lease(pool, "a")
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(lease, pool, "b")
        queued(pool, 1)
        assert lease(pool, "warm") is warm
        assert not other.done()
        pool.is_ready(starting)
        assert other.result(5).settings.identity == "b"


def test_idle_environments_of_a_changed_function_end() -> None:
    pool = EnvironmentPool(2, 1)
    a, b = lease(pool, "a"), lease(pool, "b")
    pool.release(a)
    pool.release(b)
    pool.end_idle(lambda environment: environment.settings.identity == "a")
    assert isinstance(a, Recorded)
    assert a.ended
    assert lease(pool, "b") is b


def test_leased_environment_ends_on_release_after_a_reset() -> None:
    pool = EnvironmentPool(1, 1)
    held = lease(pool, "a")
    pool.end_everything()
    pool.release(held)
    assert isinstance(held, Recorded)
    assert held.ended
    assert lease(pool, "a") is not held


@pytest.mark.parametrize(("reserve", "awaited_every", "starts"), [(0, 0, 9), (2, 3, 1)])
def test_bound_holds_under_many_callers_of_many_functions(reserve: int, awaited_every: int, starts: int) -> None:
    pool, lock = EnvironmentPool(3, 30, reserve, starts), threading.Lock()
    in_use, most = [0], [0]

    def call(number: int) -> None:
        awaited = bool(awaited_every) and number % awaited_every == 0
        environment = lease(pool, f"function {number % 5}", awaited=awaited)
        with lock:
            in_use[0] += not awaited
            most[0] = max(most[0], in_use[0])
            assert pool._count <= 3 + reserve
        assert environment.settings.identity == f"function {number % 5}"
        if number % 2:
            pool.is_ready(environment)
        with lock:
            in_use[0] -= not awaited
        pool.release(environment)

    run_all(call, 400)
    assert 1 <= most[0] <= 3
    assert pool._count == len(pool._idle) <= 3 + reserve
    assert pool._at_work == len(pool._awaited) == pool._starts_under_way == len(pool._starting) == 0


def run_all(call: Callable[[int], None], count: int) -> None:
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(call, range(count)))
