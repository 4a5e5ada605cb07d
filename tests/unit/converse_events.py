"""What ConverseStream sends: the events of a model's answer, in the shape of botocore's model of it."""

import json
from typing import Any


def usage(input_tokens: int = 100, output_tokens: int = 20) -> dict[str, Any]:
    total = input_tokens + output_tokens
    said = {"inputTokens": input_tokens, "outputTokens": output_tokens, "totalTokens": total}
    return {"metadata": {"usage": said, "metrics": {"latencyMs": 5}}}


def stop(reason: str, profile: str | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {"stopReason": reason}
    if profile is not None:
        said["additionalModelResponseFields"] = {"localProfile": profile}
    return {"messageStop": said}


def text(*pieces: str) -> list[dict[str, Any]]:
    """The events of one text block."""
    deltas = [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": piece}}} for piece in pieces]
    return [{"messageStart": {"role": "assistant"}}, *deltas, {"contentBlockStop": {"contentBlockIndex": 0}}]


def tool_use(index: int, name: str, arguments: object) -> list[dict[str, Any]]:
    """The events of one tool use, whose arguments come in two pieces; a text is sent as it is."""
    said = arguments if isinstance(arguments, str) else json.dumps(arguments)
    begin = {"toolUse": {"toolUseId": f"use-{index}", "name": name}}
    pieces = [said[: len(said) // 2], said[len(said) // 2 :]]
    return [
        {"contentBlockStart": {"contentBlockIndex": index, "start": begin}},
        *(
            {"contentBlockDelta": {"contentBlockIndex": index, "delta": {"toolUse": {"input": piece}}}}
            for piece in pieces
        ),
        {"contentBlockStop": {"contentBlockIndex": index}},
    ]


def an_answer(*pieces: str, reason: str = "end_turn", profile: str | None = None) -> list[dict[str, Any]]:
    """A whole answer in words."""
    return [*text(*pieces), stop(reason, profile), usage()]


def uses(*wanted: tuple[str, object], before: str = "") -> list[dict[str, Any]]:
    """A whole answer that asks for tools, after the words ``before``."""
    events = text(before) if before else [{"messageStart": {"role": "assistant"}}]
    for index, (name, arguments) in enumerate(wanted, 1):
        events += tool_use(index, name, arguments)
    return [*events, stop("tool_use"), usage()]
