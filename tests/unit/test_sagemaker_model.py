"""The model behind an endpoint: rows out as CSV, probabilities back, and no answer that is half one."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from backbone.clients import client as client_of
from backbone.errors import Retryable
from sagemaker_model import scorer


def a_body(text: str | bytes) -> StreamingBody:
    data = text.encode() if isinstance(text, str) else text
    return StreamingBody(io.BytesIO(data), len(data))


@pytest.fixture
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    client = client_of("sagemaker-runtime")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("answer", ["0.25\n0.5\n", "0.25,0.5", "0.25\n0.5"], ids=["lines", "commas", "no last newline"])
def test_rows_go_out_as_csv_and_probabilities_come_back(stubbed: tuple[Any, Stubber], answer: str) -> None:
    client, stubber = stubbed
    expected = {
        "EndpointName": "fraud",
        "ContentType": "text/csv",
        "Accept": "text/csv",
        "Body": b"2000.0,0.0,0.1\n1e-07,1.0,30000000.0",
    }
    stubber.add_response("invoke_endpoint", {"Body": a_body(answer)}, expected)
    assert scorer(client, "fraud")([(2000.0, 0.0, 0.1), (1e-07, 1.0, 3e7)]) == [0.25, 0.5]


def test_no_rows_ask_nothing(stubbed: tuple[Any, Stubber]) -> None:
    assert scorer(stubbed[0], "fraud")([]) == []


def test_many_rows_go_in_calls_that_the_endpoint_takes(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    for count, score in ((5_000, "0.1"), (1, "0.2")):
        stubber.add_response("invoke_endpoint", {"Body": a_body("\n".join([score] * count))})
    assert scorer(client, "fraud")([(1.0,)] * 5_001) == [0.1] * 5_000 + [0.2]


@pytest.mark.parametrize("answer", ["0.25", "0.25\n0.5\n0.75", ""])
def test_a_wrong_number_of_scores_is_retryable(stubbed: tuple[Any, Stubber], answer: str) -> None:
    client, stubber = stubbed
    stubber.add_response("invoke_endpoint", {"Body": a_body(answer)})
    with pytest.raises(Retryable, match=r"endpoint fraud answered \d scores for 2 rows"):
        scorer(client, "fraud")([(1.0,), (2.0,)])


@pytest.mark.parametrize("answer", ["nan", "inf", "-0.1", "1.1", "<html>", "[0.5]"])
def test_an_answer_that_is_no_probability_is_retryable_and_lets_nothing_pass(
    stubbed: tuple[Any, Stubber], answer: str
) -> None:
    client, stubber = stubbed
    stubber.add_response("invoke_endpoint", {"Body": a_body(answer)})
    with pytest.raises(Retryable, match="where a probability is expected"):
        scorer(client, "fraud")([(1.0,)])


def test_an_answer_that_is_no_text_is_retryable(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    stubber.add_response("invoke_endpoint", {"Body": a_body(b"\xff\xfe")})
    with pytest.raises(Retryable, match="invoke_endpoint fraud"):
        scorer(client, "fraud")([(1.0,)])


@pytest.mark.parametrize("code", ["ModelError", "ModelNotReadyException", "ServiceUnavailable", "ThrottlingException"])
def test_an_endpoint_that_fails_is_retryable(stubbed: tuple[Any, Stubber], code: str) -> None:
    client, stubber = stubbed
    stubber.add_client_error("invoke_endpoint", code)
    with pytest.raises(Retryable, match=code):
        scorer(client, "fraud")([(1.0,)])


def test_an_answer_that_does_not_end_is_retryable(stubbed: tuple[Any, Stubber]) -> None:
    class Endless(StreamingBody):
        def read(self, amt: int | None = None) -> bytes:
            raise ReadTimeoutError(endpoint_url=f"fraud, {amt}")

    client, stubber = stubbed
    stubber.add_response("invoke_endpoint", {"Body": Endless(io.BytesIO(), 0)})
    with pytest.raises(Retryable, match="invoke_endpoint fraud"):
        scorer(client, "fraud")([(1.0,)])
