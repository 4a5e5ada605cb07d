"""AWS clients with one level of retry.

A function behind a queue, a stream or a state machine is retried by that source. Were the SDK to retry too, the
attempts would multiply (3 x 3 x 3) and outlive the function. So the SDK tries once, with timeouts well inside the
function's own, and the source decides.
"""

import functools
from typing import Any

import boto3
from botocore.config import Config

_CONNECT_TIMEOUT_SECONDS = 2
_READ_TIMEOUT_SECONDS = 8


@functools.cache
def client(service: str, read_timeout_seconds: int = _READ_TIMEOUT_SECONDS) -> Any:  # boto3 types no client it makes
    """The one client of ``service`` (e.g. "dynamodb") in this execution environment, for each read timeout.

    A model answers later than a table does: its caller names a ``read_timeout_seconds`` that is shorter than the
    function's own timeout. Region, credentials and, where it is set, AWS_ENDPOINT_URL come from the environment.
    """
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"total_max_attempts": 1, "mode": "standard"},
        tcp_keepalive=True,
    )
    return boto3.client(service, config=config)  # type: ignore[call-overload] # the service's name is not a literal
