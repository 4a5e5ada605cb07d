"""The fraud model behind a SageMaker endpoint: the same scorer, one call away.

Protocol: Amazon SageMaker, InvokeEndpoint; the XGBoost container takes text/csv without a header, one row a line, and
answers one probability a line.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable

# InvokeEndpoint takes 4 MB on a serverless endpoint; a row of 15 numbers is some 150 bytes.
_ROWS_PER_CALL = 5_000


def scorer(client: Any, endpoint_name: str) -> Callable[[Sequence[Sequence[float]]], list[float]]:
    """A scorer (rows of features to probabilities) that asks ``endpoint_name``; raises Retryable where that fails."""

    def score(rows: Sequence[Sequence[float]]) -> list[float]:
        scores: list[float] = []
        for start in range(0, len(rows), _ROWS_PER_CALL):
            scores += _invoke(client, endpoint_name, rows[start : start + _ROWS_PER_CALL])
        return scores

    return score


def _invoke(client: Any, endpoint_name: str, rows: Sequence[Sequence[float]]) -> list[float]:
    body = "\n".join(",".join(repr(value) for value in row) for row in rows)
    try:
        answer = client.invoke_endpoint(
            EndpointName=endpoint_name, ContentType="text/csv", Accept="text/csv", Body=body.encode()
        )
        text = answer["Body"].read().decode()
    except (ClientError, BotoCoreError, UnicodeDecodeError) as failed:
        raise Retryable(f"invoke_endpoint {endpoint_name}: {failed}") from failed
    scores = [_probability(value, endpoint_name) for value in text.replace(",", "\n").split()]
    if len(scores) != len(rows):
        raise Retryable(f"endpoint {endpoint_name} answered {len(scores)} scores for {len(rows)} rows")
    return scores


def _probability(text: str, endpoint_name: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    # A NaN is below every threshold: taken as it is, it would let each transaction pass in silence.
    if not 0 <= score <= 1:
        raise Retryable(f"endpoint {endpoint_name} answered {text[:40]!r} where a probability is expected")
    return score
