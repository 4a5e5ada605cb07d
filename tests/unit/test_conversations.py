"""Conversations' rows: what is written is what is read, in order, consistently, and only what belongs together."""

from collections.abc import Callable
from typing import Any

import pytest

from backbone.chat_frames import AnswerFrame, TurnFrames
from backbone.conversations import (
    Conversation,
    ConversationRows,
    Turn,
    conversation_key,
    expires_at,
    frames_attribute,
    message_key,
    text_digest,
    turn_key,
)
from backbone.errors import Retryable
from tests.unit.aws_faults import failing
from tests.unit.resources import Resources

ONE, OTHER = "0c9d2a54-7d3e-5b1a-9a67-3f1f5b1f0a11", "0c9d2a54-7d3e-5b1a-9a67-3f1f5b1f0a12"
FRAMES = TurnFrames(ONE, "message-0001", 1)


@pytest.fixture
def rows(resources: Resources) -> ConversationRows:
    return ConversationRows(resources.client("dynamodb"), "conversations")


def put(rows: ConversationRows, key: dict[str, Any], **attributes: Any) -> None:
    rows.client.put_item(TableName=rows.table, Item={**key, **attributes})


def put_turn(rows: ConversationRows, conversation_id: str, turn: int, **more: Any) -> None:
    texts = {
        "messageId": "message-0001",
        "text": "Grüße 😀",
        "receivedAt": "2026-01-01T12:00:00.000Z",
        "correlationId": "c",
        "eventId": "e",
        "status": "received",
    }
    put(rows, turn_key(conversation_id, turn), **{name: {"S": text} for name, text in texts.items()}, **more)


def test_turn_that_was_just_added_is_read_with_nothing_answered(rows: ConversationRows) -> None:
    put_turn(rows, ONE, 1)
    assert rows.get_turn(ONE, 1) == Turn(
        ONE, 1, "message-0001", "Grüße 😀", "2026-01-01T12:00:00.000Z", correlation_id="c", event_id="e"
    )


def test_answered_turn_is_read_with_its_frames(rows: ConversationRows) -> None:
    frames: list[AnswerFrame] = [FRAMES.tool(1, "list_cards", "done"), *FRAMES.deltas(2, "مرحبا 😀")]
    more = {"frames": frames_attribute(frames), "answer": {"S": "x"}, "inputTokens": {"N": "12"}}
    put_turn(rows, ONE, 1, **more, publishedAt={"S": "2026-01-01T12:00:01.000Z"})
    turn = rows.get_turn(ONE, 1)
    assert turn is not None
    assert (turn.frames, turn.answer, turn.input_tokens) == (tuple(frames), "x", 12)
    assert turn.published_at == "2026-01-01T12:00:01.000Z"


def test_conversation_is_read_before_and_after_it_has_a_lease(rows: ConversationRows) -> None:
    texts = {
        "personId": "p",
        "role": "analyst",
        "customerId": "CUST-000001",
        "connectionId": "c1",
        "createdAt": "2026-01-01T12:00:00.000Z",
        "updatedAt": "2026-01-01T12:00:00.000Z",
    }
    said = {name: {"S": text} for name, text in texts.items()}
    put(rows, conversation_key(ONE), **said, receivedTurn={"N": "3"}, answeredTurn={"N": "1"})
    begun = Conversation(
        ONE, "p", "analyst", "CUST-000001", "c1", 3, texts["createdAt"], texts["updatedAt"], answered_turn=1
    )
    assert rows.get(ONE) == begun
    lease = {"leaseOwner": {"S": "m"}, "leaseReceive": {"N": "2"}, "leaseUntil": {"N": "1767268800512"}}
    put(rows, conversation_key(ONE), **said, receivedTurn={"N": "3"}, **lease, pendingAction={"S": "{}"})
    leased = rows.get(ONE)
    assert leased is not None
    assert (leased.lease_owner, leased.lease_receive, leased.lease_until) == ("m", 2, 1_767_268_800_512)
    assert (leased.pending_action, leased.answered_turn) == ("{}", 0)


def test_turns_come_in_order_from_first_to_last_and_of_one_conversation(rows: ConversationRows) -> None:
    for turn in (12, 2, 9, 10, 1, 11, 100):
        put_turn(rows, ONE, turn)
    put_turn(rows, OTHER, 10)
    put(rows, message_key(ONE, "message-0001"), turn={"N": "1"}, digest={"S": text_digest("x")})
    assert [turn.turn for turn in rows.turns(ONE, 2, 11)] == [2, 9, 10, 11]
    assert rows.turns(ONE, 5, 4) == ()


def test_turns_of_many_pages_are_all_read(rows: ConversationRows) -> None:
    large = [frame for number in range(4) for frame in FRAMES.deltas(number + 1, "x" * 23_000)]
    for turn in range(1, 16):
        put_turn(rows, ONE, turn, frames=frames_attribute(large))
    assert [turn.turn for turn in rows.turns(ONE, 1, 999_999)] == list(range(1, 16))


def test_what_is_not_there_is_none(rows: ConversationRows) -> None:
    assert (rows.get(ONE), rows.get_turn(ONE, 1), rows.turns(ONE, 1, 9)) == (None, None, ())


def test_row_expires_days_after_its_change() -> None:
    assert expires_at(1_767_268_800.9, 30) == {"N": str(1_767_268_800 + 30 * 86_400)}


@pytest.mark.parametrize(
    ("operation", "read"),
    [
        ("GetItem", lambda rows: rows.get(ONE)),
        ("GetItem", lambda rows: rows.get_turn(ONE, 1)),
        ("Query", lambda rows: rows.turns(ONE, 1, 2)),
    ],
    ids=["conversation", "turn", "turns"],
)
def test_throttled_table_is_retryable(
    rows: ConversationRows, operation: str, read: Callable[[ConversationRows], object]
) -> None:
    with failing(operation, "ThrottlingException"), pytest.raises(Retryable, match="conversations"):
        read(rows)
