"""Each type of document, judged by its content: what is read from it, and the reason where it cannot be read."""

import contextlib
import time
from collections.abc import Callable

import pytest

from backbone.errors import Rejected
from document_extraction import Document, extract
from documents.make_documents import documents
from extraction_limits import MAXIMUM_CHARACTERS
from tests import documents_builder as build
from tests.injection_attacks import ATTACKS
from time_budget import time_budget
from upload_types import MediaType

SECONDS = 30.0


def read(data: bytes) -> Document:
    return extract(data, seconds=SECONDS)


def text_of(data: bytes) -> str:
    return "\n".join(paragraph.text for paragraph in read(data).text.paragraphs)


# ---- the sample documents


def test_sample_documents_are_what_their_sources_make() -> None:
    for name, made in documents().items():
        kept = build.sample_document(name)
        if name.endswith(".docx"):  # deflate's output differs between builds of zlib; the parts do not
            assert build.parts_of(kept) == build.parts_of(made)
        else:
            assert kept == made, name


@pytest.mark.parametrize(
    ("name", "media_type", "pages", "title"),
    [
        ("terms-and-conditions.pdf", MediaType.PDF, 12, "Current Account and Debit Card: Terms and Conditions"),
        ("dispute-policy.docx", MediaType.DOCX, None, "Card Disputes: How We Decide"),
        ("annual-report.html", MediaType.HTML, None, "Calder Ferries: Annual Report 2025"),
        ("technical-report.txt", MediaType.TEXT, None, None),
    ],
)
def test_sample_document_is_read_as_what_it_is(
    name: str, media_type: MediaType, pages: int | None, title: str | None
) -> None:
    document = read(build.sample_document(name))
    assert (document.media_type, document.text.pages, document.text.title) == (media_type, pages, title)


@pytest.mark.parametrize("name", sorted(documents()))
def test_every_word_of_the_source_is_read_in_order_from_the_sample_document(name: str) -> None:
    source = (build.DOCUMENTS / "sources" / f"{name.rpartition('.')[0].replace('-', '_')}.txt").read_text()
    read_words = text_of(build.sample_document(name)).replace("|", " ").split()
    assert read_words == [word for word in source.replace("|", " ").split() if word not in ("#", "##")]


def test_paragraphs_of_a_pdf_are_whole_and_know_their_page() -> None:
    paragraphs = read(build.sample_document("terms-and-conditions.pdf")).text.paragraphs
    (interest,) = [one for one in paragraphs if one.text.startswith("We pay no interest on credit balances")]
    assert interest.text.endswith("credited on 31 March, 30 June, 30 September and 31 December.")
    assert [one.page for one in paragraphs] == sorted(one.page or 0 for one in paragraphs)
    assert not any(
        "edition 7" in one.text and one.text.startswith("Harbour and Vale Bank - Terms") for one in paragraphs
    )


# ---- PDF


def test_hundred_pages_are_read_each_with_its_own_text() -> None:
    document = read(build.long_pdf(100))
    assert document.text.pages == 100
    for number in (1, 2, 50, 99, 100):
        said = [
            one.page for one in document.text.paragraphs if f"Item {number} amounts to EUR {number}.50." in one.text
        ]
        assert said == [number]
    assert not any("Register of items" in one.text for one in document.text.paragraphs)


def test_pdf_that_is_encrypted_but_opens_without_a_password_is_read() -> None:
    assert text_of(build.restricted_pdf()) == text_of(build.sample_document("terms-and-conditions.pdf"))


# ---- Word


