"""What a model call took: tokens and money, as metrics of the function that made it."""

from typing import Protocol

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from backbone.model import Answer

_TOKENS_PER_PRICE = 1_000


class Prices(Protocol):
    """Micro-dollars for 1,000 tokens (Bedrock's price list is by 1,000); a function's Settings have these two."""

    @property
    def input_token_price(self) -> int: ...
    @property
    def output_token_price(self) -> int: ...


def cost(answer: Answer, prices: Prices) -> float:
    """What the answer cost, in micro-dollars."""
    total = answer.input_tokens * prices.input_token_price + answer.output_tokens * prices.output_token_price
    return total / _TOKENS_PER_PRICE


def measure(metrics: Metrics, answer: Answer, prices: Prices) -> None:
    """Adds InputTokens, OutputTokens and ModelCostMicroDollars to a function's metrics."""
    metrics.add_metric("InputTokens", MetricUnit.Count, answer.input_tokens)
    metrics.add_metric("OutputTokens", MetricUnit.Count, answer.output_tokens)
    metrics.add_metric("ModelCostMicroDollars", MetricUnit.Count, cost(answer, prices))
    metrics.add_metadata("modelId", answer.model_id)
