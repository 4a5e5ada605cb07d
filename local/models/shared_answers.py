"""One answer for a question that is asked again.

A function waits for its model as long as it would on AWS, and asks again. A language model on two processors takes
longer than that for a long text, and more so with others before it: it would work on the question that nobody waits for
any more, and find the same one at the end of its queue. So who asks again waits for the answer at work, and one that
came too late for who asked is there for the next. At temperature 0 it is the answer that the model would give anyway.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

type Answer = dict[str, Any]

KEPT_SECONDS = 300.0  # who asks again does so within a minute or two (the state machines' longest pause)


class SharedAnswers:
    """The answers at work, and those of the last five minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Answer]] = {}
        self._came: dict[str, float] = {}  # when, in seconds of time.monotonic

    def answer(self, question: Mapping[str, Any], ask: Callable[[], Answer]) -> Answer:
        """What ``ask`` answers to ``question``, or what it did for who asked the same before.

        Raises what ``ask`` raised, for all who wait for it; who asks after that tries anew.
        """
        key = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
        mine: Future[Answer] = Future()
        with self._lock:
            self._forget_old()
            shared = self._answers.setdefault(key, mine)
        if shared is mine:
            self._ask(key, mine, ask)
        return shared.result()

    def _ask(self, key: str, future: Future[Answer], ask: Callable[[], Answer]) -> None:
        try:
            answered = ask()
        except BaseException as error:  # noqa: BLE001 - whatever it is, all who wait must hear of it
            with self._lock:
                del self._answers[key]
            future.set_exception(error)
            return
        with self._lock:
            self._came[key] = time.monotonic()
        future.set_result(answered)

    def _forget_old(self) -> None:
        now = time.monotonic()
        for key in [key for key, came in self._came.items() if now - came > KEPT_SECONDS]:
            del self._answers[key], self._came[key]
