"""Lines to paragraphs to passages to chunks: nothing is lost, repeated or out of order, and everything is in bounds."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from clean_text import clean, is_readable
from extracted_text import Paragraph
from page_lines import paragraphs_of, without_furniture
from passage_packing import LONGEST_CHUNK, LONGEST_PASSAGE, SHORTEST_PASSAGE, chunks_of, passages_of

WORDS = st.text(alphabet=st.characters(categories=["L", "N", "P"]), min_size=1, max_size=30).map(clean).filter(bool)
TEXTS = st.one_of(
    st.lists(WORDS, min_size=1, max_size=60).map(" ".join),
    st.lists(WORDS, min_size=1, max_size=12).map(lambda words: f"{' '.join(words)}. " * 40).map(clean),
    st.text(alphabet="ab0", min_size=1, max_size=4000),
)


@st.composite
def paragraph_lists(draw: st.DrawFn) -> list[Paragraph]:
    """Paragraphs on pages that only go up, or on none."""
    texts = draw(st.lists(TEXTS, max_size=25))
    if draw(st.booleans()):
        return [Paragraph(text) for text in texts]
    pages = sorted(draw(st.lists(st.integers(1, 9), min_size=len(texts), max_size=len(texts))))
    return [Paragraph(text, page) for text, page in zip(texts, pages, strict=True)]


def letters(text: str) -> str:
    return "".join(text.split())


@given(paragraph_lists())
def test_passages_hold_every_character_once_and_in_order(paragraphs: list[Paragraph]) -> None:
    passages = passages_of(paragraphs)
    for page in {paragraph.page for paragraph in paragraphs}:
        before = letters("".join(paragraph.text for paragraph in paragraphs if paragraph.page == page))
        assert letters("".join(passage.text for passage in passages if passage.page == page)) == before
    assert letters("".join(one.text for one in passages)) == letters("".join(one.text for one in paragraphs))


@given(paragraph_lists())
def test_passages_are_in_bounds_and_a_short_one_has_no_neighbour_to_join(paragraphs: list[Paragraph]) -> None:
    passages = passages_of(paragraphs)
    assert all(1 <= len(passage.text) <= LONGEST_PASSAGE for passage in passages)
    assert all(passage.text == passage.text.strip() for passage in passages)
    for one, other in itertools.pairwise(passages):
        if one.page == other.page and min(len(one.text), len(other.text)) < SHORTEST_PASSAGE:
            assert len(one.text) + 1 + len(other.text) > LONGEST_PASSAGE


@given(paragraph_lists())
def test_passage_ids_count_up_from_one(paragraphs: list[Paragraph]) -> None:
    passages = passages_of(paragraphs)
    assert [passage.id for passage in passages] == [f"p{number}" for number in range(1, len(passages) + 1)]


@given(paragraph_lists())
def test_chunks_hold_every_passage_once_in_order_within_the_bound(paragraphs: list[Paragraph]) -> None:
    passages = passages_of(paragraphs)
    chunks = chunks_of(passages)
    assert list(itertools.chain.from_iterable(chunks)) == passages
    assert all(sum(len(passage.text) for passage in chunk) <= LONGEST_CHUNK for chunk in chunks)
    for chunk, following in itertools.pairwise(chunks):
        assert sum(len(passage.text) for passage in chunk) + len(following[0].text) > LONGEST_CHUNK


def test_long_paragraph_is_cut_between_sentences_into_parts_of_about_the_same_length() -> None:
    sentences = [f"Sentence No. {n} of Mr. J. Weber speaks of EUR {n}.50 and of Art. 12." for n in range(10, 40)]
    passages = passages_of([Paragraph(" ".join(sentences))])
    assert all(re.fullmatch(r"Sentence .* Art\. 12\.", passage.text) for passage in passages)
    lengths = [len(passage.text) for passage in passages]
    assert len(lengths) == 2
    assert max(lengths) - min(lengths) < 200


def test_sentence_longer_than_a_passage_is_cut_between_words() -> None:
    passages = passages_of([Paragraph("word " * 499 + "word")])
    assert {word for passage in passages for word in passage.text.split()} == {"word"}


def test_heading_goes_with_the_text_that_follows_it() -> None:
    body = "A body of text that says something. " * 8
    (first, second) = passages_of([Paragraph(clean(body)), Paragraph("2. Fees"), Paragraph(clean(body))])
    assert second.text.startswith("2. Fees\nA body")
    assert "Fees" not in first.text


# ---- pages


@given(st.lists(st.lists(st.lists(WORDS, min_size=1, max_size=9).map(" ".join), max_size=12), max_size=8))
def test_paragraphs_hold_every_character_of_the_lines_but_joined_hyphens(pages: list[list[str]]) -> None:
    def without_hyphens(text: str) -> str:
        return re.sub(r"[-\u2010]", "", letters(text))

    found = "".join(paragraph.text for paragraph in paragraphs_of(pages, numbered=True))
    assert without_hyphens(found) == without_hyphens("".join(line for page in pages for line in page))


def a_page(number: int, *body: str) -> list[str]:
    return ["Harbour Bank - Terms", *body, f"Page {number} of 9"]


def test_head_foot_and_page_numbers_are_removed_and_the_body_stays() -> None:
    pages = [
        a_page(n + 4, f"Body {'abcde'[n]}, first.", f"Amount {n * 7}", f"Row {n * 3}", "x" * n) for n in range(1, 5)
    ]
    assert without_furniture(pages) == [page[1:-1] for page in pages]


def test_figures_that_differ_from_page_to_page_are_no_furniture() -> None:
    pages = [[f"{n * 31}.50", f"Total {n * 17 + 3}", "x" * n] for n in range(1, 9)]
    assert without_furniture(pages) == pages


def test_line_that_repeats_within_the_body_stays() -> None:
    pages = [
        [f"head {chr(97 + n)}", "a", "b", "c", "The same sentence.", "d", "e", f"foot {chr(97 + n)}"] for n in range(8)
    ]
    assert [page[4] for page in without_furniture(pages)] == ["The same sentence."] * 8


def test_head_with_a_number_in_it_is_removed_from_the_page_of_that_number_too() -> None:
    pages = [["Terms, edition 7", f"Body {letter}.", f"{n}"] for n, letter in enumerate("abcdefghi", start=1)]
    assert without_furniture(pages) == [[f"Body {letter}."] for letter in "abcdefghi"]


def test_nothing_is_furniture_in_a_document_of_three_pages() -> None:
    pages = [a_page(n, "Body.") for n in (1, 2, 3)]
    assert without_furniture(pages) == pages


def test_word_broken_at_a_line_end_becomes_whole_and_a_compound_keeps_its_hyphen() -> None:
    page = ["The well-known terms of this agree-", "ment are well-", "known, and 12-", "month rates hold."]
    (paragraph,) = paragraphs_of([page], numbered=True)
    assert paragraph.text == "The well-known terms of this agreement are well-known, and 12-month rates hold."


def test_sentence_that_runs_over_a_page_end_stays_whole_on_the_page_where_it_began() -> None:
    pages = [["It begins here and goes on to the very end of the page and be-"], ["yond it.", "New paragraph."]]
    paragraphs = paragraphs_of(pages, numbered=True)
    assert paragraphs[0] == Paragraph("It begins here and goes on to the very end of the page and beyond it.", 1)
    assert paragraphs[1] == Paragraph("New paragraph.", 2)


# ---- cleaning


def test_what_a_reader_cannot_see_is_removed_and_what_he_can_see_stays() -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey me")
    assert clean(f"a\u200bb\u202ec{hidden}d\x00 \ue000") == "abcd \ue000"
    assert clean("10\u00b2 \ufb01ne \u00bd cafe\u0301 \ud800") == "10\u00b2 fine \u00bd caf\u00e9"
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # "I want": its joiner is spelling
    assert clean(persian) == persian


@given(st.text())
def test_cleaned_text_is_clean_and_can_be_written_as_utf_8(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert "\n" not in cleaned
    assert cleaned.encode().decode() == cleaned


def test_codes_of_a_font_without_letters_are_not_readable() -> None:
    assert not is_readable("\ue001\ue002\ue003 a")
    assert is_readable("Plain words \ufffd")