def test_word_document_is_read_with_tables_insertions_and_boxes_but_without_what_was_deleted_or_hidden() -> None:
    xml = (
        "<w:p><w:r><w:t>Agreed on </w:t></w:r><w:ins><w:r><w:t>4 May</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>5 May</w:delText></w:r></w:del></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>In a form field</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:t>seen</w:t><w:tab/><w:t>after</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Fee</w:t></w:r></w:p><w:p><w:r><w:t>(yearly)</w:t></w:r></w:p></w:tc>"
        "<w:tc><w:p><w:r><w:t>EUR 4.90</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
        "<w:p><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom></w:p>"
        "<w:p><w:moveTo><w:r><w:t>moved</w:t></w:r></w:moveTo></w:p>"
        "<w:p><w:r><mc:AlternateContent><mc:Choice><w:p><w:r><w:t>In a box</w:t></w:r></w:p></mc:Choice>"
        "<mc:Fallback><w:p><w:r><w:t>In a box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    paragraphs = [one.text for one in read(build.docx_with_body(xml)).text.paragraphs]
    assert paragraphs == [
        "Agreed on 4 May",
        "In a form field",
        "seen after",
        "Fee (yearly) | EUR 4.90",
        "moved",
        "In a box",
    ]


def test_footnotes_of_a_word_document_are_read_after_its_text() -> None:
    assert text_of(build.docx_with_footnote("The fee is EUR 4.90.", "Waived below 26.")) == (
        "The fee is EUR 4.90.\nWaived below 26."
    )


# ---- HTML and text


def test_web_page_is_read_as_a_reader_sees_it() -> None:
    page = (
        b"<!-- c --><!DOCTYPE html><html><head><title> The\n title</title><style>p{}</style></head><body>"
        b"<nav>Menu</nav><p>One <b>bold</b>word<br>next<script>alert(1)</script></p>"
        b"<p hidden>hidden<p style='DISPLAY: none'>gone<p>Two<div style='font-size:0'>tiny</div>"
        b"<table><tr><td>a<td>b</table><ul><li>x<li>y</ul></body>"
    )
    document = read(page)
    assert document.text.title == "The title"
    assert [one.text for one in document.text.paragraphs] == ["Menu", "One boldword next", "Two", "a | b", "x", "y"]


def test_page_nested_fifty_thousand_deep_is_read_to_its_end() -> None:
    assert text_of(build.nested_html()) == "innermost\nafter"


@pytest.mark.parametrize(
    "data",
    [
        build.latin_1_text(),
        build.utf_16_text(),
        build.GERMAN.encode("utf-8"),
        build.GERMAN.encode("utf-8-sig"),
        build.GERMAN.encode("utf-16-le"),
        build.GERMAN.encode("utf-32"),
    ],
    ids=["latin-1", "utf-16", "utf-8", "utf-8 with mark", "utf-16 without mark", "utf-32"],
)
def test_text_is_read_in_whatever_encoding_it_was_saved(data: bytes) -> None:
    assert text_of(data) == build.GERMAN


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Договор банковского счета заключен 12 марта 2024 года между сторонами."),
        ("cp1252", "Le client règle les intérêts échus dès le 1er août, où qu'il soit. Ça coûte 3,50 € au plus."),
        ("shift_jis", "銀行口座の利用規約。第一条、手数料は百円とします。"),
    ],
)
def test_text_in_an_older_encoding_is_recognised(encoding: str, text: str) -> None:
    assert text_of(text.encode(encoding)) == text


def test_page_is_read_in_the_encoding_that_it_declares() -> None:
    page = f'<html><head><meta charset="iso-8859-1"></head><body><p>{build.GERMAN}</p></body></html>'
    assert text_of(page.encode("latin-1")) == build.GERMAN


@pytest.mark.parametrize("label", ["undefined", "punycode", "unicode_escape", "hex", "utf-16", "no-such", "utf-8"])
def test_page_that_declares_nonsense_is_read_as_what_it_is(label: str) -> None:
    page = f'<html><head><meta charset="{label}"></head><body><p>{build.GERMAN} \\u0041</p></body></html>'
    assert text_of(page.encode()) == f"{build.GERMAN} \\u0041"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_instructions_in_a_document_are_read_like_any_other_text(attack: object) -> None:
    assert isinstance(attack, type(ATTACKS[0]))
    words = "".join(attack.text.split())
    assert words in "".join(text_of(build.injected([attack.text])).split())
    assert words in "".join(text_of(build.docx_of("Before.", attack.text, "After.")).split())
    assert words in "".join(text_of(build.html_with(["Before.", attack.text])).split())


# ---- refusals

