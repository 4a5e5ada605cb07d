"""Searches a customer's documents by their own indexes, one object each: the default, which costs nothing while idle.

Knows no AWS: where documents and their indexes are kept and what turns a question into numbers are arguments.
"""

import heapq
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from backbone.errors import Rejected
from backbone.retrieval import Index, search
from document_tools import MINIMUM_SIMILARITY, PASSAGES_FOUND, Embed, Found, StoredDocument

# A document of 500 pages has some 2,000 passages: what a gigabyte of memory holds and a person waits for.
PASSAGES_SEARCHED = 10_000
SECONDS_SEARCHED = 8.0

logger = logging.getLogger(__name__)


class Indexes(Protocol):
    """The documents' indexes. Raises Retryable where one cannot be read now; Rejected where it is damaged."""

    def index(self, document_id: str) -> Index: ...


@dataclass(frozen=True, slots=True)
class IndexSearch:
    """Searches one document after the other and keeps no more than one index in memory; ``clock`` counts seconds."""

    indexes: Indexes
    embed: Embed
    clock: Callable[[], float]

    def nearest(self, customer_id: str, question: str, indexed: Sequence[StoredDocument]) -> Found:
        """The passages nearest to ``question`` over ``indexed``, which is not empty, as far as there is time."""
        query = self.embed([question])[0]
        found = Found()
        passages, deadline = 0, self.clock() + SECONDS_SEARCHED
        for one in indexed:
            if passages >= PASSAGES_SEARCHED or self.clock() > deadline:
                found.not_reached += 1
                continue
            try:
                index = self.indexes.index(one.document_id)
                hits = search(query, [index], PASSAGES_FOUND)
                if index.customer_id != customer_id:
                    raise Rejected("INTERNAL: the index is another customer's")
            except Rejected as damaged:
                logger.warning("The index of document %s was left out: %s", one.document_id, damaged.reason)
                found.unreadable.append(one.file_name)
                continue
            found.searched += 1
            passages += len(index.passages)
            near = [hit for hit in hits if hit.similarity >= MINIMUM_SIMILARITY]
            found.hits = heapq.nlargest(PASSAGES_FOUND, [*found.hits, *near], key=lambda hit: hit.similarity)
        return found
