"""Frames of an answer, in whatever order and however often they come."""

from hypothesis import given
from hypothesis import strategies as st

from local.chat_answers import Frame, TurnFrames


def delta(sequence: int, text: str | None = None) -> Frame:
    return {"type": "delta", "sequence": sequence, "text": f"{sequence} " if text is None else text}


@given(st.permutations([*range(1, 9), *range(1, 9), 3, 3]))
def test_text_is_the_same_when_frames_come_in_any_order_and_twice(order: list[int]) -> None:
    turn = TurnFrames()

    told = [frame for sequence in order for frame in turn.take(delta(sequence))]

    assert turn.text == "1 2 3 4 5 6 7 8 "
    assert told == turn.ordered
    assert not turn.has_gap


def test_frame_that_comes_early_waits_for_the_missing_one() -> None:
    turn = TurnFrames()
    turn.take(delta(1))

    assert turn.take(delta(3)) == []
    assert (turn.text, turn.has_gap, turn.last_sequence) == ("1 ", True, 1)
    assert [frame["sequence"] for frame in turn.take(delta(2))] == [2, 3]
    assert not turn.has_gap


def test_restart_throws_away_what_came_before_it_and_what_is_missing_before_it() -> None:
    turn = TurnFrames()
    for frame in (delta(1, "half an ans"), delta(4, "lost"), delta(8, "whole")):
        turn.take(frame)

    told = turn.take({"type": "restart", "sequence": 7})

    assert [frame["sequence"] for frame in told] == [7, 8]
    assert (turn.text, turn.has_gap) == ("whole", False)
    assert turn.take(delta(5, "late")) == []
    assert turn.text == "whole"


def test_answer_is_whole_when_done_has_come_in_its_place() -> None:
    turn = TurnFrames()
    turn.take({"type": "done", "sequence": 2})
    assert not turn.is_whole
    turn.take(delta(1))
    assert turn.is_whole
