"""Lambda event source mappings for Kinesis streams: which mapping reads which shards, from where, and in which order.

Follows the AWS Lambda Developer Guide, "Using Lambda to process records from Amazon Kinesis Data Streams", and the
Kinesis Developer Guide, "Resharding a stream". The engine instead reads every shard of every mapping in turn on the one
thread that also serves SQS, calls the function there, takes a partial failure for success, retries for ever, and loses
what a shard still held when it is split or merged.

* A shard is read by one thread per lane (ParallelizationFactor); a key's records always take the same lane, in order.
  Nothing else waits for a lane (``kinesis_lane``).
* A shard is read once every earlier shard with a share of its hash keys is drained: so parents come before children,
  and it holds for UpdateShardCount too, where the engine names no parents and gives old names to new shards. A lane
  count that changes makes the present lanes end at the newest record, and new ones go on from there.
* A put wakes the lanes at once. Positions are kept in memory: a restarted engine begins at the starting position.

Not here: tumbling windows (asking for one is refused) and consumers with enhanced fan-out.
"""

import functools
import itertools
import json
import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import kinesis, lambda_svc
from ministack.services.cloudformation import provisioners

from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.event_filter import pattern_error
from local.overlay.kinesis_followed import FollowedMapping, Lane, ShardReader, stream_of, wake
from local.overlay.kinesis_lane import work
from local.overlay.kinesis_mapping_settings import filter_patterns, settings_error

_CLOSED_SHARDS = (
    "closed_shards"  # ours, in the engine's record of a stream and as long as it: (id, shard), oldest first
)
_RESOURCE_TYPE = "AWS::Lambda::EventSourceMapping"

# Private names of the engine that this module and its lanes use without replacing them.
_USED = {
    lambda_svc: (
        "_esms",
        "_esm_response",
        "_execute_function",
        "_get_func_record_for_qualifier",
        "_invalid_parameter_value",
        "json_response",
    ),
    kinesis: ("_streams", "_resolve_stream"),
    lambda_runtime: ("execution_credentials",),
}

type _Key = tuple[str, str, str]  # account id, region, mapping id

_lock = threading.RLock()  # over everything below, and over the engine's changes of a stream's shards
_followed: dict[_Key, FollowedMapping] = {}


def install(engine: Engine) -> None:
    """Replaces the engine's poller for Kinesis; its poller for SQS and DynamoDB stays as it is."""
    for module, names in _USED.items():
        for name in names:
            original(module, name)
    replace(kinesis, "esm_wake", wake)
    for name in ("_split_shard", "_merge_shards", "_update_shard_count"):
        replace(kinesis, name, _keeping_closed_shards(original(kinesis, name), engine))
    # The engine's poll thread comes by at least once in a few seconds: that finds what no hook announces.
    replace(lambda_svc, "_poll_kinesis", functools.partial(_follow, engine))
    replace(lambda_svc, "_create_esm", functools.partial(_create, original(lambda_svc, "_create_esm"), engine))
    replace(lambda_svc, "_update_esm", functools.partial(_update, original(lambda_svc, "_update_esm"), engine))
    _install_in_cloudformation(engine)


def _install_in_cloudformation(engine: Engine) -> None:
    handlers = original(provisioners, "_RESOURCE_HANDLERS")[_RESOURCE_TYPE]
    create = functools.partial(_create_from_template, original(provisioners, "_lambda_esm_create"), engine)
    update = functools.partial(_update_from_template, original(provisioners, "_lambda_esm_update"), engine)
    replace(provisioners, "_lambda_esm_create", create)  # called by the engine's own update, for a replacement
    handlers.update(create=create, update=update)


def _create(engine_create: Callable[..., Any], engine: Engine, data: dict[str, Any]) -> Any:
    refusal = _refusal(data, starting=True)
    if refusal:
        return lambda_svc._invalid_parameter_value(refusal)
    with _lock:
        status, headers, body = engine_create(data)
        if status >= 300 or not _is_kinesis(data):
            return status, headers, body
        record = lambda_svc._esms.get(json.loads(body)["UUID"])
        _complete(record, data)
        _changed(engine)
        return lambda_svc.json_response(lambda_svc._esm_response(record), status)


