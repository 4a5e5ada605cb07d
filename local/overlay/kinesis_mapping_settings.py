"""What an event source mapping for Kinesis is configured to do: its settings, AWS's defaults, and AWS's bounds.

Follows the AWS Lambda Developer Guide, "Lambda parameters for Amazon Kinesis Data Streams event source mappings", and
the API Reference, CreateEventSourceMapping. The engine checks none of the bounds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.overlay.kinesis_batches import RetryPolicy

# AWS refuses a MaximumRecordAgeInSeconds from 0 to 59 too; here one may be set, for tests that cannot wait a minute.
_BOUNDS = {
    "BatchSize": (1, 10_000),
    "MaximumBatchingWindowInSeconds": (0, 300),
    "MaximumRecordAgeInSeconds": (-1, 604_800),
    "MaximumRetryAttempts": (-1, 10_000),
    "ParallelizationFactor": (1, 10),
}
_DESTINATION_SERVICES = ("sqs", "sns", "s3")


@dataclass(frozen=True)
class MappingSettings:
    """The settings of one mapping. ``on_failure`` is an ARN, or empty; ``filters`` are patterns in JSON text."""

    enabled: bool
    batch_size: int
    window_seconds: float
    lanes: int
    reports_item_failures: bool
    on_failure: str
    filters: tuple[str, ...]
    retry: RetryPolicy


def mapping_settings(mapping: Mapping[str, Any], retention_seconds: float) -> MappingSettings:
    """A mapping's settings from its record, whose numbers may be text, as CloudFormation passes them.

    Without a maximum age, records are retried until they expire: ``retention_seconds``, the stream's, bounds both.
    """
    maximum_age = float(mapping.get("MaximumRecordAgeInSeconds", -1))
    return MappingSettings(
        enabled=_flag(mapping.get("Enabled", True)),
        batch_size=int(mapping.get("BatchSize", 100)),
        window_seconds=float(mapping.get("MaximumBatchingWindowInSeconds", 0)),
        lanes=int(mapping.get("ParallelizationFactor", 1)),
        reports_item_failures="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
        on_failure=_on_failure(mapping),
        filters=filter_patterns(mapping),
        retry=RetryPolicy(
            bisect=_flag(mapping.get("BisectBatchOnFunctionError", False)),
            maximum_retries=int(mapping.get("MaximumRetryAttempts", -1)),
            maximum_age_seconds=retention_seconds if maximum_age < 0 else min(maximum_age, retention_seconds),
        ),
    )


def settings_error(mapping: Mapping[str, Any]) -> str | None:
    """What is wrong with the settings, which may be a part of them only (an update); None where nothing is."""
    for name, (least, most) in _BOUNDS.items():
        if name not in mapping:
            continue
        try:
            number = int(mapping[name])
        except (TypeError, ValueError):
            return f"{name}: {mapping[name]!r} is not a number."
        if not least <= number <= most:
            return f"{name}: {number} is not between {least} and {most}."
    destination = _on_failure(mapping)
    if destination and destination.split(":")[2:3] not in [[service] for service in _DESTINATION_SERVICES]:
        return f"OnFailure: {destination} is no queue, topic or bucket."
    return None


def filter_patterns(mapping: Mapping[str, Any]) -> tuple[str, ...]:
    """The patterns of a mapping's FilterCriteria as JSON text."""
    filters = (mapping.get("FilterCriteria") or {}).get("Filters") or []
    patterns = [one.get("Pattern", "{}") for one in filters]
    return tuple(pattern if isinstance(pattern, str) else json.dumps(pattern) for pattern in patterns)


def _on_failure(mapping: Mapping[str, Any]) -> str:
    return str(((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", ""))


def _flag(value: object) -> bool:
    return str(value).lower() == "true"
