"""A REST API that answers what it is told to, in the place of ``local.api_client.ask``."""

from typing import Any


class Api:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, status: int, body: object) -> None:
        self.answer = (status, body)
        self.asked: list[tuple[object, ...]] = []

    def __call__(self, *asked: object) -> tuple[int, Any]:
        self.asked.append(asked)
        return self.answer
