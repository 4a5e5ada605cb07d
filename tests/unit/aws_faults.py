"""AWS calls that fail on purpose, between a handler and moto."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError


@contextmanager
def failing(operation: str, code: str, *, after: int = 0) -> Iterator[None]:
    """Makes one call of ``operation`` fail with ``code``, the one ``after`` so many that pass; fails if none came."""
    real = BaseClient._make_api_call  # type: ignore[attr-defined] # botocore's one door to every operation
    calls = 0

    def call(client: Any, name: str, arguments: dict[str, Any]) -> Any:
        nonlocal calls
        if name == operation:
            calls += 1
            if calls == after + 1:
                raise ClientError({"Error": {"Code": code, "Message": "injected"}}, name)
        return real(client, name, arguments)

    with patch.object(BaseClient, "_make_api_call", call):
        yield
    assert calls > after, f"{operation} was called {calls} times"
