"""The frames that a person's client gets over the WebSocket, and the way to it.

A frame is one JSON object in one message. ``sequence`` counts 1, 2, 3 ... within the answer to one turn, so that a
client can put frames in order and ask (``resume``) for those that it missed. API Gateway takes a frame of up to 32 KB;
ours hold at most 24 KB: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable

MAXIMUM_FRAME_BYTES = 24 * 1024
# What a delta says besides its text (ids, turn, sequence, names) takes far less than this.
_MAXIMUM_TEXT_BYTES = MAXIMUM_FRAME_BYTES - 1024

type ToolState = Literal["started", "done", "refused", "failed"]
type Outcome = Literal["answered", "refused", "failed"]
# BAD_FRAME, TOO_LONG: the frame itself. NOT_YOURS: the person may not speak for whom they name. UNKNOWN_CONVERSATION:
# there is none, or it is another's, which look alike. BUSY: too much waits for its answer. CONFLICT: contradicts what
# was said before. TOO_FAST, UNAVAILABLE: send the same frame again in a moment.
type ErrorCode = Literal[
    "BAD_FRAME", "TOO_LONG", "NOT_YOURS", "UNKNOWN_CONVERSATION", "BUSY", "CONFLICT", "TOO_FAST", "UNAVAILABLE"
]


class AcceptedFrame(TypedDict):
    """The message stands in the conversation as ``turn`` and will be answered. May come after its first delta."""

    type: Literal["accepted"]
    conversationId: str
    messageId: str
    turn: int


class ToolFrame(TypedDict):
    """The agent uses a tool."""

    type: Literal["tool"]
    conversationId: str
    messageId: str
    turn: int
    sequence: int
    tool: str
    state: ToolState


class DeltaFrame(TypedDict):
    """The next piece of the answer's text."""

    type: Literal["delta"]
    conversationId: str
    messageId: str
    turn: int
    sequence: int
    text: str


class RestartFrame(TypedDict):
    """The answer is begun again: the client throws away what it has of this turn and goes on from ``sequence``.

    Numbers before it may be missing: each new attempt counts from the next 10,000, so that no number that was posted
    and not yet stored when its function died is used twice. What comes late from before it is passed over.
    """

    type: Literal["restart"]
    conversationId: str
    messageId: str
    turn: int
    sequence: int


class FrameCitation(TypedDict):
    """A passage of a document that the answer rests on; ``page`` counts from 1 where there are pages."""

    documentId: str
    fileName: str
    passage: str
    page: int | None


class FrameQuestion(TypedDict):
    """What the agent would do if the person's next message says yes."""

    tool: str
    arguments: dict[str, Any]
    question: str


class FrameModel(TypedDict):
    """What wrote the answer; ``profile`` says which local model, null on AWS."""

    engine: str
    modelId: str
    profile: str | None


class FrameUsage(TypedDict):
    """Tokens as billed."""

    inputTokens: int
    outputTokens: int


class DoneFrame(TypedDict):
    """The answer is whole."""

    type: Literal["done"]
    conversationId: str
    messageId: str
    turn: int
    sequence: int
    outcome: Outcome
    citations: list[FrameCitation]
    confirm: FrameQuestion | None
    model: FrameModel
    usage: FrameUsage


class _ErrorFrameAlways(TypedDict):
    type: Literal["error"]
    code: ErrorCode
    message: str


class ErrorFrame(_ErrorFrameAlways, total=False):
    """A client's frame was not accepted; ``messageId`` is its own where it had a good one."""

    messageId: str


# The frames of an answer: these are stored with the turn and can be asked for again.
type AnswerFrame = RestartFrame | ToolFrame | DeltaFrame | DoneFrame
type ServerFrame = AcceptedFrame | AnswerFrame | ErrorFrame


def accepted(conversation_id: str, message_id: str, turn: int) -> AcceptedFrame:
    return {"type": "accepted", "conversationId": conversation_id, "messageId": message_id, "turn": turn}


