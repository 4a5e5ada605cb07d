"""Searches a customer's documents by a knowledge base, however many there are.

How near a passage is, is computed here by the model that the threshold was chosen with: what the score of a knowledge
base means depends on its store.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from backbone.knowledge_base import FoundPassage
from backbone.retrieval import Hit, cosine
from document_tools import MINIMUM_SIMILARITY, PASSAGES_FOUND, Embed, Found, StoredDocument


class Passages(Protocol):
    """The knowledge base. Raises Retryable where it cannot now, Rejected where it never will."""

    def nearest(self, question: str, *, customer_id: str, now: float, at_most: int) -> list[FoundPassage]: ...


@dataclass(frozen=True, slots=True)
class KnowledgeBaseSearch:
    """Searches ``passages``; ``clock`` is the time in epoch seconds."""

    passages: Passages
    embed: Embed
    clock: Callable[[], float]

    def nearest(self, customer_id: str, question: str, indexed: Sequence[StoredDocument]) -> Found:
        """The passages nearest to ``question`` over all of the customer's documents, also those not in ``indexed``."""
        passages = self.passages.nearest(question, customer_id=customer_id, now=self.clock(), at_most=PASSAGES_FOUND)
        found = Found(searched=len(indexed), is_all=True)
        if not passages:
            return found
        query, *vectors = self.embed([question, *(one.passage.text for one in passages)])
        hits = [
            Hit(one.document_id, one.file_name, one.passage, cosine(query, vector))
            for one, vector in zip(passages, vectors, strict=True)
        ]
        near = [hit for hit in hits if hit.similarity >= MINIMUM_SIMILARITY]
        found.hits = sorted(near, key=lambda hit: hit.similarity, reverse=True)
        return found
