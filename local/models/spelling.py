"""Slips of the keyboard put right, so that grammar and examples know the words: "transactoins", "blok", "dont".

The shorthand of chats is written out before: "y did u stop it n is my card ok".

A word that neither the embedding model's vocabulary nor the examples know becomes the one word of the examples that is
one slip away from it: a letter too many, too few, another, or two changed about. Of several it stays what it is, and so
do names, ids and short words.
"""

import functools
import re
from collections.abc import Callable, Iterator

from local.models.offered_tools import examples

_SHORTEST = 4  # letters: of shorter words too many are one slip away from each other
_WORD = re.compile(r"(?<![\w'-])[^\W\d_]{4,}(?![\w'-])")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# Before all else: "dont" is one slip away from "done", which says the opposite.
_CONTRACTION = re.compile(
    r"(?<![\w'-])(?:(do|does|did|is|are|was|were|has|have|had|would|could|should|must|need|ca|wo)(?:nt|n t|'nt|n 't)"
    r"|(i)(m|ve)|(you|they|we)(ve))(?![\w'-])",
    re.IGNORECASE,
)
# Not what is a letter or a number of something: only between words, and "y" only where a question begins.
_SHORTHAND = {
    word: full
    for full, words in {
        "and": "n 'n' & +",
        "you": "u ya",
        "your": "ur",
        "are": "r",
        "what": "wat wot",
        "about": "bout",
        "can": "cn",
        "because": "cuz coz bc cos",
        "with": "w/ wiv",
        "somebody": "sum1 some1",
        "I don't know": "idk dunno",
        "isn't": "ain't aint",
        "want to": "wanna",
        "going to": "gonna",
        "got to": "gotta",
        "the": "da teh",
        "that": "dat",
        "though": "tho",
        "through": "thru",
        "account": "acc acct",
        "transaction": "txn",
        "transactions": "txs txns",
    }.items()
    for word in words.split()
}
_SHORT = re.compile(
    rf"(?<![\w'./:-])(?:{'|'.join(map(re.escape, sorted(_SHORTHAND, key=len, reverse=True)))})(?![\w'./:-])",
    re.IGNORECASE,
)
_Y = re.compile(
    r"(?<![\w'./:-])y(?=\s+(?:is|isn't|was|are|were|did|didn't|do|does|has|have|can|can't|the|my|not)\b)", re.IGNORECASE
)


def evenly_spaced(text: str) -> str:
    """``text`` with one space, or one new line, where there are many: grammars would try every way to part them."""
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text))


def spelled(text: str, is_known: Callable[[str], bool]) -> str:
    """``text`` with its slips put right. ``is_known``: whether a word, in lower case, is one of the language."""

    def put_right(found: re.Match[str]) -> str:
        word = found[0].lower()
        if found[0] not in (word, word.upper()) and found.start() > 0:
            return found[0]  # a name
        if word in _words() or is_known(word):
            return found[0]
        meant = {slip for slip in _slips(word) if slip in _words()}
        return meant.pop() if len(meant) == 1 else found[0]

    return _WORD.sub(put_right, _with_apostrophes(_written_out(evenly_spaced(text))))


def _written_out(text: str) -> str:
    """``text`` with whole words for the shorthand of chats."""
    return _Y.sub("why", _SHORT.sub(lambda found: _SHORTHAND[found[0].lower()], text))


def _with_apostrophes(text: str) -> str:
    """``text`` with the apostrophes of its contractions, all of the one form."""
    text = re.sub(r"(?<=\w)[\u2019\u00b4`](?=\w)", "'", re.sub(r"\bdn'?t\b", "don't", text, flags=re.IGNORECASE))
    return _CONTRACTION.sub(_contracted, text)


def _contracted(found: re.Match[str]) -> str:
    verb, *others = found.groups()
    return f"{verb}n't" if verb else "'".join(part for part in others if part)


@functools.cache
def _words() -> frozenset[str]:
    """The words of the examples."""
    document = examples()
    said = [example for tool in document["tools"].values() for example in tool["examples"]]
    said += [example for talk in document["other"].values() for example in talk]
    return frozenset(word for one in said for word in re.findall(r"[a-z]+", one.lower()) if len(word) >= _SHORTEST)


def _slips(word: str) -> Iterator[str]:
    """All that is one slip away from ``word``."""
    for place in range(len(word) + 1):
        before, after = word[:place], word[place:]
        yield before + after[1:]
        yield from (before + letter + after for letter in _LETTERS)
        yield from (before + letter + after[1:] for letter in _LETTERS)
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]
