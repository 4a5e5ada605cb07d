"""What a document's summary may be written from: the sentences of its chunks' summaries, in order.

The second attempt is stricter. What led to a sentence that the check could not support is taken out, and the passages
that it was to come from stand there instead, to be quoted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backbone.documents import ChunkSummary, CitedSentence, Grounding, Passage
from backbone.summary_writing import Source

# Some 15,000 tokens: a document of 500 pages has 100 chunks with 800 sentences, more than the last step should weigh.
MAXIMUM_CHARACTERS = 60_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text to write from, and the passages of the document that stand behind it."""

    text: str
    passages: tuple[str, ...]


def first_candidates(summaries: Sequence[ChunkSummary]) -> list[Candidate]:
    """All sentences of the chunks' summaries in order; of a very long document the first ones of each chunk."""
    return within_bound([[_candidate(sentence) for sentence in summary.sentences] for summary in summaries])


def strict_candidates(
    summaries: Sequence[ChunkSummary], grounding: Grounding, passages: Iterable[Passage]
) -> list[Candidate]:
    """As ``first_candidates``, without what led to unsupported sentences but with the passages that these cite."""
    doubtful = {cited for judged in grounding.sentences if not judged.supported for cited in judged.passages}
    refuted = {_normal(judged.text) for judged in grounding.sentences if not judged.supported}
    quotable = [Candidate(passage.text, (passage.id,)) for passage in passages if passage.id in doubtful]
    kept = [
        [
            _candidate(sentence)
            for sentence in summary.sentences
            if _normal(sentence.text) not in refuted and not set(sentence.passages) <= doubtful
        ]
        for summary in summaries
    ]
    return within_bound([quotable, *kept])


def within_bound(groups: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """As many candidates as MAXIMUM_CHARACTERS allow, the first of each group before the second of any, in order."""
    by_rank = sorted(
        ((rank, group, candidate) for group, many in enumerate(groups) for rank, candidate in enumerate(many)),
        key=lambda one: one[:2],
    )
    taken: list[tuple[int, int, Candidate]] = []
    characters = 0
    for rank, group, candidate in by_rank:
        characters += len(candidate.text)
        if characters > MAXIMUM_CHARACTERS:
            break
        taken.append((group, rank, candidate))
    return [candidate for _, _, candidate in sorted(taken, key=lambda one: one[:2])]


def sources_of(candidates: Sequence[Candidate]) -> list[Source]:
    """The candidates as the model sees them: c1, c2, ..."""
    return [Source(f"c{number}", candidate.text) for number, candidate in enumerate(candidates, 1)]


def resolved(sentence: CitedSentence, candidates: Sequence[Candidate]) -> CitedSentence:
    """The sentence with the document's passages in place of the candidates' ids."""
    cited = [passage for one in sentence.passages for passage in candidates[int(one[1:]) - 1].passages]
    return CitedSentence(sentence.text, tuple(dict.fromkeys(cited)))


def _candidate(sentence: CitedSentence) -> Candidate:
    return Candidate(sentence.text, sentence.passages)


def _normal(text: str) -> str:
    return " ".join(text.lower().split())
