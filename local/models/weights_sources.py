"""What a source of weights is: something that appends what is missing to a file that holds the beginning of them."""

from collections.abc import Callable
from pathlib import Path

from local.models.weights import Weights

type Told = Callable[[int], None]
"""Called with the bytes that are there by now."""

type Source = Callable[[Weights, Path, Told], None]
"""Appends to the file, which is there, until it has all bytes of the weights; raises SourceError where it cannot."""


class SourceError(Exception):
    """A source does not give the rest; the message says why. What it gave stays."""
