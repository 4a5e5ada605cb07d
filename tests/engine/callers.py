"""Callers in a test who are not root: a user with the grants that the test gives, gone at the end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from botocore.config import Config
from botocore.credentials import Credentials
from botocore.session import Session

from tests.engine.stacks import Client


@contextmanager
def a_user(aws: Client, *statements: dict[str, Any]) -> Iterator[Client]:
    """Clients (``client("schemas")``) of a fresh user whose policy is ``statements``."""
    with credentials_of_a_user(aws, *statements) as credentials:
        root = aws("sts")

        def client(service: str) -> Any:
            return Session().create_client(
                service,
                endpoint_url=root.meta.endpoint_url,
                region_name=root.meta.region_name,
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key=credentials.secret_key,
                config=Config(retries={"total_max_attempts": 1}, read_timeout=30),
            )

        yield client


@contextmanager
def credentials_of_a_user(aws: Client, *statements: dict[str, Any]) -> Iterator[Credentials]:
    """The access key of a fresh user whose policy is ``statements``; no policy where there are none."""
    iam, name = aws("iam"), f"user-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    if statements:
        policy = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_user_policy(UserName=name, PolicyName="test", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        if statements:
            iam.delete_user_policy(UserName=name, PolicyName="test")
        iam.delete_user(UserName=name)
