"""The frames of one answer, put in order: what came twice is dropped, what came early waits for what is missing.

A frame of an answer has a ``sequence`` that counts 1, 2, 3 ... within its turn. ``restart`` means that the turn is
begun again: all before it is void, and numbers may be missing before it (layers/backbone/backbone/chat_frames.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

type Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer. ``frames`` are those of the turn that count, in order, ``done`` being the last.

    Times in milliseconds since the question was sent: until the first piece of text came (None where there was none),
    and until the answer was whole.
    """

    conversation_id: str
    message_id: str
    turn: int
    text: str
    outcome: str
    frames: tuple[Frame, ...]
    first_delta_ms: float | None
    total_ms: float

    @property
    def citations(self) -> Sequence[Frame]:
        """The passages that the answer rests on."""
        citations: Sequence[Frame] = self.frames[-1]["citations"]
        return citations

    @property
    def confirm(self) -> Frame | None:
        """What would be done if the next message says yes; None where nothing is asked."""
        question: Frame | None = self.frames[-1]["confirm"]
        return question

    @property
    def tools(self) -> Sequence[tuple[str, str]]:
        """Tool and state of each step of a tool, in order."""
        return [(frame["tool"], frame["state"]) for frame in self.frames if frame["type"] == "tool"]


@dataclass
class TurnFrames:
    """The frames of one turn so far."""

    ordered: list[Frame] = field(default_factory=list)
    last_sequence: int = 0
    _early: dict[int, Frame] = field(default_factory=dict)

    def take(self, frame: Frame) -> list[Frame]:
        """Adds a frame in whatever order it came; returns those that now follow what was returned before."""
        sequence = int(frame["sequence"])
        if sequence <= self.last_sequence:
            return []
        if frame["type"] == "restart":
            self._forget_before(sequence)
        self._early[sequence] = frame
        return self._follow()

    @property
    def has_gap(self) -> bool:
        """Whether a frame came that cannot be used before a missing one."""
        return bool(self._early)

    @property
    def is_whole(self) -> bool:
        """Whether the answer is at its end."""
        return bool(self.ordered) and self.ordered[-1]["type"] == "done"

    @property
    def text(self) -> str:
        """The answer's text so far."""
        return "".join(frame["text"] for frame in self.ordered if frame["type"] == "delta")

    def _forget_before(self, sequence: int) -> None:
        self.ordered.clear()
        self._early = {number: frame for number, frame in self._early.items() if number > sequence}
        self.last_sequence = sequence - 1

    def _follow(self) -> list[Frame]:
        following: list[Frame] = []
        while (frame := self._early.pop(self.last_sequence + 1, None)) is not None:
            self.last_sequence += 1
            following.append(frame)
        self.ordered += [frame for frame in following if frame["type"] != "restart"]
        return following
