"""Documents that tests make when they need them: large ones, locked ones, broken ones and hostile ones."""

import html
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import docx
from docx.opc.constants import CONTENT_TYPE, RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from PIL import Image, ImageDraw
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, StreamObject
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

DOCUMENTS = Path(__file__).parents[1] / "documents"
PASSWORD = "correct horse"  # noqa: S105 - of a made-up document
_WORDS_PER_PAGE = 450
_LINE = 95


def sample_document(name: str) -> bytes:
    """One of the documents in documents/, e.g. "annual-report.html"."""
    return (DOCUMENTS / name).read_bytes()


def source_sentences() -> list[str]:
    """The sentences of all sample texts."""
    text = " ".join(path.read_text(encoding="utf-8") for path in sorted((DOCUMENTS / "sources").glob("*.txt")))
    return [f"{sentence.strip('#| ')}." for sentence in " ".join(text.split()).split(". ") if "|" not in sentence]


def long_pdf(pages: int, *, seed: int = 1) -> bytes:
    """``pages`` full pages of real sentences in three paragraphs, each page with a running head and its number.

    Every page says once "Item <n> amounts to EUR <n>.50.", n being its number, so that a test can look for each.
    """
    sentences = source_sentences()
    choose = random.Random(seed)  # noqa: S311 - the same document each time
    output = io.BytesIO()
    canvas = Canvas(output, pagesize=A4, invariant=1)
    canvas.setTitle(f"Register of {pages} items")
    for number in range(1, pages + 1):
        canvas.setFont("Helvetica", 8)
        canvas.drawString(60, A4[1] - 40, "Harbour and Vale Bank - Register of items")
        canvas.drawCentredString(A4[0] / 2, 30, f"Page {number} of {pages}")
        lines = canvas.beginText(60, A4[1] - 70)
        lines.setFont("Times-Roman", 10.5, 14)
        said = [f"Item {number} amounts to EUR {number}.50."]
        while sum(sentence.count(" ") for sentence in said) < _WORDS_PER_PAGE:
            said.append(choose.choice(sentences))
        for paragraph in (said[::3], said[1::3], said[2::3]):
            for line in _lines(" ".join(paragraph)):
                lines.textLine(line)
        canvas.drawText(lines)
        canvas.showPage()
    canvas.save()
    return output.getvalue()


def _lines(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > _LINE:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def password_protected_pdf() -> bytes:
    """AES-256, and nobody opens it without PASSWORD."""
    return _encrypted(user_password=PASSWORD)


def restricted_pdf() -> bytes:
    """AES-256, opens without a password; only its owner may print it."""
    return _encrypted(user_password="")


def _encrypted(user_password: str) -> bytes:
    writer = PdfWriter(clone_from=io.BytesIO(sample_document("terms-and-conditions.pdf")))
    writer.encrypt(user_password=user_password, owner_password="the owner's", algorithm="AES-256")  # noqa: S106 - made up
    return _written(writer)


def image_only_pdf(pages: int = 2) -> bytes:
    """What a scanner makes: each page one picture of a text."""
    output = io.BytesIO()
    canvas = Canvas(output, pagesize=A4, invariant=1)
    for number in range(1, pages + 1):
        picture = Image.new("L", (600, 800), color=255)
        ImageDraw.Draw(picture).text((50, 50), f"Invoice {number}: EUR 1,200.00", fill=0)
        canvas.drawImage(ImageReader(picture), 0, 0, *A4)
        canvas.showPage()
    canvas.save()
    return output.getvalue()


def corrupt_pdf() -> bytes:
    """A PDF that lost its second half on the way, with its table of contents."""
    whole = long_pdf(3)
    return whole[: len(whole) // 2].replace(b"obj", b"obx")


def inflating_pdf(megabytes: int = 300) -> bytes:
    """One page whose content inflates to so many megabytes."""
    page = zlib.compress(b" " * 1_000_000 * megabytes, 9)
    return _one_page_pdf(page)


def endless_pdf() -> bytes:
    """One page of 13 MB of operators that show a letter each: within every bound but that on time."""
    shows = b"BT /F1 9 Tf " + b"(a) Tj 1 0 0 1 9 9 Tm " * 600_000 + b"ET"
    return _one_page_pdf(zlib.compress(shows, 9))


def _one_page_pdf(deflated: bytes) -> bytes:
    writer = PdfWriter()
    page = writer.add_blank_page(200, 200)
    content = StreamObject()
    content._data = deflated
    content[NameObject("/Filter")] = NameObject("/FlateDecode")
    page[NameObject("/Contents")] = writer._add_object(content)
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    page[NameObject("/Resources")] = DictionaryObject(
        {NameObject("/Font"): DictionaryObject({NameObject("/F1"): writer._add_object(font)})}
    )
    return _written(writer)


def page_tree_bomb() -> bytes:
    """A page tree of nine levels whose every node has the same child ten times: a billion pages in 2 kB."""
    writer = PdfWriter()
    writer.add_blank_page(200, 200)
    child = writer.pages[0].indirect_reference
    for _ in range(9):
        node = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Pages"),
                NameObject("/Kids"): ArrayObject([child] * 10),
                NameObject("/Count"): NumberObject(1),
            }
        )
        child = writer._add_object(node)
    writer._root_object[NameObject("/Pages")] = child
    return _written(writer)


