"""Texts as sentences and content words."""

import pytest

from text_words import content_stems, coverage, sentences, stem


def test_sentences_end_at_their_mark_and_not_at_an_abbreviation() -> None:
    assert sentences('Mr. Fogg lived at No. 7. He was J. Smith. "Yes," he said. 3.5% more! Done?') == [
        "Mr. Fogg lived at No. 7.",
        "He was J. Smith.",
        '"Yes," he said.',
        "3.5% more!",
        "Done?",
    ]
    assert sentences("   ") == []


@pytest.mark.parametrize("forms", [("payment", "payments", "paying", "pay"), ("charge", "charged", "charges")])
def test_forms_of_a_word_share_a_stem(forms: tuple[str, ...]) -> None:
    assert len({stem(form) for form in forms}) == 1


def test_coverage_is_the_share_of_content_words_that_the_source_has() -> None:
    assert content_stems("The bank is charging the fees") == ["bank", "charg", "fee"]
    assert coverage("The bank charges fees.", "A fee was charged by someone.") == pytest.approx(2 / 3)
    assert coverage("It is the.", "anything") == 0.0
