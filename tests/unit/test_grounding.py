"""Each sentence of a summary against the passages of its document."""

import pytest

from backbone.documents import CitedSentence, JudgedSentence
from backbone.errors import Retryable
from grounding import is_quoted, judge, nearest_windows
from tests.unit.document_builder import TEXTS, FakeModel, a_document, cited, passages_of

PASSAGES = a_document().passages


def verdict(sentence: CitedSentence, model: FakeModel | None = None) -> JudgedSentence:
    (judged,) = judge([sentence], PASSAGES, (model or FakeModel()).embed)
    return judged


def test_a_quotation_is_supported_and_costs_no_embedding() -> None:
    model = FakeModel()
    judged = verdict(cited("interest is 4.5% a year", "p2"), model)
    assert (judged.supported, judged.passage, judged.similarity, judged.problems) == (True, "p2", 1.0, ())
    assert model.embedded == []


def test_a_paraphrase_with_the_same_facts_is_supported() -> None:
    judged = verdict(cited("The loan of €12,000 is repaid in 24 instalments from March 1, 2026.", "p1"))
    assert (judged.supported, judged.passage, judged.problems) == (True, "p1", ())
    assert judged.similarity > 0.5


@pytest.mark.parametrize(
    ("text", "passage", "problem"),
    [
        ("The loan is EUR 21,000 and is repaid in 24 instalments.", "p1", "the amount EUR 21,000 is not there"),
        ("The loan is repaid in 24 instalments from 1 May 2026.", "p1", "the date 1 May 2026 is not there"),
        ("Interest is 5.4 percent a year.", "p2", "the percentage 5.4 percent is not there"),
        ("The lender may raise interest before the loan is repaid.", "p2", "it says what is denied there"),
        ("Peter Solheim signed the contract in Stennick.", "p3", "the name Peter is not there"),
    ],
)
def test_a_fact_that_is_not_in_the_passage_fails_the_sentence_and_says_so(
    text: str, passage: str, problem: str
) -> None:
    judged = verdict(cited(text, passage))
    assert not judged.supported
    assert judged.problems == (f"In {passage}: {problem}.",)


def test_a_sentence_about_something_else_is_not_supported() -> None:
    judged = verdict(cited("Whales are caught far out at sea by brave sailors.", "p1"))
    assert not judged.supported
    assert judged.problems == (f"No passage says this; the nearest is {judged.passage}.",)


def test_a_wrong_citation_is_put_right_where_another_passage_supports_the_sentence() -> None:
    judged = verdict(cited("Ingrid Solheim signed the contract in Stennick.", "p1"))
    assert (judged.supported, judged.passage, judged.passages) == (True, "p3", ("p1",))


def test_a_sentence_may_join_what_two_cited_passages_say() -> None:
    text = "The loan of EUR 12,000 bears interest of 4.5% a year."
    assert verdict(cited(text, "p1", "p2")).supported
    assert not verdict(cited(text, "p1")).supported


def test_a_citation_of_a_passage_that_is_not_there_is_no_support() -> None:
    judged = verdict(cited("Whales are caught far out at sea.", "p99"))
    assert not judged.supported
    assert judged.passage in {"p1", "p2", "p3"}


def test_verdicts_come_in_the_order_of_the_summary_with_one_call_for_what_is_cited() -> None:
    summary = [cited(TEXTS[1], "p2"), cited("Whales are large.", "p1"), cited(TEXTS[0], "p1")]
    assert [one.supported for one in judge(summary, PASSAGES, FakeModel().embed)] == [True, False, True]


def test_what_the_model_raises_is_passed_on() -> None:
    with pytest.raises(Retryable, match="throttled"):
        verdict(cited("The loan is a loan.", "p1"), FakeModel(refuses_to_embed=Retryable("throttled")))


def test_half_a_sentence_is_no_quotation() -> None:
    text = "It is false that the loan is repaid. Interest is due."
    assert not is_quoted("The loan is repaid.", text)
    assert is_quoted("Interest is due", text)


def test_only_the_nearest_sentences_are_compared() -> None:
    text = "The fee is due. Ships sail. The fee is waived. Birds sing. Trees grow."
    assert nearest_windows("The fee is waived.", text)[0] == "The fee is waived."
    assert len(nearest_windows("The fee is waived.", text)) == 3
    assert nearest_windows("Anything", passages_of("")[0].text) == [""]
