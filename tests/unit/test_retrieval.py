"""Passages by meaning: the nearest vectors over all documents, exactly as stored."""

import base64
import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backbone.errors import Rejected
from backbone.retrieval import Index, build_index, cosine, search
from tests.unit.document_builder import passages_of

numbers = st.floats(-100, 100, allow_nan=False, width=32)


def an_index(document_id: str, *vectors: list[float]) -> Index:
    passages = passages_of(*(f"{document_id} {number}" for number in range(len(vectors))))
    return build_index(
        passages, vectors, document_id=document_id, customer_id="C-1", file_name=f"{document_id}.pdf", model="titan"
    )


def test_vectors_are_stored_as_little_endian_float32_row_by_row_at_length_one() -> None:
    index = an_index("A", [3.0, 4.0], [0.0, 2.0])
    assert struct.unpack("<4f", base64.b64decode(index.vectors)) == pytest.approx((0.6, 0.8, 0.0, 1.0))
    assert (index.dimensions, index.model) == (2, "titan")


def test_the_nearest_passages_of_all_documents_come_first() -> None:
    indexes = [an_index("A", [1.0, 0.0], [0.0, 1.0]), an_index("B", [1.0, 1.0], [-1.0, 0.0])]
    hits = search([2.0, 0.2], indexes, top=3)
    assert [(hit.document_id, hit.passage.id) for hit in hits] == [("A", "p1"), ("B", "p1"), ("A", "p2")]
    assert hits[0].similarity == pytest.approx(2.0 / math.hypot(2.0, 0.2))
    assert hits[0].file_name == "A.pdf"


def test_fewer_passages_than_asked_for_are_all_found() -> None:
    assert len(search([1.0, 0.0], [an_index("A", [1.0, 0.0])], top=3)) == 1
    assert search([1.0, 0.0], [], top=3) == []


@given(
    st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=20),
    st.lists(numbers, min_size=3, max_size=3),
)
def test_search_agrees_with_the_definition_for_any_vectors(vectors: list[list[float]], query: list[float]) -> None:
    hits = search(query, [an_index("A", *vectors)], top=len(vectors))
    expected = sorted((cosine(query, vector) for vector in vectors), reverse=True)
    assert [hit.similarity for hit in hits] == pytest.approx(expected, abs=1e-5)


def test_cosine_of_a_zero_vector_is_zero() -> None:
    assert cosine([0.0, 0.0], [1.0, 0.0]) == 0.0


def test_an_index_of_another_model_or_a_damaged_one_is_rejected() -> None:
    with pytest.raises(Rejected, match=r"3 dimensions \(model titan\), the query 2"):
        search([1.0, 0.0], [an_index("A", [1.0, 0.0, 0.0])], top=1)
    damaged = replace(an_index("A", [1.0, 0.0]), vectors="AAAA")
    with pytest.raises(Rejected, match="index of A is damaged"):
        search([1.0, 0.0], [damaged], top=1)


@pytest.mark.parametrize("vectors", [[[1.0]], [[1.0], [1.0, 2.0]], []])
def test_an_index_needs_one_vector_of_one_length_for_each_passage(vectors: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="2 passages, but"):
        build_index(passages_of("a", "b"), vectors, document_id="A", customer_id="C", file_name="f", model="m")
