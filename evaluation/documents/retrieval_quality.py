"""How often the passage that answers a question is among the three that are found, beside a search by words alone."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from backbone.documents import Passage
from backbone.retrieval import Index, build_index, search
from evaluation.documents.sample_documents import SampleDocument
from grounding import Embed
from text_words import content_stems

QUESTIONS = Path(__file__).parent / "questions.json"
TOP = 3

type Find = Callable[[str], Sequence[Passage]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question and words that stand in the one passage that answers it."""

    question: str
    document: str
    answer: str


@dataclass(frozen=True, slots=True)
class RetrievalQuality:
    """``hit_rate``: answers among the first three. ``mean_reciprocal_rank`` of the first, 0 where none of the three."""

    hit_rate: float
    mean_reciprocal_rank: float
    missed: tuple[str, ...]


def load_questions() -> list[Question]:
    return [Question(**said) for said in json.loads(QUESTIONS.read_text())]


def by_meaning(documents: Sequence[SampleDocument], embed: Embed) -> Find:
    """The functions' own search, over all documents at once."""
    indexes: list[Index] = [
        build_index(
            document.passages,
            embed([passage.text for passage in document.passages]),
            document_id=document.name,
            customer_id="evaluation",
            file_name=document.name,
            model="evaluation",
        )
        for document in documents
    ]
    return lambda question: [hit.passage for hit in search(embed([question])[0], indexes, TOP)]


def by_words(documents: Sequence[SampleDocument]) -> Find:
    """The baseline: shared words, rare ones weighing more (inverse document frequency)."""
    passages = [passage for document in documents for passage in document.passages]
    words = [set(content_stems(passage.text)) for passage in passages]
    frequency = Counter(word for some in words for word in some)

    def find(question: str) -> Sequence[Passage]:
        wanted = set(content_stems(question))
        worth = [
            sum(math.log(len(passages) / frequency[word]) for word in wanted & some) / math.sqrt(len(some) or 1)
            for some in words
        ]
        best = sorted(range(len(passages)), key=lambda number: -worth[number])
        return [passages[number] for number in best[:TOP]]

    return find


def assess(questions: Sequence[Question], find: Find) -> RetrievalQuality:
    """How well ``find`` does."""
    ranks = [(question, _rank(question, find(question.question))) for question in questions]
    found = [1 / rank for _, rank in ranks if rank]
    return RetrievalQuality(
        len(found) / len(questions),
        sum(found) / len(questions),
        tuple(question.question for question, rank in ranks if not rank),
    )


def _rank(question: Question, passages: Sequence[Passage]) -> int:
    """The place, from 1, of the first passage that has the answer; 0 where none has."""
    answers = (number for number, one in enumerate(passages, 1) if question.answer in " ".join(one.text.split()))
    return next(answers, 0)
