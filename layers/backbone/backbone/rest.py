"""What a function behind a REST API answers: the shape that API Gateway's proxy integration wants, and refusals.

Every refusal is ``{"message": ...}`` and says what to do. Powertools' resolver would do routing and more, but costs
200 ms of a cold start in which a person waits; two routes need no router.
https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
"""

import json
from collections.abc import Callable
from typing import Any

from backbone.errors import Retryable

type Answer = dict[str, Any]

# What a customer may read is nobody else's: no proxy or browser keeps it.
_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class RefusedError(Exception):
    """The request is answered with a 4xx ``status`` and a ``message`` for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def answer(status: int, body: object) -> Answer:
    """An answer whose body is JSON."""
    return {"statusCode": status, "headers": dict(_HEADERS), "body": json.dumps(body, ensure_ascii=False)}


def answered(work: Callable[[], Answer], log: Callable[..., None]) -> Answer:
    """What ``work`` answers, or the 4xx that it refuses with, or 503 where it can be tried again.

    ``log`` is told why a service could not do its part (the caller is not). Anything else that is raised is a defect:
    it passes, so that the function's error shows and API Gateway answers 502.
    """
    try:
        return work()
    except RefusedError as refused:
        return answer(refused.status, {"message": refused.message})
    except Retryable as failed:
        log("Answered 503.", reason=str(failed))
        return answer(503, {"message": "This cannot be done just now. Try again in a moment."})
