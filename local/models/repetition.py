"""An answer of a small language model ends where it begins to say itself over again.

At temperature 0 such a model, once it has said the same sentences twice, says them until it is stopped: two of three
explanations of a flagged transaction did, of forty lookups. All that it had to say is said by then, in whole sentences.
So its stream is read sentence by sentence; what may be the beginning of a repetition is kept back, and told as soon as
it turns out to be none. Where it is one, the answer ends before it and the server is hung up on, which stops it.
"""

import json
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from local.models.converse_readers import ANSWER_OPENING
from local.models.openai_client import BrokenError

type Json = dict[str, Any]

# Sentences that come again together. More would be a text's structure, and rather a list than a loop.
_LONGEST_PERIOD = 6
# In JSON's text a new line is two characters.
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?:])(?:\s|\\n)+|(?:\\n\s*)+")
_HALF_AN_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*(\\)$")
_CLOSING = '"}'


@dataclass(frozen=True, slots=True)
class Looked:
    """Of what was written so far, the first ``sure`` characters are no repetition; ``is_over``: the rest is one."""

    sure: int
    is_over: bool


def until_repeated(chunks: Generator[Json]) -> Iterator[Json]:
    """The chunks of a choice that is written in JSON (``converse_tools.written_request``), its answer without loops.

    Where it is ended, the usage is that of llama.cpp's ``timings``, which the request must ask for with
    timings_per_token. Raises BrokenError where they are not told.
    """
    written, told = "", 0
    with closing(chunks) as coming:
        for chunk in coming:
            written += _content(chunk)
            looked = look(written)
            if looked.is_over:
                yield _ending(chunk, written[told : looked.sure].rstrip().removesuffix("\\n") + _CLOSING)
                return
            sure = len(written) if _is_last(chunk) else max(looked.sure, told)
            yield _with_content(chunk, written[told:sure])
            told = sure


def whole(chunks: Iterator[Json]) -> Json:
    """The chat completion that ``chunks`` are the stream of. Raises BrokenError where it does not tell its usage."""
    content, finish, usage = "", None, None
    for chunk in chunks:
        content += _content(chunk)
        usage = chunk.get("usage") or usage
        finish = next((choice.get("finish_reason") for choice in chunk.get("choices") or ()), None) or finish
    if usage is None:
        raise BrokenError("The model server's stream did not tell its usage.")
    message = {"role": "assistant", "content": content}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}


def look(written: str) -> Looked:
    """How much of ``written``, a choice in the making, can be told. Only an answer is looked at: calls are short."""
    opening = ANSWER_OPENING.match(written)
    if opening is None:
        return Looked(len(written), is_over=False)
    escape = _HALF_AN_ESCAPE.search(written)
    written = written[: escape.start(1)] if escape else written
    starts, sentences = _sentences(written, opening.end())
    *whole_ones, half = sentences
    count = len(whole_ones)
    for end in range(2, count + 1):
        for period in range(1, min(_LONGEST_PERIOD, end // 2) + 1):
            if whole_ones[end - period : end] == whole_ones[end - 2 * period : end - period]:
                return Looked(starts[end - period], is_over=True)
    held = max((_held(whole_ones, half, period) for period in range(1, min(_LONGEST_PERIOD, count) + 1)), default=0)
    sure = starts[count + 1 - held] if held else len(written)
    return Looked(sure, is_over=False)


def _held(sentences: list[str], half: str, period: int) -> int:
    """How many of ``sentences`` and the ``half`` one after them may be those that stand ``period`` places before."""
    if not sentences[-period].startswith(half):
        return 0
    count = len(sentences)
    most = min(period - 1, count - period)
    again = (n for n in range(most, 0, -1) if sentences[-n:] == sentences[count - n - period : count - period])
    whole_ones = next(again, 0)
    return whole_ones + 1 if whole_ones or half else 0


def _sentences(written: str, start: int) -> tuple[list[int], list[str]]:
    """Where the sentences begin, and they themselves; the last one is not known to be whole, and may be empty."""
    gaps = list(_BETWEEN_SENTENCES.finditer(written, start))
    starts = [start, *(gap.end() for gap in gaps)]
    ends = [*(gap.start() for gap in gaps), len(written)]
    return starts, [written[begin:end] for begin, end in zip(starts, ends, strict=True)]


def _content(chunk: Json) -> str:
    return "".join((choice.get("delta") or {}).get("content") or "" for choice in chunk.get("choices") or ())


def _is_last(chunk: Json) -> bool:
    return any(choice.get("finish_reason") for choice in chunk.get("choices") or ())


def _with_content(chunk: Json, content: str) -> Json:
    choices = [{**one, "delta": {**(one.get("delta") or {}), "content": content}} for one in chunk.get("choices") or ()]
    return {**chunk, "choices": choices}


def _ending(chunk: Json, content: str) -> Json:
    timings = chunk.get("timings")
    if not timings:
        raise BrokenError(f"The model server does not tell what it took so far: {json.dumps(chunk)[:200]}")
    asked, answered = timings["cache_n"] + timings["prompt_n"], timings["predicted_n"]
    usage = {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": "stop"}], "usage": usage}
