"""What answering took, as metrics of the function."""

from dataclasses import dataclass

from aws_lambda_powertools.metrics import Metrics, MetricUnit

from backbone.model import Answer
from backbone.token_usage import Prices, measure


@dataclass(frozen=True, slots=True)
class AnswerMeasures:
    """A ``Meter``, and the place for milliseconds and counts."""

    metrics: Metrics
    prices: Prices

    def model_call(
        self, model_id: str, *, input_tokens: int, output_tokens: int, first_token_milliseconds: float | None = None
    ) -> None:
        """Adds tokens and cost, and ModelFirstTokenMilliseconds where the answer was streamed."""
        measure(self.metrics, Answer({}, input_tokens, output_tokens, model_id, "end_turn"), self.prices)
        if first_token_milliseconds is not None:
            self.value("ModelFirstTokenMilliseconds", first_token_milliseconds)

    def value(self, name: str, value: float) -> None:
        """Adds the metric ``name``; one that ends with Milliseconds is in these, any other is a count."""
        unit = MetricUnit.Milliseconds if name.endswith("Milliseconds") else MetricUnit.Count
        self.metrics.add_metric(name, unit, value)
