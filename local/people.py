"""``python -m local.people``: a made-up person who can sign in, here or in a stack on AWS.

The person gets a password that is generated, printed once and kept nowhere. Whose customer somebody is stands in
custom:customerId, which is written when the person is created and never again.
https://docs.aws.amazon.com/cognito/latest/developerguide/how-to-create-user-accounts.html
"""

import argparse
import os
import re
import secrets
import string
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from local import places, stack
from local.process import EngineError

GROUPS = ("customer", "analyst")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_CUSTOMER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_PASSWORD_LENGTH = 20  # of 66 characters: 120 bits
_SYMBOLS = "!%+?"  # those that neither a quoted word nor the AWS CLI's shorthand takes amiss

type Client = Callable[[str], Any]


class PersonError(Exception):
    """The person cannot be created; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who is to be created. ``customer_id`` is whose documents they see; "" for an analyst who is no customer."""

    name: str
    group: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class UserPool:
    """The stack's people: the pool's id, and the id of the client that they sign in by."""

    id: str
    client_id: str


def user_pool(outputs: Mapping[str, str]) -> UserPool:
    """The user pool that the stack's outputs name."""
    return UserPool(outputs["UserPoolId"], outputs["UserPoolClientId"])


def check(person: Person) -> None:
    """Raises PersonError where ``person`` cannot be: the name, the group, or a customer without an id."""
    if not _NAME.fullmatch(person.name):
        raise PersonError(f"NAME={person.name}: 1 to 64 letters, digits or any of _ . - are a name.")
    if person.group not in GROUPS:
        raise PersonError(f"GROUP={person.group}: there are {' and '.join(GROUPS)}.")
    if person.group == "customer" and not person.customer_id:
        raise PersonError("Say whose customer it is: CUSTOMER=CUST-000001.")
    if person.customer_id and not _CUSTOMER_ID.fullmatch(person.customer_id):
        raise PersonError(f"CUSTOMER={person.customer_id}: 1 to 64 letters, digits or any of _ . : - are an id.")


def create_person(cognito: Any, pool: UserPool, person: Person) -> str:
    """Creates ``person`` and returns the password. Raises PersonError; somebody half created is removed again."""
    check(person)
    attributes = [{"Name": "custom:customerId", "Value": person.customer_id}] if person.customer_id else []
    try:
        cognito.admin_create_user(
            UserPoolId=pool.id,
            Username=person.name,
            UserAttributes=attributes,
            TemporaryPassword=_password(),  # nobody is told of it: the permanent one follows
            MessageAction="SUPPRESS",
        )
    except cognito.exceptions.UsernameExistsException:
        raise PersonError(
            f"{person.name} exists already, and a password is shown only once. Take another NAME, or remove this one: "
            f"aws cognito-idp admin-delete-user --user-pool-id {pool.id} --username {person.name}"
        ) from None
    password = _password()
    try:
        cognito.admin_add_user_to_group(UserPoolId=pool.id, Username=person.name, GroupName=person.group)
        cognito.admin_set_user_password(UserPoolId=pool.id, Username=person.name, Password=password, Permanent=True)
    except (ClientError, BotoCoreError):
        cognito.admin_delete_user(UserPoolId=pool.id, Username=person.name)
        raise
    return password


def sign_in(cognito: Any, pool: UserPool, name: str, password: str) -> str:
    """The id token of a person, for the header Authorization. Raises what Cognito answers: NotAuthorizedException."""
    answer = cognito.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )
    return str(answer["AuthenticationResult"]["IdToken"])


def _password() -> str:
    """At least one of each kind that the pool's policy asks for, in random places."""
    kinds = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _SYMBOLS)
    characters = [secrets.choice(kind) for kind in kinds]
    characters += [secrets.choice("".join(kinds)) for _ in range(_PASSWORD_LENGTH - len(kinds))]
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters)


def reach(environment: str) -> tuple[Client, Mapping[str, str]]:
    """Clients for the stack of ``environment`` (local, or as samconfig.toml has it), and the stack's outputs.

    Raises EngineError, StackError, or what botocore raises, where there is none.
    """
    return _local() if environment == "local" else _on_aws(environment)


def _local() -> tuple[Client, Mapping[str, str]]:
    """Clients of the engine that runs here and its stack's outputs. Raises EngineError or StackError."""
    engine = places.current().running()
    if engine is None:
        raise EngineError("The engine has just ended. `make up` starts it.")
    deployed = stack.describe(engine.endpoint)
    return deployed.client, deployed.outputs


def _on_aws(environment: str) -> tuple[Client, Mapping[str, str]]:
    """Clients by the shell's AWS settings and the outputs of the stack of ``environment``, as samconfig.toml has it."""
    client: Client = Session().create_client
    (found,) = client("cloudformation").describe_stacks(StackName=f"backbone-{environment}")["Stacks"]
    return client, {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local.people", description="Create a made-up person.")
    parser.add_argument("--env", default="local", help="local (default), dev or prod, as in samconfig.toml")
    parser.add_argument("--name", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--customer", default="")
    arguments = parser.parse_args()
    person = Person(arguments.name, arguments.group, arguments.customer)
    try:
        check(person)
        client, outputs = reach(arguments.env)
        pool = user_pool(outputs)
        password = create_person(client("cognito-idp"), pool, person)
    except (PersonError, EngineError, stack.StackError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1
    whose = f" of {person.customer_id}" if person.customer_id else ""
    here = ". .local/env && " if arguments.env == "local" and os.access(".local/env", os.R_OK) else ""
    sys.stdout.write(
        f"{person.name}, {person.group}{whose}, can sign in. The password, shown this once: {password}\n"
        f"An id token, for the header Authorization, good for an hour:\n"
        f"  {here}aws cognito-idp initiate-auth --client-id {pool.client_id} --auth-flow USER_PASSWORD_AUTH "
        f"--auth-parameters USERNAME={person.name},PASSWORD='{password}' --query AuthenticationResult.IdToken "
        "--output text\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
