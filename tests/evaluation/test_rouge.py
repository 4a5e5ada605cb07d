"""ROUGE as its paper defines it: worked examples, and what holds for any two texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.documents.rouge import Rouge, mean, rouge

words = st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join)


def test_the_papers_example_for_the_longest_common_subsequence() -> None:
    """Lin 2004, section 3.1: ROUGE-L of 3/4 for the first candidate, 2/4 for the second, both of ROUGE-2 1/3."""
    reference = "police killed the gunman"
    first, second = rouge("police kill the gunman", reference), rouge("the gunman kill police", reference)
    assert [first.longest, second.longest] == pytest.approx([3 / 4, 2 / 4])
    assert first.two == second.two == pytest.approx(1 / 3)
    assert first.one == pytest.approx(3 / 4)


def test_a_word_counts_as_often_as_both_have_it() -> None:
    assert rouge("the the the", "the cat").one == pytest.approx(2 * 1 / (3 + 2))


def test_case_and_punctuation_say_nothing() -> None:
    assert rouge("The Cat, sat!", "the cat sat") == Rouge(1.0, 1.0, 1.0)


def test_nothing_shared_is_nothing() -> None:
    assert rouge("a b", "c d") == rouge("", "c d") == rouge("a", "") == Rouge(0.0, 0.0, 0.0)


@given(words, words)
def test_figures_are_shares_and_do_not_depend_on_which_text_comes_first(one: str, other: str) -> None:
    figures = rouge(one, other)
    assert figures == rouge(other, one)
    assert all(0.0 <= figure <= 1.0 for figure in (figures.one, figures.two, figures.longest))
    assert figures.longest <= figures.one


def test_the_mean_is_taken_of_each_figure() -> None:
    assert mean([Rouge(1.0, 0.5, 0.0), Rouge(0.0, 0.5, 1.0)]) == Rouge(0.5, 0.5, 0.5)
