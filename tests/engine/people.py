"""Made-up people in a test: a user pool of their own, signed in with their passwords."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.engine.stacks import Client

PASSWORD = "Correct-Horse-7-Battery"  # noqa: S105 - made up, of people who are made up


@dataclass(frozen=True)
class UserPool:
    """A pool by its id and ARN, with the one app client that people sign in by."""

    cognito: Any
    id: str
    arn: str
    client_id: str

    def add(self, *groups: str, **attributes: str) -> str:
        """A new person in ``groups``; keyword ``customerId`` sets custom:customerId. Returns the user's name."""
        name = f"person-{uuid4().hex[:8]}"
        listed = [{"Name": f"custom:{key}", "Value": value} for key, value in attributes.items()]
        self.cognito.admin_create_user(
            UserPoolId=self.id, Username=name, MessageAction="SUPPRESS", UserAttributes=listed
        )
        self.cognito.admin_set_user_password(UserPoolId=self.id, Username=name, Password=PASSWORD, Permanent=True)
        for group in groups:
            self.cognito.admin_add_user_to_group(UserPoolId=self.id, Username=name, GroupName=group)
        return name

    def sign_in(self, name: str) -> dict[str, str]:
        """The person's tokens: IdToken, AccessToken, RefreshToken."""
        answer: dict[str, Any] = self.cognito.initiate_auth(
            ClientId=self.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )
        tokens: dict[str, str] = answer["AuthenticationResult"]
        return tokens


@contextmanager
def a_user_pool(aws: Client, **client_settings: Any) -> Iterator[UserPool]:
    """A pool with groups customer and analyst and the immutable attribute custom:customerId, gone at the end."""
    cognito = aws("cognito-idp")
    schema = [{"Name": "customerId", "AttributeDataType": "String", "Mutable": False}]
    pool = cognito.create_user_pool(PoolName=f"pool-{uuid4().hex[:8]}", Schema=schema)["UserPool"]
    for group in ("customer", "analyst"):
        cognito.create_group(UserPoolId=pool["Id"], GroupName=group)
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool["Id"], ClientName="people", ExplicitAuthFlows=flows, **client_settings
    )["UserPoolClient"]
    try:
        yield UserPool(cognito, pool["Id"], pool["Arn"], client["ClientId"])
    finally:
        cognito.delete_user_pool(UserPoolId=pool["Id"])
