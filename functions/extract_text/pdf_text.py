"""The text of a PDF, page by page. pypdf reads it, within bounds that a hostile file cannot lift."""

import io
import logging

from pypdf import PasswordType, PdfReader
from pypdf import apply_configuration as pdf_limits
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

from backbone.errors import Rejected
from clean_text import clean, is_readable, visible
from extracted_text import ExtractedText
from extraction_limits import MAXIMUM_CHARACTERS, MAXIMUM_PAGES, MAXIMUM_PDF_STREAM_BYTES
from page_lines import paragraphs_of, without_furniture
from upload_refusals import refused

# pypdf warns of each flaw that it reads over; a file that it cannot read raises.
logging.getLogger("pypdf").setLevel(logging.ERROR)


def extract_pdf(data: bytes) -> ExtractedText:
    """The text in ``data``, a PDF.

    Raises Rejected: PASSWORD_PROTECTED, TOO_MANY_PAGES, NO_TEXT, TOO_LARGE, DECOMPRESSION_LIMIT, CORRUPT.
    """
    limit = MAXIMUM_PDF_STREAM_BYTES
    try:
        with pdf_limits(
            array_based_stream_maximum_output_length=limit,
            zlib_maximum_output_length=limit,
            lzw_maximum_output_length=limit,
            run_length_maximum_output_length=limit,
            disable_legacy_handling=True,
        ):
            return _extract(PdfReader(io.BytesIO(data)))
    except Rejected:
        raise
    except (DependencyError, FileNotDecryptedError) as locked:
        raise _locked() from locked
    except LimitReachedError as reached:
        raise refused(
            "DECOMPRESSION_LIMIT",
            "The PDF unpacks to far more than a document holds. Please print it to a new PDF and send that.",
        ) from reached
    except Exception as broken:  # pypdf.errors: "broken PDF files might cause other Exceptions"
        raise refused(
            "CORRUPT", "The PDF is damaged. Please export or print it again and send the new copy."
        ) from broken


def _extract(reader: PdfReader) -> ExtractedText:
    # Many PDFs are encrypted only to restrict printing: those open with the empty password.
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        raise _locked()
    count = len(reader.pages)
    if count > MAXIMUM_PAGES:
        raise refused(
            "TOO_MANY_PAGES",
            f"The PDF has {count} pages, and we read {MAXIMUM_PAGES}. Please split it and send the parts.",
        )
    pages = _pages(reader)
    if not pages:
        raise refused("CORRUPT", "The PDF has no pages. Please export it again and send the new copy.")
    without_text = sum(not page for page in pages)
    if without_text * 2 > count:
        raise refused(
            "NO_TEXT",
            f"{without_text} of {count} pages hold no text: they are pictures, as a scanner makes them. "
            "Please send a PDF with text (many scanners offer text recognition, OCR).",
        )
    if not is_readable("".join(line for page in pages for line in page)):
        raise refused(
            "NO_TEXT",
            "The PDF's fonts do not say which letters they draw. Please export it again, or print it to a new PDF.",
        )
    title = reader.metadata.title if reader.metadata else None
    return ExtractedText(
        paragraphs_of(without_furniture(pages), numbered=True),
        title=clean(title or "") or None,
        pages=count,
        pages_without_text=without_text,
    )


def _pages(reader: PdfReader) -> list[list[str]]:
    """The lines of each page, cleaned, none of them empty."""
    pages: list[list[str]] = []
    characters = 0
    for page in reader.pages:
        text = visible(page.extract_text())
        characters += len(text)
        if characters > MAXIMUM_CHARACTERS:
            raise refused("TOO_LARGE", "The PDF holds too much text. Please split it and send the parts.")
        pages.append([line for line in map(clean, text.split("\n")) if line])
    return pages


def _locked() -> Rejected:
    return refused(
        "PASSWORD_PROTECTED", "The PDF is protected by a password. Please remove it and send the file again."
    )
