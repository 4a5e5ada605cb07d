"""``python -m local.chat``: a chat in the terminal with the bank's agent, as a made-up person.

Without a name the person is made for this chat and removed after it. With one, somebody is created who can come back
(the password is printed once), or signs in with the password that was printed then, asked for or in CHAT_PASSWORD.
Where standard input is no terminal, each of its lines is a question and the answers are a transcript.
"""

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from local import people
from local.chat_answers import Answered, Frame
from local.chat_client import ChatClient, ChatError, ChatRefusedError, ticket_url
from local.people import Person, PersonError, UserPool
from local.process import EngineError
from local.stack import StackError

PASSWORD_VARIABLE = "CHAT_PASSWORD"  # noqa: S105 - the name of one
_TOOL_MARKS = {"started": "·", "done": "✓", "refused": "✗", "failed": "✗"}
_LONGEST_PASSAGE = 160
_CUSTOMER = "CUST-000001"  # whose past `make up` makes up


class Transcript:
    """Writes a chat to ``console`` as it happens."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._within_line = False

    def question(self, text: str) -> None:
        """A question that was read, not typed."""
        self._write(f"\n> {text}\n")

    def frame(self, frame: Frame) -> None:
        """The next frame of an answer."""
        if frame["type"] == "delta":
            self._write(frame["text"])
        elif frame["type"] == "tool":
            self._line(f"{_TOOL_MARKS[frame['state']]} {frame['tool']}: {frame['state']}", "dim")
        elif frame["type"] == "restart":
            self._line("(The answer is begun again.)", "dim")

    def end(self, answered: Answered) -> None:
        """What belongs to the answer as a whole."""
        self._end_line()
        for number, citation in enumerate(answered.citations, 1):
            page = f", page {citation['page']}" if citation.get("page") else ""
            passage = " ".join(str(citation["passage"]).split())[:_LONGEST_PASSAGE]
            self._line(f"  [{number}] {citation['fileName']}{page}: {passage}", "dim")
        if answered.confirm:
            question = answered.confirm["question"]
            self._line(f"{'' if question in answered.text else question + ' '}(yes or no)", "bold")
        first = f"first words after {answered.first_delta_ms:.0f} ms, " if answered.first_delta_ms is not None else ""
        self._line(f"  {answered.outcome}, {first}whole after {answered.total_ms:.0f} ms", "dim")

    def trouble(self, error: ChatError) -> None:
        """Why there is no answer."""
        code = f"{error.code}: " if isinstance(error, ChatRefusedError) else ""
        self._line(f"✗ {code}{error}", "red")

    def _line(self, text: str, style: str) -> None:
        self._end_line()
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _write(self, text: str) -> None:
        self.console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
        self._within_line = not text.endswith("\n") if text else self._within_line

    def _end_line(self) -> None:
        if self._within_line:
            self._write("\n")


def converse(client: ChatClient, questions: Iterator[str], transcript: Transcript) -> int:
    """Puts each question and writes its answer; 1 where one got none or a failed one, else 0."""
    result = 0
    for text in questions:
        try:
            answered = client.ask(text, on_frame=transcript.frame)
        except ChatError as error:
            transcript.trouble(error)
            result = 1
            continue
        transcript.end(answered)
        if answered.outcome == "failed":
            result = 1
    return result


def typed_questions() -> Iterator[str]:
    """What is typed, until the end of input."""
    while True:
        try:
            text = input("\n> ").strip()
        except EOFError:
            return
        if text:
            yield text


def read_questions(transcript: Transcript) -> Iterator[str]:
    """The lines of standard input that are not empty, each told."""
    for line in sys.stdin:
        if text := line.strip():
            transcript.question(text)
            yield text


@contextmanager
def signed_in(cognito: Any, pool: UserPool, person: Person) -> Iterator[Callable[[], str]]:
    """What gives the person's id token, a new one each time. One without a name is there for as long as this lasts.

    Raises PersonError, and what Cognito answers to a wrong password.
    """
    passing = not person.name
    if passing:
        person = Person(f"visitor-{token_hex(4)}", person.group, person.customer_id)
    password = _password(cognito, pool, person, passing=passing)
    try:
        people.sign_in(cognito, pool, person.name, password)
        yield lambda: people.sign_in(cognito, pool, person.name, password)
    finally:
        if passing:
            cognito.admin_delete_user(UserPoolId=pool.id, Username=person.name)


def _password(cognito: Any, pool: UserPool, person: Person, *, passing: bool) -> str:
    if not passing and _exists(cognito, pool, person.name):
        return os.environ.get(PASSWORD_VARIABLE) or _asked_password(person.name)
    password = people.create_person(cognito, pool, person)
    if not passing:
        sys.stdout.write(f"{person.name} is new. The password, shown this once: {password}\n")
    return password


def _exists(cognito: Any, pool: UserPool, name: str) -> bool:
    try:
        cognito.admin_get_user(UserPoolId=pool.id, Username=name)
    except cognito.exceptions.UserNotFoundException:
        return False
    return True


def _asked_password(name: str) -> str:
    if not sys.stdin.isatty():
        raise PersonError(f"{name} exists already: put the password into {PASSWORD_VARIABLE}, or take another NAME.")
    return getpass.getpass(f"Password of {name}: ")


def chat(client_of: people.Client, outputs: Mapping[str, str], person: Person, transcript: Transcript) -> int:
    """Signs in, connects, and chats until the end of input."""
    tickets_url = outputs["ChatTicketsUrl"]
    about = person.customer_id if person.group == "analyst" else None
    account = Person(person.name, person.group, "") if about else person
    with (
        signed_in(client_of("cognito-idp"), people.user_pool(outputs), account) as token,
        ChatClient(lambda: ticket_url(tickets_url, token()), about_customer_id=about) as client,
    ):
        if not sys.stdin.isatty():
            return converse(client, read_questions(transcript), transcript)
        whom = f" about {about}" if about else f" of {person.customer_id}"
        sys.stdout.write(f"You are {person.name or 'a visitor'}, {person.group}{whom}. Ask; Ctrl-C ends.\n")
        return converse(client, typed_questions(), transcript)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.chat", description="Chat with the bank's agent.")
    parser.add_argument("--env", default="local", help="local (default), dev or prod, as in samconfig.toml")
    parser.add_argument("--name", default="", help="who chats; without one, somebody made for this chat")
    parser.add_argument("--group", default="customer", help="customer (default) or analyst")
    parser.add_argument("--customer", default=_CUSTOMER, help="whose customer; for an analyst, whom they speak of")
    arguments = parser.parse_args()
    person = Person(arguments.name, arguments.group, arguments.customer)
    transcript = Transcript(Console(highlight=False, width=None if sys.stdout.isatty() else 160))
    try:
        people.check(Person(person.name or "visitor", person.group, person.customer_id))
        client_of, outputs = people.reach(arguments.env)
        if "ChatTicketsUrl" not in outputs:
            raise StackError("This stack has no chat: its outputs lack ChatTicketsUrl. `make up` deploys what changed.")
        return chat(client_of, outputs, person, transcript)
    except (PersonError, ChatError, EngineError, StackError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.write("\n")
        return 0


if __name__ == "__main__":
    sys.exit(main())
