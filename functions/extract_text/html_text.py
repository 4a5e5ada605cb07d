"""The text of a web page as a reader sees it: block by block, without scripts, styles and what is hidden."""

import re

from lxml import etree

from clean_text import clean
from extracted_text import ExtractedText, Paragraph
from extraction_limits import MAXIMUM_CHARACTERS
from upload_refusals import refused

_UNSEEN = {"script", "style", "template", "noscript", "svg", "math", "iframe", "object", "head", "select", "button"}
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d])"
)
_INLINE = {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins"),
    *("kbd", "label", "mark", "q", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time"),
    *("tt", "u", "var", "wbr", "img", "td", "th", "br"),
}


def extract_html(text: str) -> ExtractedText:
    """The paragraphs of a page; a table row is one, its cells parted by " | ".

    Nothing is resolved or fetched. No tree is built: a page nested a million deep costs no more than a flat one.
    Raises Rejected (TOO_LARGE).
    """
    reader = _Reader()
    # huge_tree: without it libxml2 stops at a depth of 256 and silently leaves out the rest.
    parser = etree.HTMLParser(
        target=reader,  # type: ignore[arg-type] # the stubs say str or bytes; lxml on Python 3 says str
        huge_tree=True,
        no_network=True,
    )
    parser.feed(text)
    parser.close()
    return ExtractedText(reader.paragraphs, title=clean("".join(reader.title)) or None)


class _Reader:
    """lxml's parser target: told each start, end and text, in order; keeps the block that is open."""

    def __init__(self) -> None:
        self.paragraphs: list[Paragraph] = []
        self.title: list[str] = []
        self._block: list[str] = []
        self._characters = 0
        self._unseen_depth = 0
        self._in_title = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "title":
            self._in_title = not self.title
        if self._unseen_depth or tag in _UNSEEN or _is_hidden(attributes):
            self._unseen_depth += 1
            return
        if tag == "br":
            self._block.append(" ")
        elif tag in ("td", "th"):
            self._block.append(" | " if any(map(str.strip, self._block)) else " ")
        elif tag not in _INLINE:
            self._end_block()

    def end(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if self._unseen_depth:
            self._unseen_depth -= 1
            return
        if tag not in _INLINE:
            self._end_block()

    def data(self, text: str) -> None:
        if self._in_title:
            self.title.append(text)
        elif not self._unseen_depth:
            self._block.append(text)

    def comment(self, text: str) -> None:
        """Comments are not read."""

    def close(self) -> None:
        self._end_block()

    def _end_block(self) -> None:
        text = clean("".join(self._block))
        self._block.clear()
        if not text:
            return
        self.paragraphs.append(Paragraph(text))
        self._characters += len(text)
        if self._characters > MAXIMUM_CHARACTERS:
            raise refused("TOO_LARGE", "The page holds too much text. Please send it in parts.")


def _is_hidden(attributes: dict[str, str]) -> bool:
    if "hidden" in attributes or attributes.get("aria-hidden", "").lower() == "true":
        return True
    return bool(_HIDDEN_STYLE.search(attributes.get("style", "").lower()))
