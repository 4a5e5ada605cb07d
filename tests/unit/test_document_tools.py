"""Searching a customer's documents: bounded in number, size and time, and what is left out is said."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from backbone.errors import Rejected, Retryable
from backbone.retrieval import Index, build_index
from document_tools import StoredDocument, search_documents
from index_search import PASSAGES_SEARCHED, IndexSearch
from tests.unit.bank_builder import OWNER, a_session
from tests.unit.document_builder import passages_of, word_vector


@dataclass
class FakeDocuments:
    """Documents in memory, newest first; an exception in place of texts is raised when the index is read."""

    texts: dict[str, Sequence[str] | Exception]
    is_all: bool = True
    read: list[str] = field(default_factory=list)

    def newest(self, customer_id: str, at_most: int) -> tuple[list[StoredDocument], bool]:
        assert (customer_id, at_most) == (OWNER, 50)
        return [StoredDocument(name, f"{name}.pdf", is_indexed=True) for name in self.texts], self.is_all

    def index(self, document_id: str) -> Index:
        self.read.append(document_id)
        texts = self.texts[document_id]
        if isinstance(texts, Exception):
            raise texts
        return build_index(
            passages_of(*texts),
            [word_vector(text) for text in texts],
            document_id=document_id,
            customer_id=OWNER,
            file_name=f"{document_id}.pdf",
            model="fake",
        )


class Clock:
    """Seconds that pass each time somebody looks."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def embed(texts: Sequence[str]) -> list[list[float]]:
    return [word_vector(text) for text in texts]


def search(documents: FakeDocuments, question: str = "loan interest", step: float = 0.0) -> tuple[str, ...]:
    by_index = IndexSearch(documents, embed, Clock(step))
    return search_documents(a_session(), question, documents=documents, search=by_index).facts


def test_the_three_nearest_passages_of_all_documents_are_found_nearest_first() -> None:
    documents = FakeDocuments(
        {
            "a": ["The loan has interest.", "The weather is fine."],
            "b": ["The loan of a book.", "Interest in music."],
            "c": ["A loan and its interest, of course, and much besides that nobody asked for."],
        }
    )
    answer = search_documents(
        a_session(), "loan interest", documents=documents, search=IndexSearch(documents, embed, Clock(0))
    )
    assert answer.citations[0].text == "The loan has interest."
    assert len(answer.citations) == 3
    assert answer.facts[0] == 'Your document "a.pdf" says on page 1: "The loan has interest."'


def test_what_is_about_something_else_is_not_found() -> None:
    documents = FakeDocuments({"a": ["Weather."], "b": ["Music."]})
    assert search(documents) == ("Nothing about this was found in your 2 documents.",)


def test_that_there_are_no_documents_is_an_answer() -> None:
    assert search(FakeDocuments({})) == ("None of your documents could be searched.",)


def test_no_question_is_embedded_where_there_is_nothing_to_search() -> None:
    def never(texts: Sequence[str]) -> list[list[float]]:
        raise AssertionError(texts)

    none = FakeDocuments({})
    search_documents(a_session(), "loan", documents=none, search=IndexSearch(none, never, Clock(0)))


def test_documents_that_time_does_not_reach_are_counted() -> None:
    documents = FakeDocuments({name: ["The loan has interest."] for name in "abcd"})
    facts = search(documents, step=3.0)
    assert documents.read == ["a", "b"]
    assert facts[-1] == "Left out: 2 older documents, for there is too much to search."


def test_documents_beyond_the_bound_of_passages_are_counted() -> None:
    large = [f"Passage {number}." for number in range(PASSAGES_SEARCHED)]
    documents = FakeDocuments({"a": large, "b": ["The loan has interest."]})
    assert search(documents)[-1] == "Left out: 1 older document, for there is too much to search."


def test_documents_that_were_not_even_listed_are_mentioned() -> None:
    documents = FakeDocuments({"a": ["The loan has interest."]}, is_all=False)
    assert search(documents)[-1] == "Only the newest 50 documents were searched."


def test_damaged_index_is_named_logged_and_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    documents = FakeDocuments({"a": Rejected("INTERNAL: gone"), "b": ["The loan has interest."]})
    assert search(documents) == (
        'Your document "b.pdf" says on page 1: "The loan has interest."',
        'Your document "a.pdf" could not be searched, because its index is damaged.',
    )
    assert "The index of document a was left out: INTERNAL: gone" in caplog.text


def test_bucket_that_is_away_is_for_the_caller_to_try_again() -> None:
    with pytest.raises(Retryable):
        search(FakeDocuments({"a": Retryable("away"), "b": ["The loan has interest."]}))
