"""`make user`: people who are complete or not there at all."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.people import Person, PersonError, UserPool, create_person, sign_in
from tests.engine.people import a_user_pool
from tests.unit.aws_faults import failing


@pytest.fixture(scope="module")
def cognito(aws: Callable[[str], Any]) -> Any:
    return aws("cognito-idp")


@pytest.fixture
def pool(aws: Callable[[str], Any]) -> Iterator[UserPool]:
    with a_user_pool(aws) as made:
        yield UserPool(made.id, made.client_id)


def test_person_signs_in_with_the_password_that_was_returned(cognito: Any, pool: UserPool) -> None:
    password = create_person(cognito, pool, Person("alice", "customer", "CUST-000001"))
    assert sign_in(cognito, pool, "alice", password).count(".") == 2
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        sign_in(cognito, pool, "alice", password + "x")


def test_person_is_in_their_group_and_tied_to_their_customer(cognito: Any, pool: UserPool) -> None:
    create_person(cognito, pool, Person("alice", "customer", "CUST-000001"))
    user = cognito.admin_get_user(UserPoolId=pool.id, Username="alice")
    assert {"Name": "custom:customerId", "Value": "CUST-000001"} in user["UserAttributes"]
    assert user["UserStatus"] == "CONFIRMED"
    groups = cognito.admin_list_groups_for_user(UserPoolId=pool.id, Username="alice")["Groups"]
    assert [group["GroupName"] for group in groups] == ["customer"]


def test_name_that_is_taken_is_refused_and_its_person_untouched(cognito: Any, pool: UserPool) -> None:
    password = create_person(cognito, pool, Person("alice", "customer", "CUST-000001"))
    with pytest.raises(PersonError, match="exists already"):
        create_person(cognito, pool, Person("alice", "analyst", ""))
    assert sign_in(cognito, pool, "alice", password)


@pytest.mark.parametrize("operation", ["AdminAddUserToGroup", "AdminSetUserPassword"])
def test_person_who_could_not_be_completed_is_removed_again(cognito: Any, pool: UserPool, operation: str) -> None:
    with failing(operation, "TooManyRequestsException"), pytest.raises(ClientError, match="TooManyRequests"):
        create_person(cognito, pool, Person("alice", "analyst", ""))
    assert cognito.list_users(UserPoolId=pool.id)["Users"] == []
