"""KMS authorised under the condition keys that describe a request's encryption context.

AWS: "AWS KMS condition keys": ``kms:EncryptionContext:<key>`` is the value under a key of the request's
EncryptionContext, ``kms:EncryptionContextKeys`` all of its keys; neither is there where the request has no context. The
engine knows no key of KMS's, so a grant that is bound to a context would never match here.
"""

import json
from functools import partial
from typing import Any

from ministack.core import iam_actions

from local.overlay.engine_hooks import Engine, original, replace


def install(_: Engine) -> None:
    """Adds the keys to what the engine reads from a request for its evaluator."""
    replace(
        iam_actions,
        "request_tag_context",
        partial(_with_encryption_context, original(iam_actions, "request_tag_context")),
    )


def _with_encryption_context(read: Any, service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
    known: dict[str, Any] = read(service, action, body, parameters)
    return known | _keys_of(body) if service == "kms" else known


def _keys_of(body: bytes) -> dict[str, Any]:
    """The condition keys of a request's EncryptionContext; none where it has none, or is no such request."""
    try:
        said = dict(json.loads(body)["EncryptionContext"])
    except (ValueError, KeyError, TypeError):
        return {}
    keys = {f"kms:EncryptionContext:{name}": value for name, value in said.items()}
    return keys | ({"kms:EncryptionContextKeys": list(said)} if said else {})
