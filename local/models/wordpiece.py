"""Text to the numbers that BERT reads: its uncased tokenizer, in plain Python.

Follows "BERT: Pre-training of Deep Bidirectional Transformers" (Devlin et al., 2018) and the tokenizer of its release:
control characters go, text becomes lower case without accents, punctuation and CJK characters stand alone, and each
word is cut greedily into the longest pieces that the vocabulary has, all but the first marked with ``##``.
"""

import functools
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

CLASSIFY, SEPARATE, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_LONGEST_WORD = 100  # characters; a longer one is unknown
_CJK = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F)),
    *((0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


def read_vocabulary(path: Path) -> dict[str, int]:
    """The pieces and their numbers, from a file with one piece a line."""
    return {piece: number for number, piece in enumerate(path.read_text(encoding="utf-8").split("\n")) if piece}


class Tokenizer:
    """Cuts texts into the pieces of one vocabulary. It remembers words: a text has few that are new."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary
        self._numbers = functools.lru_cache(maxsize=2**16)(self._numbers_of)

    def tokenize(self, text: str) -> list[int]:
        """The numbers of the pieces of ``text``, without the special pieces that frame a sequence."""
        return [number for word in _spaced(text).split() for number in self._numbers(word)]

    def _numbers_of(self, word: str) -> tuple[int, ...]:
        decomposed = unicodedata.normalize("NFD", word)
        plain = "".join(character for character in decomposed if unicodedata.category(character) != "Mn").lower()
        parts = _split_at_punctuation(plain)
        return tuple(self._vocabulary[piece] for part in parts for piece in _pieces(part, self._vocabulary))


def _spaced(text: str) -> str:
    """``text`` without control characters, every kind of white space a space, spaces around CJK characters."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_cleaned(character) for character in text)


def _cleaned(character: str) -> str:
    if character in "\t\n\r" or unicodedata.category(character) == "Zs":
        return " "
    if character in "\0\ufffd" or unicodedata.category(character) in ("Cc", "Cf"):
        return ""
    if any(first <= ord(character) <= last for first, last in _CJK):
        return f" {character} "
    return character


def _split_at_punctuation(word: str) -> Iterator[str]:
    start = 0
    for place, character in enumerate(word):
        if _is_punctuation(character):
            if start < place:
                yield word[start:place]
            yield character
            start = place + 1
    if start < len(word):
        yield word[start:]


def _is_punctuation(character: str) -> bool:
    """Unicode's punctuation, and every other ASCII character that is neither letter, digit nor space: ``$``, ``+``."""
    ascii_symbol = character.isascii() and not character.isalnum() and character.isprintable() and character != " "
    return ascii_symbol or unicodedata.category(character).startswith("P")


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[str]:
    if len(word) > _LONGEST_WORD:
        return [UNKNOWN]
    pieces: list[str] = []
    start = 0
    while start < len(word):
        piece = _longest_piece(word, start, vocabulary)
        if piece is None:
            return [UNKNOWN]
        pieces.append(piece)
        start += len(piece.removeprefix("##")) if start else len(piece)
    return pieces


def _longest_piece(word: str, start: int, vocabulary: Mapping[str, int]) -> str | None:
    mark = "##" if start else ""
    for end in range(len(word), start, -1):
        piece = mark + word[start:end]
        if piece in vocabulary:
            return piece
    return None