def _written(writer: PdfWriter) -> bytes:
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def docx_of(*paragraphs: str) -> bytes:
    """A Word document with these paragraphs."""
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    output = io.BytesIO()
    document.save(output)
    return output.getvalue()


def docx_with_footnote(paragraph: str, footnote: str) -> bytes:
    """A Word document with one paragraph and one footnote."""
    document = docx.Document()
    document.add_paragraph(paragraph)
    notes = (
        '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:footnote w:id="1">'
        f"<w:p><w:r><w:t>{footnote}</w:t></w:r></w:p></w:footnote></w:footnotes>"
    )
    package = document.part.package
    assert package is not None
    part = Part(PackURI("/word/footnotes.xml"), CONTENT_TYPE.WML_FOOTNOTES, notes.encode(), package)
    document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
    output = io.BytesIO()
    document.save(output)
    return output.getvalue()


def docx_with_body(xml: str) -> bytes:
    """A Word document whose body is this XML (prefix w, and mc for compatibility)."""
    opening = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:document '
        'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><w:body>'
    )
    return _with_part(docx_of("x"), "word/document.xml", f"{opening}{xml}</w:body></w:document>".encode())


def docx_zip_bomb(megabytes: int = 200) -> bytes:
    """A Word document of some 200 kB whose text part inflates to so many megabytes."""
    return _with_part(docx_of("x"), "word/document.xml", b" " * 1_000_000 * megabytes)


def docx_lying_zip_bomb(megabytes: int = 200) -> bytes:
    """The same, but its directory says that the part has 1,000 bytes."""
    bomb = docx_zip_bomb(megabytes)
    return bomb.replace(struct.pack("<L", 1_000_000 * megabytes), struct.pack("<L", 1_000))


def _with_part(archive: bytes, name: str, content: bytes) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as before, zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as after:
        for part in before.namelist():
            after.writestr(part, content if part == name else before.read(part))
    return output.getvalue()


def zip_of(**members: str) -> bytes:
    """A ZIP archive with these members; a double underscore in a name stands for a full stop."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return output.getvalue()


def office_package(content_type: str) -> bytes:
    """An OOXML package whose main part is of this type, e.g. "...spreadsheetml.sheet.main+xml"."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr(
            "[Content_Types].xml", f'<Types><Override PartName="/x.xml" ContentType="{content_type}"/></Types>'
        )
    return output.getvalue()


def png() -> bytes:
    """A picture, whatever its name says."""
    output = io.BytesIO()
    Image.new("L", (8, 8)).save(output, "PNG")
    return output.getvalue()


GERMAN = (
    "Die Gebühr für Überweisungen außerhalb des Euroraums beträgt 1,75 %, mindestens aber 3,50 Euro. "
    "Änderungen werden zwei Monate früher angekündigt; wer nicht einverstanden ist, kann kündigen."
)


def latin_1_text() -> bytes:
    return GERMAN.encode("latin-1")


def utf_16_text() -> bytes:
    """As Windows' Notepad saves it: little-endian, with the mark."""
    return GERMAN.encode("utf-16")


def nested_html(depth: int = 50_000) -> bytes:
    """A paragraph inside so many blocks, and another after them."""
    return f"<html><body>{'<div>' * depth}innermost{'</div>' * depth}<p>after</p></body></html>".encode()


def html_with(paragraphs: Sequence[str]) -> bytes:
    """A page with these paragraphs."""
    body = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs)
    return f"<!DOCTYPE html><html><head><title>Notes</title></head><body>{body}</body></html>".encode()


def injected(attacks: Sequence[str]) -> bytes:
    """A text file: the technical report with ``attacks`` as paragraphs of their own, spread evenly between its own."""
    paragraphs = sample_document("technical-report.txt").decode().split("\n\n")
    step = max(1, len(paragraphs) // (len(attacks) + 1))
    for position, attack in enumerate(attacks, start=1):
        paragraphs.insert(min(position * (step + 1), len(paragraphs)), attack)
    return "\n\n".join(paragraphs).encode()


def pages_in(pdf: bytes) -> int:
    return len(PdfReader(io.BytesIO(pdf)).pages)


def parts_of(archive: bytes) -> dict[str, bytes]:
    """The members of a ZIP archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as package:
        return {name: package.read(name) for name in package.namelist()}


def encrypted_office_file() -> bytes:
    """What Word makes with a password: an OLE2 container around the stream EncryptedPackage (its directory only)."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(480)
