"""The text of a Word document, paragraph by paragraph and table row by table row.

python-docx opens the package and finds its main part. Its own ``paragraph.text`` leaves out tracked insertions, content
controls, footnotes and text boxes, so the elements are walked here: deleted and hidden text is left out, nothing else.
Headers and footers are parts of their own and are not read: they repeat on every page.
"""

import io
import zipfile
from collections.abc import Iterator

import docx
from docx.document import Document
from docx.opc.constants import RELATIONSHIP_TYPE
from lxml import etree

from backbone.errors import Rejected
from clean_text import clean
from extracted_text import ExtractedText, Paragraph
from extraction_limits import MAXIMUM_CHARACTERS, MAXIMUM_PACKAGE_PARTS, MAXIMUM_PACKAGE_XML_BYTES
from upload_refusals import refused

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PARAGRAPH, _ROW, _CELL = f"{_W}p", f"{_W}tr", f"{_W}tc"
_TEXTS = {f"{_W}t", "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"}
_XML_PARTS = (".xml", ".rels")
_SPACES = {f"{_W}tab", f"{_W}br", f"{_W}cr"}
_HYPHENS = {f"{_W}noBreakHyphen"}
# What says again what stands elsewhere: a drawing for old readers, and the place that moved text came from.
_TWINS = {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback", f"{_W}moveFrom"}
_VANISH = f"{_W}rPr/{_W}vanish"


def extract_docx(data: bytes) -> ExtractedText:
    """The text in ``data``, an OOXML word-processing package.

    Raises Rejected: DECOMPRESSION_LIMIT, PASSWORD_PROTECTED, CORRUPT, TOO_LARGE.
    """
    try:
        document = docx.Document(_bounded_package(data))
        roots = [document.element.body, *_footnotes(document)]
        paragraphs = list(_bounded(text for root in roots for text in _blocks(root)))
        title = clean(document.core_properties.title)
    except Rejected:
        raise
    except Exception as broken:  # python-docx raises whatever a broken package makes it stumble over
        raise _corrupt() from broken
    return ExtractedText(paragraphs, title=title or None)


def _bounded_package(data: bytes) -> io.BytesIO:
    """The package again, within bounds: its XML parts, uncompressed, and empty stand-ins for pictures and the like.

    A part is read to the length that the archive's directory declares, so their sum is the bound. Reading it without a
    length would inflate all of it before it is cut (zipfile), however little the directory declares.
    """
    bounded = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as package, zipfile.ZipFile(bounded, "w") as copy:
        parts = package.infolist()
        if any(part.flag_bits & 0x1 for part in parts):
            raise refused(
                "PASSWORD_PROTECTED", "The document is encrypted. Please remove the password and send it again."
            )
        declared = sum(part.file_size for part in parts if part.filename.endswith(_XML_PARTS))
        if len(parts) > MAXIMUM_PACKAGE_PARTS or declared > MAXIMUM_PACKAGE_XML_BYTES:
            raise refused(
                "DECOMPRESSION_LIMIT",
                "The document unpacks to far more text than a document holds. Please save it as a PDF and send that.",
            )
        for part in parts:
            with package.open(part) as content:
                is_xml = part.filename.endswith(_XML_PARTS)
                copy.writestr(part.filename, content.read(part.file_size) if is_xml else b"")
    return bounded


def _corrupt() -> Exception:
    return refused("CORRUPT", "The Word document is damaged. Please open it, save it again and send the new copy.")


def _footnotes(document: Document) -> list[etree._Element]:
    """The roots of the footnotes and endnotes, which python-docx does not know."""
    return [
        etree.fromstring(relation.target_part.blob, etree.XMLParser(resolve_entities=False, no_network=True))
        for relation in document.part.rels.values()
        if relation.reltype in (RELATIONSHIP_TYPE.FOOTNOTES, RELATIONSHIP_TYPE.ENDNOTES) and not relation.is_external
    ]


def _bounded(texts: Iterator[str]) -> Iterator[Paragraph]:
    characters = 0
    for text in texts:
        characters += len(text)
        if characters > MAXIMUM_CHARACTERS:
            raise refused("TOO_LARGE", "The document holds too much text. Please send it in parts.")
        yield Paragraph(text)


def _blocks(root: etree._Element) -> Iterator[str]:
    """Paragraphs outside of tables and whole rows, cells parted by " | ", in the order in which they end."""
    open_blocks: list[list[str]] = []  # one for each paragraph, cell and row that is open, innermost last
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        tag = element.tag
        if event == "start":
            if tag in _TWINS or (tag == f"{_W}r" and _is_hidden(element)):
                walk.skip_subtree()
            elif tag in (_PARAGRAPH, _CELL, _ROW):
                open_blocks.append([])
            elif open_blocks:
                open_blocks[-1].append(_said(element))
        elif tag in (_PARAGRAPH, _CELL, _ROW) and open_blocks:
            text = clean((" | " if tag == _ROW else "").join(open_blocks.pop()))
            if tag == _ROW or not open_blocks:
                yield from [text] if text.strip(" |") else []
            else:
                open_blocks[-1].append(text if tag == _CELL else f" {text} ")


def _is_hidden(run: etree._Element) -> bool:
    vanish = run.find(_VANISH)
    return vanish is not None and vanish.get(f"{_W}val") not in ("0", "false", "off")


def _said(element: etree._Element) -> str:
    if element.tag in _TEXTS:
        return element.text or ""
    if element.tag in _HYPHENS:
        return "-"
    return " " if element.tag in _SPACES else ""
