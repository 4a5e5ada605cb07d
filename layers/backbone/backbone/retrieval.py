"""Finding the passages that are nearest in meaning to a question.

Every document has an index object: its passages and a vector for each. For the corpus of one customer (some tens of
documents, a few thousand passages) comparing with every vector costs milliseconds and nothing while idle; a larger
corpus is what the knowledge base parameter is for.

Vectors are kept at length 1, so that the cosine of two is the sum of their products.
"""

import base64
import heapq
import math
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backbone.documents import Passage
from backbone.errors import Rejected

type Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class Index:
    """The object index/<documentId>.json. ``vectors``: base64 of float32, little-endian, one row for each passage."""

    document_id: str
    customer_id: str
    file_name: str
    dimensions: int
    model: str
    passages: tuple[Passage, ...]
    vectors: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found; ``similarity`` is the cosine, -1..1."""

    document_id: str
    file_name: str
    passage: Passage
    similarity: float


def build_index(
    passages: Sequence[Passage],
    vectors: Sequence[Vector],
    *,
    document_id: str,
    customer_id: str,
    file_name: str,
    model: str,
) -> Index:
    """The index of a document; ValueError unless there is one vector for each passage, all of one length."""
    lengths = {len(vector) for vector in vectors}
    if len(vectors) != len(passages) or len(lengths) != 1:
        raise ValueError(f"{len(passages)} passages, but {len(vectors)} vectors of {sorted(lengths)} dimensions")
    rows = array("f")
    for vector in vectors:
        rows.extend(normalized(vector))
    return Index(
        document_id, customer_id, file_name, lengths.pop(), model, tuple(passages), base64.b64encode(_le(rows)).decode()
    )


def search(query_vector: Vector, indexes: Iterable[Index], top: int) -> list[Hit]:
    """The ``top`` passages nearest to ``query_vector`` over all ``indexes``, nearest first.

    Raises Rejected where an index was made by another model (another number of dimensions) or is damaged.
    """
    query = normalized(query_vector)
    hits = (hit for index in indexes for hit in _hits(query, index))
    return heapq.nlargest(top, hits, key=lambda hit: hit.similarity)


def cosine(left: Vector, right: Vector) -> float:
    """The cosine of the angle between two vectors of one length, -1..1; 0 where one of them is zero."""
    return math.sumprod(normalized(left), normalized(right))


def normalized(vector: Vector) -> list[float]:
    """The vector at length 1; a zero vector stays zero."""
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else list(vector)


def _hits(query: list[float], index: Index) -> Iterable[Hit]:
    if index.dimensions != len(query):
        raise Rejected(
            f"INTERNAL: the index of {index.document_id} has {index.dimensions} dimensions (model {index.model}), "
            f"the query {len(query)}: it must be built again."
        )
    rows = _rows(index)
    for number, passage in enumerate(index.passages):
        row = rows[number * index.dimensions : (number + 1) * index.dimensions]
        yield Hit(index.document_id, index.file_name, passage, math.sumprod(query, row))


def _rows(index: Index) -> array[float]:
    data = base64.b64decode(index.vectors)
    if len(data) != 4 * index.dimensions * len(index.passages):
        raise Rejected(f"INTERNAL: the index of {index.document_id} is damaged: {len(data)} bytes of vectors.")
    rows = array("f")
    rows.frombytes(data)
    return _in_order(rows)


def _le(rows: array[float]) -> bytes:
    return _in_order(rows).tobytes()


def _in_order(rows: array[float]) -> array[float]:
    """To or from little-endian; nothing to do on the machines that Lambda runs on."""
    if sys.byteorder == "big":
        rows = rows[:]
        rows.byteswap()
    return rows
