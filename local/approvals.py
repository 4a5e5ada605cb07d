"""``python -m local.approvals``: what waits for an analyst - actions and cases - and deciding on it, in the terminal.

Here (ENV=local) a decision without a name is signed by an analyst who is made up for it and removed after it; so where
two different ones must approve, two calls do. A name is somebody's who exists: the password is asked for, or taken from
APPROVAL_PASSWORD. In a stack on AWS somebody real signs: a name is needed, and nobody is made up.
"""

import argparse
import getpass
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import cases, people
from local.api_client import ApiError, Ask, answered, ask
from local.cases import Cases
from local.people import Person, PersonError, UserPool
from local.process import EngineError
from local.stack import StackError

_CONFLICT = 409
PASSWORD_VARIABLE = "APPROVAL_PASSWORD"  # noqa: S105 - the name of one

type View = Mapping[str, Any]


@contextmanager
def signed_in(cognito: Any, pool: UserPool, name: str, *, may_make_up: bool) -> Iterator[tuple[str, str]]:
    """Name and id token of the analyst who signs: ``name``, or somebody made up for as long as this lasts.

    Raises PersonError, and what Cognito answers to a wrong password.
    """
    if name:
        yield name, people.sign_in(cognito, pool, name, _password_of(name))
        return
    if not may_make_up:
        raise PersonError("Say who decides: NAME=<an analyst of this stack>.")
    passing = f"made-up-analyst-{token_hex(4)}"
    password = people.create_person(cognito, pool, Person(passing, "analyst", ""))
    try:
        yield passing, people.sign_in(cognito, pool, passing, password)
    finally:
        cognito.admin_delete_user(UserPoolId=pool.id, Username=passing)


def _password_of(name: str) -> str:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and not sys.stdin.isatty():
        raise PersonError(f"Put the password of {name} into {PASSWORD_VARIABLE}.")
    return getpass.getpass(f"Password of {name}: ") if password is None else password


@dataclass(frozen=True, slots=True)
class Approvals:
    """The approvals at ``url`` as the analyst behind the id token ``token`` meets them. Each raises ApiError."""

    call: Ask
    url: str
    token: str

    def waiting(self) -> list[View]:
        """What waits for a decision, newest first."""
        actions: list[View] = answered(self.call("GET", self.url, self.token))["actions"]
        return actions

    def look_at(self, action_id: str) -> View:
        """One action with all that a decision rests on."""
        return answered(self.call("GET", f"{self.url}/{action_id}", self.token))

    def decide(self, action: View, decision: str, note: str) -> str:
        """Decides on ``action`` as it was looked at, and answers its new status."""
        body = {"decision": decision, "seen": action["seen"]} | ({"note": note} if note else {})
        return str(answered(self.call("POST", f"{self.url}/{action['actionId']}", self.token, body))["status"])


def decide_together(desks: Sequence[Approvals], action_id: str, decision: str, note: str) -> str | None:
    """Decides on an action by as many of ``desks`` as must, and answers its status then; None where it was over.

    An action may end while somebody looks at it: another about the same card was approved, or its time came.
    Raises ApiError.
    """
    status = None
    for desk in desks:
        try:
            status = desk.decide(desk.look_at(action_id), decision, note)
        except ApiError as refused:
            if refused.status != _CONFLICT:
                raise
            return None
        if status != "half_approved":
            break
    return status


def line_of(action: View) -> str:
    """An action in one line."""
    # What agent_tools writes for a transaction is a sentence already.
    reason = str(action["reason"]).removesuffix(".")
    spent = f", {action['spent']} spent lately" if "spent" in action else ""
    proposer = action["proposedBy"]["role"]
    half = " (approved by one of two)" if action["status"] == "half_approved" else ""
    return (
        f"{action['actionId']}  {_deed(action)} of {action['customerId']}: {reason}{spent}; "
        f"proposed by {proposer}, until {action['expiresAt']}{half}"
    )


def _deed(action: View) -> str:
    """What an approval would do, as a person says it: "refund transaction TX-1"; a kind that has no words yet as it is.

    Which card paid stands in the reason.
    """
    match action["action"]:
        case "block_card":
            return f"block card {action['cardId']}"
        case "refund":
            return f"refund transaction {action['transactionId']}"
        case "release_transaction":
            return f"release transaction {action['transactionId']}"
    about = [str(action[name]) for name in ("cardId", "transactionId") if name in action]
    return " ".join([str(action["action"]), *about])


