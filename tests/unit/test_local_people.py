"""`make user`: who can be created, and what their password is like. Creating them is tests/local/test_people.py."""

import re

import pytest

from local.people import Person, PersonError, UserPool, _password, check, user_pool


@pytest.mark.parametrize(
    ("person", "named"),
    [
        (Person("", "analyst", ""), "NAME="),
        (Person("a b", "analyst", ""), "NAME="),
        (Person("alice", "boss", ""), "GROUP=boss"),
        (Person("alice", "customer", ""), "CUSTOMER=CUST-000001"),
        (Person("alice", "customer", "../x"), "CUSTOMER="),
    ],
)
def test_person_who_cannot_be_is_refused_with_what_to_say_instead(person: Person, named: str) -> None:
    with pytest.raises(PersonError, match=re.escape(named)):
        check(person)


def test_passwords_fit_the_policy_and_never_repeat() -> None:
    passwords = {_password() for _ in range(200)}
    assert len(passwords) == 200
    for password in passwords:
        assert len(password) == 20
        for kind in ("[a-z]", "[A-Z]", "[0-9]", "[!%+?]"):
            assert re.search(kind, password)


def test_pool_is_the_one_that_the_stacks_outputs_name() -> None:
    assert user_pool({"UserPoolId": "p", "UserPoolClientId": "c", "EventBusName": "b"}) == UserPool("p", "c")
