"""People of a user pool sign up where they may, change what their app client lets them, and never whose they are."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack.services import cognito

from tests.engine.people import PASSWORD, UserPool, a_user_pool
from tests.engine.stacks import Client


@pytest.fixture(scope="module")
def pool(aws: Client) -> Iterator[UserPool]:
    with a_user_pool(aws, WriteAttributes=["locale"]) as made:
        yield made


def attributes(pool: UserPool, name: str) -> dict[str, str]:
    answer = pool.cognito.admin_get_user(UserPoolId=pool.id, Username=name)
    return {attribute["Name"]: attribute["Value"] for attribute in answer["UserAttributes"]}


def change(pool: UserPool, name: str, **values: str) -> None:
    """``name`` changes their own attributes; a ``__`` in a keyword stands for a colon."""
    listed: list[Any] = [{"Name": key.replace("__", ":"), "Value": value} for key, value in values.items()]
    pool.cognito.update_user_attributes(AccessToken=pool.sign_in(name)["AccessToken"], UserAttributes=listed)


def test_person_changes_an_attribute_that_the_client_may_write(pool: UserPool) -> None:
    name = pool.add(customerId="CUST-000001")
    change(pool, name, locale="nl")
    assert attributes(pool, name)["locale"] == "nl"


@pytest.mark.parametrize("attribute", ["custom__customerId", "nickname"])
def test_person_changes_no_attribute_that_the_client_may_not_write(pool: UserPool, attribute: str) -> None:
    name = pool.add(customerId="CUST-000001")
    with pytest.raises(ClientError, match=r"NotAuthorizedException.*unauthorized attribute"):
        change(pool, name, locale="nl", **{attribute: "CUST-000002"})
    assert attributes(pool, name)["custom:customerId"] == "CUST-000001"
    assert "locale" not in attributes(pool, name)


def test_client_that_names_no_attributes_writes_no_custom_one(aws: Client) -> None:
    with a_user_pool(aws) as plain:
        name = plain.add(customerId="CUST-000001")
        change(plain, name, nickname="Al")
        with pytest.raises(ClientError, match=r"NotAuthorizedException"):
            change(plain, name, custom__customerId="CUST-000002")
        assert attributes(plain, name)["custom:customerId"] == "CUST-000001"


def test_immutable_attribute_stays_even_where_the_client_may_write_it(aws: Client) -> None:
    with a_user_pool(aws, WriteAttributes=["custom:customerId"]) as careless:
        name = careless.add(customerId="CUST-000001")
        with pytest.raises(ClientError, match=r"InvalidParameterException.*cannot be updated"):
            change(careless, name, custom__customerId="CUST-000002")
        assert attributes(careless, name)["custom:customerId"] == "CUST-000001"


@pytest.mark.parametrize("by_administrators_only", [True, False])
def test_sign_up_is_refused_where_administrators_open_the_accounts(aws: Client, by_administrators_only: bool) -> None:
    with a_user_pool(aws) as made:
        configuration = {"AllowAdminCreateUserOnly": by_administrators_only}
        made.cognito.update_user_pool(UserPoolId=made.id, AdminCreateUserConfig=configuration)
        if by_administrators_only:
            with pytest.raises(ClientError, match=r"NotAuthorizedException.*SignUp is not permitted"):
                made.cognito.sign_up(ClientId=made.client_id, Username="somebody", Password=PASSWORD)
        else:
            made.cognito.sign_up(ClientId=made.client_id, Username="somebody", Password=PASSWORD)
        users = made.cognito.list_users(UserPoolId=made.id)["Users"]
        assert len(users) == (0 if by_administrators_only else 1)


def test_engine_still_lacks_what_people_may_not_do_to_themselves() -> None:
    assert "AllowAdminCreateUserOnly" not in inspect.getsource(cognito._sign_up)
    assert "WriteAttributes" not in inspect.getsource(cognito._update_user_attributes)
