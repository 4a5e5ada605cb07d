"""Copies of DynamoDB items."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ministack.services import dynamodb

from local.overlay.dynamodb_copies import copy_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_copy_equals_and_shares_nothing_that_can_change(value: Any) -> None:
    duplicate = copy_json(value)
    assert duplicate == value
    assert not (_containers(duplicate) & _containers(value))


def test_engine_still_copies_items_with_the_general_copy() -> None:
    assert dynamodb.copy is copy


def _containers(value: Any) -> set[int]:
    if isinstance(value, dict):
        return {id(value)}.union(*(_containers(inner) for inner in value.values()))
    if isinstance(value, list):
        return {id(value)}.union(*(_containers(inner) for inner in value))
    return set()
