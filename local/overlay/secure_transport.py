"""The loopback address stands for AWS's TLS endpoints: a call that never leaves the machine counts as secure transport.

AWS: "aws:SecureTransport" in the IAM user guide's global condition keys. Buckets and topics of this project deny plain
HTTP. On AWS every SDK speaks TLS; here it speaks plain HTTP to 127.0.0.1, and the engine would refuse every caller
but root. What comes from any other address is judged by how it came.
"""

import ipaddress
from contextvars import ContextVar, Token

from ministack.core import iam_evaluator

from local.overlay.engine_hooks import Engine, original, replace

type Origin = tuple[str, bool]


class LoopbackIsSecure:
    """The engine's record of where a request came from (address, over TLS), with loopback taken for TLS."""

    def __init__(self, recorded: ContextVar[Origin]) -> None:
        self._recorded = recorded

    def get(self) -> Origin:
        address, secure = self._recorded.get()
        return address, secure or _is_loopback(address)

    def set(self, origin: Origin) -> Token[Origin]:
        return self._recorded.set(origin)

    def reset(self, token: Token[Origin]) -> None:
        self._recorded.reset(token)


def install(_: Engine) -> None:
    """Makes every policy evaluation of the engine see loopback as secure transport."""
    replace(iam_evaluator, "_request_origin", LoopbackIsSecure(original(iam_evaluator, "_request_origin")))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False  # a name or nothing: not known to be this machine
