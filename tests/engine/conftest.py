"""An embedded AWS for the tests of the overlay: one process for the whole run, driven by unmodified boto3."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session

from local.process import EngineProcess

REGION = "eu-central-1"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    home: Path = tmp_path_factory.mktemp("engine")
    with EngineProcess.start(home=home, region=REGION) as process:
        yield process


@pytest.fixture(scope="session")
def aws(engine: EngineProcess) -> Callable[[str], Any]:
    """``aws("kinesis")`` is a boto3 client of the engine's root identity."""

    def client(service: str) -> Any:
        return Session().create_client(
            service,
            endpoint_url=engine.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - made up: the engine's root identity
            config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
        )

    return client
