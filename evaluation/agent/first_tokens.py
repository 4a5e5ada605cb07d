"""How soon the first words of an answer came: by the client's clock, and as answer_chat measures it.

answer_chat counts from the moment in which the message was taken (the turn's receivedAt). What the model took of that
is the time to the first token of each of its calls in the turn: the last of them began the answer, and those before it
chose tools. What is left is the bus, the queue, the rows and the tools.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WHOLE, MODEL = "FirstTokenMilliseconds", "ModelFirstTokenMilliseconds"


@dataclass(frozen=True, slots=True)
class FirstTokens:
    """Milliseconds until the first words, a figure a turn, with and without the model's time."""

    whole: tuple[float, ...]
    without_model: tuple[float, ...]


def first_tokens(lines: Sequence[Mapping[str, Any]]) -> FirstTokens:
    """From answer_chat's log: the metrics that each invocation wrote (CloudWatch's embedded metric format)."""
    whole, without_model = [], []
    for line in lines:
        firsts = _values(line.get(WHOLE))
        if len(firsts) == 1:  # an invocation that answered several turns at once cannot be told apart
            whole.append(firsts[0])
            without_model.append(max(0.0, firsts[0] - sum(_values(line.get(MODEL)))))
    return FirstTokens(tuple(whole), tuple(without_model))


def median_and_p95(milliseconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p95, interpolated between the figures; at least one figure."""
    if len(milliseconds) == 1:
        return milliseconds[0], milliseconds[0]
    cuts = statistics.quantiles(milliseconds, n=20, method="inclusive")
    return cuts[9], cuts[18]


def _values(said: Any) -> list[float]:
    if said is None:
        return []
    return [float(one) for one in said] if isinstance(said, list) else [float(said)]
