"""The frame parser: whatever arrives is a frame that is fit to be used, or is refused in plain words."""

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client_frames import MAXIMUM_CHARACTERS, FrameRefusedError, Resume, SendMessage, parse

CONVERSATION = "0c9d2a54-7d3e-5b1a-9a67-3f1f5b1f0a11"
MESSAGE: dict[str, Any] = {"action": "sendMessage", "messageId": "message-0001", "text": "Hello"}
RESUME: dict[str, Any] = {"action": "resume", "conversationId": CONVERSATION, "turn": 2, "afterSequence": 7}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = ("action", "messageId", "text", "conversationId", "aboutCustomerId", "turn", "afterSequence", "role")
odd_fields = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, anything))


def refusal_of(body: object) -> FrameRefusedError:
    with pytest.raises(FrameRefusedError) as refused:
        parse(body)
    return refused.value


def parsed(frame: object) -> SendMessage | Resume | FrameRefusedError:
    try:
        return parse(json.dumps(frame))
    except FrameRefusedError as refused:
        return refused


def text_of(text: str) -> str:
    frame = parse(json.dumps(MESSAGE | {"text": text}))
    assert isinstance(frame, SendMessage)
    return frame.text


# ---- whatever arrives


@given(st.text() | st.binary() | st.none())
@example("[" * 100_000)
@example("1" * 100_000)
@example('{"action": ' * 20_000)
@example("\ud83d")
def test_text_that_is_no_frame_is_refused_as_a_bad_frame(body: object) -> None:
    assert refusal_of(body).code in {"BAD_FRAME", "TOO_LONG"}


@given(anything)
def test_json_that_is_no_object_with_an_action_is_refused_as_a_bad_frame(value: object) -> None:
    assert refusal_of(json.dumps(value)).code == "BAD_FRAME"


@given(st.sampled_from([MESSAGE, RESUME]), odd_fields)
def test_fields_of_any_kind_give_a_typed_frame_or_a_refusal(frame: dict[str, Any], changes: dict[str, Any]) -> None:
    outcome = parsed(frame | changes)
    if isinstance(outcome, SendMessage):
        assert 1 <= len(outcome.text) <= MAXIMUM_CHARACTERS
        assert "role" not in changes
    elif isinstance(outcome, Resume):
        assert (type(outcome.turn), type(outcome.after_sequence)) == (int, int)
    else:
        assert outcome.code in {"BAD_FRAME", "TOO_LONG"}


@given(st.text())
def test_accepted_text_is_utf8_composed_and_without_controls(text: str) -> None:
    outcome = parsed(MESSAGE | {"text": text})
    if isinstance(outcome, SendMessage):
        assert outcome.text.encode().decode() == unicodedata.normalize("NFC", outcome.text)
        shown = outcome.text.replace("\n", "").replace("\t", "")
        assert not any(unicodedata.category(character) == "Cc" for character in shown)
    else:
        assert isinstance(outcome, FrameRefusedError)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=200))
def test_text_keeps_every_character_that_a_script_needs(text: str) -> None:
    outcome = parsed(MESSAGE | {"text": text})
    if all(unicodedata.category(character) == "Cf" for character in text):
        assert isinstance(outcome, FrameRefusedError)
    else:
        assert isinstance(outcome, SendMessage)
        assert outcome.text == unicodedata.normalize("NFC", text)


# ---- a message


def test_message_is_read_with_all_its_fields() -> None:
    frame = parse(json.dumps(MESSAGE | {"conversationId": CONVERSATION, "aboutCustomerId": "CUST-000042"}))
    assert frame == SendMessage("message-0001", "Hello", CONVERSATION, "CUST-000042")


@pytest.mark.parametrize(
    "text",
    [
        "\u202b\u0644\u0645\u0627\u0630\u0627\u061f\u202c",
        "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0928\u092e\u0938\u094d\u200d\u0924\u0947",
        "\U0001f469\u200d\U0001f4bb \u2764\ufe0f \U0001f1e9\U0001f1ea",
        "one\ttwo\n\nthree",
    ],
    ids=["right to left", "zero width non-joiner", "zero width joiner", "emoji", "lines and tabs"],
)
def test_text_stays_as_it_was_written(text: str) -> None:
    assert text_of(text) == text


