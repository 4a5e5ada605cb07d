"""Pages of a PDF that hold no text, and what may read them all the same. Knows no AWS."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageScan:
    """A page without text as a PDF of its own, whatever its picture is made of; ``number`` counts from 1."""

    number: int
    pdf: bytes


# The lines of text on each scan, from top to bottom; none where nothing was found. Takes one scan after the other, so
# that they need not all be in memory. Raises Retryable where it cannot now, Rejected where it never can.
type ReadScans = Callable[[Iterable[PageScan]], list[list[str]]]
