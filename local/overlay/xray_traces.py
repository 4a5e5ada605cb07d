"""X-Ray: a daemon's UDP port that takes segments, and the operations that list the traces they make.

Follows https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html (segment documents, the daemon's
protocol) and the API reference of PutTraceSegments, GetTraceSummaries and BatchGetTraces. The engine has no such
service, so that what a function's tracer sends is lost.

Traces are kept in memory, the newest thousand. AWS's SDKs send to 127.0.0.1:2000 unless AWS_XRAY_DAEMON_ADDRESS says
otherwise; where that port is taken, this goes on without it. Lambda's own segments are not made: a trace consists of
what the code inside the functions sends, so a subsegment may have a parent that is not here. Filter expressions,
groups, sampling rules and service graphs are not there. The error codes of refused segments are not documented.
"""

import json
import logging
import os
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.session import Session

from local.overlay.authorization import Response, access_denied, refusal_of_caller
from local.overlay.engine_hooks import Engine
from local.overlay.service_routes import Call, ServiceError, add_service, answer, refuse, understand

TRACES_KEPT = 1000
SEGMENTS_PER_TRACE = 1000
_DEFAULT_ADDRESS = "127.0.0.1:2000"
_LARGEST_DATAGRAM = 65_535
_REQUIRED = ("id", "trace_id", "name", "start_time")

type Document = dict[str, Any]

logger = logging.getLogger("overlay.xray")


class Traces:
    """Segment documents by trace and id, the traces touched last at the end; safe for several threads."""

    def __init__(self) -> None:
        self._traces: OrderedDict[str, dict[str, Document]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, text: str) -> Mapping[str, str] | None:
        """Keeps the segment document; what is wrong with it, as UnprocessedTraceSegment, where it is none."""
        try:
            document = json.loads(text)
        except ValueError as error:
            return {"ErrorCode": "ParseError", "Message": f"Not JSON: {error}"}
        missing = [name for name in _REQUIRED if not isinstance(document, dict) or name not in document]
        if missing:
            return {"ErrorCode": "InvalidSegment", "Message": f"Without {', '.join(missing)}: {text[:200]}"}
        with self._lock:
            segments = self._traces.setdefault(document["trace_id"], {})
            if len(segments) < SEGMENTS_PER_TRACE or document["id"] in segments:
                segments[document["id"]] = document
            self._traces.move_to_end(document["trace_id"])
            while len(self._traces) > TRACES_KEPT:
                self._traces.popitem(last=False)
        return None

    def segments_of(self, trace_id: str) -> list[Document]:
        with self._lock:
            return list(self._traces.get(trace_id, {}).values())

    def ids(self) -> list[str]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._traces))


def install(_: Engine) -> None:
    traces, service = Traces(), Session().get_service_model("xray")
    operations = {
        "PutTraceSegments": _put_trace_segments,
        "GetTraceSummaries": _get_trace_summaries,
        "BatchGetTraces": _batch_get_traces,
    }

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]
    ) -> Response:
        try:
            call = understand(service, method, path, query, body)
            refusal = refusal_of_caller(headers, query, f"xray:{call.operation.name}", "*")
            if refusal:
                return access_denied(refusal)
            if call.operation.name not in operations:
                raise ServiceError("InvalidRequestException", 400, f"The local engine has no {call.operation.name}.")
            return answer(call.operation, operations[call.operation.name](traces, call))
        except ServiceError as error:
            return refuse(error)

    add_service("xray", handle)
    listen(traces, os.environ.get("AWS_XRAY_DAEMON_ADDRESS", _DEFAULT_ADDRESS))


def listen(traces: Traces, address: str) -> int | None:
    """Takes segments on the UDP ``address`` (host:port) in a thread; the port, None where it is taken."""
    host, _, port = address.rpartition(":")
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        receiver.bind((host, int(port)))
    except OSError as error:
        receiver.close()
        logger.warning("Without an X-Ray daemon: %s is taken (%s)", address, error)
        return None
    threading.Thread(target=_receive_forever, args=(receiver, traces), name="xray-daemon", daemon=True).start()
    return int(receiver.getsockname()[1])


