"""Why an upload is refused: a code for machines, and for the person who sent it a sentence that says what to do.

``Rejected`` carries both as one text, "CODE: sentence", which is what crosses the state machine.
"""

from typing import Literal

from backbone.errors import Rejected

type Code = Literal[
    "PASSWORD_PROTECTED",
    "NO_TEXT",
    "CORRUPT",
    "TOO_LARGE",
    "TOO_MANY_PAGES",
    "UNSUPPORTED_TYPE",
    "EMPTY",
    "DECOMPRESSION_LIMIT",
    "GONE",
    "INTERNAL",
]


def refused(code: Code, sentence: str) -> Rejected:
    """The error to raise for an upload that can never be read."""
    return Rejected(f"{code}: {sentence}")
