"""Which investigation a flag wakes. Knows no AWS: what starts it is an argument."""

from typing import Any, Protocol

from backbone.contracts import Event
from backbone.errors import Rejected
from backbone.investigations import Investigation, case_id_of
from backbone.json_objects import encode


class Investigations(Protocol):
    """Starts investigations. Raises Retryable where it cannot now."""

    def start(self, name: str, given: dict[str, Any]) -> bool:
        """Starts the execution ``name``; False where one of that name has ended. One at work is not started again."""


def begin(flag: Event, *, investigations: Investigations, maximum_depth: int) -> bool:
    """Starts the one investigation of ``flag`` (a TransactionFlagged), named by its event; False where it has ended.

    Raises Rejected where the flag lies deeper than ``maximum_depth`` events from the outside: then what agents did led
    to it, again and again, and a person must look before it goes on. Nothing is published then, so that the circle ends
    here. Raises Retryable as ``investigations``.
    """
    metadata, data = flag.metadata, flag.data
    depth = metadata.causation_depth + 1
    if depth > maximum_depth:
        raise Rejected(
            f"{metadata.event_id} lies {depth} events from the outside; at most {maximum_depth} are followed"
        )
    investigation = Investigation(
        case_id=case_id_of(metadata.event_id),
        transaction_id=data["transactionId"],
        customer_id=data["customerId"],
        card_id=data["cardId"],
        terminal_id=data["terminalId"],
        correlation_id=metadata.correlation_id,
        causation_id=metadata.event_id,
        causation_depth=depth,
    )
    return investigations.start(metadata.event_id, encode(investigation))
