"""What a client may send: one JSON object in one message, checked field by field.

Nothing in a frame says who sends it. A person's text is kept as they wrote it, whatever their script, in Unicode's
composed form (NFC): joiners, direction marks and variation selectors stay, for Persian, Hindi or an emoji needs them.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backbone.chat_frames import ErrorCode
from backbone.chat_people import is_customer_id

MAXIMUM_CHARACTERS = 4_000
# API Gateway closes a connection that sends more; what gets here all the same is refused unread.
MAXIMUM_BYTES = 128 * 1024
_MAXIMUM_NUMBER = 999_999
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_CONVERSATION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LINE_END = re.compile(r"\r\n?")
# Characters that show nothing by themselves: a text of nothing else says nothing.
_INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Zs"}


class FrameRefusedError(Exception):
    """A frame is not accepted: ``code`` for the client, ``message`` for the person, ``message_id`` where known."""

    def __init__(self, code: ErrorCode, message: str, message_id: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.message_id = message_id


@dataclass(frozen=True, slots=True)
class SendMessage:
    """A person's message: for a conversation, or the first of a new one (``conversation_id`` None).

    ``about_customer_id`` is whose affairs an analyst speaks of.
    """

    message_id: str
    text: str
    conversation_id: str | None
    about_customer_id: str | None


@dataclass(frozen=True, slots=True)
class Resume:
    """Asks for the frames of the answer to ``turn`` after ``after_sequence``, and for all later ones."""

    conversation_id: str
    turn: int
    after_sequence: int


def parse(body: object) -> SendMessage | Resume:
    """The frame in a message's ``body``; raises FrameRefusedError (BAD_FRAME, TOO_LONG) that says what is wrong."""
    if not isinstance(body, str):
        raise FrameRefusedError("BAD_FRAME", "Send a text message with one JSON object.")
    if len(body.encode(errors="surrogatepass")) > MAXIMUM_BYTES:
        raise FrameRefusedError("TOO_LONG", f"A frame has at most {MAXIMUM_BYTES // 1024} KB.")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise FrameRefusedError("BAD_FRAME", "The frame is not JSON.") from None
    if not isinstance(said, dict):
        raise FrameRefusedError("BAD_FRAME", "The frame is one JSON object.")
    match said.get("action"):
        case "sendMessage":
            return _send_message(said)
        case "resume":
            return _resume(said)
        case _:
            raise FrameRefusedError("BAD_FRAME", "action is sendMessage or resume.", _message_id(said))


def _send_message(said: Mapping[str, Any]) -> SendMessage:
    message_id = _message_id(said)
    if message_id is None:
        raise FrameRefusedError(
            "BAD_FRAME", "messageId is 8 to 64 letters, digits, _ or -; a new one for each message."
        )
    unknown = said.keys() - {"action", "messageId", "text", "conversationId", "aboutCustomerId"}
    if unknown:
        raise FrameRefusedError(
            "BAD_FRAME", "A message has messageId, text, conversationId and aboutCustomerId alone.", message_id
        )
    conversation_id, about = said.get("conversationId"), said.get("aboutCustomerId")
    if conversation_id is not None and not _is_conversation_id(conversation_id):
        raise FrameRefusedError("BAD_FRAME", "conversationId is as the frame `accepted` gave it.", message_id)
    if about is not None and not is_customer_id(about):
        raise FrameRefusedError("BAD_FRAME", "aboutCustomerId is no customer's id.", message_id)
    return SendMessage(message_id, _text(said.get("text"), message_id), conversation_id, about)


def _resume(said: Mapping[str, Any]) -> Resume:
    conversation_id, turn, after = (said.get(name) for name in ("conversationId", "turn", "afterSequence"))
    if said.keys() != {"action", "conversationId", "turn", "afterSequence"} or not _is_conversation_id(conversation_id):
        raise FrameRefusedError("BAD_FRAME", "resume has exactly conversationId, turn and afterSequence.")
    # type() and not isinstance: True is no number of a turn.
    if type(turn) is not int or not 1 <= turn <= _MAXIMUM_NUMBER:
        raise FrameRefusedError("BAD_FRAME", f"turn is a whole number from 1 to {_MAXIMUM_NUMBER}.")
    if type(after) is not int or not 0 <= after <= _MAXIMUM_NUMBER:
        raise FrameRefusedError("BAD_FRAME", f"afterSequence is a whole number from 0 to {_MAXIMUM_NUMBER}.")
    return Resume(str(conversation_id), turn, after)


def _text(said: object, message_id: str) -> str:
    if not isinstance(said, str):
        raise FrameRefusedError("BAD_FRAME", "text is a text.", message_id)
    if any("\ud800" <= character <= "\udfff" for character in said):
        raise FrameRefusedError("BAD_FRAME", "text has half of a character (a lone surrogate).", message_id)
    text = unicodedata.normalize("NFC", _LINE_END.sub("\n", said)).strip()
    if any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in text):
        raise FrameRefusedError("BAD_FRAME", "text has control characters.", message_id)
    if all(unicodedata.category(character) in _INVISIBLE for character in text):
        raise FrameRefusedError("BAD_FRAME", "The message is empty.", message_id)
    if len(text) > MAXIMUM_CHARACTERS:
        raise FrameRefusedError(
            "TOO_LONG",
            f"A message has at most {MAXIMUM_CHARACTERS:,} characters, this one {len(text):,}: say it in parts.",
            message_id,
        )
    return text


def _message_id(said: Mapping[str, Any]) -> str | None:
    message_id = said.get("messageId")
    return message_id if isinstance(message_id, str) and _MESSAGE_ID.fullmatch(message_id) else None


def _is_conversation_id(value: object) -> bool:
    return isinstance(value, str) and _CONVERSATION_ID.fullmatch(value) is not None
