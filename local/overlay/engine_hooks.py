"""How an overlay meets the engine: what it may know of it, and how it replaces a part of it.

MiniStack has no plug-in interface, so overlays replace private names. The version is pinned (``local.engine``) and
``replace`` refuses a name that is not there, so that an upgrade fails loudly at start instead of quietly at run time.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

type Scope = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
type Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
type AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Engine:
    """The engine in this process. An overlay that serves requests of its own wraps ``app`` and puts itself there.

    ``before_stop`` is called, in the event loop, when the engine was told to end: an overlay that keeps connections
    open lets go of them there, for the server waits until all are closed.
    """

    app: AsgiApp
    endpoint: str
    region: str
    account_id: str
    home: Path
    project: Path
    before_stop: list[Callable[[], None]] = field(default_factory=list)


def original(module: ModuleType | type, name: str) -> Any:
    """The engine's ``module.name``; raises RuntimeError, naming it, where this version of the engine has none."""
    if not hasattr(module, name):
        raise RuntimeError(f"The overlay expects {module.__name__}.{name}, which this version of the engine lacks.")
    return getattr(module, name)


def replace(module: ModuleType | type, name: str, replacement: Any) -> Any:
    """Puts ``replacement`` in the place of ``module.name`` and returns what was there; raises as ``original`` does."""
    before = original(module, name)
    setattr(module, name, replacement)
    return before
