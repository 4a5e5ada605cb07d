"""One answer of a model, streamed: Amazon Bedrock Runtime's ConverseStream, read to its end.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html

An error can come before the stream or as an event within it, a connection can break in the middle: all are judged
alike. A stream that ends without ``messageStop`` was cut off and is never an answer.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from backbone.errors import Rejected, Retryable
from backbone.model import judged


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the model asks for; ``arguments`` is None where what it wrote is no JSON object."""

    use_id: str
    name: str
    arguments: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A model's whole answer. ``content``: its blocks as a later request must repeat them. Tokens as billed.

    ``profile``: the local model that answered on the embedded AWS (messageStop.additionalModelResponseFields), or None.
    """

    stop_reason: str
    content: tuple[dict[str, Any], ...]
    tool_uses: tuple[ToolUse, ...]
    input_tokens: int
    output_tokens: int
    first_token_milliseconds: float
    profile: str | None


@dataclass(slots=True)
class _Block:
    """A content block that is being received."""

    tool_use_id: str | None = None
    tool_name: str = ""
    pieces: list[str] = field(default_factory=list)


def converse(
    client: Any,
    request: Mapping[str, Any],
    on_text: Callable[[str], None],
    *,
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> ModelAnswer:
    """Asks the model behind ``client`` (boto3 "bedrock-runtime"); each piece of text goes to ``on_text`` as it comes.

    Raises Retryable where the model is throttled, away or late, or the stream broke; Rejected (MODEL_FAILED) where it
    refuses the request, or is still writing at ``deadline`` (of ``clock``, seconds).
    """
    started = clock()
    model_id = request["modelId"]
    reading = _Reading(on_text)
    try:
        with closing(client.converse_stream(**request)["stream"]) as stream:
            for event in stream:
                if clock() > deadline:
                    raise Rejected(f"MODEL_FAILED: {model_id} was still writing when the time was up")
                if reading.first_at is None and ("contentBlockStart" in event or "contentBlockDelta" in event):
                    reading.first_at = clock()
                reading.take(event)
    except (ClientError, BotoCoreError) as failed:
        raise judged("converse_stream", model_id, failed) from failed
    except (HTTPError, ParserError) as broken:  # botocore hands on what its event stream reader meets
        raise Retryable(f"converse_stream {model_id}: the stream broke: {broken}") from broken
    if reading.stop_reason is None:
        raise Retryable(f"converse_stream {model_id}: the stream ended before the answer did")
    first_at = reading.first_at if reading.first_at is not None else clock()
    return reading.answer((first_at - started) * 1000)


class _Reading:
    """What of a stream was received so far."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self.first_at: float | None = None
        self.stop_reason: str | None = None
        self._on_text = on_text
        self._blocks: dict[int, _Block] = {}
        self._usage: Mapping[str, int] = {}
        self._profile: str | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": use}}}:
                self._blocks[index] = _Block(use["toolUseId"], use["name"])
            case {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"text": text}}}:
                self._block(index).pieces.append(text)
                self._on_text(text)
            case {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"toolUse": {"input": text}}}}:
                self._block(index).pieces.append(text)
            case {"messageStop": stop}:
                self.stop_reason = stop["stopReason"]
                self._profile = (stop.get("additionalModelResponseFields") or {}).get("localProfile")
            case {"metadata": {"usage": usage}}:
                self._usage = usage

    def answer(self, first_token_milliseconds: float) -> ModelAnswer:
        blocks = [block for _, block in sorted(self._blocks.items())]
        uses = [
            ToolUse(block.tool_use_id, block.tool_name, _arguments("".join(block.pieces)))
            for block in blocks
            if block.tool_use_id is not None
        ]
        arguments = {use.use_id: use.arguments for use in uses}
        return ModelAnswer(
            stop_reason=self.stop_reason or "",
            content=tuple(content for block in blocks if (content := _content(block, arguments))),
            tool_uses=tuple(uses),
            input_tokens=self._usage.get("inputTokens", 0),
            output_tokens=self._usage.get("outputTokens", 0),
            first_token_milliseconds=first_token_milliseconds,
            profile=self._profile,
        )

    def _block(self, index: int) -> _Block:
        return self._blocks.setdefault(index, _Block())


def _arguments(text: str) -> dict[str, Any] | None:
    """The arguments in the joined pieces of a tool use; a tool without arguments may have none."""
    try:
        said = json.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _content(block: _Block, arguments: Mapping[str, dict[str, Any] | None]) -> dict[str, Any] | None:
    """The block as a request has it; None for text without words, which Converse refuses in a request."""
    if block.tool_use_id is not None:
        use = {"toolUseId": block.tool_use_id, "name": block.tool_name, "input": arguments[block.tool_use_id] or {}}
        return {"toolUse": use}
    text = "".join(block.pieces)
    return {"text": text} if text.strip() else None
