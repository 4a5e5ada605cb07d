"""Waiting for a fact instead of for a time."""

import time
from collections.abc import Callable


def wait_until[T](predicate: Callable[[], T], seconds: float, what: str) -> T:
    """The predicate's first truthy value; raises AssertionError naming ``what`` and the last value where none came."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds} s: {what}. Last seen: {value!r}")
        time.sleep(0.02)