def test_text_is_composed_and_its_line_ends_are_one_kind() -> None:
    assert text_of("  cafe\u0301\r\nolé\rend \n") == "caf\u00e9\nol\u00e9\nend"


@pytest.mark.parametrize("text", ["nul\x00", "escape\x1b[31m", "delete\x7f", "c1\x9b31m"])
def test_text_with_control_characters_is_refused(text: str) -> None:
    assert refusal_of(json.dumps(MESSAGE | {"text": text})).message == "text has control characters."


@pytest.mark.parametrize("escape", [r"\ud83d", r"ok \udc00", r"\udc00\ud83d"])
def test_text_with_half_a_character_is_refused(escape: str) -> None:
    refused = refusal_of(f'{{"action": "sendMessage", "messageId": "message-0001", "text": "{escape}"}}')
    assert (refused.code, refused.message_id) == ("BAD_FRAME", "message-0001")


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\u200d", "\u00a0\ufeff"])
def test_text_that_shows_nothing_is_refused_as_empty(text: str) -> None:
    assert refusal_of(json.dumps(MESSAGE | {"text": text})).message == "The message is empty."


def test_longest_text_is_taken_and_one_character_more_is_too_long() -> None:
    assert len(text_of("é" * MAXIMUM_CHARACTERS)) == MAXIMUM_CHARACTERS
    refused = refusal_of(json.dumps(MESSAGE | {"text": "\U0001f600" * (MAXIMUM_CHARACTERS + 1)}))
    assert (refused.code, refused.message_id) == ("TOO_LONG", "message-0001")
    assert "4,000" in refused.message


def test_frame_of_a_megabyte_is_refused_unread() -> None:
    assert refusal_of(json.dumps(MESSAGE | {"text": "a" * 1_000_000})).code == "TOO_LONG"


@pytest.mark.parametrize("name", ["personId", "role", "customerId", "turn"])
def test_message_that_says_who_sends_it_is_refused(name: str) -> None:
    assert refusal_of(json.dumps(MESSAGE | {name: "CUST-000001"})).code == "BAD_FRAME"


@pytest.mark.parametrize(
    "message_id", [None, "", "short", "x" * 65, "with space", "ünïcode-id", 12345678, ["message-1"]]
)
def test_message_without_a_good_id_is_refused_and_echoes_none(message_id: object) -> None:
    refused = refusal_of(json.dumps(MESSAGE | {"messageId": message_id}))
    assert (refused.code, refused.message_id) == ("BAD_FRAME", None)


@pytest.mark.parametrize("conversation_id", ["", "new", CONVERSATION.upper(), f"{CONVERSATION}\n", 1, {}])
def test_message_for_no_conversation_id_is_refused(conversation_id: object) -> None:
    assert refusal_of(json.dumps(MESSAGE | {"conversationId": conversation_id})).code == "BAD_FRAME"


@pytest.mark.parametrize("customer_id", ["", "../CUST", "unassigned", "x" * 65, 42])
def test_message_about_no_customer_id_is_refused(customer_id: object) -> None:
    assert refusal_of(json.dumps(MESSAGE | {"aboutCustomerId": customer_id})).code == "BAD_FRAME"


# ---- resume


def test_resume_is_read() -> None:
    assert parse(json.dumps(RESUME)) == Resume(CONVERSATION, 2, 7)


@pytest.mark.parametrize(
    "changes",
    [
        {"turn": 0},
        {"turn": True},
        {"turn": 1.0},
        {"turn": "1"},
        {"turn": 10**30},
        {"afterSequence": -1},
        {"afterSequence": None},
        {"conversationId": None},
        {"text": "more"},
    ],
    ids=str,
)
def test_resume_with_a_field_of_the_wrong_kind_is_refused(changes: dict[str, Any]) -> None:
    assert refusal_of(json.dumps(RESUME | changes)).code == "BAD_FRAME"
