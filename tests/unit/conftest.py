"""Unit tests reach nothing outside their process, and have an AWS of their own in memory where they ask for one."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import boto3
import pytest
from moto import mock_aws

from tests.unit.resources import Resources, create_resources


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    def refuse(_: socket.socket, address: object) -> NoReturn:
        raise AssertionError(f"a unit test called {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield


@pytest.fixture
def memory_aws() -> Iterator[Callable[[str], Any]]:
    """moto: ``memory_aws("sqs")`` is a boto3 client of an account that is empty at the start of each test."""
    with mock_aws():
        yield boto3.client


@pytest.fixture
def resources(memory_aws: Callable[[str], Any]) -> Resources:
    """The tables, queues, bucket and bus that the functions are told of."""
    return create_resources(memory_aws)