def _update(engine_update: Callable[..., Any], engine: Engine, mapping_id: str, data: dict[str, Any]) -> Any:
    record = lambda_svc._esms.get(mapping_id) or {}
    refusal = _refusal({**data, "EventSourceArn": record.get("EventSourceArn", "")}, starting=False)
    if refusal:
        return lambda_svc._invalid_parameter_value(refusal)
    response = engine_update(mapping_id, data)
    _changed(engine)
    return response


def _create_from_template(
    engine_create: Callable[..., Any], engine: Engine, logical_id: str, properties: dict[str, Any], stack_name: str
) -> tuple[str, dict[str, Any]]:
    refusal = _refusal(properties, starting=True)
    if refusal:
        raise ValueError(refusal)  # the engine reports it as the resource's failure
    with _lock:
        mapping_id, attributes = engine_create(logical_id, properties, stack_name)
        record = lambda_svc._esms.get(mapping_id)
        if _is_kinesis(properties):
            _complete(record, properties)
            _changed(engine)
        return mapping_id, attributes


def _update_from_template(  # noqa: PLR0917 - the last four are the engine's own signature
    engine_update: Callable[..., Any],
    engine: Engine,
    physical_id: str,
    old: dict[str, Any],
    new: dict[str, Any],
    stack_name: str,
) -> Any:
    refusal = _refusal(new, starting=True)
    if refusal:
        raise ValueError(refusal)
    result = engine_update(physical_id, old, new, stack_name)
    _changed(engine)
    return result


def _refusal(data: dict[str, Any], *, starting: bool) -> str | None:
    """Why a mapping cannot be, in words for its author; None where it can."""
    if not _is_kinesis(data):
        return None
    if int(data.get("TumblingWindowInSeconds") or 0):
        return "TumblingWindowInSeconds: the local engine has no tumbling windows."
    if starting and data.get("StartingPosition") == "AT_TIMESTAMP" and not data.get("StartingPositionTimestamp"):
        return "StartingPositionTimestamp is required when StartingPosition is AT_TIMESTAMP."
    for pattern in filter_patterns(data):
        reason = pattern_error(pattern)
        if reason:
            return f"Invalid filter pattern definition. {reason}"
    return settings_error(data)


def _is_kinesis(data: dict[str, Any]) -> bool:
    return str(data.get("EventSourceArn", "")).split(":")[2:3] == ["kinesis"]


def _complete(record: dict[str, Any], data: dict[str, Any]) -> None:
    """Adds what the engine leaves out of a mapping's record."""
    record["BatchSize"] = int(data.get("BatchSize", 100))  # the engine's default is that of SQS
    if "StartingPositionTimestamp" in data:
        record["StartingPositionTimestamp"] = float(data["StartingPositionTimestamp"])


def _keeping_closed_shards(reshard: Callable[[Any], Any], engine: Engine) -> Callable[[Any], Any]:
    """``reshard`` with the shards that it closes kept for their readers: the engine forgets them with their records."""

    def resharded(data: Any) -> Any:
        with _lock:
            _, stream = kinesis._resolve_stream(data)
            before = list(stream["shards"].items()) if stream else []
            response = reshard(data)
            if stream:
                closed = [(name, shard) for name, shard in before if stream["shards"].get(name) is not shard]
                stream.setdefault(_CLOSED_SHARDS, []).extend(closed)
            _changed(engine)
        return response

    return resharded


def _changed(engine: Engine) -> None:
    """After something was created, changed or closed: readers in line with it, and awake to see it."""
    _follow(engine)
    wake.set()


