"""A question that is asked again while it is being answered is answered once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.models import shared_answers
from local.models.openai_client import AwayError
from local.models.shared_answers import SharedAnswers

QUESTION = {"messages": [{"role": "user", "content": "Hello"}], "temperature": 0}


def never() -> dict[str, Any]:
    raise AssertionError("asked although the answer was there or at work")


def test_question_that_is_asked_again_while_at_work_gets_the_one_answer() -> None:
    shared, asked, finish = SharedAnswers(), threading.Event(), threading.Event()

    def slowly() -> dict[str, Any]:
        asked.set()
        assert finish.wait(10)
        return {"said": "Hi"}

    with ThreadPoolExecutor(2) as people:
        first = people.submit(shared.answer, QUESTION, slowly)
        assert asked.wait(10)
        again = people.submit(shared.answer, dict(reversed(QUESTION.items())), never)
        finish.set()
        assert first.result(10) == again.result(10) == {"said": "Hi"}


def test_answer_that_came_too_late_for_who_asked_is_there_for_the_next() -> None:
    shared = SharedAnswers()
    shared.answer(QUESTION, lambda: {"said": "Hi"})
    assert shared.answer(QUESTION, never) == {"said": "Hi"}


def test_another_question_is_asked() -> None:
    shared = SharedAnswers()
    shared.answer(QUESTION, lambda: {"said": "Hi"})
    assert shared.answer({**QUESTION, "max_tokens": 5}, lambda: {"said": "Yes?"}) == {"said": "Yes?"}


def test_failure_is_told_and_not_kept() -> None:
    shared = SharedAnswers()

    def fail() -> dict[str, Any]:
        raise AwayError("not there")

    with pytest.raises(AwayError, match="not there"):
        shared.answer(QUESTION, fail)
    assert shared.answer(QUESTION, lambda: {"said": "Hi"}) == {"said": "Hi"}


def test_answer_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedAnswers()
    shared.answer(QUESTION, lambda: {"said": "Hi"})
    monkeypatch.setattr(shared_answers, "KEPT_SECONDS", -1.0)
    assert shared.answer(QUESTION, lambda: {"said": "Good evening"}) == {"said": "Good evening"}


def test_stream_that_is_asked_for_again_while_at_work_is_told_from_its_beginning() -> None:
    shared, finish = SharedAnswers(), threading.Event()

    def slowly() -> Iterator[dict[str, Any]]:
        yield {"said": "Good "}
        assert finish.wait(10)
        yield {"said": "morning"}

    first = shared.stream(QUESTION, slowly)
    assert next(first) == {"said": "Good "}
    again = shared.stream(QUESTION, never_streamed)
    assert next(again) == {"said": "Good "}
    finish.set()
    assert list(first) == list(again) == [{"said": "morning"}]


def never_streamed() -> Iterator[dict[str, Any]]:
    yield never()


def test_stream_goes_on_where_nobody_listens_and_is_there_for_the_next() -> None:
    shared, is_over = SharedAnswers(), threading.Event()

    def stream() -> Iterator[dict[str, Any]]:
        yield {"said": "Good "}
        yield {"said": "morning"}
        is_over.set()

    assert next(shared.stream(QUESTION, stream)) == {"said": "Good "}
    assert is_over.wait(10)
    assert list(shared.stream(QUESTION, never_streamed)) == [{"said": "Good "}, {"said": "morning"}]


def test_stream_and_whole_answer_to_one_question_are_two() -> None:
    shared = SharedAnswers()
    shared.answer(QUESTION, lambda: {"said": "Hi"})
    assert list(shared.stream(QUESTION, lambda: iter([{"said": "Hello"}]))) == [{"said": "Hello"}]


def test_stream_that_fails_tells_what_came_and_why_it_ended_and_is_not_kept() -> None:
    shared = SharedAnswers()

    def fail() -> Iterator[dict[str, Any]]:
        yield {"said": "Good "}
        raise AwayError("went away")

    told = shared.stream(QUESTION, fail)
    assert next(told) == {"said": "Good "}
    with pytest.raises(AwayError, match="went away"):
        next(told)
    assert list(shared.stream(QUESTION, lambda: iter([{"said": "Hi"}]))) == [{"said": "Hi"}]
