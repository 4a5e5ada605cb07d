"""A bound on how long foreign code may chew on a hostile file.

The parsers cannot be asked to stop. A timer signal interrupts them between two instructions of Python; what runs in C
(inflating, XML) is bounded by the size of its input instead.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_AGAIN_EVERY_SECONDS = 0.5


class _BudgetSpent(BaseException):
    """No Exception: a parser that swallows every Exception must not swallow this one."""


@contextmanager
def time_budget(seconds: float) -> Iterator[None]:
    """Raises TimeoutError where the body takes longer than ``seconds``. Main thread only, as signals are."""

    def spent(_: int, __: FrameType | None) -> NoReturn:
        raise _BudgetSpent

    handler_before = signal.signal(signal.SIGALRM, spent)
    timer_before = signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), _AGAIN_EVERY_SECONDS)
    try:
        yield
    except _BudgetSpent:
        raise TimeoutError(f"took longer than {seconds:.0f} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler_before)
        signal.setitimer(signal.ITIMER_REAL, *timer_before)
