"""A client of the chat: a ticket, a WebSocket, questions, and answers that arrive in pieces.

The frames are those of layers/backbone/backbone/chat_frames.py. What a browser's script must do is done here too: take
a new ticket for each connection, connect again where the connection ended, then ask for the frames that were missed
(``resume``), or send the same message again where nothing said that it had been taken; its id makes that safe.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlencode
from uuid import uuid4

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from local.api_client import ask as ask_api
from local.chat_answers import Answered, Frame, TurnFrames

_OPEN_SECONDS = 15.0
_PATIENCE_SECONDS = 120.0
_GAP_SECONDS = 1.0  # as long as a missing frame may take before it is asked for
_SILENCE_SECONDS = 10.0  # as long as nothing may come before the message is sent again, or the answer asked for
_PAUSE_SECONDS = 0.5
_LARGEST_MESSAGE_BYTES = 128 * 1024
_SEND_AGAIN = ("TOO_FAST", "UNAVAILABLE")


class ChatError(Exception):
    """No answer came; the message says why, for a person to read."""


class ChatRefusedError(ChatError):
    """The chat did not take a frame. ``code`` as in chat_frames.ErrorCode."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


type Ticket = Callable[[], str]


def ticket_url(tickets_url: str, id_token: str) -> str:
    """An address that opens one connection within a minute, for who ``id_token`` says; ChatError where refused."""
    status, answer = ask_api("POST", tickets_url, id_token)
    if status != 201:
        raise ChatError(f"POST {tickets_url} answered {status}: {answer}")
    return f"{answer['url']}?{urlencode({'ticket': answer['ticket']})}"


@dataclass
class ChatClient:
    """One person's chat. As a context manager it is connected, and closed on the way out.

    ``ticket`` gives a new address to connect to each time. ``conversation_id`` is that of the last answer, and where
    the next question goes; ``about_customer_id`` is for analysts, who speak of a customer's affairs.
    """

    ticket: Ticket
    about_customer_id: str | None = None
    conversation_id: str | None = None
    _connection: ClientConnection | None = field(default=None, repr=False)
    _open: ExitStack = field(default_factory=ExitStack, repr=False)

    def connect(self) -> None:
        """Opens a connection in the place of the last one. Raises ChatError where that is refused or fails."""
        self.close()
        try:
            opening = connect(
                self.ticket(), open_timeout=_OPEN_SECONDS, max_size=_LARGEST_MESSAGE_BYTES, close_timeout=2
            )
            self._connection = self._open.enter_context(opening)
        except (OSError, InvalidHandshake) as failed:
            raise ChatError(f"The chat could not be opened: {failed}") from failed

    def close(self) -> None:
        """Closes the connection, where there is one."""
        self._connection = None
        self._open.close()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Frames, one by one

    def send(self, text: str, message_id: str | None = None, conversation_id: str | None = None) -> str:
        """Sends a message and returns its id. Raises websockets' ConnectionClosed."""
        message_id = message_id or uuid4().hex
        frame = {"action": "sendMessage", "messageId": message_id, "text": text}
        if conversation_id:
            frame["conversationId"] = conversation_id
        if self.about_customer_id:
            frame["aboutCustomerId"] = self.about_customer_id
        self.send_frame(frame)
        return message_id

    def resume(self, conversation_id: str, turn: int, after_sequence: int) -> None:
        """Asks for the frames of a turn after ``after_sequence``, and for all later ones. Raises ConnectionClosed."""
        frame = {
            "action": "resume",
            "conversationId": conversation_id,
            "turn": turn,
            "afterSequence": after_sequence,
        }
        self.send_frame(frame)

    def send_frame(self, frame: Frame) -> None:
        """Sends any frame, a wrong one too. Raises ConnectionClosed, ChatError where nothing is connected."""
        self._connected().send(json.dumps(frame))

    def receive(self, seconds: float) -> Frame:
        """The next frame. Raises TimeoutError, ConnectionClosed."""
        frame: Frame = json.loads(self._connected().recv(timeout=max(seconds, 0)))
        return frame

    def frames(self, seconds: float) -> Iterator[Frame]:
        """Every frame as it comes; TimeoutError once ``seconds`` are over, whatever came. Raises ConnectionClosed."""
        deadline = time.monotonic() + seconds
        while True:
            yield self.receive(deadline - time.monotonic())

    def _connected(self) -> ClientConnection:
        if self._connection is None:
            raise ChatError("The chat is not connected.")
        return self._connection

    # Questions and answers

    def ask(
        self,
        text: str,
        *,
        on_frame: Callable[[Frame], None] = lambda _frame: None,
        message_id: str | None = None,
        seconds: float = _PATIENCE_SECONDS,
    ) -> Answered:
        """Sends ``text`` into the conversation and returns the whole answer, through lost connections too.

        ``on_frame`` gets the answer's frames in order, each once. Raises ChatRefusedError where the message is not
        taken, ChatError where no answer came within ``seconds``.
        """
        question = _Question(self, text, message_id or uuid4().hex, self.conversation_id, on_frame, seconds)
        answered = question.put()
        self.conversation_id = answered.conversation_id
        return answered


