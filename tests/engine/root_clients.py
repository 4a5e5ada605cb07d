"""boto3's clients of an engine's root identity."""

import functools
from typing import Any

from botocore.config import Config
from botocore.session import Session

from local.process import EngineProcess
from local.stack import REGION
from tests.engine.stacks import Client


def root_clients(engine: EngineProcess, *, read_timeout: float) -> Client:
    """``root_clients(...)("kinesis")`` is a client that tries once; making one takes long, so each is kept."""

    @functools.cache
    def client(service: str) -> Any:
        return Session().create_client(
            service,
            endpoint_url=engine.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - made up: the engine's root identity
            config=Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout),
        )

    return client