def _receive_forever(receiver: socket.socket, traces: Traces) -> None:
    while True:
        datagram = receiver.recv(_LARGEST_DATAGRAM).decode(errors="replace")
        header, _, document = datagram.partition("\n")
        refused = traces.put(document) if '"format"' in header else {"Message": f"No header: {header[:100]}"}
        if refused:
            logger.warning("A trace segment was refused: %s", refused["Message"])


def _put_trace_segments(traces: Traces, call: Call) -> dict[str, Any]:
    refused = [traces.put(document) for document in call.parameters.get("TraceSegmentDocuments", [])]
    return {"UnprocessedTraceSegments": [refusal for refusal in refused if refusal]}


def _get_trace_summaries(traces: Traces, call: Call) -> dict[str, Any]:
    if call.parameters.get("FilterExpression"):
        raise ServiceError("InvalidRequestException", 400, "The local engine has no filter expressions.")
    start, end = float(call.parameters["StartTime"]), float(call.parameters["EndTime"])
    summaries = [summary(trace_id, traces.segments_of(trace_id)) for trace_id in traces.ids()]
    # The model's times have the precision of a second, so the last second of the range belongs to it.
    within = [found for found in summaries if start <= found["StartTime"] < end + 1]
    return {"TraceSummaries": within, "ApproximateTime": time.time(), "TracesProcessedCount": len(summaries)}


def _batch_get_traces(traces: Traces, call: Call) -> dict[str, Any]:
    found = {trace_id: traces.segments_of(trace_id) for trace_id in call.parameters.get("TraceIds", [])}
    return {
        "Traces": [
            {
                "Id": trace_id,
                "Duration": _duration(segments),
                "LimitExceeded": len(segments) >= SEGMENTS_PER_TRACE,
                "Segments": [{"Id": segment["id"], "Document": json.dumps(segment)} for segment in segments],
            }
            for trace_id, segments in found.items()
            if segments
        ],
        "UnprocessedTraceIds": [trace_id for trace_id, segments in found.items() if not segments],
    }


def summary(trace_id: str, segments: list[Document]) -> dict[str, Any]:
    """The TraceSummary of a trace; times in seconds since the epoch."""
    parts = [part for segment in segments for part in _with_subsegments(segment)]
    roots = [segment for segment in segments if segment.get("type") != "subsegment"] or segments
    services = [{"Name": root["name"], "Names": [root["name"]], "Type": root.get("origin", "client")} for root in roots]
    return {
        "Id": trace_id,
        "StartTime": min(float(segment["start_time"]) for segment in segments),
        "Duration": _duration(segments),
        "ResponseTime": _duration(roots),
        "HasFault": any(segment.get("fault") for segment in segments),
        "HasError": any(segment.get("error") for segment in segments),
        "HasThrottle": any(segment.get("throttle") for segment in segments),
        "IsPartial": any(segment.get("in_progress") for segment in segments),
        "Annotations": _annotations(parts),
        "ServiceIds": services,
        "EntryPoint": services[0],
    }


def _with_subsegments(segment: Document) -> Iterator[Document]:
    yield segment
    for subsegment in segment.get("subsegments", []):
        if isinstance(subsegment, dict):
            yield from _with_subsegments(subsegment)


def _duration(segments: list[Document]) -> float:
    starts = [float(segment["start_time"]) for segment in segments]
    ends = [float(segment["end_time"]) for segment in segments if "end_time" in segment] or starts
    return max(ends) - min(starts) if segments else 0.0


def _annotations(parts: list[Document]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        for name, value in (part.get("annotations") or {}).items():
            entry = {"AnnotationValue": {_kind_of(value): value}, "ServiceIds": []}
            if entry not in found.setdefault(name, []):
                found[name].append(entry)
    return found


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "BooleanValue"
    return "NumberValue" if isinstance(value, int | float) else "StringValue"
