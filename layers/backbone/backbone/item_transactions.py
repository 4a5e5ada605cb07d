"""Several items of DynamoDB written together, all or nothing.

Source: Amazon DynamoDB, "Managing complex workflows with transactions": a transaction that meets another write to one
of its items is cancelled, having written nothing; a few milliseconds later it passes.
"""

import random
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.errors import Retryable

_CONFLICT_ATTEMPTS = 6
_FIRST_WAIT_SECONDS = 0.01
_INVALID = {"ValidationError", "ValidationException"}


def write_together(client: Any, items: list[dict[str, Any]], wait: Callable[[float], None]) -> tuple[int, ...]:
    """Writes all of ``items`` (at most 100), or nothing; answers the positions of those whose condition did not hold.

    No position: they were written. ``client`` is boto3's "dynamodb"; ``wait`` sleeps between the attempts after a
    conflict. Raises Retryable where nothing was written or it is not known; ClientError where DynamoDB calls an item
    invalid, which is a defect and would fail for ever.
    """
    for attempt in range(_CONFLICT_ATTEMPTS):
        try:
            client.transact_write_items(TransactItems=items)
        except ClientError as failed:
            codes = _codes(failed)
            said = set(codes) - {"None"}
            if said & _INVALID:
                raise
            if said == {"ConditionalCheckFailed"}:
                return tuple(position for position, code in enumerate(codes) if code != "None")
            if said != {"TransactionConflict"}:
                raise Retryable(f"transact_write_items: {failed}") from failed
            wait(jittered(attempt))
            continue
        except BotoCoreError as failed:
            raise Retryable(f"transact_write_items: {failed}") from failed
        return ()
    raise Retryable(f"the same items were being written elsewhere {_CONFLICT_ATTEMPTS} times in a row")


def jittered(attempt: int) -> float:
    """Seconds to wait after ``attempt`` (from 0): full jitter, up to a bound that doubles: two do not meet again."""
    return random.uniform(0, _FIRST_WAIT_SECONDS * 2**attempt)  # noqa: S311 - spreads load, keeps no secret


def _codes(failed: ClientError) -> list[str]:
    """Why a transaction was cancelled, for each item; the error's own code where it was not that."""
    codes = [str(reason["Code"]) for reason in failed.response.get("CancellationReasons", [])]
    return codes if set(codes) - {"None"} else [failed.response["Error"]["Code"]]
