"""POST /transactions: signed, validated, and on the stream without a function in between."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.process import EngineProcess
from tests.conftest import REGION
from tests.engine.callers import credentials_of_a_user
from tests.stack.deployed import Stack, a_transaction, body_of

type Answer = tuple[int, dict[str, str]]


@pytest.fixture
def url(stack: Stack, engine: EngineProcess) -> str:
    """The path-shaped local address of the endpoint; on AWS it is the output TransactionsUrl."""
    return f"{engine.endpoint}/restapis/{stack.resource('BackboneApi')}/v1/_user_request_/transactions"


@pytest.fixture
def producer(stack: Stack) -> Iterator[Credentials]:
    """A machine that may call this one method and nothing else."""
    arn = f"arn:aws:execute-api:{REGION}:000000000000:{stack.resource('BackboneApi')}/v1/POST/transactions"
    with credentials_of_a_user(
        stack.client, {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}
    ) as credentials:
        yield credentials


def post(url: str, body: bytes, credentials: Credentials | None = None) -> Answer:
    request = AWSRequest("POST", url, data=body, headers={"Content-Type": "application/json"})
    if credentials:
        SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
    try:
        with urllib.request.urlopen(  # noqa: S310 - the engine's own address
            urllib.request.Request(url, data=body, headers=dict(request.headers), method="POST")  # noqa: S310
        ) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_signed_transaction_is_accepted_with_its_sequence_number_and_becomes_a_row(
    stack: Stack, url: str, producer: Credentials
) -> None:
    transaction = a_transaction()
    status, answer = post(url, body_of(transaction), producer)
    assert status == 202
    assert stack.row(transaction.transaction_id)["streamEventId"].endswith(answer["sequenceNumber"])


def test_unsigned_transaction_is_refused(url: str) -> None:
    assert post(url, body_of(a_transaction()))[0] == 403


def test_caller_without_the_grant_is_refused(stack: Stack, url: str) -> None:
    with credentials_of_a_user(stack.client) as stranger:
        assert post(url, body_of(a_transaction()), stranger)[0] == 403


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"amountMinor": -1}, "amountMinor"), ({"currency": "euro"}, "currency"), ({"occurredAt": "today"}, "occurredAt")],
)
def test_body_that_is_no_transaction_is_refused_with_the_field_named(
    url: str, producer: Credentials, changes: dict[str, object], named: str
) -> None:
    status, answer = post(url, body_of(a_transaction(), **changes), producer)
    assert status == 400
    assert named in answer["problem"]
