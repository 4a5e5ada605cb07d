"""A small model's answer ends where it begins to say itself over again, and nothing else of it is lost."""

import json
from collections.abc import Generator, Sequence
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.models.openai_client import BrokenError
from local.models.repetition import until_repeated, whole

SCORE, FAR, FLAGGED = "The score of TX-1 is 0.877.", "It was 1,713 km away.", 'It was "flagged" \U0001f44b.'
TIMINGS = {"cache_n": 700, "prompt_n": 300}


class Server:
    """Streams ``written`` a few characters at a time, as llama.cpp does, until it is hung up on."""

    def __init__(self, written: str, size: int = 3, timings: dict[str, int] | None = TIMINGS) -> None:
        self.pieces = [written[begin : begin + size] for begin in range(0, len(written), size)]
        self.timings = timings
        self.sent = 0
        self.was_hung_up_on = True

    def chunks(self) -> Generator[dict[str, Any]]:
        for piece in self.pieces:
            self.sent += 1
            timings = {"timings": {**self.timings, "predicted_n": self.sent}} if self.timings else {}
            yield {"choices": [{"delta": {"content": piece}, "finish_reason": None}], **timings}
        yield {"choices": [{"delta": {}, "finish_reason": "stop"}]}
        yield {"choices": [], "usage": {"prompt_tokens": 1_000, "completion_tokens": self.sent}}
        self.was_hung_up_on = False


def answer_of(sentences: Sequence[str], size: int = 3, between: str = " ") -> tuple[str, Server]:
    """The answer as it is told, where the model writes ``sentences``."""
    server = Server(json.dumps({"answer": between.join(sentences)}), size)
    told = whole(until_repeated(server.chunks()))
    answer: str = json.loads(told["choices"][0]["message"]["content"])["answer"]
    assert told["usage"]["completion_tokens"] == server.sent
    assert told["usage"]["prompt_tokens"] == 1_000
    return answer, server


@pytest.mark.parametrize("size", [1, 3, 40])
@pytest.mark.parametrize(
    ("loop", "between"),
    [
        *product([[SCORE], [SCORE, FAR], [FLAGGED, SCORE, FAR]], [" ", "\n", "\n\n"]),
        (["- a card", "- another card"], "\n"),
    ],
)
def test_answer_ends_before_it_is_said_again_and_the_model_is_stopped(loop: list[str], size: int, between: str) -> None:
    answer, server = answer_of(["At first.", *loop * 20], size, between)
    assert answer.strip() == between.join(["At first.", *loop])
    assert server.was_hung_up_on
    assert server.sent * size < len(json.dumps(between.join(["At first.", *loop * 3]))) + 3 * size


@pytest.mark.parametrize(
    "sentences",
    [
        [],
        [SCORE],
        [SCORE, FAR, FLAGGED],
        [SCORE, FAR, FLAGGED, FAR],  # a part comes again, and goes on otherwise or ends
        [SCORE, FAR, FLAGGED, FAR, SCORE],
        [SCORE, FAR, SCORE],
        ["TX-1 was at TERM-1.", "It was fine.", "TX-2 was at TERM-1.", "It was fine.", "TX-3 was at TERM-1."],
        ["1. A card.", "2. A card.", "3. A card."],
    ],
)
def test_answer_that_does_not_say_itself_again_is_told_as_it_is(sentences: list[str]) -> None:
    answer, server = answer_of(sentences)
    assert answer == " ".join(sentences)
    assert not server.was_hung_up_on


def test_what_may_come_again_is_kept_back_only_until_it_is_known() -> None:
    written = json.dumps({"answer": f"{SCORE} {FAR} {SCORE} {FLAGGED}"})
    told = ["".join(str(one["delta"].get("content") or "") for one in chunk["choices"]) for chunk in _told(written)]
    so_far = ["".join(told[:number]) for number in range(1, len(told) + 1)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(so_far))
    begun = written.index(SCORE, len(SCORE) + 14)
    assert any(len(one) == begun for one in so_far)  # kept back here,
    assert so_far[-1] == written  # and told after all


def _told(written: str) -> list[dict[str, Any]]:
    return list(until_repeated(Server(written, size=1).chunks()))


def test_call_of_a_tool_is_passed_on_as_it_comes() -> None:
    written = json.dumps({"tool": "search_documents", "arguments": {"question": "Fee. Fee. Fee. Fee. Fee."}})
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in _told(written)[:-1]) == written


def test_server_that_does_not_tell_what_it_took_is_broken() -> None:
    server = Server(json.dumps({"answer": f"{SCORE} " * 5}), timings=None)
    with pytest.raises(BrokenError, match="does not tell what it took"):
        whole(until_repeated(server.chunks()))
    with pytest.raises(BrokenError, match="did not tell its usage"):
        whole(iter([{"choices": [{"delta": {"content": "{}"}, "finish_reason": "stop"}]}]))


@given(
    sentences=st.lists(
        st.sampled_from(["A.", "B!", "Is it C?", "D\\", "\u00e9\n", '"E" costs 1.50 EUR.']), max_size=12
    ),
    size=st.integers(1, 7),
)
@example(sentences=["D\\", "D\\", "D\\"], size=1)
def test_what_is_told_is_a_beginning_of_what_the_model_writes(sentences: list[str], size: int) -> None:
    answer, server = answer_of(sentences, size)
    whole_answer = " ".join(sentences)
    assert whole_answer.startswith(answer.rstrip())
    assert server.was_hung_up_on or answer.rstrip() == whole_answer.rstrip()