def error(code: ErrorCode, message: str, message_id: str | None = None) -> ErrorFrame:
    """``message`` says in plain words what is wrong and what to do."""
    frame: ErrorFrame = {"type": "error", "code": code, "message": message}
    return frame if message_id is None else {**frame, "messageId": message_id}


@dataclass(frozen=True, slots=True)
class TurnFrames:
    """Makes the frames of the answer to one turn. The caller counts ``sequence``."""

    conversation_id: str
    message_id: str
    turn: int

    def restart(self, sequence: int) -> RestartFrame:
        return {
            "type": "restart",
            "conversationId": self.conversation_id,
            "messageId": self.message_id,
            "turn": self.turn,
            "sequence": sequence,
        }

    def tool(self, sequence: int, tool: str, state: ToolState) -> ToolFrame:
        return {
            "type": "tool",
            "conversationId": self.conversation_id,
            "messageId": self.message_id,
            "turn": self.turn,
            "sequence": sequence,
            "tool": tool,
            "state": state,
        }

    def deltas(self, sequence: int, text: str) -> list[DeltaFrame]:
        """``text`` in as few frames as hold it, the first under ``sequence``; none for an empty text."""
        return [
            {
                "type": "delta",
                "conversationId": self.conversation_id,
                "messageId": self.message_id,
                "turn": self.turn,
                "sequence": sequence + number,
                "text": piece,
            }
            for number, piece in enumerate(split_text(text))
        ]

    def done(
        self,
        sequence: int,
        outcome: Outcome,
        *,
        citations: Sequence[FrameCitation],
        confirm: FrameQuestion | None,
        model: FrameModel,
        usage: FrameUsage,
    ) -> DoneFrame:
        return {
            "type": "done",
            "conversationId": self.conversation_id,
            "messageId": self.message_id,
            "turn": self.turn,
            "sequence": sequence,
            "outcome": outcome,
            "citations": list(citations),
            "confirm": confirm,
            "model": model,
            "usage": usage,
        }


def split_text(text: str, at_most: int = _MAXIMUM_TEXT_BYTES) -> Iterator[str]:
    """``text`` in pieces that take ``at_most`` bytes (12 or more) each as JSON in UTF-8; joined they are ``text``.

    No character is cut in two. Half of a UTF-16 pair, which UTF-8 cannot say, becomes U+FFFD; two halves that belong
    together become their character.
    """
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    piece: list[str] = []
    size = 0
    for character in whole:
        character_size = _json_size(character)
        if size + character_size > at_most:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(character)
        size += character_size
    if piece:
        yield "".join(piece)


def encoded(frame: ServerFrame) -> bytes:
    """The frame as it goes over the wire; raises ValueError where it is too large: its maker did not bound it."""
    content = json.dumps(frame, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(content) > MAXIMUM_FRAME_BYTES:
        raise ValueError(f"a {frame['type']} frame of {len(content):,} bytes; at most {MAXIMUM_FRAME_BYTES:,}")
    return content


def _json_size(character: str) -> int:
    """Bytes of a character within a JSON text in UTF-8."""
    if character in '"\\' or character < " ":
        return len(json.dumps(character)) - 2
    return len(character.encode())


@dataclass(frozen=True, slots=True)
class ConnectionPoster:
    """Sends frames to connections through ``client`` (boto3 "apigatewaymanagementapi").

    The client finds the API by the SDK's own variable AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI, which the template sets
    and which goes before AWS_ENDPOINT_URL: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """

    client: Any

    def post(self, connection_id: str, frame: ServerFrame) -> bool:
        """True where the connection took ``frame``, False where it is gone (410) and will not come back.

        Raises Retryable where it could not be sent now (throttled, away, no grant); ValueError as ``encoded`` does.
        """
        content = encoded(frame)
        try:
            self.client.post_to_connection(ConnectionId=connection_id, Data=content)
        except ClientError as failed:
            if failed.response["Error"]["Code"] in {"GoneException", "410"}:
                return False
            raise Retryable(f"post_to_connection: {failed}") from failed
        except BotoCoreError as failed:
            raise Retryable(f"post_to_connection: {failed}") from failed
        return True
