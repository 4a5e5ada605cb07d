"""Whether each sentence of a summary is supported by the document.

A sentence is supported by a passage where two things hold. It is about what the passage says: similarity of meaning
(cosine of embeddings, against the passage's nearest sentences) and shared words, weighed together, reach a threshold.
And it brings in nothing of its own: each number, amount, percentage, date and name stands in the passage, and nothing
is turned into its opposite. The first alone would let "due within 41 days" through for "due within 14 days"; the
second alone would let through a sentence about something else.

The passages that the sentence cites are asked first; where none of them supports it, those of the document that share
most words with it. Knows no AWS: ``embed`` is an argument.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import polarity
import proper_names
import quantities
from backbone.documents import CitedSentence, JudgedSentence, Passage
from backbone.retrieval import cosine
from proper_names import KnownNames
from text_words import coverage, sentences, tokens

# Chosen on the tuning half of evaluation/documents (`make eval-documents` prints the choice and both halves' figures),
# with the embeddings of the local profiles, all-MiniLM-L6-v2. Another embedding model wants them chosen again.
SIMILARITY_WEIGHT = 0.6
SUPPORT_THRESHOLD = 0.52
# Passages that a sentence does not cite and that are asked when those it cites do not support it.
_OTHER_PASSAGES = 3
# Of each passage, so many sentences (or pairs of neighbours) are compared in meaning: each costs one embedding.
_WINDOWS_COMPARED = 3

type Vector = Sequence[float]
type Embed = Callable[[Sequence[str]], Sequence[Vector]]
"""Texts to vectors, in order; raises Retryable or Rejected."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one passage says for and against a sentence."""

    passage: str
    similarity: float
    coverage: float
    problems: tuple[str, ...]

    @property
    def support(self) -> float:
        """Similarity of meaning and shared words in one figure, 0..1."""
        return SIMILARITY_WEIGHT * self.similarity + (1 - SIMILARITY_WEIGHT) * self.coverage

    @property
    def is_support(self) -> bool:
        return not self.problems and self.support >= SUPPORT_THRESHOLD


def judge(summary: Sequence[CitedSentence], passages: Sequence[Passage], embed: Embed) -> list[JudgedSentence]:
    """The verdict on each sentence of ``summary``, in order; ``passages`` are all of the document (at least one).

    Raises what ``embed`` raises.
    """
    known_names = proper_names.names_of_document(passage.text for passage in passages)
    by_id = {passage.id: passage for passage in passages}
    texts = [sentence.text for sentence in summary]
    cited = [
        _with_all_together(text, [by_id[one] for one in sentence.passages if one in by_id])
        for text, sentence in zip(texts, summary, strict=True)
    ]
    evidence = _weigh(texts, cited, known_names, embed)
    open_ones = [number for number, found in enumerate(evidence) if not any(one.is_support for one in found)]
    others = [_most_alike(summary[number], passages) for number in open_ones]
    more = _weigh([texts[number] for number in open_ones], others, known_names, embed)
    for number, found in zip(open_ones, more, strict=True):
        evidence[number] += found
    return [_verdict(sentence, found) for sentence, found in zip(summary, evidence, strict=True)]


def weigh(statement: str, passage: Passage, known_names: KnownNames, embed: Embed) -> Evidence:
    """What one passage says for and against one statement."""
    ((evidence,),) = _weigh([statement], [[passage]], known_names, embed)
    return evidence


def _weigh(
    statements: Sequence[str], passages: Sequence[Sequence[Passage]], known_names: KnownNames, embed: Embed
) -> list[list[Evidence]]:
    """The evidence of each statement's own passages; every text is embedded once, all in one go."""
    windows = {
        (statement, passage.text): nearest_windows(statement, passage.text)
        for statement, own in zip(statements, passages, strict=True)
        for passage in own
        if not is_quoted(statement, passage.text)
    }
    texts = list(dict.fromkeys(text for (statement, _), few in windows.items() for text in (statement, *few)))
    vectors = dict(zip(texts, embed(texts) if texts else (), strict=True))
    return [
        [_evidence(statement, passage, windows.get((statement, passage.text)), vectors, known_names) for passage in own]
        for statement, own in zip(statements, passages, strict=True)
    ]


def _evidence(
    statement: str,
    passage: Passage,
    windows: Sequence[str] | None,
    vectors: dict[str, Vector],
    known_names: KnownNames,
) -> Evidence:
    if windows is None:
        return Evidence(passage.id, 1.0, 1.0, ())
    similarity, source = max((cosine(vectors[statement], vectors[window]), window) for window in windows)
    problems = (
        *quantities.missing(statement, passage.text),
        *proper_names.missing(statement, passage.text, known_names),
        *polarity.contradictions(statement, source),
    )
    return Evidence(passage.id, max(0.0, similarity), coverage(statement, passage.text), problems)


def is_quoted(statement: str, text: str) -> bool:
    """Whether the statement is whole sentences of the text, word for word: nothing is left to compare then."""
    quoted = [token.lower() for token in tokens(statement)]
    there: list[str] = []
    starts, ends = set(), set()
    for sentence in sentences(text):
        starts.add(len(there))
        there += [token.lower() for token in tokens(sentence)]
        ends.add(len(there))
    return any(there[start : start + len(quoted)] == quoted and start + len(quoted) in ends for start in starts)


def _with_all_together(statement: str, cited: Sequence[Passage]) -> list[Passage]:
    """The cited passages and, where there are several, one of all their texts: a sentence may join what two say.

    The joined one bears the id of the passage that shares most words with the statement.
    """
    if len(cited) < 2:
        return list(cited)
    nearest = max(cited, key=lambda passage: coverage(statement, passage.text))
    return [*cited, Passage(nearest.id, nearest.page, " ".join(passage.text for passage in cited))]


def nearest_windows(statement: str, text: str) -> list[str]:
    """The few sentences, or pairs of neighbours, of ``text`` that share most words with the statement."""
    singles = sentences(text) or [text]
    pairs = [f"{left} {right}" for left, right in itertools.pairwise(singles)]
    return sorted(singles + pairs, key=lambda window: -coverage(statement, window))[:_WINDOWS_COMPARED]


def _most_alike(sentence: CitedSentence, passages: Iterable[Passage]) -> list[Passage]:
    rest = [passage for passage in passages if passage.id not in sentence.passages]
    return sorted(rest, key=lambda passage: -coverage(sentence.text, passage.text))[:_OTHER_PASSAGES]


def _verdict(sentence: CitedSentence, evidence: Sequence[Evidence]) -> JudgedSentence:
    best = max(evidence, key=lambda one: (one.is_support, one.support))
    problems = tuple(f"In {best.passage}: {problem}." for problem in best.problems)
    if not best.is_support and not problems:
        problems = (f"No passage says this; the nearest is {best.passage}.",)
    return JudgedSentence(
        sentence.text, sentence.passages, best.is_support, best.passage, round(best.similarity, 4), problems
    )
