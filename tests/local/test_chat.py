"""`make chat`: people who sign in, and the transcript of what was said, against a chat that a test plays."""

import io
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from local import chat
from local.chat import Transcript
from local.people import Person, PersonError
from tests.engine.people import UserPool, a_user_pool
from tests.engine.stacks import Client
from tests.local.chat_servers import ChatServer, Played, a_chat, acceptance, ending, turn_of


@pytest.fixture(scope="module")
def pool(aws: Client) -> Iterator[UserPool]:
    with a_user_pool(aws) as made:
        yield made


def say(
    aws: Client, pool: UserPool, server: ChatServer, monkeypatch: pytest.MonkeyPatch, person: Person, *lines: str
) -> tuple[int, str]:
    """`make chat` with ``lines`` in a pipe: its exit status and what it wrote."""
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    outputs = {"ChatTicketsUrl": server.tickets_url, "UserPoolId": pool.id, "UserPoolClientId": pool.client_id}
    result = chat.chat(aws, outputs, person, Transcript(Console(file=written, width=160)))
    return result, written.getvalue()


def answering(chat: Played) -> None:
    """Looks at the cards, answers, cites, and asks whether to block one."""
    citation: Any = {"documentId": "d", "fileName": "terms.pdf", "passage": "Cards can\nbe blocked.", "page": 3}
    confirm: Any = {"tool": "block_card", "arguments": {"cardId": "CARD-1"}, "question": "Shall I block it?"}
    for number in range(1, 100):
        message = chat.hear()
        turn = turn_of(message, number)
        chat.say(acceptance(message, number), turn.tool(1, "list_cards", "started"), turn.tool(2, "list_cards", "done"))
        chat.say(*turn.deltas(3, f"You said {message['text']}"), *turn.deltas(4, ", [bold]I see."))
        chat.say(ending(turn, 5, citations=[citation], confirm=confirm))


def failing(chat: Played) -> None:
    message = chat.hear()
    turn = turn_of(message)
    chat.say(acceptance(message), *turn.deltas(1, "The model is away."), ending(turn, 2, outcome="failed"))


def test_lines_in_a_pipe_become_a_transcript(aws: Client, pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_chat(answering) as server:
        result, written = say(aws, pool, server, monkeypatch, Person("", "customer", "CUST-000001"), "one", "", "two")

    assert result == 0
    lines = [line for line in written.splitlines() if line and "whole after" not in line]
    answer = ["· list_cards: started", "✓ list_cards: done", "You said {}, [bold]I see."]
    after = ["  [1] terms.pdf, page 3: Cards can be blocked.", "Shall I block it? (yes or no)"]
    one, two = ([line.format(said) for line in (f"> {said}", *answer, *after)] for said in ("one", "two"))
    assert lines == one + two
    assert [message["text"] for message in server.received] == ["one", "two"]


def test_chat_fails_when_an_answer_failed(aws: Client, pool: UserPool, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_chat(failing) as server:
        result, written = say(aws, pool, server, monkeypatch, Person("", "customer", "CUST-000001"), "hello")
    assert result == 1
    assert "The model is away." in written


def test_person_without_a_name_is_gone_after_the_chat(
    aws: Client, pool: UserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_chat(answering) as server:
        say(aws, pool, server, monkeypatch, Person("", "customer", "CUST-000001"), "hello")
    names = [user["Username"] for user in aws("cognito-idp").list_users(UserPoolId=pool.id)["Users"]]
    assert not [name for name in names if name.startswith("visitor-")]


def test_person_with_a_name_is_created_once_and_comes_back_with_the_password(
    aws: Client, pool: UserPool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alice = Person("alice", "customer", "CUST-000001")
    with a_chat(answering) as server:
        assert say(aws, pool, server, monkeypatch, alice, "hello")[0] == 0
    password = capsys.readouterr().out.partition("shown this once: ")[2].strip()

    with a_chat() as server, pytest.raises(PersonError, match="CHAT_PASSWORD"):
        say(aws, pool, server, monkeypatch, alice, "hello")
    monkeypatch.setenv("CHAT_PASSWORD", password + "x")
    with a_chat() as server, pytest.raises(ClientError, match="NotAuthorizedException"):
        say(aws, pool, server, monkeypatch, alice, "hello")
    monkeypatch.setenv("CHAT_PASSWORD", password)
    with a_chat(answering) as server:
        assert say(aws, pool, server, monkeypatch, alice, "hello again")[0] == 0
    assert password not in capsys.readouterr().out


def test_analyst_names_whom_they_speak_of_and_is_no_customer(
    aws: Client, pool: UserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Person("ann", "analyst", "CUST-000007")
    with a_chat(answering) as server:
        assert say(aws, pool, server, monkeypatch, ann, "hello")[0] == 0
    assert server.received[0]["aboutCustomerId"] == "CUST-000007"
    user = aws("cognito-idp").admin_get_user(UserPoolId=pool.id, Username="ann")
    assert "custom:customerId" not in {attribute["Name"] for attribute in user["UserAttributes"]}
