"""An answer's way to the person: text pieces become frames, numbered, posted to the connection and kept in the turn.

Text is gathered for 40 ms or 400 characters, the longer the answer the longer, so that a slow model's long answer is no
thousand frames. The very first piece goes out at once.

The connection can go while an answer is written, and a new one can ask for the rest (``resume``): it becomes the
conversation's, then gets the frames that are kept. So where another connection is found here, it gets every frame since
the one before the last keeping; what it gets twice it tells by the number. A frame that cannot be posted is kept like
the others: a client that misses a number asks for it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from agent_port import Progress
from backbone.chat_frames import AnswerFrame, DoneFrame, TurnFrames
from backbone.errors import Retryable
from conversation_lease import LeaseLostError

GATHER_SECONDS = 0.04
GATHER_CHARACTERS = 400
KEEP_SECONDS = 2.0
# After each so many frames text is gathered for another 40 ms: 100 s of a slow model make some 700 frames.
_FRAMES_PER_STEP = 100
# No attempt makes so many frames; see backbone.chat_frames.RestartFrame.
NUMBERS_PER_ATTEMPT = 10_000


class Poster(Protocol):
    """Sends frames to connections: False where the connection is gone. Raises Retryable where it cannot now."""

    def post(self, connection_id: str, frame: AnswerFrame) -> bool: ...


class FrameStream:
    """The frames of one attempt (counted from 1) to answer one turn; a ``Sink``.

    ``find_connection`` says which connection is the conversation's now; ``keep`` stores all frames of the attempt and
    raises LeaseLostError where another answers this turn; ``on_first`` is told when the first frame was posted.
    """

    def __init__(
        self,
        frames: TurnFrames,
        attempt: int,
        connection_id: str,
        *,
        poster: Poster,
        find_connection: Callable[[], str],
        keep: Callable[[Sequence[AnswerFrame]], None],
        on_first: Callable[[], None],
        log: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frames = frames
        self._sequence = (attempt - 1) * NUMBERS_PER_ATTEMPT
        self._connection_id = connection_id
        self._is_silent = False
        self._poster, self._find_connection, self._keep = poster, find_connection, keep
        self._on_first: Callable[[], None] | None = on_first
        self._log, self._clock = log, clock
        self._made: list[AnswerFrame] = []
        self._text = ""
        self._said: list[str] = []
        self._gathering_since = float("-inf")
        self._kept_at = clock()
        self._kept = self._kept_before = 0
        if attempt > 1:
            self._add(frames.restart(self._sequence + 1))

    @property
    def said(self) -> str:
        """All text of this attempt so far."""
        return "".join(self._said)

    def text(self, piece: str) -> None:
        self._said.append(piece)
        self._text += piece
        if len(self._text) >= GATHER_CHARACTERS or self._clock() - self._gathering_since >= self._gather_seconds():
            self.flush()
        self._keep_now_and_then()

    def tool(self, name: str, state: Progress) -> None:
        self.flush()
        self._add(self._frames.tool(self._sequence + 1, name, state))
        self._keep_now_and_then()

    def flush(self) -> None:
        """Posts the text that is gathered."""
        if not self._text:
            return
        gathered, self._text = self._text, ""
        for frame in self._frames.deltas(self._sequence + 1, gathered):
            self._add(frame)
        self._gathering_since = self._clock()

    def end(self, make_done: Callable[[int], DoneFrame]) -> tuple[AnswerFrame, ...]:
        """All frames of the attempt with the last one, which ``make_done`` makes from its number; it is not posted yet.

        It says that the answer stands: ``post_end`` sends it once that is so.
        """
        self.flush()
        self._sequence += 1
        self._made.append(make_done(self._sequence))
        return tuple(self._made)

    def post_end(self) -> None:
        """Posts the last frame, to the connection that is the conversation's now."""
        self._look_for_connection(len(self._made) - 1)
        self._post(self._made[-1])

    def _add(self, frame: AnswerFrame) -> None:
        self._sequence = frame["sequence"]
        self._made.append(frame)
        self._post(frame)

    def _post(self, frame: AnswerFrame) -> None:
        if self._is_silent:
            return
        try:
            is_there = self._poster.post(self._connection_id, frame)
        except Retryable as failed:
            self._log("A frame was not posted; the client will ask for it.", reason=str(failed))
            self._is_silent = True
            return
        if not is_there:
            self._is_silent = True
            self._look_for_connection(len(self._made))
        elif self._on_first is not None:
            told, self._on_first = self._on_first, None
            told()

    def _look_for_connection(self, before: int) -> None:
        """Goes over to the conversation's connection where that is another by now; frames ``before`` are due there."""
        try:
            connection_id = self._find_connection()
        except LeaseLostError:
            raise
        except Retryable as failed:
            self._log("The conversation's connection could not be looked up.", reason=str(failed))
            return
        if connection_id == self._connection_id:
            return
        self._connection_id, self._is_silent = connection_id, False
        for frame in self._made[self._kept_before : before]:
            self._post(frame)

    def _keep_now_and_then(self) -> None:
        if self._clock() - self._kept_at < KEEP_SECONDS:
            return
        self._kept_at = self._clock()
        try:
            self._look_for_connection(len(self._made))
            self._keep(self._made)
        except LeaseLostError:
            raise
        except Retryable as failed:
            self._log("An answer's frames were not kept; they are kept again later.", reason=str(failed))
            return
        self._kept_before, self._kept = self._kept, len(self._made)

    def _gather_seconds(self) -> float:
        return GATHER_SECONDS * (1 + len(self._made) // _FRAMES_PER_STEP)
