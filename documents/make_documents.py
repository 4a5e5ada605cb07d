"""Makes the sample documents from the texts in sources/: ``python -m documents.make_documents``.

The same texts give the same documents on every machine: there are no times in the files, and the PDF is not compressed
(deflate's output differs between builds of zlib). A source is plain text: "# title", "## heading", rows of a table
("| a | b |") and paragraphs, with empty lines between them.
"""

import html
import io
import itertools
import textwrap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import docx
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Paragraph, Spacer, Table, TableStyle

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "sources"

_TITLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=20, leading=26, spaceAfter=14)
_HEADING = ParagraphStyle(
    "heading", fontName="Helvetica-Bold", fontSize=13, leading=18, spaceBefore=14, spaceAfter=6, keepWithNext=1
)
_BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=14, leading=21, spaceAfter=11, alignment=TA_JUSTIFY)
# The earliest time that a ZIP archive can hold.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


class Block(NamedTuple):
    """A piece of a source: its kind, and its text or, for a table, its rows."""

    kind: Literal["title", "heading", "paragraph", "table"]
    text: str
    rows: list[list[str]]


def blocks(source: str) -> Iterator[Block]:
    """The pieces of a source text in order."""
    for piece in source.strip().split("\n\n"):
        if piece.startswith("|"):
            yield Block("table", "", [[cell.strip() for cell in row[1:-1].split("|")] for row in piece.splitlines()])
        elif piece.startswith("# "):
            yield Block("title", piece[2:], [])
        elif piece.startswith("## "):
            yield Block("heading", piece[3:], [])
        else:
            yield Block("paragraph", piece, [])


def pdf(source: str, running_head: str) -> bytes:
    """A PDF with a running head and page numbers on each page."""

    def furnish(canvas: Canvas, _: BaseDocTemplate) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(2.8 * cm, A4[1] - 1.6 * cm, running_head)
        canvas.drawCentredString(A4[0] / 2, 1.4 * cm, f"Page {canvas.getPageNumber()}")

    output = io.BytesIO()
    content = list(blocks(source))
    template = BaseDocTemplate(output, pagesize=A4, title=content[0].text, invariant=1, pageCompression=0)
    frame = Frame(2.8 * cm, 2.6 * cm, A4[0] - 5.6 * cm, A4[1] - 5.2 * cm)
    template.addPageTemplates([PageTemplate(frames=[frame], onPage=furnish)])
    template.build(list(itertools.chain.from_iterable(map(_flowables, content))))
    return output.getvalue()


def _flowables(block: Block) -> list[Flowable]:
    match block.kind:
        case "title":
            return [Paragraph(html.escape(block.text), _TITLE)]
        case "heading":
            return [Paragraph(html.escape(block.text), _HEADING)]
        case "paragraph":
            return [Paragraph(html.escape(block.text), _BODY)]
        case "table":
            style = TableStyle(
                [("FONT", (0, 0), (-1, -1), "Times-Roman", 10.5), ("GRID", (0, 0), (-1, -1), 0.3, "grey")]
            )
            return [Table(block.rows, style=style), Spacer(1, 9)]


def word(source: str) -> bytes:
    """A Word document with its own headings and tables."""
    document = docx.Document()
    for block in blocks(source):
        if block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
        elif block.kind == "paragraph":
            document.add_paragraph(block.text)
        else:
            document.add_heading(block.text, level=0 if block.kind == "title" else 1)
    document.core_properties.title = next(blocks(source)).text
    output = io.BytesIO()
    document.save(output)
    return _without_times(output.getvalue())


def _without_times(archive: bytes) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as before, zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as after:
        for part in before.infolist():
            after.writestr(zipfile.ZipInfo(part.filename, _NO_TIME), before.read(part), zipfile.ZIP_DEFLATED)
    return output.getvalue()


def web_page(source: str) -> bytes:
    """A page with what real pages bring along: a style and a script."""
    content = list(blocks(source))
    body = "\n".join(map(_html_of, content))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{html.escape(content[0].text)}</title>
<style>body {{ font-family: serif; max-width: 42em; margin: auto; }} td {{ padding: 0 1em; }}</style>
<script>window.visited = Date.now();</script>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
""".encode()


def _html_of(block: Block) -> str:
    if block.kind == "table":
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in block.rows)
        return "<table>\n" + "\n".join(f"<tr>{row}</tr>" for row in rows) + "\n</table>"
    tag = {"title": "h1", "heading": "h2", "paragraph": "p"}[block.kind]
    return f"<{tag}>{html.escape(block.text)}</{tag}>"


def text_file(source: str) -> bytes:
    """A text as people type it: lines of at most 76 characters, headings underlined."""
    pieces = []
    for block in blocks(source):
        if block.kind in ("title", "heading"):
            pieces.append(f"{block.text}\n{('=' if block.kind == 'title' else '-') * len(block.text)}")
        else:
            pieces.append(textwrap.fill(block.text, 76))
    return ("\n\n".join(pieces) + "\n").encode()


def documents() -> dict[str, bytes]:
    """The sample documents by file name."""
    terms, policy, report, failure = (
        (SOURCES / f"{name}.txt").read_text(encoding="utf-8")
        for name in ("terms_and_conditions", "dispute_policy", "annual_report", "technical_report")
    )
    return {
        "terms-and-conditions.pdf": pdf(terms, "Harbour and Vale Bank - Terms and Conditions, edition 7"),
        "dispute-policy.docx": word(policy),
        "annual-report.html": web_page(report),
        "technical-report.txt": text_file(failure),
    }


if __name__ == "__main__":
    for name, content in documents().items():
        (FOLDER / name).write_bytes(content)
