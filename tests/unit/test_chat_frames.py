"""Frames to a client: none is too large, none loses a character, and a gone connection is told from a busy one."""

import json
from typing import Any

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from backbone.chat_frames import MAXIMUM_FRAME_BYTES, ConnectionPoster, TurnFrames, encoded, error, split_text
from backbone.clients import client
from backbone.errors import Retryable
from tests.unit.chat_fakes import FakeConnections

FRAMES = TurnFrames("0c9d2a54-7d3e-5b1a-9a67-3f1f5b1f0a11", "m" * 64, 999_999)
ERROR = error("BUSY", "Wait.")
# Characters of one to four bytes, such that JSON escapes, and such that mean something together.
texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n\x00é漢😀\u200d\u0301'))


@given(texts, st.integers(12, 60))
def test_pieces_of_a_text_are_the_text_and_each_fits(text: str, at_most: int) -> None:
    pieces = list(split_text(text, at_most))
    assert "".join(pieces) == text
    assert all(len(json.dumps(piece, ensure_ascii=False).encode()) - 2 <= at_most for piece in pieces)
    assert all(pieces)


@pytest.mark.parametrize("character", ["a", '"', "\x00", "漢", "😀"])
def test_long_text_goes_in_frames_of_at_most_24_kb_with_consecutive_sequences(character: str) -> None:
    frames = FRAMES.deltas(3, character * 60_000)
    assert [frame["sequence"] for frame in frames] == list(range(3, 3 + len(frames)))
    assert "".join(frame["text"] for frame in frames) == character * 60_000
    assert max(len(encoded(frame)) for frame in frames) <= MAXIMUM_FRAME_BYTES


def test_no_text_makes_no_frame() -> None:
    assert FRAMES.deltas(1, "") == []


def test_halves_of_a_character_are_joined_and_a_lone_half_is_replaced() -> None:
    assert list(split_text("a\ud83d\ude00b\ud83d")) == ["a😀b\ufffd"]


def test_frame_above_the_bound_is_its_makers_defect() -> None:
    with pytest.raises(ValueError, match="at most 24,576"):
        encoded(error("BUSY", "x" * 30_000))


def test_error_names_the_message_only_where_there_is_one() -> None:
    assert ERROR == {"type": "error", "code": "BUSY", "message": "Wait."}
    assert error("BUSY", "Wait.", "message-0001")["messageId"] == "message-0001"


# ---- posting


def test_post_sends_the_frame_as_json_in_utf8() -> None:
    connections = FakeConnections()
    frame = FRAMES.tool(1, "list_cards", "done")
    assert ConnectionPoster(connections).post("c1", frame)
    assert connections.posted["c1"] == [frame]


@pytest.fixture
def management_api(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The SDK's own client, made as a function makes it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv(
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", "https://a1.execute-api.eu-central-1.amazonaws.com/v1"
    )
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return client.__wrapped__("apigatewaymanagementapi")


def test_client_finds_the_api_by_the_sdks_own_variable_before_the_general_one(management_api: Any) -> None:
    assert management_api.meta.endpoint_url == "https://a1.execute-api.eu-central-1.amazonaws.com/v1"


@pytest.mark.parametrize(("code", "status"), [("GoneException", 410), ("410", 410)])
def test_post_to_a_connection_that_is_gone_says_so(management_api: Any, code: str, status: int) -> None:
    with Stubber(management_api) as stub:
        stub.add_client_error("post_to_connection", code, http_status_code=status)
        assert ConnectionPoster(management_api).post("c1", ERROR) is False


@pytest.mark.parametrize(
    ("code", "status"), [("LimitExceededException", 429), ("ForbiddenException", 403), ("InternalServerError", 500)]
)
def test_post_that_the_api_does_not_take_now_is_retryable(management_api: Any, code: str, status: int) -> None:
    with Stubber(management_api) as stub:
        stub.add_client_error("post_to_connection", code, http_status_code=status)
        with pytest.raises(Retryable, match=code):
            ConnectionPoster(management_api).post("c1", ERROR)
