"""Cases that were closed while the bus was away: their CaseClosed is published from the row.

Knows no AWS: where cases are kept and how events are published are arguments.
"""

from collections.abc import Iterator
from typing import Protocol

from backbone.cases import Case
from backbone.errors import Retryable
from backbone.outbox import Bus, publish_kept


class Cases(Protocol):
    """Keeps cases. Each raises Retryable where it cannot now."""

    def get(self, case_id: str) -> Case | None: ...
    def note_published(self, case: Case) -> None: ...


class CaseIndex(Protocol):
    """Finds cases; perhaps a moment behind. Raises Retryable where it cannot now."""

    def closing(self) -> Iterator[Case]: ...


def tell_of_closed(*, cases: Cases, index: CaseIndex, bus: Bus) -> tuple[int, list[str]]:
    """Publishes what closed cases still keep; answers how many, and why for those that could not be.

    What fails does not stop the rest. Raises Retryable where the cases cannot be found at all.
    """
    published, failures = 0, list[str]()
    for found in index.closing():
        try:
            published += _publish(cases.get(found.case_id), cases, bus)
        except Retryable as failed:
            failures.append(f"case {found.case_id}: {failed}")
    return published, failures


def _publish(case: Case | None, cases: Cases, bus: Bus) -> bool:
    """Publishes a case's event, as it is now: the index that it was found by may be a moment behind."""
    if case is None or case.event_to_publish is None:
        return False
    publish_kept(case.event_to_publish, bus, lambda _: cases.note_published(case))
    return True