UNREADABLE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "password-protected PDF": (build.password_protected_pdf, "PASSWORD_PROTECTED", "remove it"),
    "password-protected Word document": (build.encrypted_office_file, "PASSWORD_PROTECTED", "remove it"),
    "scanned PDF": (build.image_only_pdf, "NO_TEXT", "text recognition"),
    "Word document without text": (lambda: build.docx_of(""), "NO_TEXT", "with text in it"),
    "half a PDF": (build.corrupt_pdf, "CORRUPT", "send the new copy"),
    "half a Word document": (lambda: build.docx_of("x")[:9000], "CORRUPT", "send the new copy"),
    "Word document with broken XML": (lambda: build.docx_with_body("<w:p>"), "CORRUPT", "send the new copy"),
    "Word document nested too deep": (
        lambda: build.docx_with_body("<w:p>" * 9000 + "</w:p>" * 9000),
        "CORRUPT",
        "send the new copy",
    ),
    "PDF of 500 pages": (lambda: build.long_pdf(500), "TOO_MANY_PAGES", "500 pages, and we read 400"),
    "long text": (lambda: b"word " * (MAXIMUM_CHARACTERS // 5 + 1), "TOO_LARGE", "in parts"),
    "long page": (lambda: b"<html><p>" + b"word <p>" * (MAXIMUM_CHARACTERS // 4 + 1), "TOO_LARGE", "in parts"),
    "long Word document": (lambda: build.docx_of("word " * (MAXIMUM_CHARACTERS // 5 + 1)), "TOO_LARGE", "in parts"),
    "picture": (build.png, "UNSUPPORTED_TYPE", "a PNG picture"),
    "archive": (lambda: build.zip_of(notes__txt="x"), "UNSUPPORTED_TYPE", "a ZIP archive"),
    "OpenDocument": (lambda: build.zip_of(mimetype="x"), "UNSUPPORTED_TYPE", "OpenDocument"),
    "Excel workbook": (lambda: build.office_package("spreadsheetml.sheet.main+xml"), "UNSUPPORTED_TYPE", "Excel"),
    "old Office file": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "UNSUPPORTED_TYPE", "old Office"),
    "XML": (lambda: b"<?xml version='1.0'?><data/>", "UNSUPPORTED_TYPE", "XML"),
    "unknown binary": (lambda: bytes(range(256)) * 40, "UNSUPPORTED_TYPE", "Please send a PDF"),
    "nothing": (lambda: b"", "EMPTY", "send it again"),
    "spaces": (lambda: b" \r\n\t\n", "EMPTY", "with text in it"),
    "page without text": (lambda: b"<html><script>let a</script></html>", "EMPTY", "with text in it"),
    "PDF that inflates": (build.inflating_pdf, "DECOMPRESSION_LIMIT", "new PDF"),
    "PDF of a billion pages": (build.page_tree_bomb, "DECOMPRESSION_LIMIT", "new PDF"),
    "Word document that inflates": (build.docx_zip_bomb, "DECOMPRESSION_LIMIT", "as a PDF"),
    "Word document that lies about it": (build.docx_lying_zip_bomb, "CORRUPT", "send the new copy"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_file_that_cannot_be_read_is_refused_with_its_reason_and_what_to_do(name: str) -> None:
    make, code, hint = UNREADABLE[name]
    with pytest.raises(Rejected) as refused:
        read(make())
    said, _, sentence = refused.value.reason.partition(": ")
    assert said == code
    assert hint in sentence
    assert sentence.endswith((".", ")."))


# The timer may strike inside a callback of the garbage collector (hypothesis has one), from where Python passes no
# exception on and says so; the timer strikes again half a second later.
IN_A_CALLBACK = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@IN_A_CALLBACK
def test_file_that_takes_too_long_is_refused_when_its_time_is_over() -> None:
    endless = build.endless_pdf()
    began = time.monotonic()
    with pytest.raises(Rejected, match=r"^DECOMPRESSION_LIMIT: The file takes too long"):
        extract(endless, seconds=1)
    assert time.monotonic() - began < 3


@IN_A_CALLBACK
def test_time_budget_stops_code_that_swallows_every_exception() -> None:
    def stubborn() -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):  # as a careless parser does
                sum(range(1000))

    with pytest.raises(TimeoutError), time_budget(0.2):
        stubborn()
