"""What tests of the deployed stack share: its model, traffic for it, and somebody who watches."""

from collections.abc import Iterator
from typing import Any

import pytest

from fraud_model import FraudModel, load
from local.process import PROJECT
from local.traffic import Traffic, backfill, make_traffic
from tests.stack.deployed import Stack, now
from tests.stack.observers import BusObserver, observe_bus


@pytest.fixture(scope="session")
def model() -> FraudModel:
    """The artefact that the deployed function carries."""
    return load(PROJECT / "functions" / "score_transactions" / "fraud_model.json")


@pytest.fixture(scope="session")
def traffic(stack: Stack) -> Traffic:
    """A past, backfilled into the stack's feature store, and 600 transactions that nobody has streamed yet."""
    made = make_traffic(customers=300, transactions=600, now=now(), seed=11)
    backfill(stack.client("dynamodb"), stack.outputs["ProfilesTableName"], made.history, now())
    return made


@pytest.fixture
def bus(stack: Stack) -> Iterator[BusObserver]:
    """Sees every event of the bus from now on: a second consumer that no producer was told of."""
    with observe_bus(stack) as observer:
        yield observer


@pytest.fixture
def operations(stack: Stack) -> Iterator[Any]:
    """A queue that hears what operations would be mailed."""
    with stack.listening_to(stack.resource("OperationsTopic")) as queue:
        yield queue
