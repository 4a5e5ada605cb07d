"""PutEvents is authorised per event, under the condition keys that describe it.

AWS: "Actions, resources, and condition keys for Amazon EventBridge", Service Authorization Reference. PutEvents has
``events:source`` and ``events:detail-type``. The engine evaluates the call once and knows neither key, so a grant that
is bound to a producer's own source would never match here.
"""

import json
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_actions, iam_evaluator

from local.overlay.engine_hooks import Engine, replace

_PUT_EVENTS = "events:PutEvents"
_entries: ContextVar[list[dict[str, str]]] = ContextVar("put_events_entries", default=[])  # noqa: B039 - never changed


def install(_: Engine) -> None:
    """Makes the engine authorise each distinct (source, detail-type) of a PutEvents call."""
    request_tag_context = replace(iam_actions, "request_tag_context", _with_entries)
    enforce = replace(iam_evaluator, "enforce", _per_event)
    _ORIGINALS.update(request_tag_context=request_tag_context, enforce=enforce)


_ORIGINALS: dict[str, Any] = {}


def _with_entries(service: str, action: str, body: bytes, query: dict[str, Any]) -> dict[str, Any]:
    # The evaluator is not given the request's body; the step before it is, in the same context.
    _entries.set(_keys_of_entries(body) if action == _PUT_EVENTS else [])
    context: dict[str, Any] = _ORIGINALS["request_tag_context"](service, action, body, query)
    return context


def _per_event(access_key: str, action: str, *arguments: Any, **options: Any) -> Any:
    if action != _PUT_EVENTS:
        return _ORIGINALS["enforce"](access_key, action, *arguments, **options)
    known = options.pop("service_context", None) or {}
    for keys in _entries.get() or [{}]:
        denied = _ORIGINALS["enforce"](access_key, action, *arguments, **options, service_context=known | keys)
        if denied:
            return denied
    return None


def _keys_of_entries(body: bytes) -> list[dict[str, str]]:
    """The condition keys of each distinct kind of event in a PutEvents body; empty where it is no such body."""
    try:
        entries = json.loads(body)["Entries"]
        kinds = {(str(entry["Source"]), str(entry["DetailType"])) for entry in entries}
    except (ValueError, KeyError, TypeError):
        return []  # the service itself refuses it, with its own words
    return [{"events:source": source, "events:detail-type": detail_type} for source, detail_type in sorted(kinds)]
