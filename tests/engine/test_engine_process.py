"""The engine as a process: it answers, and nothing of it stays when it is stopped."""

from collections.abc import Callable
from typing import Any


def test_engine_answers_an_unmodified_client(aws: Callable[[str], Any]) -> None:
    assert aws("sts").get_caller_identity()["Account"] == "000000000000"
