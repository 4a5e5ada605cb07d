"""Cleans extracted text: one kind of space, one form of each letter, and nothing in it that a reader cannot see.

Invisible characters are removed because they hide words from a person and show them to a model (Unicode tags,
zero-width letters, reversed runs). Words, numbers and punctuation stay as they are: NFC and not NFKC, which would turn
10² into 102.
"""

import re
import unicodedata

_LIGATURES = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
_LINE_ENDS = re.compile("\r\n?|[\u0085\u2028\u2029]")
_HYPHEN_AT_LINE_END = re.compile("\u00ad(?=[ \t]*\n)")
# Zero-width joiner and non-joiner: Persian, Hindi and others are spelled with them.
_SPELLING = {"\u200c", "\u200d"}
_INVISIBLE = {"Cc", "Cf", "Cs", "Cn"}


def clean(text: str) -> str:
    """``text`` on one line: whitespace of any kind becomes one space, none at either end."""
    return " ".join(visible(text).split())


def visible(text: str) -> str:
    """``text`` without what cannot be seen; line ends become ``\\n`` and stay."""
    text = _LINE_ENDS.sub("\n", text)
    if not text.isascii():
        # A soft hyphen is seen where a line breaks at it, and only there.
        text = _HYPHEN_AT_LINE_END.sub("-", unicodedata.normalize("NFC", text.translate(_LIGATURES)))
    if text.isprintable():
        return text
    return "".join(character for character in text if _is_visible(character))


def _is_visible(character: str) -> bool:
    if character.isspace() or character in _SPELLING:
        return True
    return unicodedata.category(character) not in _INVISIBLE


def is_readable(text: str) -> bool:
    """Whether ``text`` is words rather than the codes of a font that does not say which letters it draws."""
    if not text:
        return False
    unknown = sum(character == "\ufffd" or unicodedata.category(character) == "Co" for character in text)
    return unknown <= len(text) * 0.3
