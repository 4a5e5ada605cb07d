"""ROUGE-1, ROUGE-2 and ROUGE-L: how much of a reference a summary has, in words, pairs of words, and their order.

Source: Chin-Yew Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), sections 2 and 3.1. F1 of
precision and recall (the paper's beta = 1), words in small letters, no stemming, no stop words taken out.
"""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Rouge:
    """The three figures, each 0..1."""

    one: float
    two: float
    longest: float


def rouge(summary: str, reference: str) -> Rouge:
    """The figures of ``summary`` against one ``reference``; 0 where either has no words."""
    words, reference_words = _WORD.findall(summary.lower()), _WORD.findall(reference.lower())
    return Rouge(
        _f1_of_counts(Counter(words), Counter(reference_words)),
        _f1_of_counts(Counter(itertools.pairwise(words)), Counter(itertools.pairwise(reference_words))),
        _f1(_longest_common(words, reference_words), len(words), len(reference_words)),
    )


def mean(figures: Sequence[Rouge]) -> Rouge:
    """The mean of each figure (at least one)."""
    count = len(figures)
    return Rouge(
        sum(one.one for one in figures) / count,
        sum(one.two for one in figures) / count,
        sum(one.longest for one in figures) / count,
    )


def _f1_of_counts[Item](said: Counter[Item], wanted: Counter[Item]) -> float:
    return _f1((said & wanted).total(), said.total(), wanted.total())


def _f1(common: int, said: int, wanted: int) -> float:
    return 2 * common / (said + wanted) if common else 0.0


def _longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest common subsequence, row by row (Wagner and Fischer)."""
    row = [0] * (len(right) + 1)
    for word in left:
        above = row
        row = [0]
        for position, other in enumerate(right, 1):
            row.append(above[position - 1] + 1 if word == other else max(above[position], row[-1]))
    return row[-1]
