"""The labelled set: large enough, both labels, no text in both halves, the same every time."""

import random
from collections import Counter

import pytest

from evaluation.documents.corruptions import change_number, negate, swap_name
from evaluation.documents.labelled_pairs import Pair, halves, load_texts, pairs_of

TUNING, TEST = halves()


def test_there_are_more_than_two_hundred_pairs_and_a_half_each() -> None:
    assert len(TUNING) + len(TEST) >= 200
    assert min(len(TUNING), len(TEST)) >= 100


@pytest.mark.parametrize("half", [TUNING, TEST], ids=["tuning", "test"])
def test_each_half_has_every_kind_of_pair_and_both_labels(half: list[Pair]) -> None:
    kinds = Counter(pair.kind for pair in half)
    assert kinds.keys() == {
        "paraphrase",
        "number changed",
        "name swapped",
        "negated",
        "of another passage",
        "invented",
    }
    assert min(kinds.values()) >= 10
    assert 0.3 < sum(pair.supported for pair in half) / len(half) < 0.7


def test_no_text_is_in_both_halves() -> None:
    assert not {pair.text for pair in TUNING} & {pair.text for pair in TEST}


def test_the_pairs_are_the_same_every_time() -> None:
    for text in load_texts():
        assert list(pairs_of(text)) == list(pairs_of(text))


def test_no_unsupported_statement_is_also_a_true_one_of_its_passage() -> None:
    true = {(pair.statement, pair.passage) for pair in TUNING + TEST if pair.supported}
    false = {(pair.statement, pair.passage) for pair in TUNING + TEST if not pair.supported}
    assert not true & false


def test_each_text_has_invented_statements_for_passages_that_it_has() -> None:
    for text in load_texts():
        assert 1 <= len(text.invented) <= len(text.passages)
        assert all(text.statements)


# ---- corruptions


def a_chance() -> random.Random:
    return random.Random(1)  # noqa: S311 - repeatable, keeps no secret


def test_a_number_becomes_another_number() -> None:
    chance = a_chance()
    changed = {change_number("It cost 1,200 in twelve days.", (), chance) for _ in range(50)}
    assert "It cost 1,200 in twelve days." not in changed
    assert len(changed) > 5
    assert change_number("Nothing to count.", (), chance) is None


def test_a_name_becomes_one_that_the_document_has_elsewhere() -> None:
    chance = a_chance()
    assert swap_name("The bank met Solheim there.", ["Lindqvist"], chance) == "The bank met Lindqvist there."
    assert swap_name("The bank met her there.", ["Lindqvist"], chance) is None
    assert swap_name("The bank met Solheim there.", ["Solheim"], chance) is None


@pytest.mark.parametrize(
    ("statement", "turned"),
    [
        ("The fee is charged.", "The fee is not charged."),
        ("The fee may not be raised.", "The fee may be raised."),
        ("Nobody may vote twice.", "Everybody may vote twice."),
        ("The book had no pictures.", "The book had pictures."),
        ("It tests whether a nation can endure.", None),
        ("Ships sail.", None),
    ],
)
def test_a_statement_is_turned_round(statement: str, turned: str | None) -> None:
    assert negate(statement, (), a_chance()) == turned
