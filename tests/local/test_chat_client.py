"""The chat's client against a chat that a test plays: what it says, and what it makes of what it hears."""

import time
from typing import Any

import pytest

from backbone import chat_frames
from local import chat_client
from local.chat_answers import Frame
from local.chat_client import ChatClient, ChatError, ChatRefusedError, ticket_url
from tests.local.chat_servers import CONVERSATION, Played, Scene, a_chat, acceptance, ending, turn_of


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that are seconds for a person are moments for a test."""
    monkeypatch.setattr(chat_client, "_GAP_SECONDS", 0.1)
    monkeypatch.setattr(chat_client, "_SILENCE_SECONDS", 0.5)
    monkeypatch.setattr(chat_client, "_PAUSE_SECONDS", 0.01)


def answers(*pieces: str) -> Scene:
    """A scene that answers every message with ``pieces``."""

    def scene(chat: Played) -> None:
        for number in range(1, 100):
            message = chat.hear()
            turn = turn_of(message, number)
            chat.say(acceptance(message, number))
            for sequence, piece in enumerate(pieces, 1):
                chat.say(*turn.deltas(sequence, piece))
            chat.say(ending(turn, len(pieces) + 1))

    return scene


def test_answer_is_whole_and_each_frame_is_told_once_in_order() -> None:
    citation: chat_frames.FrameCitation = {"documentId": "d", "fileName": "a.pdf", "passage": "So it is.", "page": 2}

    def scene(chat: Played) -> None:
        message = chat.hear()
        turn = turn_of(message)
        chat.say(*turn.deltas(3, "Your card "), acceptance(message))  # accepted may come late
        chat.say(turn.tool(1, "list_cards", "started"), turn.tool(2, "list_cards", "done"))
        chat.say(*turn.deltas(4, "is active."), *turn.deltas(4, "is active."))
        chat.say(ending(turn, 5, citations=[citation]))

    told: list[Frame] = []
    with a_chat(scene) as chat, chat.client() as client:
        answered = client.ask("Is my card active?", on_frame=told.append, message_id="message-0001")

    assert answered.text == "Your card is active."
    assert (answered.conversation_id, answered.turn, answered.outcome) == (CONVERSATION, 1, "answered")
    assert answered.tools == [("list_cards", "started"), ("list_cards", "done")]
    assert answered.citations == [citation]
    assert answered.confirm is None
    assert tuple(told) == answered.frames
    assert [frame["sequence"] for frame in told] == [1, 2, 3, 4, 5]
    assert answered.first_delta_ms is not None
    assert 0 < answered.first_delta_ms <= answered.total_ms
    sent = {"action": "sendMessage", "messageId": "message-0001", "text": "Is my card active?"}
    assert chat.received == [sent]
    assert chat.tickets == ["ticket-1"]


def test_second_question_goes_into_the_conversation_of_the_first() -> None:
    with a_chat(answers("yes")) as chat, chat.client(about_customer_id="CUST-000002") as client:
        first, second = client.ask("one"), client.ask("two")

    assert (first.turn, second.turn) == (1, 2)
    assert [message.get("conversationId") for message in chat.received] == [None, CONVERSATION]
    assert {message["aboutCustomerId"] for message in chat.received} == {"CUST-000002"}
    assert chat.received[0]["messageId"] != chat.received[1]["messageId"]


def test_answer_is_resumed_with_a_new_ticket_when_the_connection_is_lost_within_it() -> None:
    def lost(chat: Played) -> None:
        message = chat.hear()
        chat.say(acceptance(message), *turn_of(message).deltas(1, "half "))
        chat.cut()

    def resumed(chat: Played) -> None:
        chat.hear()
        turn = turn_of(chat.received[0])
        chat.say(*turn.deltas(2, "and half"), ending(turn, 3))

    with a_chat(lost, resumed) as chat, chat.client() as client:
        answered = client.ask("?")

    assert answered.text == "half and half"
    assert chat.received[1] == {"action": "resume", "conversationId": CONVERSATION, "turn": 1, "afterSequence": 1}
    assert chat.tickets == ["ticket-1", "ticket-2"]


def test_message_is_sent_again_under_its_id_when_the_connection_is_lost_before_it_was_taken() -> None:
    def lost(chat: Played) -> None:
        chat.hear()
        chat.cut()

    with a_chat(lost, answers("yes")) as chat, chat.client() as client:
        assert client.ask("?").text == "yes"

    assert chat.received[0] == chat.received[1]


def test_message_is_sent_over_a_new_connection_when_the_last_one_was_closed_for_idleness() -> None:
    def closing(chat: Played) -> None:
        chat.connection.close(1001, "Going away")

    with a_chat(closing, answers("yes")) as chat, chat.client() as client:
        assert client.ask("?").text == "yes"
    assert chat.tickets == ["ticket-1", "ticket-2"]


def test_missing_frames_are_asked_for() -> None:
    def scene(chat: Played) -> None:
        message = chat.hear()
        turn = turn_of(message)
        chat.say(acceptance(message), *turn.deltas(1, "one "), *turn.deltas(3, "three "), ending(turn, 4))
        assert chat.hear()["afterSequence"] == 1
        chat.say(*turn.deltas(2, "two "), *turn.deltas(3, "three "), ending(turn, 4))

    with a_chat(scene) as chat, chat.client() as client:
        assert client.ask("?").text == "one two three "


def test_answer_is_asked_for_when_nothing_comes_of_it() -> None:
    def scene(chat: Played) -> None:
        message = chat.hear()
        chat.say(acceptance(message), *turn_of(message).deltas(1, "yes"))
        assert chat.hear()["action"] == "resume"
        chat.say(ending(turn_of(message), 2))

    with a_chat(scene) as chat, chat.client() as client:
        assert client.ask("?").text == "yes"


def test_answer_begins_again_when_the_chat_says_so() -> None:
    def scene(chat: Played) -> None:
        message = chat.hear()
        turn = turn_of(message)
        again = {"type": "restart", "conversationId": CONVERSATION, "messageId": turn.message_id, "turn": 1}
        chat.say(acceptance(message), *turn.deltas(1, "Half an ans"), again | {"sequence": 9})
        chat.say(*turn.deltas(10, "A whole answer."), ending(turn, 11))

    told: list[Frame] = []
    with a_chat(scene) as chat, chat.client() as client:
        answered = client.ask("?", on_frame=told.append)

    assert answered.text == "A whole answer."
    assert [frame["type"] for frame in told] == ["delta", "restart", "delta", "done"]


def test_refusal_is_raised_with_its_code() -> None:
    def scene(chat: Played) -> None:
        message = chat.hear()
        chat.say(chat_frames.error("NOT_YOURS", "of another question", "another-message"))
        chat.say(chat_frames.error("TOO_LONG", "At most 4000 characters.", message["messageId"]))

    with a_chat(scene) as chat, chat.client() as client, pytest.raises(ChatRefusedError, match="4000") as refused:
        client.ask("x" * 5000)
    assert refused.value.code == "TOO_LONG"


@pytest.mark.parametrize(
    "trouble",
    [
        chat_frames.error("UNAVAILABLE", "Try again."),
        chat_frames.error("TOO_FAST", "Slower."),
        {"message": "Internal server error", "connectionId": "c=", "requestId": "r"},
    ],
    ids=["the chat is unavailable", "the chat is too busy", "API Gateway got no answer"],
)
def test_message_is_sent_again_when_it_could_not_be_taken_now(trouble: Any) -> None:
    def scene(chat: Played) -> None:
        chat.hear()
        chat.say(trouble)
        answers("yes")(chat)

    with a_chat(scene) as chat, chat.client() as client:
        assert client.ask("?").text == "yes"
    assert chat.received[0] == chat.received[1]


def test_asking_ends_at_its_deadline_and_tells_what_came() -> None:
    def scene(chat: Played) -> None:
        message = chat.hear()
        chat.say(acceptance(message), *turn_of(message).deltas(1, "So far"))
        while True:
            chat.hear()

    began = time.monotonic()
    with (
        a_chat(scene) as chat,
        chat.client() as client,
        pytest.raises(ChatError, match=r"within 1 s\. So far: 'So far'"),
    ):
        client.ask("?", seconds=1)
    assert time.monotonic() - began < 5


def test_frames_end_at_their_deadline_whatever_came() -> None:
    def scene(chat: Played) -> None:
        chat.say({"type": "error", "code": "BUSY", "message": "1"}, {"type": "error", "code": "BUSY", "message": "2"})
        chat.hear()

    with a_chat(scene) as chat, chat.client() as client:
        frames = client.frames(0.3)
        assert [next(frames)["message"], next(frames)["message"]] == ["1", "2"]
        with pytest.raises(TimeoutError):
            next(frames)


def test_connecting_fails_in_words_when_the_ticket_is_refused() -> None:
    with a_chat() as chat, pytest.raises(ChatError, match="answered 401"):
        ticket_url(chat.tickets_url, "")
    with pytest.raises(ChatError, match="could not be opened"):
        ChatClient(lambda: "ws://127.0.0.1:9/v1?ticket=x").connect()
