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
def client(service: str) -> Any:  # boto3 makes its clients' classes at run time
    """The one client of ``service`` (e.g. "dynamodb") in this execution environment.

    Region, credentials and, where it is set, AWS_ENDPOINT_URL come from the environment.
    """
    config = Config(
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=_READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        tcp_keepalive=True,
    )
    return boto3.client(service, config=config)  # type: ignore[call-overload] # the service's name is not a literal
