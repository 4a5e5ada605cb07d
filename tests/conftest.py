"""What every test shares: no AWS credentials but made-up ones, and one embedded AWS for those that ask for it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from local.process import EngineProcess
from tests.engine.root_clients import root_clients
from tests.samlocal.containers import bridge_address
from tests.stack.deployed import Stack, deploy

REGION = "eu-central-1"

# At import, before a test module can make a client: whoever runs the tests, no test ever sees their account.
for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 - made up
    AWS_DEFAULT_REGION=REGION,
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
    # TestState is modelled with a host prefix ("sync-"), which no name resolver knows for a loopback address.
    AWS_DISABLE_HOST_PREFIX_INJECTION="true",
)

# A deadline per example measures how busy the machine is; what must be fast has a test of its own.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An embedded AWS for the tests: one process for the whole run."""
    home: Path = tmp_path_factory.mktemp("engine")
    bridge = bridge_address()
    with EngineProcess.start(home=home, region=REGION, also_listen=[bridge] if bridge else []) as process:
        yield process


@pytest.fixture(scope="session")
def aws(engine: EngineProcess) -> Callable[[str], Any]:
    """``aws("kinesis")`` is the boto3 client of the engine's root identity; making one takes long, so each is kept."""

    return root_clients(engine, read_timeout=30)


@pytest.fixture(scope="session")
def stack(engine: EngineProcess, aws: Callable[[str], Any]) -> Stack:
    """The project's own stack, built and deployed by the real SAM CLI, once for the whole run."""
    return deploy("backbone", engine, aws, {"TransactionShards": "4"})
