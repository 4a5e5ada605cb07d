"""The shorthand of chats, written out before anything is read."""

import pytest

from local.models.spelling import spelled


@pytest.mark.parametrize(
    ("said", "written_out"),
    [
        ("y did u stop TX-1 n is ur app ok", "why did you stop TX-1 and is your app ok"),
        ("cards + payments", "cards and payments"),
        ("card N-26 and a/n 5", "card N-26 and a/n 5"),
        ("option y", "option y"),
    ],
)
def test_shorthand_is_written_out_where_it_is_a_word_of_its_own(said: str, written_out: str) -> None:
    assert spelled(said, lambda _: True) == written_out
