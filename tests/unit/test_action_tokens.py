"""Task tokens at rest: sealed for their case and step, the latest attempt's standing, used once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from backbone.action_tokens import SealedToken, TokenRows, TokenSeal, WaitingExecutions
from backbone.errors import Rejected, Retryable
from tests.unit.aws_faults import failing
from tests.unit.fake_tokens import FakeTokens
from tests.unit.resources import Resources

TOKEN = SealedToken("case-1", 3, "action-1", 1_000, b"sealed")
IN_TWO_DAYS = 2_000_000_000


@pytest.fixture(params=["DynamoDB", "memory"])
def rows(request: pytest.FixtureRequest, resources: Resources) -> Any:
    return FakeTokens() if request.param == "memory" else TokenRows(resources.client("dynamodb"), "action-tokens")


def test_token_is_read_as_it_was_kept_and_another_cases_is_not(rows: Any) -> None:
    assert rows.put(TOKEN, IN_TWO_DAYS) is True
    assert rows.get("case-1") == TOKEN
    assert rows.get("case-2") is None


@pytest.mark.parametrize(
    ("changes", "stands"),
    [
        ({"asked_at": 1_001, "sealed": b"newer"}, True),
        ({"asked_at": 1_000, "sealed": b"again"}, True),
        ({"asked_at": 999}, False),
        ({"step": 4, "asked_at": 1}, True),
        ({"step": 2, "asked_at": 2_000}, False),
    ],
    ids=["later attempt", "same attempt", "earlier attempt", "later step", "earlier step"],
)
def test_token_takes_the_place_of_an_earlier_one_and_never_of_a_later_one(
    rows: Any, changes: dict[str, Any], stands: bool
) -> None:
    other = replace(TOKEN, **changes)
    rows.put(TOKEN, IN_TWO_DAYS)
    assert rows.put(other, IN_TWO_DAYS) is stands
    assert rows.get("case-1") == (other if stands else TOKEN)


@pytest.mark.parametrize("changes", [{"asked_at": 1_001}, {"step": 4}, {"action_id": "action-2"}])
def test_used_token_is_forgotten_and_one_that_took_its_place_is_not(rows: Any, changes: dict[str, Any]) -> None:
    rows.put(TOKEN, IN_TWO_DAYS)
    rows.delete(replace(TOKEN, **changes))
    assert rows.get("case-1") == TOKEN
    rows.delete(TOKEN)
    assert rows.get("case-1") is None
    rows.delete(TOKEN)


def test_row_names_its_expiry_and_no_token(resources: Resources) -> None:
    TokenRows(resources.client("dynamodb"), "action-tokens").put(TOKEN, IN_TWO_DAYS)
    (row,) = resources.rows("action-tokens")
    assert row["expiresAt"] == {"N": str(IN_TWO_DAYS)}
    assert row["token"] == {"B": b"sealed"}


@pytest.mark.parametrize("operation", ["PutItem", "GetItem", "DeleteItem"])
def test_table_that_is_away_is_to_be_tried_again(resources: Resources, operation: str) -> None:
    rows = TokenRows(resources.client("dynamodb"), "action-tokens")
    calls: dict[str, Callable[[], object]] = {
        "PutItem": lambda: rows.put(TOKEN, 1),
        "GetItem": lambda: rows.get("case-1"),
        "DeleteItem": lambda: rows.delete(TOKEN),
    }
    with failing(operation, "ThrottlingException"), pytest.raises(Retryable):
        calls[operation]()


# ---- the seal


@pytest.fixture
def seal(resources: Resources) -> TokenSeal:
    return TokenSeal(resources.client("kms"), "alias/action-tokens")


def test_seal_opens_for_its_case_and_step_and_hides_the_token(seal: TokenSeal) -> None:
    sealed = replace(TOKEN, sealed=seal.seal("case-1", 3, "a task token"))
    assert b"a task token" not in sealed.sealed
    assert seal.open(sealed) == "a task token"


@pytest.mark.parametrize("changes", [{"case_id": "case-2"}, {"step": 4}])
def test_token_that_was_moved_to_another_row_does_not_open(seal: TokenSeal, changes: dict[str, Any]) -> None:
    sealed = replace(TOKEN, sealed=seal.seal("case-1", 3, "a task token"))
    with pytest.raises(Rejected, match="not sealed for the row"):
        seal.open(replace(sealed, **changes))


@pytest.mark.parametrize("operation", ["Encrypt", "Decrypt"])
def test_key_that_cannot_be_used_now_is_to_be_tried_again(seal: TokenSeal, operation: str) -> None:
    sealed = replace(TOKEN, sealed=seal.seal("case-1", 3, "a task token"))
    with failing(operation, "KMSInternalException"), pytest.raises(Retryable) as away:
        seal.seal("case-1", 3, "a task token") if operation == "Encrypt" else seal.open(sealed)
    assert "a task token" not in str(away.value)


# ---- the execution


class FakeStepFunctions:
    """Raises what it is told to; keeps what it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[dict[str, str]] = []

    def send_task_success(self, **asked: str) -> None:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure


def refusing(code: str) -> Callable[[], Exception]:
    return lambda: ClientError({"Error": {"Code": code, "Message": ""}}, "SendTaskSuccess")


def test_execution_is_told_the_outcome() -> None:
    service = FakeStepFunctions()
    assert WaitingExecutions(service).resume("a task token", "approved") is True
    assert service.asked == [{"taskToken": "a task token", "output": '{"outcome": "approved"}'}]


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_token_that_nobody_waits_with_is_stale(code: str) -> None:
    assert WaitingExecutions(FakeStepFunctions(refusing(code)())).resume("a task token", "approved") is False


@pytest.mark.parametrize(
    "failure",
    [refusing("ThrottlingException"), refusing("AccessDeniedException"), lambda: ReadTimeoutError(endpoint_url="x")],
)
def test_step_functions_away_is_to_be_tried_again(failure: Callable[[], Exception]) -> None:
    with pytest.raises(Retryable) as away:
        WaitingExecutions(FakeStepFunctions(failure())).resume("a task token", "approved")
    assert "a task token" not in str(away.value)
