"""Summaries beside references written by hand: what the flow writes, the first sentences, and plain TextRank.

Five documents with one reference each: indicative, no benchmark. All three systems get the same number of sentences.
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
from backbone.documents import CitedSentence, Passage
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
    """Mean ROUGE by system, and the share of the flow's sentences that the check supports."""

    rouge: dict[str, Rouge]
    support_rate: float
    documents: int


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
    supported: list[bool] = []
    for document, reference in pairs:
        own = write(document, writer)
        supported += [one.supported for one in grounding.judge(own, document.passages, embed)]
        figures["the flow"].append(rouge(" ".join(one.text for one in own), reference))
        figures["first sentences"].append(rouge(" ".join(_prose(document)[: len(own)]), reference))
        figures["TextRank"].append(rouge(" ".join(text_rank(_prose(document), len(own))), reference))
    return SummaryQuality(
        {system: mean(some) for system, some in figures.items()}, sum(supported) / len(supported), len(pairs)
    )


def write(document: SampleDocument, writer: Writer) -> Sequence[CitedSentence]:
    """The document's summary by the functions' own code."""
    summaries = [chunk_summary.summarize(chunk, writer)[0] for chunk in document.chunks()]
    if len(summaries) == 1:
        return summaries[0].sentences
    used = draft_summary.total_use([summary.model for summary in summaries])
    draft, _ = draft_summary.write_draft(document.name, 1, candidates.first_candidates(summaries), used, writer)
    return draft.sentences


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
