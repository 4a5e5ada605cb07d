"""Bytes of an upload to its text, whatever type it is of. Knows no AWS.

The parser of each type is imported when the first document of that type comes: all of them together take half a second,
as long as everything else that the function imports.
"""

import re
from dataclasses import dataclass, replace

from clean_text import visible
from extracted_text import ExtractedText
from extraction_limits import MAXIMUM_CHARACTERS, MAXIMUM_TITLE_CHARACTERS
from page_lines import paragraphs_of
from page_scans import ReadScans
from plain_text import declared_encoding, decode
from time_budget import time_budget
from upload_refusals import refused
from upload_types import MediaType, binary_type, text_type

# A line drawn with characters, as text files have them under headings.
_RULED = re.compile(r"^([-=_*~#+.])\1{2,}$")


@dataclass(frozen=True, slots=True)
class Document:
    """An upload that could be read; its text has at least one paragraph."""

    media_type: MediaType
    text: ExtractedText


def extract(data: bytes, *, seconds: float, read_scans: ReadScans | None = None) -> Document:
    """The text of ``data`` in at most ``seconds``; with ``read_scans`` also that of a PDF's pages which are pictures.

    Raises Rejected with the code and the sentence for the sender where it cannot be read, Retryable where
    ``read_scans`` cannot now.
    """
    if not data:
        raise refused("EMPTY", "The file is empty. Please send it again.")
    try:
        with time_budget(seconds):
            document = _extract(data, read_scans)
    except (TimeoutError, MemoryError) as spent:
        raise refused(
            "DECOMPRESSION_LIMIT",
            "The file takes too long to read. Please print it to a new PDF and send that.",
        ) from spent
    if not document.text.paragraphs:
        raise _without_text(document.media_type)
    return document


def _extract(data: bytes, read_scans: ReadScans | None) -> Document:
    match binary_type(data):
        case MediaType.PDF:
            from pdf_text import extract_pdf  # noqa: PLC0415 - see above: 0.4 s

            return _document(MediaType.PDF, extract_pdf(data, read_scans))
        case MediaType.DOCX:
            from docx_text import extract_docx  # noqa: PLC0415 - see above: 0.15 s

            return _document(MediaType.DOCX, extract_docx(data))
        case _:
            return _extract_text(data)


def _extract_text(data: bytes) -> Document:
    text = decode(data, declared_encoding(data))
    if text_type(text) is MediaType.HTML:
        from html_text import extract_html  # noqa: PLC0415 - see above

        return _document(MediaType.HTML, extract_html(text))
    if len(text) > MAXIMUM_CHARACTERS:
        raise refused("TOO_LARGE", "The file holds too much text. Please send it in parts.")
    lines = [_RULED.sub("", " ".join(line.split())) for line in visible(text).split("\n")]
    return _document(MediaType.TEXT, ExtractedText(paragraphs_of([lines], numbered=False)))


def _document(media_type: MediaType, text: ExtractedText) -> Document:
    title = text.title[:MAXIMUM_TITLE_CHARACTERS] if text.title else None
    return Document(media_type, replace(text, title=title))


def _without_text(media_type: MediaType) -> Exception:
    if media_type in (MediaType.PDF, MediaType.DOCX):
        return refused("NO_TEXT", "The document holds pictures but no text. Please send one with text in it.")
    return refused("EMPTY", "There is no text in the file. Please send one with text in it.")
