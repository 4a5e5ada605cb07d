"""Whether a schema still keeps what an earlier one promised.

A schema has readers on both sides: producers that were valid must stay valid, and consumers must still find what they
read. The only change that holds for both is a new optional field (which every reader ignores until it knows it), and
other words for people. Everything else is a new version of the event.
"""

from collections.abc import Iterator
from typing import Any

_WORDS = {"title", "description"}


def broken_promises(released: dict[str, Any], current: dict[str, Any], place: str = "") -> Iterator[str]:
    """What in ``current`` breaks ``released``, a sentence each."""
    where = place or "the document"
    fields_before, fields_now = released.get("properties", {}), current.get("properties", {})
    for name in fields_before.keys() - fields_now.keys():
        yield f"{where}: field {name} is gone"
    for name in fields_before.keys() & fields_now.keys():
        yield from broken_promises(fields_before[name], fields_now[name], f"{place}.{name}".lstrip("."))
    if "items" in released and "items" in current:
        yield from broken_promises(released["items"], current["items"], f"{place}[]")
    for keyword in (released.keys() | current.keys()) - _WORDS - {"properties"}:
        before, now = released.get(keyword), current.get(keyword)
        if keyword in ("required", "enum"):
            before, now = sorted(before or []), sorted(now or [])
        if before != now and not (keyword == "items" and before and now):
            yield f"{where}: {keyword} was {before!r} and is {now!r}"
