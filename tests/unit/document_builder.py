"""Documents on their way through the flow, as its steps leave them in the bucket; and models in memory."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backbone.documents import (
    Chunk,
    ChunkSummary,
    CitedSentence,
    DocumentBucket,
    Draft,
    Grounding,
    JudgedSentence,
    ModelUse,
    Passage,
    SourceDocument,
    chunk_key,
    chunk_summary_key,
    draft_key,
    grounding_key,
    passages_key,
)
from backbone.model import Answer, Tool
from text_words import content_stems

DOCUMENT = "DOC-SAMPLE-1"
MODEL = "amazon.nova-lite-v1:0"
DIMENSIONS = 64
TEXTS = (
    "The loan is EUR 12,000 and is repaid in 24 monthly instalments from 1 March 2026.",
    "Interest is 4.5% a year. The lender may not raise it before the loan has been repaid.",
    "Ingrid Solheim signed the contract for Norrland Bank in Stennick on 14 January 2026.",
)


def passages_of(*texts: str) -> tuple[Passage, ...]:
    """p1, p2, ... two to a page."""
    return tuple(Passage(f"p{number}", (number + 1) // 2, text) for number, text in enumerate(texts, 1))


def a_document(*texts: str, pages: int | None = 2) -> SourceDocument:
    """A document with these passages, or three about a loan."""
    passages = passages_of(*(texts or TEXTS))
    return SourceDocument(DOCUMENT, "contract.pdf", "application/pdf", "Contract", pages, passages, "en")


def cited(text: str, *passages: str) -> CitedSentence:
    return CitedSentence(text, passages)


def judged(text: str, *passages: str, supported: bool = True, passage: str = "") -> JudgedSentence:
    problems = () if supported else ("It is not there.",)
    return JudgedSentence(text, passages, supported, passage or passages[0], 0.8, problems)


def a_use(input_tokens: int = 100, output_tokens: int = 20) -> ModelUse:
    return ModelUse(MODEL, None, input_tokens, output_tokens)


def a_chunk_summary(chunk: int, *sentences: CitedSentence) -> ChunkSummary:
    return ChunkSummary(DOCUMENT, chunk, sentences, a_use())


def a_grounding(*sentences: JudgedSentence, attempt: int = 1) -> Grounding:
    supported = sum(sentence.supported for sentence in sentences)
    return Grounding(DOCUMENT, attempt, round(supported / len(sentences), 4), sentences)


@dataclass
class FakeModel:
    """Answers ``answers`` in turn (a dict, or an exception to raise); keeps what it was asked. Embeds words by hash."""

    answers: list[Any] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)
    refuses_to_embed: Exception | None = None

    def generate(self, *, tool: Tool, system: str, text: str, max_tokens: int) -> Answer:
        self.asked.append({"tool": tool, "system": system, "text": text, "max_tokens": max_tokens})
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, 1_000, 50, MODEL, "tool_use")

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self.refuses_to_embed:
            raise self.refuses_to_embed
        self.embedded += texts
        return [word_vector(text) for text in texts]


def says(*sentences: CitedSentence) -> dict[str, Any]:
    """What a model hands in for these sentences."""
    return {"sentences": [{"text": one.text, "passages": list(one.passages)} for one in sentences]}


def word_vector(text: str) -> list[float]:
    """A vector in which each content word has a place: texts with the same words are near each other."""
    vector = [0.01] * DIMENSIONS
    for word in content_stems(text):
        vector[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    return vector


@dataclass(frozen=True)
class Workplace:
    """The documents bucket, filled step by step."""

    bucket: DocumentBucket

    def extracted(self, document: SourceDocument, chunks: Sequence[Sequence[Passage]] = ()) -> None:
        """What extract_text leaves: passages and chunks (by default one)."""
        self.bucket.write(passages_key(document.document_id), document)
        for number, passages in enumerate(chunks or [document.passages], 1):
            chunk = Chunk(document.document_id, number, tuple(passages))
            self.bucket.write(chunk_key(document.document_id, number), chunk)

    def summarized(self, *summaries: ChunkSummary) -> None:
        for summary in summaries:
            self.bucket.write(chunk_summary_key(DOCUMENT, summary.chunk), summary)

    def drafted(self, *sentences: CitedSentence, attempt: int = 1) -> None:
        self.bucket.write(draft_key(DOCUMENT, attempt), Draft(DOCUMENT, attempt, sentences, a_use(500, 80)))

    def checked(self, *sentences: JudgedSentence, attempt: int = 1) -> None:
        self.bucket.write(grounding_key(DOCUMENT, attempt), a_grounding(*sentences, attempt=attempt))


def workplace(client: Callable[[str], Any]) -> Workplace:
    """The bucket that the functions under test are told of."""
    return Workplace(DocumentBucket(client("s3"), "documents"))
