"""Unit tests reach nothing outside their process, and have an AWS of their own in memory where they ask for one."""

import importlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
from moto import mock_aws

from backbone.clients import client
from tests.unit.resources import ENVIRONMENT, Resources, create_resources


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    def refuse(_: socket.socket, address: object) -> NoReturn:
        raise AssertionError(f"a unit test called {address}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield


@pytest.fixture
def memory_aws() -> Iterator[Callable[[str], Any]]:
    """moto: ``memory_aws("sqs")`` is the functions' own client, of an account that is empty when a test starts."""
    with mock_aws():
        yield client


@pytest.fixture
def resources(memory_aws: Callable[[str], Any]) -> Resources:
    """The tables, queues, bucket and bus that the functions are told of."""
    return create_resources(memory_aws)


@pytest.fixture(scope="session")
def handler_module() -> Iterator[Callable[[str], Any]]:
    """``handler_module("notify_customer")`` is a function's handler module, initialised as Lambda would do it, once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield importlib.import_module
