"""Text as sentences, tokens and content words: what the checks compare.

English, as the summaries are. The stems are a reading aid for comparing two texts, not linguistics: both texts go
through the same cuts, so a wrong stem on one side is the same wrong stem on the other.
"""

import re

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
# A sentence ends where its mark is followed by a capital or a digit, but not after "Mr." or an initial.
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]?[A-Z0-9])")
_ABBREVIATION = re.compile(r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|St|No|Nos|Art|Sec|Fig|vs|etc|e\.g|i\.e|Inc|Ltd|Co)\.$")
_STOP_WORDS = """
    a about above after again against all also am an and any are as at be because been before being below between
    both but by can could did do does doing down during each either else ever every few for from further had has have
    having he her here hers herself him himself his how however i if in into is it its itself just may me might more
    most must my myself of off on once only or other our ours ourselves out over own per same shall she should so some
    such than that the their theirs them themselves then there therefore these they this those though through thus to
    too under until up upon us very was we were what when where whether which while who whom whose why will with within
    would yet you your yours yourself"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
_SUFFIXES = ("ization", "isation", "ational", "ations", "ation", "ments", "ment", "ness", "ings", "ing", "ies", "ied")
_SHORT_SUFFIXES = ("ers", "ors", "er", "or", "ed", "es", "ly", "s", "e", "y")
_SHORTEST_STEM = 3


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; a line end ends one (headings, rows of tables)."""
    return [sentence for line in text.splitlines() for sentence in _of_line(line)]


def _of_line(line: str) -> list[str]:
    found: list[str] = []
    for part in _SENTENCE_END.split(line):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] = f"{found[-1]} {part}"
        elif part.strip():
            found.append(part.strip())
    return found


def tokens(text: str) -> list[str]:
    """The words and numbers of a text as they are written, in order ("U.S", "1,200" is two)."""
    return _TOKEN.findall(text)


def stem(token: str) -> str:
    """A token cut down so that "payments", "paying" and "pay" meet."""
    word = token.lower().replace("\u2019", "'").removesuffix("'s")
    for suffix in (*_SUFFIXES, *_SHORT_SUFFIXES):
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            return word.removesuffix(suffix)
    return word


def content_stems(text: str) -> list[str]:
    """The stems of a text's words that carry meaning, in order."""
    return [stem(token) for token in tokens(text) if token.lower() not in STOP_WORDS]


def coverage(statement: str, source: str) -> float:
    """The share (0..1) of the statement's content words that the source has too; 0 where it has none at all."""
    wanted = set(content_stems(statement))
    return len(wanted & set(content_stems(source))) / len(wanted) if wanted else 0.0