def lines_of(action: View) -> list[str]:
    """An action in full, with everybody's attempts to decide on it."""
    label = f" ({action['cardLabel']})" if action.get("cardLabel") else ""
    lines = [
        line_of(action),
        f"  card      {action.get('cardId', '-')}{label}",
        *([f"  paid      {action['transactionId']}"] if "transactionId" in action else []),
        *([f"  case      {action['caseId']}"] if "caseId" in action else []),
        f"  status    {action['status']}; approvals needed: {action['approvalsNeeded']}",
        f"  proposer  {action['proposedBy']['personId']} ({action['proposedBy']['role']}), {action['createdAt']}",
        f"  seen      {action['seen']}",
    ]
    for attempt in action["attempts"]:
        note = f": {attempt['note']}" if "note" in attempt else ""
        lines.append(f"  {attempt['at']}  {attempt['personId']} {attempt['decision']} -> {attempt['outcome']}{note}")
    return lines


def run(arguments: argparse.Namespace, client: people.Client, outputs: Mapping[str, str]) -> None:
    """Does what the command line says, and prints it."""
    pool, is_local = people.user_pool(outputs), arguments.env == "local"
    with signed_in(client("cognito-idp"), pool, arguments.name, may_make_up=is_local) as (name, token):
        approvals, looked_into = Approvals(ask, outputs["ApprovalsUrl"], token), Cases(ask, outputs["CasesUrl"], token)
        if arguments.verb == "cases":
            sys.stdout.write("\n".join(waiting_lines(approvals, looked_into)) + "\n")
            return
        if arguments.verb == "case":
            sys.stdout.write("\n".join(cases.lines_of(looked_into.look_at(arguments.id))) + "\n")
            return
        if arguments.verb == "close-case":
            close_case(looked_into, arguments, name)
            return
        action = approvals.look_at(arguments.id)
        sys.stdout.write("\n".join(lines_of(action)) + "\n")
        sys.stdout.write(f"{name} signs: {arguments.verb}.\n")
        status = approvals.decide(action, arguments.verb, arguments.note)
        more = " A second, different analyst must approve it too." if status == "half_approved" else ""
        sys.stdout.write(f"✓ {action['actionId']} is {status}.{more}\n")


def waiting_lines(approvals: Approvals, looked_into: Cases) -> list[str]:
    """All that waits for an analyst: actions first, then open cases."""
    actions, open_cases = approvals.waiting(), looked_into.open()
    lines = list(map(line_of, actions)) or ["Nothing waits for a decision."]
    return lines + (list(map(cases.line_of, open_cases)) or ["No case is open."])


def close_case(looked_into: Cases, arguments: argparse.Namespace, name: str) -> None:
    """Shows a case, closes it as ``name``, and says so."""
    sys.stdout.write("\n".join(cases.lines_of(looked_into.look_at(arguments.id))) + "\n")
    sys.stdout.write(f"{name} signs: {arguments.outcome}.\n")
    outcome = looked_into.close(arguments.id, arguments.outcome, arguments.note)
    sys.stdout.write(f"✓ {arguments.id} is closed: {outcome}.\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.approvals", description="Decide on proposed actions.")
    parser.add_argument("verb", choices=("cases", "case", "approve", "reject", "close-case"))
    parser.add_argument("--env", default="local", help="local (default), dev or prod, as in samconfig.toml")
    parser.add_argument("--id", default="", help="the action's or the case's id, as `cases` lists it")
    parser.add_argument("--outcome", default="", choices=("", *cases.OUTCOMES), help="what a case came to")
    parser.add_argument("--note", default="", help="why, for the trail; at most 500 characters")
    parser.add_argument("--name", default="", help="the analyst who signs; here, without one, somebody made up")
    arguments = parser.parse_args()
    if arguments.verb != "cases" and not arguments.id:
        parser.error(f"which one? {arguments.verb} --id <id>; `cases` lists them")
    if arguments.verb == "close-case" and not arguments.outcome:
        parser.error(f"what did it come to? --outcome {', '.join(cases.OUTCOMES)}")
    try:
        client, outputs = people.reach(arguments.env)
        lacking = {"ApprovalsUrl", "CasesUrl"} - outputs.keys()
        if lacking:
            raise StackError(
                f"This stack is older: its outputs lack {', '.join(sorted(lacking))}. `make up` deploys what changed."
            )
        run(arguments, client, outputs)
    except (ApiError, PersonError, EngineError, StackError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
