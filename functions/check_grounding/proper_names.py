"""Names of people, places and organisations, and identifiers: what a statement may not bring in by itself.

A name is a word with a capital that stands there for no other reason. At a sentence's start every word has one; such a
word counts where another follows ("Ingrid Solheim"), or where the document elsewhere writes it with a capital inside of
a sentence and never without.
"""

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass

from text_words import STOP_WORDS, sentences, tokens

_CAPITALISED_ANYWAY = """
    mr mrs ms miss dr sir lady lord st i january february march april may june july august september october
    november december article section chapter no one not never nothing nobody none neither nor usd eur gbp chf jpy"""
_NOT_NAMES = frozenset(_CAPITALISED_ANYWAY.split())
# Greek and Greece, America and American.
_LEAST_COMMON_START = 4
# In other languages a capital says something else (German: any noun). Two words in five of English are stop words.
_LEAST_STOP_WORDS = 0.2


@dataclass(frozen=True, slots=True)
class KnownNames:
    """``words``: what a document writes (here in small letters) with a capital inside of sentences, and never without.

    ``is_english``: whether capitals mean names at all.
    """

    words: Set[str]
    is_english: bool


def names_of_document(passages: Iterable[str]) -> KnownNames:
    """The names that all passages of a document know."""
    capitals: set[str] = set()
    small: set[str] = set()
    words = stop_words = 0
    for text in passages:
        for sentence in sentences(text):
            for position, token in enumerate(tokens(sentence)):
                words += 1
                stop_words += _plain(token) in STOP_WORDS
                if position > 0:
                    (capitals if token[0].isupper() else small).add(_plain(token))
    return KnownNames(capitals - small - STOP_WORDS - _NOT_NAMES, stop_words >= _LEAST_STOP_WORDS * words)


def missing(statement: str, source: str, known: KnownNames) -> list[str]:
    """What names of ``statement`` are not in ``source``, a sentence each."""
    if not known.is_english:
        return []
    there = {_plain(token) for token in tokens(source)}
    initials = _initials(source)
    spelled_out = _initials_as_words(statement, there)
    return [
        f"the name {name} is not there"
        for name in _names(statement, known.words)
        if not _is_there(_plain(name), there, initials) and _plain(name) not in spelled_out
    ]


def _names(statement: str, known_names: Set[str]) -> list[str]:
    found: list[str] = []
    for sentence in sentences(statement):
        words = tokens(sentence)
        for position, token in enumerate(words):
            word = _plain(token)
            if word in STOP_WORDS or word in _NOT_NAMES or not token[0].isupper():
                continue
            is_identifier = any(character.isdigit() or character.isupper() for character in token[1:])
            is_first_of_several = words[position + 1 : position + 2] and words[position + 1][0].isupper()
            if position > 0 or is_identifier or is_first_of_several or word in known_names:
                found.append(token)
    return found


def _is_there(name: str, there: Set[str], initials: Set[str]) -> bool:
    if name in there or name in initials:
        return True
    return any(_common_start(name, word) >= max(_LEAST_COMMON_START, min(len(name), len(word)) - 1) for word in there)


def _common_start(left: str, right: str) -> int:
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length


def _initials(text: str) -> Set[str]:
    """ "un" for a text that has "United Nations"; a word of few letters between the names is passed over."""
    runs = re.findall(r"[A-Z][\w\u2019']*(?:\s+(?:of|and|for|the)\s+[A-Z][\w\u2019']*|\s+[A-Z][\w\u2019']*)+", text)
    return {"".join(word[0] for word in run.split() if word[0].isupper()).lower() for run in runs}


def _initials_as_words(statement: str, there: Set[str]) -> Set[str]:
    """The words of those names in ``statement`` that the source knows by their initials only."""
    runs = re.findall(r"[A-Z][\w\u2019']*(?:\s+[A-Z][\w\u2019']*)+", statement)
    known = [run for run in runs if "".join(word[0] for word in run.split()).lower() in there]
    return {_plain(word) for run in known for word in run.split()}


def _plain(token: str) -> str:
    return token.lower().replace("\u2019", "'").removesuffix("'s").removesuffix("'").replace(".", "")
