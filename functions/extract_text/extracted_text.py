"""What every reader of a document type gives: the text in reading order, and what the file says of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph, heading or table row, cleaned (clean_text); ``page`` counts from 1, None where there are none."""

    text: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """``pages`` is None for what has no fixed pages; ``pages_without_text`` are pictures or blank, and are left out.

    ``pages_recognized`` were pictures and have been looked at all the same, whether or not text was found on them.
    """

    paragraphs: list[Paragraph]
    title: str | None = None
    pages: int | None = None
    pages_without_text: int = 0
    pages_recognized: int = 0
