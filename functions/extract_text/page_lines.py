"""Lines as they stand on pages to paragraphs as they were written.

What repeats at the top or the bottom of most pages is removed, words that were hyphenated at a line's end are joined,
and lines are joined into paragraphs. Nothing else is lost: every other word is in the paragraphs, in order.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from extracted_text import Paragraph

type Page = Sequence[str]

_EDGE_LINES = 3
_REPEATS_ON = 0.6  # of the pages, in the same place
_MINIMUM_PAGES = 4  # on fewer, a repetition may be chance
_LONGEST_EDGE_LINE = 150
_NUMBER = re.compile(r"(?<![\d.,])\d{1,4}(?![\d]|[.,]\d)")
_SENTENCE_END = re.compile(r"[.!?:;\u3002\uff01\uff1f][\"'\u201d\u2019»)\]]*$")
_ITEM = re.compile(r"(?:[-•*\u2013\u2014▪◦·]|\(?\d{1,3}(?:\.\d{1,3})*[.)]|\d{1,3}(?:\.\d{1,3})+|\(?[a-zA-Z][.)]|§)\s")
_COMPOUND = re.compile(r"\b\w+-\w+")
_HYPHENS = "-\u2010"
_LAST_WORD = re.compile(r"\w+$")
_FIRST_WORD = re.compile(r"\w+")
_LONGEST_WORD = 100
# A text file whose lines are longer than any printed line has a paragraph on each.
_LONGEST_PRINTED_LINE = 200


def without_furniture(pages: Sequence[Page]) -> list[list[str]]:
    """``pages`` (cleaned lines, none empty) without headers, footers and page numbers.

    These are lines that stand near the top, or near the bottom, of most pages, alike but for a number that counts with
    the pages.
    """
    if len(pages) < _MINIMUM_PAGES:
        return [list(page) for page in pages]
    offsets = _page_number_offsets(pages)
    seen: Counter[tuple[str, str]] = Counter()
    for index, page in enumerate(pages):
        seen.update({("top", key) for line in page[:_EDGE_LINES] for key in _keys(line, index, offsets)})
        seen.update({("bottom", key) for line in page[-_EDGE_LINES:] for key in _keys(line, index, offsets)})
    furniture = {key for key, count in seen.items() if count >= len(pages) * _REPEATS_ON}
    return [_stripped(page, index, offsets, furniture) for index, page in enumerate(pages)]


def _page_number_offsets(pages: Sequence[Page]) -> set[int]:
    """What must be added to a page's index (from 0) for a number that is printed near an edge of most pages."""
    seen: Counter[int] = Counter()
    for index, page in enumerate(pages):
        edges = [*page[:_EDGE_LINES], *page[-_EDGE_LINES:]]
        seen.update({int(number) - index for line in edges for number in _NUMBER.findall(line)})
    return {offset for offset, count in seen.items() if count >= len(pages) * _REPEATS_ON}


def _keys(line: str, index: int, offsets: set[int]) -> set[str]:
    """``line`` as it is, and with the page's own number masked; other numbers stay: rows of figures are not alike.

    Both, for "edition 7" in the head of page 7 is no page number.
    """
    if len(line) > _LONGEST_EDGE_LINE:
        return set()
    masked = _NUMBER.sub(lambda found: "#" if int(found[0]) - index in offsets else found[0], line)
    return {line, masked}


def _stripped(page: Page, index: int, offsets: set[int], furniture: set[tuple[str, str]]) -> list[str]:
    def is_furniture(edge: str, line: str) -> bool:
        return any((edge, key) in furniture for key in _keys(line, index, offsets))

    first, last = 0, len(page)
    while first < min(_EDGE_LINES, last) and is_furniture("top", page[first]):
        first += 1
    while last > max(first, len(page) - _EDGE_LINES) and is_furniture("bottom", page[last - 1]):
        last -= 1
    return list(page[first:last])


def paragraphs_of(pages: Sequence[Page], *, numbered: bool) -> list[Paragraph]:
    """The paragraphs on ``pages`` (cleaned lines; an empty one ends a paragraph), with their pages if ``numbered``.

    A sentence that runs over the end of a page stays whole, on the page where it began.
    """
    compounds = {word.casefold() for page in pages for line in page for word in _COMPOUND.findall(line)}
    found: list[Paragraph] = []
    for number, page in enumerate(pages, start=1):
        for position, text in enumerate(_blocks(page, compounds)):
            if position == 0 and found and _runs_on(found[-1].text, text):
                text_before, gap = _joint(found[-1].text, text, compounds)
                found[-1] = Paragraph(f"{text_before}{gap}{text}", found[-1].page)
            else:
                found.append(Paragraph(text, number if numbered else None))
    return found


def _runs_on(before: str, after: str) -> bool:
    return after[0].islower() and not _SENTENCE_END.search(before) and not _ITEM.match(after)


def _blocks(page: Page, compounds: set[str]) -> Iterator[str]:
    lengths = sorted(len(line) for line in page if line)
    width = lengths[len(lengths) * 9 // 10] if lengths else 0
    block: list[str] = []
    before = ""
    for line in page:
        if block and _begins_new(before, line, width):
            yield "".join(block)
            block.clear()
        if line:
            _append(block, line, compounds)
        before = line
    if block:
        yield "".join(block)


def _begins_new(before: str, line: str, width: int) -> bool:
    """Whether a paragraph ends between two lines of a page whose full lines are ``width`` characters long."""
    if not line or not before or width > _LONGEST_PRINTED_LINE:
        return True
    ended = bool(_SENTENCE_END.search(before))
    if ended and len(before) < width * 0.85:
        return True
    if _ITEM.match(line) and (ended or len(before) < width * 0.85):
        return True
    return len(before) < width * 0.6 and not line[0].islower() and before[-1] not in ",-\u2013"


def _append(block: list[str], line: str, compounds: set[str]) -> None:
    """Adds the next line of a paragraph; a word broken at the line's end becomes whole, a compound keeps its hyphen."""
    if block:
        block[-1], gap = _joint(block[-1], line, compounds)
        block.append(gap)
    block.append(line)


def _joint(before: str, after: str, compounds: set[str]) -> tuple[str, str]:
    """``before`` as it stands when ``after`` follows, and what to put between the two."""
    if before[-1:] not in _HYPHENS or not after[0].islower():
        return before, " "
    first, second = _LAST_WORD.search(before[-_LONGEST_WORD:-1]), _FIRST_WORD.match(after[:_LONGEST_WORD])
    if first is None or second is None:
        return before, " "
    if f"{first[0]}-{second[0]}".casefold() in compounds or not first[0][-1].isalpha():
        return before, ""
    return before[:-1], ""
