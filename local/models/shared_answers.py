"""One answer for a question that is asked again.

A function waits for its model as long as it would on AWS, and asks again. A language model on two processors takes
longer than that for a long text, and more so with others before it: it would work on the question that nobody waits for
any more, and find the same one at the end of its queue. So who asks again waits for the answer at work, or is told a
stream from its beginning, and one that came too late for who asked is there for the next. At temperature 0 it is the
answer that the model would give anyway.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

type Answer = dict[str, Any]

KEPT_SECONDS = 300.0  # who asks again does so within a minute or two (the state machines' longest pause)


@dataclass(slots=True)
class _Stream:
    """What came of a stream so far, for all who follow it. ``failure`` ended it before its end."""

    chunks: list[Answer] = field(default_factory=list)
    is_over: bool = False
    failure: BaseException | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, chunk: Answer) -> None:
        with self.changed:
            self.chunks.append(chunk)
            self.changed.notify_all()

    def end(self, failure: BaseException | None = None) -> None:
        with self.changed:
            self.is_over, self.failure = True, failure
            self.changed.notify_all()

    def follow(self) -> Iterator[Answer]:
        """The chunks from the first on, as they come; raises what ended the stream before its end."""
        told = 0
        while True:
            with self.changed:
                while len(self.chunks) == told and not self.is_over:
                    self.changed.wait()
                newly = self.chunks[told:]
            if not newly:
                break
            yield from newly
            told += len(newly)
        if self.failure:
            raise self.failure


class SharedAnswers:
    """The answers at work, and those of the last five minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Answer] | _Stream] = {}
        self._came: dict[str, float] = {}  # when, in seconds of time.monotonic

    def answer(self, question: Mapping[str, Any], ask: Callable[[], Answer]) -> Answer:
        """What ``ask`` answers to ``question``, or what it did for who asked the same before.

        Raises what ``ask`` raised, for all who wait for it; who asks after that tries anew.
        """
        mine: Future[Answer] = Future()
        key, shared = self._shared(f"whole {_text(question)}", mine)
        if shared is mine:
            self._ask(key, mine, ask)
        return shared.result()

    def stream(self, question: Mapping[str, Any], ask: Callable[[], Iterator[Answer]]) -> Iterator[Answer]:
        """The chunks of ``ask`` as they come; from the first on also for who asks the same while it is at work, or was.

        It goes on to its end when nobody listens any more: who hung up is about to ask again. Raises as ``answer``.
        """
        mine = _Stream()
        key, shared = self._shared(f"streamed {_text(question)}", mine)
        if shared is mine:
            threading.Thread(target=self._pass_on, args=(key, mine, ask), daemon=True).start()
        return shared.follow()

    def _shared[Kind: (Future[Answer], _Stream)](self, asked: str, mine: Kind) -> tuple[str, Kind]:
        """The key of a question, and the answer to it that is at work or there: ``mine`` if there is none."""
        key = hashlib.sha256(asked.encode()).hexdigest()
        with self._lock:
            self._forget_old()
            shared: Any = self._answers.setdefault(key, mine)
        return key, shared

    def _ask(self, key: str, future: Future[Answer], ask: Callable[[], Answer]) -> None:
        try:
            answered = ask()
        except BaseException as error:  # noqa: BLE001 - whatever it is, all who wait must hear of it
            self._forget(key)
            future.set_exception(error)
            return
        self._keep(key)
        future.set_result(answered)

    def _pass_on(self, key: str, stream: _Stream, ask: Callable[[], Iterator[Answer]]) -> None:
        try:
            for chunk in ask():
                stream.take(chunk)
        except BaseException as error:  # noqa: BLE001 - as in _ask
            self._forget(key)
            stream.end(error)
            return
        self._keep(key)
        stream.end()

    def _keep(self, key: str) -> None:
        with self._lock:
            self._came[key] = time.monotonic()

    def _forget(self, key: str) -> None:
        with self._lock:
            del self._answers[key]

    def _forget_old(self) -> None:
        now = time.monotonic()
        for key in [key for key, came in self._came.items() if now - came > KEPT_SECONDS]:
            del self._answers[key], self._came[key]


def _text(question: Mapping[str, Any]) -> str:
    return json.dumps(question, sort_keys=True)
