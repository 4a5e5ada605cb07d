"""What a function's run leaves in CloudWatch Logs: the function's own output, and Lambda's lines around it.

Follows "Sending Lambda function logs to CloudWatch Logs" and "Configuring JSON and plain text log formats"
(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html), and, for the way that AWS's
Runtime Interface Client hands over log messages, the framing that its FramedTelemetryLogSink documents.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

_FRAME_START = b"\xa5\x5a\x00"
_FRAME_HEADER_BYTES = 16  # type (4), length (4), time in microseconds since 1970 (8), all big-endian
_LONGEST_LINE_BYTES = 256 * 1024  # CloudWatch Logs takes no longer event

type Status = Literal["success", "error", "timeout"]


@dataclass(frozen=True)
class LogLine:
    """One event of a log stream. ``timestamp`` counts milliseconds since 1970."""

    timestamp: int
    message: str


@dataclass(frozen=True)
class Report:
    """What Lambda reports of one invocation. Durations in milliseconds, memory in MB."""

    request_id: str
    version: str
    status: Status
    error_type: str | None
    duration: float
    init_duration: float | None
    memory_size: int
    memory_used: int
    started_at: int  # milliseconds since 1970, as the next
    ended_at: int

    @property
    def billed_duration(self) -> int:
        """Whole milliseconds, rounded up, the init phase included (billed for every function since August 2025)."""
        return -int(-(self.duration + (self.init_duration or 0.0)) // 1)


class OutputReader:
    """Turns the bytes that a worker wrote into log events.

    A worker writes two things into one pipe, so that their order is kept: plain output, an event per line, and the
    framed messages of Python's logging, an event each, line breaks and all.
    """

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._pending = b""
        self._lines: list[LogLine] = []
        self._latest = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the pipe; they may end anywhere."""
        self._pending += data
        self._lines.extend(self._complete_events())

    def take(self) -> list[LogLine]:
        """Every event so far, a last line without its line break included; the next call starts afresh."""
        if self._pending and not self._pending.startswith(_FRAME_START):
            self._lines.append(self._event(self._now_ms(), self._pending))
            self._pending = b""
        lines, self._lines = self._lines, []
        return lines

    def _complete_events(self) -> Iterator[LogLine]:
        while self._pending:
            if self._pending.startswith(_FRAME_START):
                frame = self._take_frame()
                if frame is None:
                    return
                yield frame
                continue
            line = self._take_line()
            if line is None:
                return
            if line:
                yield self._event(self._now_ms(), line)

    def _take_frame(self) -> LogLine | None:
        if len(self._pending) < _FRAME_HEADER_BYTES:
            return None
        end = _FRAME_HEADER_BYTES + int.from_bytes(self._pending[4:8])
        if len(self._pending) < end:
            return None
        microseconds = int.from_bytes(self._pending[8:16])
        message, self._pending = self._pending[_FRAME_HEADER_BYTES:end], self._pending[end:]
        return self._event(microseconds // 1000, message.rstrip(b"\n"))

    def _event(self, timestamp: int, message: bytes) -> LogLine:
        """Never earlier than the event before it: a log is sorted by time, and only frames tell when they were sent."""
        self._latest = max(timestamp, self._latest)
        return LogLine(self._latest, message.decode("utf-8", errors="replace"))

    def _take_line(self) -> bytes | None:
        """Up to a line break, to the start of a frame, or to the longest that an event may be."""
        frame = self._pending.find(_FRAME_START)
        line_break = self._pending.find(b"\n", 0, frame if frame >= 0 else len(self._pending))
        if line_break >= 0:
            line, self._pending = self._pending[:line_break], self._pending[line_break + 1 :]
            return line.rstrip(b"\r")
        end = frame if frame >= 0 else _LONGEST_LINE_BYTES
        if len(self._pending) < end:
            return None
        line, self._pending = self._pending[:end], self._pending[end:]
        return line


def with_platform_lines(
    init_lines: list[LogLine], lines: list[LogLine], report: Report, logging_config: dict[str, Any]
) -> list[LogLine]:
    """The function's lines and Lambda's own around them, in the format and from the level that LoggingConfig names."""
    if str(logging_config.get("LogFormat", "Text")).upper() != "JSON":
        return [*init_lines, *_text_before(report), *lines, *_text_after(report)]
    if logging_config.get("SystemLogLevel") == "WARN" and report.status == "success":
        return [*init_lines, *lines]
    return [*init_lines, _json_start(report), *lines, _json_report(report)]


def exit_line(request_id: str, message: str, error_type: str) -> str:
    """What Lambda writes into the log where a function's process ended before it answered."""
    return f"RequestId: {request_id} Error: {message}\n{error_type}"


def _text_before(report: Report) -> list[LogLine]:
    return [LogLine(report.started_at, f"START RequestId: {report.request_id} Version: {report.version}")]


def _text_after(report: Report) -> list[LogLine]:
    fields = [
        f"REPORT RequestId: {report.request_id}",
        f"Duration: {report.duration:.2f} ms",
        f"Billed Duration: {report.billed_duration} ms",
        f"Memory Size: {report.memory_size} MB",
        f"Max Memory Used: {report.memory_used} MB",
    ]
    if report.init_duration is not None:
        fields.append(f"Init Duration: {report.init_duration:.2f} ms")
    if report.status != "success":
        fields.append(f"Status: {report.status}")
    if report.error_type:
        fields.append(f"Error Type: {report.error_type}")
    return [
        LogLine(report.ended_at, f"END RequestId: {report.request_id}"),
        LogLine(report.ended_at, "\t".join(fields)),
    ]


def _json_start(report: Report) -> LogLine:
    record = {"requestId": report.request_id, "version": report.version}
    return _json_line(report.started_at, "platform.start", record)


def _json_report(report: Report) -> LogLine:
    metrics: dict[str, float] = {
        "durationMs": round(report.duration, 3),
        "billedDurationMs": report.billed_duration,
        "memorySizeMB": report.memory_size,
        "maxMemoryUsedMB": report.memory_used,
    }
    if report.init_duration is not None:
        metrics["initDurationMs"] = round(report.init_duration, 3)
    record: dict[str, Any] = {"requestId": report.request_id, "metrics": metrics, "status": report.status}
    if report.error_type:
        record["errorType"] = report.error_type
    return _json_line(report.ended_at, "platform.report", record)


def _json_line(at_ms: int, kind: str, record: dict[str, Any]) -> LogLine:
    at = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return LogLine(at_ms, json.dumps({"time": at, "type": kind, "record": record}, separators=(",", ":")))
