"""Bytes of text to characters: by the mark at their start, by what they declare, as UTF-8, else by what fits best."""

import codecs
import re

from upload_refusals import refused
from upload_types import SUPPORTED

# Longest first: the mark of UTF-32 little-endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What people still save text in. Fewer candidates mean fewer wrong guesses.
_CANDIDATES = [
    *("cp1252", "utf_16_le", "utf_16_be", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
]
_PREFERRED = "cp1252"  # the web's own default, and a superset of Latin-1's letters
_SAMPLE_BYTES = 100_000
_CONTROL_CHARACTERS = frozenset(map(chr, range(32))) - set("\t\n\r\f\x1a\x1b")

_DECLARED = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([a-zA-Z0-9_.:-]{1,40})", re.IGNORECASE)
# WHATWG HTML, "prescan a byte stream": the declaration stands in the first 1,024 bytes.
_DECLARED_WITHIN = 1024
# Python has codecs that are no encodings of pages (punycode, unicode_escape, undefined), some of them slow or hostile.
_OF_PAGES = re.compile(r"utf-8|iso8859|cp\d|koi8|shift_jis|euc_|gb|big5|mac|ascii|tis")


def declared_encoding(data: bytes) -> str | None:
    """What a page says of its encoding, as Python names it; None where it says nothing that makes sense."""
    found = _DECLARED.search(data[:_DECLARED_WITHIN])
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
    except LookupError:
        return None
    if name.startswith("utf-16"):
        return "utf-8"  # WHATWG: a lie, or the declaration itself could not have been read
    if name in ("iso8859-1", "ascii"):
        return "cp1252"  # WHATWG Encoding: these labels mean windows-1252
    return name if _OF_PAGES.match(name) else None


def decode(data: bytes, declared: str | None = None) -> str:
    """The text in ``data``; ``declared`` is the encoding that it claims for itself, and is believed where it fits.

    Raises Rejected (UNSUPPORTED_TYPE) where ``data`` is no text in any encoding.
    """
    text = _decoded(data, declared)
    if text is None:
        raise refused("UNSUPPORTED_TYPE", f"This is no text in any encoding we know. {SUPPORTED}")
    # A text has no control characters but line ends and the like; one in a hundred is forgiven.
    if sum(character in _CONTROL_CHARACTERS for character in text[:_SAMPLE_BYTES]) > len(text[:_SAMPLE_BYTES]) // 100:
        raise refused("UNSUPPORTED_TYPE", f"This is a binary file of an unknown kind. {SUPPORTED}")
    return text


def _decoded(data: bytes, declared: str | None) -> str | None:
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if marked:
        return _try(data, marked)
    for encoding in (declared, None if _looks_wide(data) else "utf-8"):
        if encoding and (text := _try(data, encoding)) is not None:
            return text
    guessed = _guess(_sample(data))
    return _try(data, guessed) if guessed else None


def _sample(data: bytes) -> bytes:
    """Enough of ``data`` to judge it by, not cut within a character: UTF-16 has even lengths, others spaces."""
    if len(data) <= _SAMPLE_BYTES or _looks_wide(data):
        return data[:_SAMPLE_BYTES]
    return data[: data.rfind(b" ", 0, _SAMPLE_BYTES) + 1] or data[:_SAMPLE_BYTES]


def _looks_wide(data: bytes) -> bool:
    """NUL bytes are valid UTF-8, and many of them no text: UTF-16 without its mark, or something binary."""
    sample = data[:_SAMPLE_BYTES]
    return sample.count(0) > len(sample) // 100


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _guess(sample: bytes) -> str | None:
    import charset_normalizer  # noqa: PLC0415 - only old encodings need it

    matches = charset_normalizer.from_bytes(sample, cp_isolation=_CANDIDATES)
    best = matches.best()
    if best is None:
        return None
    for match in matches:
        if match.encoding == _PREFERRED and (match.chaos, match.coherence) == (best.chaos, best.coherence):
            return _PREFERRED
    return _PREFERRED if _PREFERRED in best.could_be_from_charset else best.encoding
