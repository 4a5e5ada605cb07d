"""No released schema changes but by an optional field; and the check that says so can fail."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.schema_compatibility import broken_promises
from tests.contract.schema_files import RELEASED, SCHEMAS, schemas_in

PROMISED = schemas_in(RELEASED)
FLAGGED = "backbone.payments/TransactionFlagged.v1"


def test_there_is_a_promise_to_keep() -> None:
    assert PROMISED.keys() <= schemas_in(SCHEMAS).keys(), "a released schema's file is gone"
    assert FLAGGED in PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_schema_keeps_what_the_last_release_promised(name: str) -> None:
    assert list(broken_promises(PROMISED[name], schemas_in(SCHEMAS)[name])) == []


def changed(change: Callable[[dict[str, Any]], object]) -> list[str]:
    """What ``change`` to the data of TransactionFlagged breaks."""
    schema = copy.deepcopy(PROMISED[FLAGGED])
    change(schema["properties"]["data"])
    return list(broken_promises(PROMISED[FLAGGED], schema))


def test_an_optional_field_and_other_words_break_nothing() -> None:
    assert changed(lambda data: data["properties"].update(merchant={"type": "string"})) == []
    assert changed(lambda data: data["properties"]["score"].update(description="Another sentence.")) == []


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        (lambda data: data["properties"].pop("score"), "data: field score is gone"),
        (lambda data: data["required"].remove("score"), "data: required was"),
        (lambda data: data["required"].append("merchant"), "data: required was"),
        (lambda data: data["properties"]["score"].update(type="string"), "data.score: type was"),
        (lambda data: data["properties"]["score"].update(maximum=100), "data.score: maximum was"),
        (lambda data: data["properties"]["currency"].pop("pattern"), "data.currency: pattern was"),
        (lambda data: data["properties"]["severity"]["enum"].append("grave"), "data.severity: enum was"),
        (lambda data: data["properties"]["reasons"].pop("items"), "data.reasons: items was"),
        (
            lambda data: data["properties"]["reasons"]["items"]["properties"].pop("code"),
            "data.reasons[]: field code is gone",
        ),
        (lambda data: data.update(additionalProperties=False), "data: additionalProperties was"),
    ],
)
def test_every_other_change_breaks_a_promise(change: Callable[[dict[str, Any]], object], promise: str) -> None:
    (problem,) = changed(change)
    assert problem.startswith(promise)


def test_the_order_of_required_fields_and_of_values_says_nothing() -> None:
    assert changed(lambda data: data["required"].reverse()) == []
    assert changed(lambda data: data["properties"]["severity"]["enum"].reverse()) == []
