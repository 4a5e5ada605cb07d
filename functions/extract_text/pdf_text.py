"""The text of a PDF, page by page. pypdf reads it, within bounds that a hostile file cannot lift."""

import io
import logging
from collections.abc import Iterator, Sequence

from pypdf import PageObject, PasswordType, PdfReader, PdfWriter
from pypdf import apply_configuration as pdf_limits
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

from backbone.errors import Rejected, Retryable
from clean_text import clean, is_readable, visible
from extracted_text import ExtractedText
from extraction_limits import MAXIMUM_CHARACTERS, MAXIMUM_PAGES, MAXIMUM_PDF_STREAM_BYTES, MAXIMUM_SCANNED_PAGES
from page_lines import paragraphs_of, without_furniture
from page_scans import PageScan, ReadScans
from upload_refusals import refused

# pypdf warns of each flaw that it reads over; a file that it cannot read raises.
logging.getLogger("pypdf").setLevel(logging.ERROR)


def extract_pdf(data: bytes, read_scans: ReadScans | None = None) -> ExtractedText:
    """The text in ``data``, a PDF; with ``read_scans`` also that of pages which are pictures.

    Raises Rejected: PASSWORD_PROTECTED, TOO_MANY_PAGES, NO_TEXT, TOO_LARGE, DECOMPRESSION_LIMIT, CORRUPT; and whatever
    ``read_scans`` does.
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
            return _extract(PdfReader(io.BytesIO(data)), read_scans)
    except (Rejected, Retryable):
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


def _extract(reader: PdfReader, read_scans: ReadScans | None) -> ExtractedText:
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
    scanned = [index for index, page in enumerate(pages) if not page] if read_scans else []
    if read_scans and scanned:
        _read_scanned(reader, pages, scanned, read_scans)
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
        pages_recognized=len(scanned),
    )


def _pages(reader: PdfReader) -> list[list[str]]:
    """The lines of each page, cleaned, none of them empty."""
    pages: list[list[str]] = []
    characters = 0
    for page in reader.pages:
        text = visible(page.extract_text())
        characters += len(text)
        _check_length(characters)
        pages.append(_cleaned(text.split("\n")))
    return pages


def _read_scanned(reader: PdfReader, pages: list[list[str]], scanned: Sequence[int], read_scans: ReadScans) -> None:
    """Puts the lines on the pages at the indexes ``scanned`` into ``pages``."""
    if len(scanned) > MAXIMUM_SCANNED_PAGES:
        raise refused(
            "TOO_MANY_PAGES",
            f"{len(scanned)} pages of the PDF are pictures, and we read {MAXIMUM_SCANNED_PAGES} such pages. "
            "Please split it and send the parts.",
        )
    for index, lines in zip(scanned, read_scans(_scans(reader, scanned)), strict=True):
        pages[index] = _cleaned(lines)
    _check_length(sum(len(line) for page in pages for line in page))


def _scans(reader: PdfReader, indexes: Sequence[int]) -> Iterator[PageScan]:
    """The pages at ``indexes``, one at a time: a page with its picture may have megabytes."""
    for index in indexes:
        yield PageScan(index + 1, _pdf_of(reader.pages[index]))


def _pdf_of(page: PageObject) -> bytes:
    """A PDF of this one page. Its links and its place in the document's structure would bring other pages with them."""
    writer = PdfWriter()
    writer.add_page(page, excluded_keys=("/Annots", "/B", "/StructParents"))
    output = io.BytesIO()
    writer.write(output)
    return output.getvalue()


def _cleaned(lines: Sequence[str]) -> list[str]:
    return [line for line in map(clean, lines) if line]


def _check_length(characters: int) -> None:
    if characters > MAXIMUM_CHARACTERS:
        raise refused("TOO_LARGE", "The PDF holds too much text. Please split it and send the parts.")


def _locked() -> Rejected:
    return refused(
        "PASSWORD_PROTECTED", "The PDF is protected by a password. Please remove it and send the file again."
    )
