"""Taking a message, over the real rows in moto: once for each messageId, in order, for its person alone, announced."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from backbone.chat_frames import AcceptedFrame, AnswerFrame, ErrorCode, TurnFrames
from backbone.chat_people import ChatPerson
from backbone.conversations import (
    Conversation,
    ConversationRows,
    Turn,
    conversation_key,
    frames_attribute,
    message_key,
    turn_key,
)
from backbone.errors import Retryable
from chat_reception import UNANSWERED_AT_MOST, Sender, new_conversation_id, resume, take_message
from client_frames import FrameRefusedError, Resume, SendMessage
from received_turns import ReceivedTurns
from tests.unit.aws_faults import failing
from tests.unit.fake_adapters import FakeBus
from tests.unit.resources import Resources

NOW = 1_767_268_800.5
CUSTOMER = Sender(ChatPerson("person-1", "customer", "CUST-000001"), "connection-1")
SOMEBODY_ELSE = Sender(ChatPerson("person-2", "customer", "CUST-000002"), "connection-2")
ANALYST = Sender(ChatPerson("person-3", "analyst", None), "connection-3")
ELSEWHERE = replace(CUSTOMER, connection_id="connection-9")
UNKNOWN = "0c9d2a54-7d3e-5b1a-9a67-3f1f5b1f0a11"


@dataclass
class Chat:
    """The domain over moto, and what became of it."""

    turns: ReceivedTurns
    bus: FakeBus
    rows: ConversationRows

    def send(self, message: SendMessage, sender: Sender = CUSTOMER) -> AcceptedFrame:
        return take_message(message, sender, turns=self.turns, bus=self.bus, now=NOW)

    def resume(self, conversation_id: str, turn: int, after: int = 0, sender: Sender = CUSTOMER) -> list[AnswerFrame]:
        return resume(Resume(conversation_id, turn, after), sender, turns=self.turns, bus=self.bus)

    def begun(self, sender: Sender = CUSTOMER, about: str | None = None) -> str:
        """A conversation of one turn."""
        return self.send(a_message(about=about), sender)["conversationId"]

    def conversation(self, conversation_id: str) -> Conversation:
        found = self.rows.get(conversation_id)
        assert found is not None
        return found

    def answer(self, conversation_id: str, turn: int, frames: list[AnswerFrame] | None = None) -> None:
        """What answer_chat would write of an answer."""
        self._set(turn_key(conversation_id, turn), "#status", {"S": "answered"})
        self._set(turn_key(conversation_id, turn), "frames", frames_attribute(frames or []))
        self._set(conversation_key(conversation_id), "answeredTurn", {"N": str(turn)})

    def _set(self, key: dict[str, Any], name: str, value: dict[str, str]) -> None:
        names = {"ExpressionAttributeNames": {"#status": "status"}} if name == "#status" else {}
        self.rows.client.update_item(
            TableName=self.rows.table,
            Key=key,
            UpdateExpression=f"SET {name} = :value",
            ExpressionAttributeValues={":value": value},
            **names,
        )

    def refusal(self, work: Callable[[], object]) -> ErrorCode:
        """With which code ``work`` is refused, having written and published nothing."""
        before = self._everything()
        with pytest.raises(FrameRefusedError) as refused:
            work()
        assert self._everything() == before
        return refused.value.code

    def _everything(self) -> object:
        items = self.rows.client.scan(TableName=self.rows.table)["Items"]
        return sorted(map(str, items)), list(self.bus.published)


@pytest.fixture
def chat(resources: Resources) -> Chat:
    client = resources.client("dynamodb")
    turns = ReceivedTurns(client, "conversations", retention_days=30, wait=lambda _: None)
    return Chat(turns, FakeBus(), ConversationRows(client, "conversations"))


def a_message(
    number: int = 1, text: str = "Hello", conversation_id: str | None = None, about: str | None = None
) -> SendMessage:
    return SendMessage(f"message-{number:04}", text, conversation_id, about)


# ---- a conversation begins and goes on


def test_first_message_begins_a_conversation_of_its_sender(chat: Chat) -> None:
    accepted = chat.send(a_message())
    conversation_id = accepted["conversationId"]
    assert accepted == {
        "type": "accepted",
        "conversationId": conversation_id,
        "messageId": "message-0001",
        "turn": 1,
    }
    assert chat.conversation(conversation_id) == Conversation(
        conversation_id,
        "person-1",
        "customer",
        "CUST-000001",
        "connection-1",
        received_turn=1,
        created_at="2026-01-01T12:00:00.500Z",
        updated_at="2026-01-01T12:00:00.500Z",
    )


def test_turn_is_written_before_it_is_announced_by_ids_alone(chat: Chat) -> None:
    def turn_stands(_: str) -> None:
        turn = chat.rows.get_turn(new_conversation_id("person-1", "message-0001"), 1)
        assert turn is not None
        assert (turn.text, turn.status) == ("Geheim 😀", "received")

    chat.bus.faults = turn_stands
    chat.send(a_message(text="Geheim 😀"))
    (event,) = chat.bus.published
    assert "Geheim" not in str(event)
    assert event.data == {
        "conversationId": new_conversation_id("person-1", "message-0001"),
        "messageId": "message-0001",
        "turn": 1,
        "customerId": "CUST-000001",
        "role": "customer",
    }


def test_later_messages_are_the_next_turns_and_bring_their_connection(chat: Chat) -> None:
    conversation_id = chat.begun()
    accepted = chat.send(a_message(2, "Second", conversation_id), ELSEWHERE)
    assert (accepted["conversationId"], accepted["turn"]) == (conversation_id, 2)
    conversation = chat.conversation(conversation_id)
    assert (conversation.received_turn, conversation.connection_id) == (2, "connection-9")
    assert [turn.text for turn in chat.rows.turns(conversation_id, 1, 9)] == ["Hello", "Second"]
    assert len({event.metadata.event_id for event in chat.bus.published}) == 2


def test_rows_expire_with_the_conversation(chat: Chat, resources: Resources) -> None:
    chat.begun()
    expiries = {row["expiresAt"]["N"] for row in resources.rows("conversations")}
    assert expiries == {str(int(NOW) + 30 * 86_400)}
    assert len(resources.rows("conversations")) == 3


# ---- the same message again


def test_message_sent_again_is_the_same_turn_and_the_same_event(chat: Chat, resources: Resources) -> None:
    first = chat.send(a_message())
    assert chat.send(a_message()) == first
    assert len(resources.rows("conversations")) == 3
    one, two = chat.bus.published
    assert one.detail() == two.detail()


def test_message_sent_again_has_its_answer_go_to_the_new_connection(chat: Chat) -> None:
    conversation_id = chat.begun()
    chat.send(a_message(), ELSEWHERE)
    assert chat.conversation(conversation_id).connection_id == "connection-9"


def test_message_sent_again_after_its_answer_is_not_answered_again(chat: Chat) -> None:
    conversation_id = chat.begun()
    chat.answer(conversation_id, 1)
    chat.bus.published.clear()
    assert chat.send(a_message())["turn"] == 1
    assert chat.bus.published == []


def test_message_with_another_text_under_a_used_id_is_a_conflict(chat: Chat) -> None:
    conversation_id = chat.begun()
    assert chat.refusal(lambda: chat.send(a_message(text="Goodbye"))) == "CONFLICT"
    assert chat.refusal(lambda: chat.send(a_message(1, "Goodbye", conversation_id))) == "CONFLICT"


def test_message_that_the_bus_did_not_take_is_announced_when_it_is_sent_again(chat: Chat) -> None:
    chat.bus.refuses = lambda _: True
    with pytest.raises(Retryable, match="ThrottlingException"):
        chat.send(a_message())
    chat.bus.refuses = lambda _: False
    assert chat.send(a_message())["turn"] == 1
    assert [event.data["turn"] for event in chat.bus.published] == [1]


@pytest.mark.parametrize("operation", ["BatchGetItem", "TransactWriteItems"])
def test_message_that_met_a_throttled_table_is_taken_when_it_is_sent_again(chat: Chat, operation: str) -> None:
    with failing(operation, "ThrottlingException"), pytest.raises(Retryable, match="conversations"):
        chat.send(a_message())
    assert chat.send(a_message())["turn"] == 1


# ---- two at once


@dataclass
class _Interrupted:
    """The rows, with something that happens between reading them and adding a turn."""

    turns: ReceivedTurns
    meanwhile: list[Callable[[], object]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.turns, name)

    def add(self, *arguments: Any) -> bool:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return self.turns.add(*arguments)


def test_two_messages_at_once_become_two_turns(chat: Chat) -> None:
    conversation_id = chat.begun()
    turns = _Interrupted(chat.turns, [lambda: chat.send(a_message(2, "Faster", conversation_id))])
    accepted = take_message(a_message(3, "Slower", conversation_id), CUSTOMER, turns=turns, bus=chat.bus, now=NOW)
    assert accepted["turn"] == 3
    assert [turn.text for turn in chat.rows.turns(conversation_id, 1, 9)] == ["Hello", "Faster", "Slower"]


def test_one_message_twice_at_once_becomes_one_turn(chat: Chat) -> None:
    turns = _Interrupted(chat.turns, [lambda: chat.send(a_message())])
    accepted = take_message(a_message(), CUSTOMER, turns=turns, bus=chat.bus, now=NOW)
    assert accepted["turn"] == 1
    assert chat.conversation(accepted["conversationId"]).received_turn == 1


def test_answer_that_ends_meanwhile_does_not_stand_in_the_way(chat: Chat) -> None:
    conversation_id = chat.begun()
    turns = _Interrupted(chat.turns, [lambda: chat.answer(conversation_id, 1)])
    accepted = take_message(a_message(2, "Next", conversation_id), CUSTOMER, turns=turns, bus=chat.bus, now=NOW)
    conversation = chat.conversation(conversation_id)
    assert (accepted["turn"], conversation.received_turn, conversation.answered_turn) == (2, 2, 1)


def test_message_that_others_overtake_five_times_is_told_to_come_again(chat: Chat) -> None:
    @dataclass
    class Overtaken(_Interrupted):
        def add(self, *_: Any) -> bool:
            return False

    with pytest.raises(FrameRefusedError, match="TOO_FAST"):
        take_message(a_message(), CUSTOMER, turns=Overtaken(chat.turns, []), bus=chat.bus, now=NOW)
    assert chat.bus.published == []


# ---- how much may wait


def test_message_is_refused_while_five_wait_for_their_answer(chat: Chat) -> None:
    conversation_id = chat.begun()
    for number in range(2, UNANSWERED_AT_MOST + 1):
        chat.send(a_message(number, "More", conversation_id))
    one_more = a_message(UNANSWERED_AT_MOST + 1, "More", conversation_id)
    assert chat.refusal(lambda: chat.send(one_more)) == "BUSY"
    assert chat.send(a_message(2, "More", conversation_id))["turn"] == 2
    chat.answer(conversation_id, 1)
    assert chat.send(one_more)["turn"] == UNANSWERED_AT_MOST + 1


# ---- whose conversation it is


def test_another_persons_conversation_looks_like_none(chat: Chat) -> None:
    conversation_id = chat.begun()
    theirs = chat.refusal(lambda: chat.send(a_message(2, "Hello", conversation_id), SOMEBODY_ELSE))
    nobodys = chat.refusal(lambda: chat.send(a_message(2, "Hello", UNKNOWN), SOMEBODY_ELSE))
    assert theirs == nobodys == "UNKNOWN_CONVERSATION"


def test_another_persons_message_cannot_be_sent_again_by_its_id(chat: Chat) -> None:
    conversation_id = chat.begun()
    assert chat.refusal(lambda: chat.send(a_message(1, "Hello", conversation_id), SOMEBODY_ELSE)) == (
        "UNKNOWN_CONVERSATION"
    )
    assert chat.conversation(conversation_id).connection_id == "connection-1"


def test_conversation_about_another_customer_is_lost_with_the_analysts_role(chat: Chat) -> None:
    conversation_id = chat.begun(ANALYST, about="CUST-000002")
    former = replace(ANALYST, person=ChatPerson("person-3", "customer", "CUST-000003"))
    assert chat.refusal(lambda: chat.send(a_message(2, "Go on", conversation_id), former)) == "UNKNOWN_CONVERSATION"
    assert chat.refusal(lambda: chat.resume(conversation_id, 1, sender=former)) == "UNKNOWN_CONVERSATION"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ANALYST.person, ChatPerson("person-3", "customer", "CUST-000002")),
        (ChatPerson("person-3", "customer", "CUST-000002"), ANALYST.person),
    ],
    ids=["analyst no more", "analyst now"],
)
def test_conversation_is_gone_on_with_in_the_role_it_was_begun_in(
    chat: Chat, before: ChatPerson, after: ChatPerson
) -> None:
    conversation_id = chat.begun(
        replace(ANALYST, person=before), about="CUST-000002" if before.role == "analyst" else None
    )
    goes_on = a_message(2, "Go on", conversation_id)
    assert chat.refusal(lambda: chat.send(goes_on, replace(ANALYST, person=after))) == "UNKNOWN_CONVERSATION"


def test_same_message_id_of_two_people_begins_two_conversations(chat: Chat) -> None:
    assert chat.begun() != chat.begun(SOMEBODY_ELSE)


def test_customer_who_names_a_customer_is_refused(chat: Chat) -> None:
    assert chat.refusal(lambda: chat.send(a_message(about="CUST-000001"))) == "NOT_YOURS"
    assert chat.refusal(lambda: chat.send(a_message(about="CUST-000002"))) == "NOT_YOURS"


def test_analyst_says_at_first_whose_affairs_they_speak_of(chat: Chat) -> None:
    assert chat.refusal(lambda: chat.send(a_message(), ANALYST)) == "BAD_FRAME"
    conversation_id = chat.begun(ANALYST, about="CUST-000002")
    assert chat.conversation(conversation_id).customer_id == "CUST-000002"
    assert chat.send(a_message(2, "Go on", conversation_id), ANALYST)["turn"] == 2
    assert [event.data["role"] for event in chat.bus.published] == ["analyst", "analyst"]


def test_analyst_cannot_turn_a_conversation_to_another_customer(chat: Chat) -> None:
    conversation_id = chat.begun(ANALYST, about="CUST-000002")
    turned = a_message(2, "And this one?", conversation_id, about="CUST-000001")
    assert chat.refusal(lambda: chat.send(turned, ANALYST)) == "CONFLICT"
    assert chat.refusal(lambda: chat.send(a_message(about="CUST-000001"), ANALYST)) == "CONFLICT"


# ---- resume


def test_resume_gives_the_frames_that_were_missed_and_takes_the_later_ones(chat: Chat) -> None:
    conversation_id = chat.begun()
    frames = TurnFrames(conversation_id, "message-0001", 1)
    stored: list[AnswerFrame] = [frames.tool(1, "list_cards", "done"), *frames.deltas(2, "a"), *frames.deltas(3, "ب😀")]
    chat.answer(conversation_id, 1, stored)
    chat.bus.published.clear()
    assert chat.resume(conversation_id, 1, after=1, sender=ELSEWHERE) == stored[1:]
    assert chat.conversation(conversation_id).connection_id == "connection-9"
    assert chat.resume(conversation_id, 1, after=3) == []
    assert chat.bus.published == []


def test_resume_announces_a_turn_that_nobody_was_told_of(chat: Chat) -> None:
    chat.bus.refuses = lambda _: True
    with pytest.raises(Retryable):
        chat.send(a_message())
    chat.bus.refuses = lambda _: False
    assert chat.resume(new_conversation_id("person-1", "message-0001"), 1) == []
    assert [event.data["turn"] for event in chat.bus.published] == [1]


def test_resume_of_another_persons_conversation_looks_like_none(chat: Chat) -> None:
    conversation_id = chat.begun()
    assert chat.refusal(lambda: chat.resume(conversation_id, 1, sender=SOMEBODY_ELSE)) == "UNKNOWN_CONVERSATION"
    assert chat.refusal(lambda: chat.resume(UNKNOWN, 1)) == "UNKNOWN_CONVERSATION"
    assert chat.conversation(conversation_id).connection_id == "connection-1"


def test_resume_of_a_turn_that_there_is_not_is_refused(chat: Chat) -> None:
    conversation_id = chat.begun()
    assert chat.refusal(lambda: chat.resume(conversation_id, 2)) == "UNKNOWN_CONVERSATION"


# ---- the rows


def test_resume_waits_for_whoever_is_writing_the_conversation(chat: Chat) -> None:
    conversation_id = chat.begun()
    with failing("UpdateItem", "TransactionConflictException"):
        chat.resume(conversation_id, 1, sender=ELSEWHERE)
    assert chat.conversation(conversation_id).connection_id == "connection-9"


def stale(chat: Chat, conversation_id: str, turn: int, message_id: str) -> tuple[Conversation, Turn]:
    """What a writer would add who thinks that ``turn`` is the next."""
    added = replace(chat.conversation(conversation_id), received_turn=turn)
    return added, Turn(
        conversation_id, turn, message_id, "Late", "2026-01-01T12:00:00Z", correlation_id="c", event_id="e"
    )


@pytest.mark.parametrize(
    ("turn", "message_id"),
    [(1, "message-0009"), (2, "message-0009"), (4, "message-0009"), (3, "message-0001")],
    ids=["the first again", "a turn that is taken", "a turn too far", "a message that was sent"],
)
def test_row_is_added_in_its_place_and_once_or_nothing_is(
    chat: Chat, resources: Resources, turn: int, message_id: str
) -> None:
    conversation_id = chat.begun()
    chat.send(a_message(2, "Second", conversation_id))
    before = resources.rows("conversations")
    assert chat.turns.add(*stale(chat, conversation_id, turn, message_id), NOW) is False
    assert resources.rows("conversations") == before


def test_row_is_not_added_to_a_conversation_that_became_anothers(chat: Chat) -> None:
    conversation_id = chat.begun()
    conversation, turn = stale(chat, conversation_id, 2, "message-0009")
    assert chat.turns.add(replace(conversation, person_id="person-2"), turn, NOW) is False


def test_read_that_was_answered_in_part_is_retryable(chat: Chat) -> None:
    class InPart:
        def batch_get_item(self, **_: Any) -> dict[str, Any]:
            return {"Responses": {}, "UnprocessedKeys": {"conversations": {"Keys": [message_key("c", "m")]}}}

    with pytest.raises(Retryable, match="in part"):
        replace(chat.turns, client=InPart()).read("c", "m")
