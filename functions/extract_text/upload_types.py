"""What an upload is, judged by its content. Its name is the sender's word for it, and is not asked.

Sources: the file formats' own magic numbers; for HTML the WHATWG MIME Sniffing Standard, section 7.1; for OOXML
ECMA-376 part 2 (the content type of the main part says what the package is).
"""

import io
import re
import zipfile
import zlib
from enum import StrEnum

from upload_refusals import refused


class MediaType(StrEnum):
    """The types that can be read."""

    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    HTML = "text/html"
    TEXT = "text/plain"


SUPPORTED = "Please send a PDF, a Word document (.docx), a web page or a text file."

# A PDF may begin with other bytes: readers accept its mark anywhere in the first 1,024 (ISO 32000-2, annex I).
_PDF_MARK, _PDF_MARK_WITHIN = b"%PDF-", 1024
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_COMPOUND_FILE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF87a", "a GIF picture"),
    (b"GIF89a", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"BM", "a BMP picture"),
    (b"{\\rtf", "a rich text file (RTF)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"%!PS", "a PostScript file"),
    (b"ID3\x03", "a sound file"),
    (b"ID3\x04", "a sound file"),
)
# By what [Content_Types].xml says of the main part.
_WORD_DOCUMENT = b"wordprocessingml.document.main+xml"
_OTHER_PACKAGES = (
    (b"ms-word.document.macroEnabled.main+xml", "a Word document with macros"),
    (b"wordprocessingml.template.main+xml", "a Word template"),
    (b"spreadsheetml", "an Excel workbook"),
    (b"presentationml", "a PowerPoint presentation"),
)
_CONTENT_TYPES = "[Content_Types].xml"
_CONTENT_TYPES_BYTES = 1_000_000
_HTML_START = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*+-->\s*+)*+"
    r"<(?:!doctype\s+html|html|head|script|iframe|h[1-6]|div|font|table|a|style|title|b|body|br|p|main|article|section"
    r"|ul|ol|meta)[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
_XML_START = re.compile(r"\s*<(?:\?xml|svg)[\s>]", re.IGNORECASE)
_SNIFFED_CHARACTERS = 4096


def binary_type(data: bytes) -> MediaType | None:
    """The type of ``data`` (not empty) where its bytes give it away; None where it can only be text.

    Raises Rejected (UNSUPPORTED_TYPE, PASSWORD_PROTECTED, CORRUPT) for what cannot be read.
    """
    if data.startswith(_ZIP_MARKS):
        return _package_type(data)
    if data.startswith(_COMPOUND_FILE_MARK):
        raise _compound_file(data)
    for mark, name in _OTHERS:
        if data.startswith(mark) and not (mark in (b"BM", b"MZ") and b"\x00" not in data[:64]):
            raise refused("UNSUPPORTED_TYPE", f"This is {name}. {SUPPORTED}")
    if _PDF_MARK in data[:_PDF_MARK_WITHIN]:
        return MediaType.PDF
    return None


def text_type(text: str) -> MediaType:
    """HTML or plain text; raises Rejected (UNSUPPORTED_TYPE) for XML that is neither."""
    start = text[:_SNIFFED_CHARACTERS]
    if _HTML_START.match(start) or (_XML_START.match(start) and re.search(r"<html[\s>]", start, re.IGNORECASE)):
        return MediaType.HTML
    if _XML_START.match(start):
        raise refused("UNSUPPORTED_TYPE", f"This is an XML file. {SUPPORTED}")
    return MediaType.TEXT


def _package_type(data: bytes) -> MediaType:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            names = set(package.namelist())
            if _CONTENT_TYPES not in names:
                name = "an OpenDocument or e-book file" if "mimetype" in names else "a ZIP archive"
                raise refused("UNSUPPORTED_TYPE", f"This is {name}. {SUPPORTED}")
            with package.open(_CONTENT_TYPES) as part:
                content_types = part.read(_CONTENT_TYPES_BYTES)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as broken:
        # RuntimeError: zipfile's way to say that a part is encrypted. Word itself never encrypts single parts.
        raise refused("CORRUPT", "The file is damaged. Please save it again and send the new copy.") from broken
    if _WORD_DOCUMENT in content_types:
        return MediaType.DOCX
    for mark, kind in _OTHER_PACKAGES:
        if mark in content_types:
            raise refused("UNSUPPORTED_TYPE", f"This is {kind}. Please save it as a Word document (.docx) or a PDF.")
    raise refused("UNSUPPORTED_TYPE", f"This is an Office file of an unknown kind. {SUPPORTED}")


def _compound_file(data: bytes) -> Exception:
    """An OLE2 container: an Office file before 2007, or a newer one inside its encryption (MS-OFFCRYPTO 1.3.2)."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return refused(
            "PASSWORD_PROTECTED", "The document is protected by a password. Please remove it and send the file again."
        )
    return refused(
        "UNSUPPORTED_TYPE", "This is a file of an old Office version. Please save it as .docx or PDF and send that."
    )
