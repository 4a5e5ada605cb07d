"""Output of a worker, however it is cut into pieces, becomes the same log events."""

import json

from hypothesis import given
from hypothesis import strategies as st

from local.overlay.lambda_logs import LogLine, OutputReader, Report, with_platform_lines

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufffd"), min_size=1)
REPORT = Report("id", "$LATEST", "success", None, 1.2, None, 128, 30, 1000, 1002)


def frame(message: str, milliseconds: int) -> bytes:
    body = message.encode()
    return b"\xa5\x5a\x00\x03" + len(body).to_bytes(4) + (milliseconds * 1000).to_bytes(8) + body


@given(st.data(), st.lists(st.tuples(st.booleans(), TEXT), max_size=20))
def test_events_do_not_depend_on_where_the_stream_is_cut(data: st.DataObject, parts: list[tuple[bool, str]]) -> None:
    stream = b"".join(frame(text, 5) if framed else text.encode() + b"\n" for framed, text in parts)
    reader = OutputReader(now_ms=lambda: 5)
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:size])
        stream = stream[size:]
    assert reader.take() == [LogLine(5, text) for _, text in parts]


def test_message_with_line_breaks_is_one_event() -> None:
    reader = OutputReader(now_ms=lambda: 7)
    reader.feed(b"before" + frame("two\nlines\n", 7) + b"after")
    assert [line.message for line in reader.take()] == ["before", "two\nlines", "after"]


def test_endless_line_is_cut_where_cloudwatch_takes_no_more() -> None:
    reader = OutputReader(now_ms=lambda: 7)
    reader.feed(b"x" * 600_000)
    assert [len(line.message) for line in reader.take()] == [262_144, 262_144, 75_712]


def test_system_log_level_warn_hides_the_lines_of_a_success_only() -> None:
    controls = {"LogFormat": "JSON", "SystemLogLevel": "WARN"}
    own = [LogLine(1, "own")]
    failure = Report("id", "1", "error", "Runtime.ExitError", 1.0, 5.0, 128, 30, 1000, 1002)
    assert with_platform_lines([], own, REPORT, controls) == own
    record = json.loads(with_platform_lines([], own, failure, controls)[-1].message)["record"]
    assert record == {
        "requestId": "id",
        "metrics": {
            "durationMs": 1.0,
            "billedDurationMs": 6,
            "memorySizeMB": 128,
            "maxMemoryUsedMB": 30,
            "initDurationMs": 5.0,
        },
        "status": "error",
        "errorType": "Runtime.ExitError",
    }


def test_output_of_the_init_phase_stands_before_the_start_line() -> None:
    lines = with_platform_lines([LogLine(1, "init")], [LogLine(2, "call")], REPORT, {})
    assert [line.message.split()[0] for line in lines] == ["init", "START", "call", "END", "REPORT"]
