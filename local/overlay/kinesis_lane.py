"""One lane of one shard of one Kinesis event source mapping: reads, calls the function, retries, gives up, goes on.

``kinesis_event_source`` says which lanes there are; ``kinesis_batches`` decides what becomes of a batch. A lane is a
thread, because the engine's way to call a function blocks its caller until the function is done.
"""

import logging
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from ministack.core import lambda_runtime, responses
from ministack.services import lambda_svc

from local.overlay.event_filter import record_filter
from local.overlay.kinesis_batches import (
    Batch,
    Gathering,
    KinesisRecord,
    after_invocation,
    after_refusal,
    first_failed,
    gather,
    lambda_event,
    lane_of,
    retry_delay,
    split_expired,
)
from local.overlay.kinesis_failure_record import Condition, Discard, send
from local.overlay.kinesis_followed import Lane, wake
from local.overlay.kinesis_mapping_settings import MappingSettings

IDLE_SECONDS = 0.2  # how long a lane sleeps at most before it looks whether its mapping was changed
_READ_LIMIT = 10_000  # records per read, as GetRecords

logger = logging.getLogger("kinesis_event_source")


@dataclass(frozen=True)
class _Answer:
    """How an invocation ended. ``failed_at`` None: the function could not be run."""

    failed_at: int | None
    error: bool = False


def work(lane: Lane, on_finished: Callable[[], None]) -> None:
    """Runs the lane until it is finished (then calls ``on_finished``), or until its mapping or stream is gone."""
    with responses.request_scope(lane.mapping.account_id, lane.mapping.region):
        while not lane.finished and lane.mapping.is_live():
            seen = wake.count
            try:
                _step(lane, seen)
            except Exception:
                # Whatever it is, the shard must not stand still in silence: it is logged, and the batch tried again.
                logger.exception("mapping %s, %s: unexpected error", lane.mapping.mapping_id, lane.shard.shard_id)
                wake.wait(seen, IDLE_SECONDS)
    if lane.finished:
        on_finished()


def _step(lane: Lane, seen: int) -> None:
    settings = lane.mapping.settings()
    if not settings.enabled:
        wake.wait(seen, IDLE_SECONDS)
    elif not lane.pending:
        _read(lane, settings, seen)
    elif _waited(lane, retry_delay(lane.pending[0])):
        _hand_over(lane, settings)


def _read(lane: Lane, settings: MappingSettings, seen: int) -> None:
    closed = lane.shard.closed  # asked before reading: what is read from a closed shard is all there will be
    exhausted, at_boundary = _take_new_records(lane, settings)
    ended = exhausted and (closed or at_boundary)
    gathering = lane.gathering
    now = time.monotonic()
    if not gathering.records:
        lane.finished = ended
        if exhausted and not ended:
            wake.wait(seen, IDLE_SECONDS)
        return
    lane.window_ends = lane.window_ends or now + settings.window_seconds
    if gathering.full or ended or now >= lane.window_ends:
        lane.pending.append(Batch(tuple(gathering.records)))
        lane.gathering, lane.window_ends = Gathering(), 0.0
    elif exhausted:
        wake.wait(seen, min(lane.window_ends - now, IDLE_SECONDS))


def _take_new_records(lane: Lane, settings: MappingSettings) -> tuple[bool, bool]:
    """Moves what the shard has for this lane into its batch.

    Returns whether nothing is left to read for now, and whether that is because of the shard's boundary.
    """
    passes = record_filter(settings.filters)
    with lane.shard.lock:
        # The engine replaces the list when records expire, so positions are sequence numbers, never indexes.
        records: list[KinesisRecord] = lane.shard.shard["records"]
        start = bisect_right(records, lane.position, key=_sequence_number)
        boundary = lane.shard.boundary
        stop = len(records) if boundary is None else bisect_right(records, boundary, key=_sequence_number)
        unread = records[start : min(stop, start + _READ_LIMIT)]
    reached = gather(
        lane.gathering,
        unread,
        settings.batch_size,
        lambda record: lane_of(record["PartitionKey"], lane.count) == lane.index and passes(record),
    )
    lane.position = reached or lane.position
    return not lane.gathering.full and stop - start <= _READ_LIMIT, boundary is not None