@dataclass
class _Question:
    """One question on its way to its answer."""

    client: ChatClient
    text: str
    message_id: str
    conversation_id: str | None
    on_frame: Callable[[Frame], None]
    seconds: float
    turn: int = 0
    frames: TurnFrames = field(default_factory=TurnFrames)
    first_delta_at: float | None = None
    began: float = field(default_factory=time.monotonic)
    progress_at: float = field(default_factory=time.monotonic)

    def put(self) -> Answered:
        self._push()
        while not self.frames.is_whole:
            self._check_deadline()
            try:
                self._take(self.client.receive(min(self._patience(), self._left())))
            except (TimeoutError, ConnectionClosed):
                self._push()
        return self._answered()

    def _push(self) -> None:
        """Asks for what is missing of the answer, or sends the message; connects again for as long as it takes."""
        self.progress_at = time.monotonic()
        while True:
            self._check_deadline()
            try:
                return self._push_once()
            except ConnectionClosed:
                self._reconnect()

    def _push_once(self) -> None:
        if self.turn and self.conversation_id:
            self.client.resume(self.conversation_id, self.turn, self.frames.last_sequence)
        else:
            self.client.send(self.text, self.message_id, self.conversation_id)

    def _reconnect(self) -> None:
        while True:
            try:
                return self.client.connect()
            except ChatError:
                if self._left() < _PAUSE_SECONDS:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _take(self, frame: Frame) -> None:
        if "type" not in frame:  # API Gateway's own word: {"message": "Internal server error", ...}
            return self._send_later()
        if frame["type"] == "error":
            return self._take_error(frame)
        if frame.get("messageId") != self.message_id:
            return None  # of another question, whose asker gave up
        self.conversation_id, self.turn = frame["conversationId"], frame["turn"]
        if frame["type"] == "accepted":
            return None
        for following in self.frames.take(frame):
            self.progress_at = time.monotonic()
            if following["type"] == "delta" and self.first_delta_at is None:
                self.first_delta_at = time.monotonic()
            self.on_frame(following)
        return None

    def _take_error(self, frame: Frame) -> None:
        if frame.get("messageId") not in (None, self.message_id):
            return None
        if frame["code"] in _SEND_AGAIN:
            return self._send_later()
        raise ChatRefusedError(frame["code"], frame["message"])

    def _send_later(self) -> None:
        time.sleep(min(_PAUSE_SECONDS, max(self._left(), 0)))
        self._push()

    def _patience(self) -> float:
        """In how many seconds something must be missing, if the answer has not gone on by then."""
        seconds = _GAP_SECONDS if self.frames.has_gap else _SILENCE_SECONDS
        return self.progress_at + seconds - time.monotonic()

    def _left(self) -> float:
        return self.began + self.seconds - time.monotonic()

    def _check_deadline(self) -> None:
        if self._left() <= 0:
            said = f" So far: {self.frames.text!r}" if self.frames.text else ""
            raise ChatError(f"No whole answer came within {self.seconds:.0f} s.{said}")

    def _answered(self) -> Answered:
        frames = tuple(self.frames.ordered)
        first = None if self.first_delta_at is None else (self.first_delta_at - self.began) * 1000
        return Answered(
            conversation_id=str(self.conversation_id),
            message_id=self.message_id,
            turn=self.turn,
            text=self.frames.text,
            outcome=frames[-1]["outcome"],
            frames=frames,
            first_delta_ms=first,
            total_ms=(time.monotonic() - self.began) * 1000,
        )
