"""Keeps a model's thinking aloud from the person.

Amazon Nova writes ``<thinking>...</thinking>`` into its text where it has tools. Amazon advises against asking it not
to (it chooses tools better that way) and for leaving it out of what people are shown:
https://docs.aws.amazon.com/nova/latest/userguide/prompting-tool-troubleshooting.html

The text comes in pieces that can end within a tag: what may still become one is held back until the next piece.
"""

_OPEN, _CLOSE = "<thinking>", "</thinking>"


class ThinkingFilter:
    """Takes a text piece by piece; each ``take`` returns what may be shown by now, ``end`` what was held back."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False

    def take(self, piece: str) -> str:
        self._held += piece
        shown = ""
        while (tag := self._next_tag()) in self._held:
            before, _, self._held = self._held.partition(tag)
            shown += "" if self._is_thinking else before
            self._is_thinking = not self._is_thinking
        kept = _beginning_of(tag, self._held)
        settled, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
        return shown if self._is_thinking else shown + settled

    def end(self) -> str:
        """Text that looked like the beginning of a tag and was none; thinking that was never closed stays hidden."""
        held, self._held = self._held, ""
        return "" if self._is_thinking else held

    def _next_tag(self) -> str:
        return _CLOSE if self._is_thinking else _OPEN


def _beginning_of(tag: str, text: str) -> int:
    """How many characters at the end of ``text`` are the beginning of ``tag``."""
    return next((size for size in range(len(tag) - 1, 0, -1) if text.endswith(tag[:size])), 0)
