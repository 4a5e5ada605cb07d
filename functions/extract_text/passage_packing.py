"""Paragraphs to passages, and passages to chunks.

A passage is what a sentence of a summary cites: about a paragraph, long enough to say something and short enough to be
looked at. A chunk is what the model summarises in one call. Words are neither lost nor repeated on the way.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from backbone.documents import Passage
from extracted_text import Paragraph

SHORTEST_PASSAGE = 200
LONGEST_PASSAGE = 1200
LONGEST_CHUNK = 12_000

# After a full stop, question or exclamation mark, before what can begin a sentence.
_SENTENCE_GAP = re.compile(
    r"(?<=[.!?])([\"'\u201d\u2019»)\]]*)\s+(?=[\"'\u201c\u2018«(\[]*[^\W_a-z])|(?<=[\u3002\uff01\uff1f])\s*"
)
# ... but not after these: "No. 4", "Art. 12", "J. Smith", "Dr. Weber".
_NO_END = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|No|Nos|Nr|Art|Sec|Dr|Mr|Mrs|Ms|Prof|St|Fig|vs|cf|e\.g|i\.e|pp?|approx)\.$"
)


def passages_of(paragraphs: Sequence[Paragraph]) -> list[Passage]:
    """The passages p1, p2, ... of a document, each 1 to LONGEST_PASSAGE characters long and on one page.

    Paragraphs within one are parted by a line end.
    One is shorter than SHORTEST_PASSAGE only where it could not be joined with its neighbours on the page.
    """
    pieces = [Paragraph(piece, one.page) for one in paragraphs for piece in _pieces(one.text)]
    packed: list[Paragraph] = []
    for _, on_page in itertools.groupby(pieces, key=lambda piece: piece.page):
        packed.extend(_packed(list(on_page)))
    return [Passage(f"p{number}", one.page, one.text) for number, one in enumerate(packed, start=1)]


def chunks_of(passages: Sequence[Passage]) -> list[list[Passage]]:
    """``passages`` in order, in groups of at most LONGEST_CHUNK characters."""
    chunks: list[list[Passage]] = []
    room = 0
    for passage in passages:
        if len(passage.text) > room:
            chunks.append([])
            room = LONGEST_CHUNK
        chunks[-1].append(passage)
        room -= len(passage.text)
    return chunks


def _packed(pieces: Sequence[Paragraph]) -> list[Paragraph]:
    """Joins what is short with what follows it on the page, and what is left over with what stands before."""
    packed: list[Paragraph] = []
    for piece in pieces:
        if packed and len(packed[-1].text) < SHORTEST_PASSAGE and _fit(packed[-1], piece):
            packed[-1] = _together(packed[-1], piece)
        else:
            _settle(packed)
            packed.append(piece)
    _settle(packed)
    return packed


def _settle(packed: list[Paragraph]) -> None:
    """Nothing more comes to the last one: where it is short, it goes to the one before if that has room."""
    if len(packed) > 1 and len(packed[-1].text) < SHORTEST_PASSAGE and _fit(packed[-2], packed[-1]):
        last = packed.pop()
        packed[-1] = _together(packed[-1], last)


def _fit(one: Paragraph, other: Paragraph) -> bool:
    return len(one.text) + 1 + len(other.text) <= LONGEST_PASSAGE


def _together(one: Paragraph, other: Paragraph) -> Paragraph:
    return Paragraph(f"{one.text}\n{other.text}", one.page)


def _pieces(text: str) -> Iterator[str]:
    """``text`` in pieces of about the same length, each at most LONGEST_PASSAGE, cut between sentences if possible."""
    if len(text) <= LONGEST_PASSAGE:
        yield text
        return
    aim = len(text) / -(-len(text) // LONGEST_PASSAGE)
    piece = ""
    for sentence in _sentences(text):
        if piece and (len(piece) >= aim or len(piece) + 1 + len(sentence) > LONGEST_PASSAGE):
            yield piece
            piece = ""
        piece = f"{piece} {sentence}" if piece else sentence
    if piece:
        yield piece


def _sentences(text: str) -> Iterator[str]:
    """The sentences of a cleaned paragraph; one longer than LONGEST_PASSAGE in parts, cut between words if possible."""
    begin = 0
    for gap in _SENTENCE_GAP.finditer(text):
        end = gap.end(1) if gap[1] is not None else gap.start()
        if _NO_END.search(text[max(begin, end - 12) : end]) or end == begin:
            continue
        yield from _short_enough(text[begin:end])
        begin = gap.end()
    if begin < len(text):
        yield from _short_enough(text[begin:])


def _short_enough(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST_PASSAGE:
        cut = sentence.rfind(" ", 1, LONGEST_PASSAGE + 1)
        cut = cut if cut > 0 else LONGEST_PASSAGE
        yield sentence[:cut]
        sentence = sentence[cut:].lstrip(" ")
    if sentence:
        yield sentence
