"""The receive_chat_message handler: whatever a client sends is accepted once or answered in plain words."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backbone.chat_frames import ConnectionPoster, TurnFrames
from backbone.chat_people import ChatPerson
from backbone.conversations import frames_attribute, turn_key
from backbone.errors import Retryable
from tests.unit.aws_faults import failing
from tests.unit.chat_fakes import FakeConnections, a_frame_event
from tests.unit.lambda_events import Context, metrics_in, sample, samples
from tests.unit.resources import Resources

CUSTOMER = ChatPerson("person-1", "customer", "CUST-000001")
CONNECTION = "F8bIWcSoFiACHOQ="
HELLO = {"action": "sendMessage", "messageId": "message-0001", "text": "Hello"}


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    loaded = handler_module("receive_chat_message")
    loaded.connections.add(CONNECTION, CUSTOMER, time.time())
    return loaded


@pytest.fixture
def clients(module: Any, monkeypatch: pytest.MonkeyPatch) -> FakeConnections:
    fake = FakeConnections()
    monkeypatch.setattr(module, "poster", ConnectionPoster(fake))
    return fake


def send(module: Any, frame: object, connection_id: str = CONNECTION) -> None:
    assert module.handler(a_frame_event(frame, connection_id), Context()) == {"statusCode": 200}


def test_message_is_accepted_written_and_announced(module: Any, clients: FakeConnections, resources: Resources) -> None:
    send(module, HELLO)
    (accepted,) = clients.posted[CONNECTION]
    assert (accepted["type"], accepted["messageId"], accepted["turn"]) == ("accepted", "message-0001", 1)
    (event,) = resources.published()
    assert event["detail"]["data"]["conversationId"] == accepted["conversationId"]
    assert len(resources.rows("conversations")) == 3


def test_who_sends_is_the_connections_person_whatever_the_authorizer_block_or_frame_says(
    module: Any, clients: FakeConnections, resources: Resources
) -> None:
    event = a_frame_event(HELLO, CONNECTION)
    event["requestContext"]["authorizer"] = {"personId": "person-2", "role": "analyst", "customerId": "CUST-000002"}
    module.handler(event, Context())
    send(module, HELLO | {"messageId": "message-0002", "personId": "person-2"})
    assert [frame["type"] for frame in clients.posted[CONNECTION]] == ["accepted", "error"]
    (published,) = resources.published()
    assert (published["detail"]["data"]["customerId"], published["detail"]["data"]["role"]) == (
        "CUST-000001",
        "customer",
    )


def test_resume_posts_the_stored_frames_that_were_missed(
    module: Any, clients: FakeConnections, resources: Resources
) -> None:
    send(module, HELLO)
    conversation_id = clients.posted[CONNECTION].pop()["conversationId"]
    frames = TurnFrames(conversation_id, "message-0001", 1).deltas(1, "😀" * 20_000)
    resources.client("dynamodb").update_item(
        TableName="conversations",
        Key=turn_key(conversation_id, 1),
        UpdateExpression="SET frames = :frames",
        ExpressionAttributeValues={":frames": frames_attribute(frames)},
    )
    module.connections.add("connection-9", CUSTOMER, time.time())
    send(
        module,
        {"action": "resume", "conversationId": conversation_id, "turn": 1, "afterSequence": 2},
        "connection-9",
    )
    assert clients.posted["connection-9"] == frames[2:]
    assert len(frames) > 3
    assert clients.posted[CONNECTION] == []


# ---- what is not accepted


def test_refused_frame_is_answered_in_words_under_its_message_id(module: Any, clients: FakeConnections) -> None:
    send(module, HELLO | {"conversationId": "0c9d2a54-7d3e-5b1a-9a67-3f1f5b1f0a11"})
    assert clients.posted[CONNECTION] == [
        {
            "type": "error",
            "code": "UNKNOWN_CONVERSATION",
            "message": "There is no such conversation of yours. Begin a new one.",
            "messageId": "message-0001",
        }
    ]


def test_binary_message_is_refused(module: Any, clients: FakeConnections, resources: Resources) -> None:
    module.handler(a_frame_event(HELLO, CONNECTION) | {"isBase64Encoded": True}, Context())
    assert [frame["code"] for frame in clients.posted[CONNECTION]] == ["BAD_FRAME"]
    assert resources.rows("conversations") == []


def test_frame_on_an_unknown_connection_is_told_to_connect_again(
    module: Any, clients: FakeConnections, resources: Resources
) -> None:
    send(module, HELLO, "connection-8")
    assert [frame["code"] for frame in clients.posted["connection-8"]] == ["NOT_YOURS"]
    assert resources.rows("conversations") == []


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(), st.binary().map(str), st.dictionaries(st.text(), st.text()).map(json.dumps)))
def test_any_other_text_is_answered_by_one_error(module: Any, clients: FakeConnections, body: str) -> None:
    clients.posted.clear()
    send(module, body)
    (frame,) = clients.posted[CONNECTION]
    assert (frame["type"], frame["code"]) == ("error", "BAD_FRAME")


# ---- what is away


@pytest.mark.parametrize("operation", ["GetItem", "BatchGetItem", "TransactWriteItems", "PutEvents"])
def test_throttled_service_is_unavailable_and_the_same_message_is_taken_after(
    module: Any, clients: FakeConnections, resources: Resources, operation: str
) -> None:
    with failing(operation, "ThrottlingException"):
        send(module, HELLO)
    send(module, HELLO)
    unavailable, accepted = clients.posted[CONNECTION]
    assert (unavailable["code"], unavailable["messageId"]) == ("UNAVAILABLE", "message-0001")
    assert (accepted["type"], accepted["turn"]) == ("accepted", 1)
    assert [event["detail"]["data"]["turn"] for event in resources.published()] == [1]


def test_gone_connections_row_is_removed_and_the_message_stands(
    module: Any, clients: FakeConnections, resources: Resources
) -> None:
    clients.gone.add(CONNECTION)
    send(module, HELLO)
    assert resources.rows("chat-connections") == []
    assert len(resources.published()) == 1


def test_call_fails_where_not_even_an_answer_can_be_posted(module: Any, clients: FakeConnections) -> None:
    clients.failures.append("LimitExceededException")
    with pytest.raises(Retryable, match="LimitExceededException"):
        module.handler(a_frame_event(HELLO, CONNECTION), Context())
    send(module, HELLO)
    assert [frame["turn"] for frame in clients.posted[CONNECTION]] == [1]


# ---- logs and metrics


def test_log_and_metrics_name_neither_the_words_nor_the_person(
    module: Any,
    clients: FakeConnections,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POWERTOOLS_LOGGER_LOG_EVENT", "true")
    capsys.readouterr()
    send(module, HELLO | {"text": "Geheimnis"})
    assert metrics_in(capsys.readouterr().out) == {"ChatFramesReceived": 1, "ChatMessagesAccepted": 1}
    send(module, HELLO | {"text": "Geheimnis", "messageId": "message-0002", "conversationId": "Geheimnis"})
    printed, logged = capsys.readouterr().out, " ".join(str(vars(record)) for record in caplog.records)
    assert metrics_in(printed) == {"ChatFramesReceived": 1, "ChatFramesRefused": 1}
    assert clients.posted[CONNECTION][0]["conversationId"] in logged
    for kept_quiet in ("Geheimnis", "CUST-000001", "person-1"):
        assert kept_quiet not in printed + logged


# ---- the sample events


def test_every_sample_event_has_a_test() -> None:
    assert samples("receive_chat_message") == ["bad", "edge", "good"]


@pytest.mark.parametrize(("name", "kind"), [("good", "accepted"), ("bad", "error"), ("edge", "accepted")])
def test_sample_event_is_answered(module: Any, clients: FakeConnections, name: str, kind: str) -> None:
    module.handler(sample("receive_chat_message", name), Context())
    assert [frame["type"] for frame in clients.posted[CONNECTION]] == [kind]


def test_the_edge_sample_keeps_its_scripts(module: Any, clients: FakeConnections) -> None:
    module.handler(sample("receive_chat_message", "edge"), Context())
    turn = module.turns.get_turn(clients.posted[CONNECTION][0]["conversationId"], 1)
    for kept in (
        "\u202b",
        "\u202c",
        "\u200c",
        "\U0001f469\u200d\U0001f4bb",
        "caf\u00e9\n\u0928\u092e\u0938\u094d\u0924\u0947",
    ):
        assert kept in turn.text