def _follow(engine: Engine) -> bool:
    """Brings readers in line with mappings and shards. False: the engine's poll thread has nothing to do at once."""
    with _lock:
        for key, record in list(lambda_svc._esms._data.items()):
            stream = stream_of(record)
            if stream is not None:
                _follow_shards(_followed_mapping(key, record, stream, engine), engine)
        for key in [key for key, mapping in _followed.items() if not mapping.is_live()]:
            del _followed[key]
    return False


def _followed_mapping(key: _Key, record: dict[str, Any], stream: dict[str, Any], engine: Engine) -> FollowedMapping:
    """The mapping; where it is new, with its readers at the starting position."""
    mapping = _followed.get(key)
    if mapping is not None and mapping.record is record and mapping.stream is stream:
        return mapping
    mapping = _followed[key] = FollowedMapping(*key, record, stream, engine.endpoint)
    for shard_id, shard in _shards(stream):
        mapping.shards.append(ShardReader(shard_id, shard, _starting_position(record, shard)))
    return mapping


def _follow_shards(mapping: FollowedMapping, engine: Engine) -> None:
    known = {id(reader.shard) for reader in mapping.shards}
    for shard_id, shard in _shards(mapping.stream):
        if id(shard) not in known:
            mapping.shards.append(ShardReader(shard_id, shard, position=""))
    still_open = {id(shard) for shard in mapping.stream["shards"].values()}
    for reader in mapping.shards:
        reader.closed = id(reader.shard) not in still_open
        if not reader.drained:
            _follow_lanes(mapping, reader, engine)


def _follow_lanes(mapping: FollowedMapping, reader: ShardReader, engine: Engine) -> None:
    if reader.lanes and all(lane.finished for lane in reader.lanes):
        if reader.boundary is None:
            reader.drained = True
            return
        reader.position, reader.boundary, reader.lanes = reader.boundary, None, []
    count = mapping.settings().lanes
    if not reader.lanes:
        if not _waits_for_another(mapping, reader):
            _start_lanes(mapping, reader, count, engine)
    elif len(reader.lanes) != count and reader.boundary is None and not reader.closed:
        with reader.lock:
            newest = [record["SequenceNumber"] for record in reader.shard["records"][-1:]]
            reader.boundary = max(newest + [lane.position for lane in reader.lanes])


def _waits_for_another(mapping: FollowedMapping, reader: ShardReader) -> bool:
    """Whether an earlier shard that is not drained may hold older records of the reader's partition keys."""
    earlier = itertools.takewhile(lambda other: other is not reader, mapping.shards)
    return any(not other.drained and _overlap(other.shard, reader.shard) for other in earlier)


def _start_lanes(mapping: FollowedMapping, reader: ShardReader, count: int, engine: Engine) -> None:
    reader.lanes = [Lane(mapping, reader, index, count, reader.position) for index in range(count)]
    name = f"kinesis-{mapping.stream['StreamName']}-{reader.shard_id}"
    for lane in reader.lanes:
        threading.Thread(target=work, args=(lane, lambda: _follow(engine)), name=name, daemon=True).start()


def _shards(stream: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every shard that the stream ever had, parents before their children."""
    return [*stream.get(_CLOSED_SHARDS, ()), *stream["shards"].items()]


def _starting_position(record: dict[str, Any], shard: dict[str, Any]) -> str:
    """The sequence number after which to read a shard that was there when the mapping was made."""
    records = shard["records"]
    match record["StartingPosition"]:
        case "TRIM_HORIZON":
            skipped = 0
        case "AT_TIMESTAMP":
            moment = record["StartingPositionTimestamp"]
            skipped = bisect_left(records, moment, key=lambda one: one["ApproximateArrivalTimestamp"])
        case _:
            skipped = len(records)
    return records[skipped - 1]["SequenceNumber"] if skipped else ""


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return max(int(one["starting_hash_key"]), int(other["starting_hash_key"])) <= min(
        int(one["ending_hash_key"]), int(other["ending_hash_key"])
    )