def _waited(lane: Lane, seconds: float) -> bool:
    """Waits; False where the mapping was disabled or deleted meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if not lane.mapping.is_live() or not lane.mapping.settings().enabled:
            return False
        wake.wait(wake.count, min(left, IDLE_SECONDS))
    return True


def _hand_over(lane: Lane, settings: MappingSettings) -> None:
    """Hands the first pending batch to the function. The batch stays pending until its fate is known."""
    function, configuration = _function_of(lane)
    expired, live = split_expired(lane.pending[0], time.time(), settings.retry)
    if expired:
        _discard(lane, settings, expired, "RecordAgeExceeded", configuration, error=expired.invocations > 0)
        _replace_first(lane, (live,) if live else ())
        return
    batch = lane.pending[0]
    answer = _invoke(lane, settings, batch, function, configuration)
    if answer.failed_at is None:
        _replace_first(lane, (after_refusal(batch),))
        return
    verdict = after_invocation(batch, answer.failed_at, settings.retry)
    if verdict.discarded:
        _discard(lane, settings, verdict.discarded, "RetryAttemptsExhausted", configuration, error=answer.error)
    _replace_first(lane, verdict.retry)


def _replace_first(lane: Lane, batches: tuple[Batch, ...]) -> None:
    lane.pending.popleft()
    lane.pending.extendleft(reversed(batches))


def _function_of(lane: Lane) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    record = lane.mapping.record
    function, configuration = lambda_svc._get_func_record_for_qualifier(record["FunctionName"], record.get("Qualifier"))
    return function, configuration or {}


def _invoke(
    lane: Lane,
    settings: MappingSettings,
    batch: Batch,
    function: dict[str, Any] | None,
    configuration: dict[str, Any],
) -> _Answer:
    record = lane.mapping.record
    if function is None:
        record["LastProcessingResult"] = "PROBLEM: Function not found"
        return _Answer(None)
    result = lambda_svc._execute_function(function, _event(lane, batch, configuration))
    if result.get("throttle"):
        record["LastProcessingResult"] = "PROBLEM: Function call throttled"
        return _Answer(None)
    if result.get("error") or result.get("function_error"):
        record["LastProcessingResult"] = "PROBLEM: Function call failed"
        logger.warning("%s failed on %d records: %s", _whose(lane), len(batch.records), result.get("body"))
        return _Answer(0, error=True)
    record["LastProcessingResult"] = "OK"
    if not settings.reports_item_failures:
        return _Answer(len(batch.records))
    failed_at = first_failed(result.get("body"), batch.records)
    if failed_at < len(batch.records):
        logger.warning("%s failed at record %d of %d", _whose(lane), failed_at + 1, len(batch.records))
    return _Answer(failed_at)


def _discard(
    lane: Lane,
    settings: MappingSettings,
    batch: Batch,
    condition: Condition,
    configuration: dict[str, Any],
    *,
    error: bool,
) -> None:
    """Tells the on-failure destination, if there is one. As on AWS the shard goes on even where that fails."""
    logger.warning("%s: %d records discarded, %s", _whose(lane), len(batch.records), condition)
    if not settings.on_failure:
        return
    discard = Discard(
        records=batch.records,
        condition=condition,
        invocations=batch.invocations,
        function_error=error,
        function_arn=lane.mapping.record["FunctionArn"],
        function_version=configuration.get("Version", "$LATEST"),
        mapping_id=lane.mapping.mapping_id,
        shard_id=lane.shard.shard_id,
        stream_arn=lane.mapping.stream["StreamARN"],
    )
    try:
        send(
            discard,
            _event(lane, batch, configuration),
            destination=settings.on_failure,
            credentials=lambda_runtime.execution_credentials(configuration),
            endpoint=lane.mapping.endpoint,
            now=datetime.now(UTC),
        )
    except (ClientError, BotoCoreError, ValueError) as error_at_destination:
        lane.mapping.record["LastProcessingResult"] = "PROBLEM: On-failure destination could not be told"
        logger.error(
            "%s: nobody is told that records %s to %s were discarded: %s: %s",
            _whose(lane),
            batch.records[0]["SequenceNumber"],
            batch.records[-1]["SequenceNumber"],
            settings.on_failure,
            error_at_destination,
        )


def _event(lane: Lane, batch: Batch, configuration: dict[str, Any]) -> dict[str, Any]:
    return lambda_event(
        batch.records,
        shard_id=lane.shard.shard_id,
        source_arn=lane.mapping.record["EventSourceArn"],
        role_arn=configuration.get("Role", ""),
        region=lane.mapping.region,
    )


def _whose(lane: Lane) -> str:
    return f"{lane.mapping.record['FunctionName']}, {lane.mapping.stream['StreamName']}/{lane.shard.shard_id}"


def _sequence_number(record: KinesisRecord) -> str:
    return record["SequenceNumber"]
