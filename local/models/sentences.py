"""A text cut into its sentences, each exactly as it stands there but for its white space.

By rules, for English prose with a little tolerance for other Latin scripts: a full stop ends a sentence unless it
belongs to an abbreviation, an initial, or a number at the start of a list item; decimals have no space behind theirs.
Where a rule cannot know ("Acme Inc. The company ..."), the next word decides: one that often opens a sentence does so
here.
"""

import re
from collections.abc import Iterator

# Quotes that may stand around a sentence: \u2018\u201c\u00ab open it, \u2019\u201d\u00bb close it.
_STOP = re.compile(
    r"""[.!?\u2026]+ ["'\u2019\u201d\u00bb)\]]*   # the stop, and what closes with it
        \s+ (?= ["'\u2018\u201c\u00ab(\[]*        # what opens the next sentence:
        [^\W_a-z\u00df-\u00f6\u00f8-\u00ff] )     # a letter that is not a small one, or a digit
    """,
    re.VERBOSE,
)
_BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*\u2022\u2013]|\(?\d{1,2}[.)])\s)")  # a blank line, an item of a list
_LAST_WORD = re.compile(r"[^\s(\[\"'\u2018\u201c\u00ab]+$")
_FIRST_WORD = re.compile(r"\w+")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+")
_ENUMERATOR = re.compile(r"\(?(?:\d{1,2}|[ivxlc]{1,4})[.)]", re.IGNORECASE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_LAST = _words(
    """mr mrs ms dr prof rev hon gen col capt lt sgt st mt vs cf e.g i.e viz ca approx no nos art arts sec secs para
    paras cl ch fig figs eq vol pp p ed eds al jan feb mar apr jun jul aug sep sept oct nov dec bzw z.b d.h nr abs"""
)
_SOMETIMES_LAST = _words("inc ltd co corp plc llc bros etc a.m p.m u.s u.k e.u u.n ph.d jr sr")
_OPENERS = _words(
    """the this that these those it its he she they we you i a an in on at by for from as if when while after before
    since however but and so there here all each both some no our their his her one most many under during with to"""
)


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` in order, white space within them made single spaces."""
    return [" ".join(sentence.split()) for block in _BREAK.split(text) for sentence in _of_block(block) if sentence]


def _of_block(block: str) -> Iterator[str]:
    start = 0
    for stop in _STOP.finditer(block):
        before = block[start : stop.end()].rstrip()
        if _ends(before, block[stop.end() :]):
            yield before
            start = stop.end()
    yield block[start:].strip()


def _ends(before: str, after: str) -> bool:
    """Whether the stop at the end of ``before`` ends a sentence."""
    found = _LAST_WORD.search(before)
    word = found[0] if found else ""
    if not word.endswith("."):
        return True
    if before == word and _ENUMERATOR.fullmatch(word):
        return False
    bare = word.rstrip(".").lower()
    if bare in _NEVER_LAST:
        return False
    if bare in _SOMETIMES_LAST or _INITIALS.fullmatch(word):
        opener = _FIRST_WORD.search(after)
        return opener is not None and opener[0].lower() in _OPENERS
    return True
