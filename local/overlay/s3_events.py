"""S3 tells EventBridge which version of an object was created.

AWS: "EventBridge event message structure" in the Amazon S3 user guide: ``detail.object`` of a versioned bucket carries
``version-id``. The engine knows the version while it tells its own notifications, and leaves it out for EventBridge: a
consumer that must read just what was uploaded could not.
"""

import json
from contextvars import ContextVar
from functools import partial
from typing import Any

from ministack.services import eventbridge, s3

from local.overlay.engine_hooks import Engine, original, replace

_version: ContextVar[str | None] = ContextVar("version_of_s3_event", default=None)


def install(_: Engine) -> None:
    """Wraps the engine's notification and the dispatch that it calls."""
    replace(s3, "_fire_s3_event", partial(_fire, original(s3, "_fire_s3_event")))
    replace(eventbridge, "_dispatch_event", partial(_dispatch, original(eventbridge, "_dispatch_event")))


def _fire(fire: Any, *given: Any, **options: Any) -> None:
    token = _version.set(options.get("version_id"))
    try:
        fire(*given, **options)
    finally:
        _version.reset(token)


def _dispatch(dispatch: Any, event: dict[str, Any], *given: Any, **options: Any) -> Any:
    version = _version.get()
    if version is None or event.get("Source") != "aws.s3":
        return dispatch(event, *given, **options)
    detail = json.loads(event["Detail"])
    detail["object"]["version-id"] = version
    return dispatch({**event, "Detail": json.dumps(detail)}, *given, **options)
