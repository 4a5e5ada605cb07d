"""Traces: put over HTTP or sent to the daemon's port by AWS's own SDK, listed by unmodified boto3."""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import ministack
import pytest
from botocore.exceptions import ClientError

from local.overlay.xray_traces import SEGMENTS_PER_TRACE, TRACES_KEPT, Traces, listen, summary
from tests.engine.callers import a_user
from tests.engine.waiting import wait_until

type Aws = Callable[[str], Any]


def a_segment(trace_id: str, **changes: Any) -> dict[str, Any]:
    now = time.time()
    segment = {
        "name": "scoring",
        "id": uuid4().hex[:16],
        "trace_id": trace_id,
        "start_time": now,
        "end_time": now + 0.5,
    }
    return segment | changes


def a_trace_id() -> str:
    return f"1-{int(time.time()):08x}-{uuid4().hex[:24]}"


def summaries(aws: Aws, **more: Any) -> dict[str, dict[str, Any]]:
    """The traces of the last minute by their id."""
    now = datetime.now(UTC)
    answer = aws("xray").get_trace_summaries(StartTime=now - timedelta(minutes=1), EndTime=now, **more)
    return {found["Id"]: found for found in answer["TraceSummaries"]}


def test_trace_is_listed_with_what_its_segments_say(aws: Aws) -> None:
    trace_id = a_trace_id()
    handler = {
        "id": "1" * 16,
        "name": "## handler",
        "annotations": {"ColdStart": True, "Service": "payments", "rows": 3},
    }
    segment = a_segment(trace_id, fault=True, subsegments=[handler])

    answer = aws("xray").put_trace_segments(TraceSegmentDocuments=[json.dumps(segment)])

    assert answer["UnprocessedTraceSegments"] == []
    found = summaries(aws)[trace_id]
    assert found["Duration"] == pytest.approx(0.5)
    assert (found["HasFault"], found["HasError"], found["IsPartial"]) == (True, False, False)
    assert found["EntryPoint"]["Name"] == "scoring"
    values = {name: annotations[0]["AnnotationValue"] for name, annotations in found["Annotations"].items()}
    assert values == {
        "ColdStart": {"BooleanValue": True},
        "Service": {"StringValue": "payments"},
        "rows": {"NumberValue": 3.0},
    }


def test_trace_is_read_back_whole_and_an_unknown_one_is_unprocessed(aws: Aws) -> None:
    trace_id, unknown = a_trace_id(), a_trace_id()
    segment = a_segment(trace_id)
    aws("xray").put_trace_segments(TraceSegmentDocuments=[json.dumps(segment)])

    answer = aws("xray").batch_get_traces(TraceIds=[trace_id, unknown])

    (trace,) = answer["Traces"]
    assert [json.loads(found["Document"]) for found in trace["Segments"]] == [segment]
    assert answer["UnprocessedTraceIds"] == [unknown]


def test_trace_outside_the_time_range_is_not_listed(aws: Aws) -> None:
    trace_id = a_trace_id()
    old = a_segment(trace_id, start_time=time.time() - 3600, end_time=time.time() - 3599)

    aws("xray").put_trace_segments(TraceSegmentDocuments=[json.dumps(old)])

    assert trace_id not in summaries(aws)


def test_segments_that_are_none_are_reported_and_the_others_kept(aws: Aws) -> None:
    trace_id = a_trace_id()
    documents = ["not JSON", json.dumps({"name": "no id"}), json.dumps(a_segment(trace_id))]

    answer = aws("xray").put_trace_segments(TraceSegmentDocuments=documents)

    assert [refused["ErrorCode"] for refused in answer["UnprocessedTraceSegments"]] == ["ParseError", "InvalidSegment"]
    assert trace_id in summaries(aws)


def test_caller_without_a_grant_is_denied(aws: Aws) -> None:
    with a_user(aws) as client, pytest.raises(ClientError, match="AccessDenied"):
        client("xray").put_trace_segments(TraceSegmentDocuments=[json.dumps(a_segment(a_trace_id()))])


def test_filter_expression_is_refused_instead_of_ignored(aws: Aws) -> None:
    with pytest.raises(ClientError, match="filter expressions"):
        summaries(aws, FilterExpression='service("scoring")')


# In a process of its own, as a function is; the SDK leaves its socket to the end of the process.
_TRACED_PROGRAM = """
from aws_xray_sdk.core import xray_recorder
xray_recorder.configure(sampling=False)
segment = xray_recorder.begin_segment("scoring")
with xray_recorder.in_subsegment("model") as subsegment:
    subsegment.put_annotation("version", 7)
xray_recorder.end_segment()
print(segment.trace_id)
"""


def test_segment_that_awss_sdk_sends_to_the_port_is_kept() -> None:
    traces = Traces()
    port = listen(traces, "127.0.0.1:0")

    program = subprocess.run(
        [sys.executable, "-c", _TRACED_PROGRAM],
        env={"AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{port}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    trace_id = program.stdout.strip()
    segments = wait_until(lambda: traces.segments_of(trace_id), 5, "the segment")
    assert [segment["name"] for segment in segments] == ["scoring"]
    assert summary(trace_id, segments)["Annotations"]["version"][0]["AnnotationValue"] == {"NumberValue": 7}


def test_taken_port_is_logged_and_lived_without(caplog: pytest.LogCaptureFixture) -> None:
    port = listen(Traces(), "127.0.0.1:0")

    assert listen(Traces(), f"127.0.0.1:{port}") is None
    assert f"127.0.0.1:{port} is taken" in caplog.text


def test_segment_sent_again_replaces_its_unfinished_self() -> None:
    traces, trace_id = Traces(), a_trace_id()
    unfinished = a_segment(trace_id, in_progress=True)
    traces.put(json.dumps(unfinished))
    traces.put(json.dumps({**unfinished, "in_progress": False}))

    assert summary(trace_id, traces.segments_of(trace_id))["IsPartial"] is False
    assert len(traces.segments_of(trace_id)) == 1


def test_traces_and_their_segments_are_bounded() -> None:
    traces = Traces()
    for number in range(TRACES_KEPT + 1):
        traces.put(json.dumps(a_segment(f"1-0-{number}")))
    for _ in range(SEGMENTS_PER_TRACE + 1):
        traces.put(json.dumps(a_segment("1-0-9")))

    assert len(traces.ids()) == TRACES_KEPT
    assert traces.segments_of("1-0-0") == []
    assert len(traces.segments_of("1-0-9")) == SEGMENTS_PER_TRACE


def test_engine_still_lacks_xray() -> None:
    assert importlib.util.find_spec("ministack.services.xray") is None
    assert "/TraceSegments" not in (Path(ministack.__file__).parent / "core" / "router.py").read_text()
