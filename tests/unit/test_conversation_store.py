"""The conversations' rows, written by answer_chat: the store in DynamoDB (moto) and the one in memory do the same."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from agent_port import Citation, ToolCall, ToolResult
from backbone.chat_frames import TurnFrames
from backbone.conversations import (
    Conversation,
    ConversationRows,
    Turn,
    conversation_key,
    expires_at,
    frames_attribute,
    turn_key,
)
from backbone.errors import Rejected, Retryable
from conversation_lease import Claim, Conversations, LeaseHeldError, LeaseLostError
from conversation_store import ConversationStore
from tests.unit.aws_faults import failing
from tests.unit.chat_answering import (
    CONVERSATION,
    NOON,
    NOW,
    ConversationRowsInMemory,
    FakeConversations,
    a_claim,
    a_conversation,
    a_turn,
    an_ending,
)
from tests.unit.resources import Resources

type Receive = Callable[..., None]
NOW_MILLISECONDS = int(NOW * 1000)


class World:
    """A store and the way in which messages get into it."""

    def __init__(self, store: Conversations, receive: Callable[[Turn], None]) -> None:
        self.store = store
        self.receive = receive


@pytest.fixture(params=["in memory", "in DynamoDB"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "in memory":
        rows = ConversationRowsInMemory()
        return World(FakeConversations(rows), rows.receive)
    resources: Resources = request.getfixturevalue("resources")
    table = resources.client("dynamodb")
    return World(ConversationStore(table, "conversations", 30, lambda: NOW), lambda turn: put_turn(table, turn))


@pytest.fixture
def store(resources: Resources) -> ConversationStore:
    return ConversationStore(resources.client("dynamodb"), "conversations", 30, lambda: NOW)


def put_turn(table: Any, turn: Turn) -> None:
    """Adds a turn, as receive_chat_message does; its conversation with the first."""
    known = ConversationRows(table, "conversations").get(turn.conversation_id)
    if known is None:
        put_conversation(table, a_conversation(received_turn=0))
    table.update_item(
        TableName="conversations",
        Key=conversation_key(turn.conversation_id),
        UpdateExpression="SET receivedTurn = :turn",
        ExpressionAttributeValues={":turn": {"N": str(turn.turn)}},
    )
    table.put_item(
        TableName="conversations",
        Item=turn_key(turn.conversation_id, turn.turn)
        | {
            "messageId": {"S": turn.message_id},
            "text": {"S": turn.text},
            "receivedAt": {"S": turn.received_at},
            "correlationId": {"S": turn.correlation_id},
            "eventId": {"S": turn.event_id},
            "status": {"S": turn.status},
            "attempts": {"N": str(turn.attempts)},
            "frames": frames_attribute(list(turn.frames)),
            "expiresAt": expires_at(NOW, 30),
        },
    )


def put_conversation(table: Any, conversation: Conversation) -> None:
    table.put_item(
        TableName="conversations",
        Item=conversation_key(conversation.conversation_id)
        | {
            "personId": {"S": conversation.person_id},
            "role": {"S": conversation.role},
            "customerId": {"S": conversation.customer_id},
            "connectionId": {"S": conversation.connection_id},
            "receivedTurn": {"N": str(conversation.received_turn)},
            "answeredTurn": {"N": str(conversation.answered_turn)},
            "createdAt": {"S": conversation.created_at},
            "updatedAt": {"S": conversation.updated_at},
            "expiresAt": expires_at(NOW, 30),
        },
    )


def taken(world: World, claim: Claim | None = None) -> Claim:
    claim = claim or a_claim()
    world.store.take(claim, NOW_MILLISECONDS)
    return claim


def test_free_lease_is_taken_with_the_conversation_as_it_stands(world: World) -> None:
    world.receive(a_turn(1))
    world.receive(a_turn(2))
    found = world.store.take(a_claim(), NOW_MILLISECONDS)
    assert found.was_left is False
    assert (found.conversation.received_turn, found.conversation.answered_turn) == (2, 0)
    assert found.conversation.customer_id == "C-000001"


def test_live_lease_of_another_is_not_taken_and_says_when_it_is_over(world: World) -> None:
    world.receive(a_turn())
    taken(world)
    with pytest.raises(LeaseHeldError) as held:
        world.store.take(a_claim("request-2"), NOW_MILLISECONDS)
    assert held.value.seconds == 126


def test_live_lease_is_not_taken_twice_when_one_delivery_runs_twice(world: World) -> None:
    world.receive(a_turn())
    taken(world)
    with pytest.raises(LeaseHeldError):
        world.store.take(a_claim(), NOW_MILLISECONDS)


def test_lease_that_is_over_is_taken_and_known_to_have_been_left(world: World) -> None:
    world.receive(a_turn())
    claim = taken(world)
    assert world.store.take(a_claim("request-2"), claim.until + 1).was_left is True


def test_lease_is_taken_over_at_once_when_the_same_request_comes_again(world: World) -> None:
    world.receive(a_turn())
    first = taken(world)
    assert world.store.take(a_claim(receive=2), NOW_MILLISECONDS).was_left is True
    with pytest.raises(LeaseLostError):
        world.store.reread(first)


def test_unknown_conversation_is_rejected(world: World) -> None:
    with pytest.raises(Rejected, match="no conversation"):
        world.store.take(a_claim(), NOW_MILLISECONDS)


def test_each_begin_counts_an_attempt(world: World) -> None:
    world.receive(a_turn())
    claim = taken(world)
    assert [world.store.begin(claim, 1).attempts for _ in range(3)] == [1, 2, 3]
    assert world.store.begin(claim, 1).text == "question 1"


def test_turn_is_not_begun_when_the_lease_is_lost(world: World) -> None:
    world.receive(a_turn())
    first = taken(world)
    taken(world, a_claim(receive=2))
    with pytest.raises(LeaseLostError):
        world.store.begin(first, 1)


def test_finished_turn_moves_the_conversation_on_and_cannot_be_begun_again(world: World) -> None:
    world.receive(a_turn())
    claim = taken(world)
    world.store.begin(claim, 1)
    world.store.finish(claim, an_ending(1, "An answer.", pending='{"tool": "block_card"}'))
    conversation = world.store.reread(claim)
    assert (conversation.answered_turn, conversation.pending_action) == (1, '{"tool": "block_card"}')
    turn = world.store.turn(CONVERSATION, 1)
    assert turn is not None
    assert (turn.status, turn.answer, turn.input_tokens, turn.published_at) == ("answered", "An answer.", 10, None)
    with pytest.raises(LeaseLostError):
        world.store.begin(claim, 1)


def test_turn_is_finished_by_its_last_holder_only(world: World) -> None:
    world.receive(a_turn())
    first = taken(world)
    world.store.begin(first, 1)
    second = taken(world, a_claim(receive=2))
    with pytest.raises(LeaseLostError):
        world.store.finish(first, an_ending(1))
    world.store.begin(second, 1)
    with pytest.raises(LeaseLostError):
        world.store.keep_frames(first, 1, [])
    world.store.finish(second, an_ending(1))
    with pytest.raises(LeaseLostError):
        world.store.finish(second, an_ending(1))


def test_pending_action_is_removed_by_the_next_end(world: World) -> None:
    world.receive(a_turn(1))
    world.receive(a_turn(2))
    claim = taken(world)
    for number, pending in ((1, "{}"), (2, None)):
        world.store.begin(claim, number)
        world.store.finish(claim, an_ending(number, pending=pending))
    assert world.store.reread(claim).pending_action is None


def test_frames_are_kept_while_a_turn_is_answered(world: World) -> None:
    world.receive(a_turn())
    claim = taken(world)
    world.store.begin(claim, 1)
    frames = TurnFrames(CONVERSATION, "message-0001", 1).deltas(1, "שלום 👋")
    world.store.keep_frames(claim, 1, frames)
    turn = world.store.turn(CONVERSATION, 1)
    assert turn is not None
    assert turn.frames == tuple(frames)


def test_turns_before_are_read_newest_first_between_both_ends(world: World) -> None:
    for number in range(1, 25):
        world.receive(a_turn(number))
    assert [turn.turn for turn in world.store.turns_before(CONVERSATION, 23, 2)] == list(range(22, 2, -1))
    assert list(world.store.turns_before(CONVERSATION, 1, 0)) == []


def test_lease_is_released_only_when_no_turn_came_meanwhile(world: World) -> None:
    world.receive(a_turn(1))
    claim = taken(world)
    world.store.begin(claim, 1)
    world.store.finish(claim, an_ending(1))
    world.receive(a_turn(2))
    assert world.store.release(claim, 1) is False
    world.store.begin(claim, 2)
    world.store.finish(claim, an_ending(2))
    assert world.store.release(claim, 2) is True
    assert world.store.take(a_claim("request-2"), NOW_MILLISECONDS).was_left is False


def test_lease_that_is_given_up_is_taken_at_once_and_known_to_have_been_left(world: World) -> None:
    world.receive(a_turn())
    claim = taken(world)
    world.store.give_up(claim)
    assert world.store.take(a_claim("request-2"), NOW_MILLISECONDS).was_left is True
    world.store.give_up(claim)
    with pytest.raises(LeaseHeldError):
        world.store.take(a_claim("request-3"), NOW_MILLISECONDS)


def test_summary_is_kept_under_the_lease_only(world: World) -> None:
    world.receive(a_turn())
    claim = taken(world)
    world.store.keep_summary(claim, "They asked about a card.", 1)
    conversation = world.store.reread(claim)
    assert (conversation.summary, conversation.summarized_through) == ("They asked about a card.", 1)
    taken(world, a_claim(receive=2))
    with pytest.raises(LeaseLostError):
        world.store.keep_summary(claim, "Late.", 1)


def test_published_answer_is_marked(world: World) -> None:
    world.receive(a_turn())
    world.store.mark_published(CONVERSATION, 1)
    turn = world.store.turn(CONVERSATION, 1)
    assert turn is not None
    assert turn.published_at == NOON


def test_stored_turn_says_tools_and_citations(store: ConversationStore, resources: Resources) -> None:
    put_turn(resources.client("dynamodb"), a_turn())
    claim = a_claim()
    store.take(claim, NOW_MILLISECONDS)
    store.begin(claim, 1)
    ending = an_ending(1)
    calls = (
        ToolCall("list_cards", {}, ToolResult("done")),
        ToolCall("block_card", {"cardId": "CARD-1", "reason": "lost"}),
    )
    reply = replace(ending.reply, tool_calls=calls, citations=(Citation("d-1", "terms.pdf", "p3", 2, "text"),))
    store.finish(claim, replace(ending, reply=reply))
    turn = store.turn(CONVERSATION, 1)
    assert turn is not None
    assert turn.tool_calls == (
        '[{"name":"list_cards","arguments":{},"state":"done"},'
        '{"name":"block_card","arguments":{"cardId":"CARD-1","reason":"lost"},"state":null}]'
    )
    assert turn.citations == '[{"documentId":"d-1","fileName":"terms.pdf","passage":"p3","page":2}]'


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError"])
def test_table_that_is_away_makes_it_retryable(store: ConversationStore, resources: Resources, code: str) -> None:
    put_turn(resources.client("dynamodb"), a_turn())
    with failing("UpdateItem", code), pytest.raises(Retryable, match=code):
        store.take(a_claim(), NOW_MILLISECONDS)
    claim = a_claim()
    store.take(claim, NOW_MILLISECONDS)
    with failing("TransactWriteItems", code), pytest.raises(Retryable, match=code):
        store.begin(claim, 1)
    with failing("Query", code), pytest.raises(Retryable, match=code):
        list(store.turns_before(CONVERSATION, 9, 0))


def test_conflict_with_a_message_that_comes_in_is_tried_again(store: ConversationStore, resources: Resources) -> None:
    put_turn(resources.client("dynamodb"), a_turn())
    with failing("UpdateItem", "TransactionConflictException"):
        store.take(a_claim(), NOW_MILLISECONDS)
    assert store.reread(a_claim()).lease_owner == "request-1"
