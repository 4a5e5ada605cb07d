"""Summaries beside references written by hand: what the flow writes, the first sentences, and plain TextRank.

Five documents with one reference each: indicative, no benchmark. All three systems get the same number of sentences.
The flow is the state machine's: a draft with a sentence that the check does not support is written once more, stricter;
what is unsupported then goes to a person (needs_review).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import candidates
import chunk_summary
import draft_summary
import grounding
from backbone.documents import ChunkSummary, Draft, Grounding, JudgedSentence, Passage
from backbone.summary_writing import Writer
from evaluation.documents.labelled_pairs import load_texts
from evaluation.documents.rouge import Rouge, mean, rouge
from evaluation.documents.sample_documents import SampleDocument
from grounding import Embed
from text_words import content_stems, sentences

REFERENCES = Path(__file__).parent / "references.json"
_DAMPING = 0.85
_ROUNDS = 50

type Summarise = Callable[[SampleDocument, int], Sequence[str]]


@dataclass(frozen=True, slots=True)
class SummaryQuality:
    """Mean ROUGE by system; the share of the flow's sentences that the check supports, as first drafted and as stored.

    ``for_review`` names the documents that the flow would give to a person, ``unsupported`` has the sentences why.
    """

    rouge: dict[str, Rouge]
    first_support_rate: float
    support_rate: float
    documents: int
    for_review: tuple[str, ...]
    unsupported: tuple[JudgedSentence, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The first draft, judged, and the stored one: the same where the check supported all of it."""

    first: Sequence[JudgedSentence]
    stored: Sequence[JudgedSentence]


def documents_with_references(documents: Sequence[SampleDocument]) -> list[tuple[SampleDocument, str]]:
    """The sample documents, and the text of the labelled set that has a reference too."""
    references: dict[str, str] = json.loads(REFERENCES.read_text())
    texts = [
        SampleDocument(text.name, tuple(Passage(f"p{n}", None, one) for n, one in enumerate(text.passages, 1)))
        for text in load_texts()
    ]
    return [(one, references[one.name]) for one in (*documents, *texts) if one.name in references]


def assess(pairs: Sequence[tuple[SampleDocument, str]], writer: Writer, embed: Embed) -> SummaryQuality:
    """Writes all summaries and compares them; raises what ``writer`` and ``embed`` raise."""
    figures: dict[str, list[Rouge]] = {"the flow": [], "first sentences": [], "TextRank": []}
    all_written = [(document, reference, write(document, writer, embed)) for document, reference in pairs]
    for document, reference, written in all_written:
        own, count = [one.text for one in written.stored], len(written.stored)
        figures["the flow"].append(rouge(" ".join(own), reference))
        figures["first sentences"].append(rouge(" ".join(_prose(document)[:count]), reference))
        figures["TextRank"].append(rouge(" ".join(text_rank(_prose(document), count)), reference))
    unsupported = [one for _, _, written in all_written for one in written.stored if not one.supported]
    return SummaryQuality(
        {system: mean(some) for system, some in figures.items()},
        _support_rate([one for _, _, written in all_written for one in written.first]),
        _support_rate([one for _, _, written in all_written for one in written.stored]),
        len(pairs),
        tuple(document.name for document, _, written in all_written if _support_rate(written.stored) < 1),
        tuple(unsupported),
    )


def write(document: SampleDocument, writer: Writer, embed: Embed) -> Written:
    """The document's summary by the functions' own code, in the state machine's order."""
    summaries = [chunk_summary.summarize(chunk, writer)[0] for chunk in document.chunks()]
    draft = _first_draft(document, summaries, writer)
    first = grounding.judge(draft.sentences, document.passages, embed)
    if _support_rate(first) == 1:
        return Written(first, first)
    checked = Grounding(document.name, 1, _support_rate(first), tuple(first))
    stricter = candidates.strict_candidates(summaries, checked, document.passages)
    second, _ = draft_summary.write_draft(document.name, 2, stricter, draft.model, writer)
    return Written(first, grounding.judge(second.sentences, document.passages, embed))


def _first_draft(document: SampleDocument, summaries: Sequence[ChunkSummary], writer: Writer) -> Draft:
    if len(summaries) == 1:
        return draft_summary.draft_of_one(summaries[0])
    used = draft_summary.total_use([summary.model for summary in summaries])
    draft, _ = draft_summary.write_draft(document.name, 1, candidates.first_candidates(summaries), used, writer)
    return draft


def _support_rate(judged: Sequence[JudgedSentence]) -> float:
    return sum(one.supported for one in judged) / len(judged)


def text_rank(texts: Sequence[str], count: int) -> list[str]:
    """The ``count`` sentences that share most words with sentences that do, in the text's order.

    Source: Mihalcea and Tarau, "TextRank: Bringing Order into Texts" (2004), section 4.
    """
    words = [set(content_stems(text)) for text in texts]
    shared = np.array([[0.0 if one is other else float(len(one & other)) for other in words] for one in words])
    lengths = np.log([max(2, len(one)) for one in words])
    weights = shared / (lengths[:, None] + lengths[None, :])
    totals = weights.sum(axis=1, keepdims=True)
    steps = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
    worth = np.full(len(texts), 1 / len(texts))
    for _ in range(_ROUNDS):
        worth = (1 - _DAMPING) / len(texts) + _DAMPING * steps.T @ worth
    return [texts[number] for number in sorted(np.argsort(-worth, kind="stable")[:count])]


def _prose(document: SampleDocument) -> list[str]:
    """The document's sentences without headings and rows of tables."""
    return [one for passage in document.passages for one in sentences(passage.text) if one[-1] in '.!?"']
