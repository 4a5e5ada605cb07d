"""What a Bedrock agent remembers of a conversation, by session id, until it has been idle for too long.

Not an overlay by itself. Follows https://docs.aws.amazon.com/bedrock/latest/userguide/agents-session-state.html:
session attributes last as long as the session, prompt session attributes for one turn (kept by the turn, not here).
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.overlay.agent_definition import Function
from local.overlay.service_routes import ServiceError

_MOST_EXCHANGES = 50  # older ones are forgotten, so that a session cannot outgrow the model

type Message = dict[str, Any]
type Key = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's use of one function: the id that its result must carry, and the arguments as the model gave them."""

    tool_use_id: str
    function: Function
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """A turn that stopped to ask the caller: what was said so far, what is known, and what the caller must answer."""

    invocation_id: str
    input_text: str
    messages: list[Message]
    results: list[Message]
    calls: list[ToolCall]


@dataclass
class Session:
    """``exchanges`` are the finished turns, each the messages of one question and its answer."""

    exchanges: list[list[Message]] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    pending: Pending | None = None
    in_use: bool = False
    idle_seconds: float = 0.0
    forgotten_at: float = 0.0

    def remember(self, exchange: list[Message]) -> None:
        self.exchanges = [*self.exchanges, exchange][-_MOST_EXCHANGES:]
        self.pending = None


class Sessions:
    """All sessions of the engine; a session serves one invocation at a time. Safe for any number of threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._sessions: dict[Key, Session] = {}

    def take(self, key: Key, idle_seconds: int) -> Session:
        """The session, new where there is none or it was idle for too long.

        Raises ServiceError (ConflictException) where an invocation has it. Whoever takes it gives it back.
        """
        with self._lock:
            now = self._now()
            self._sessions = {
                each: kept for each, kept in self._sessions.items() if kept.in_use or now <= kept.forgotten_at
            }
            session = self._sessions.setdefault(key, Session())
            if session.in_use:
                raise ServiceError("ConflictException", 409, f"Session {key[-1]} is busy with another request.")
            session.in_use, session.idle_seconds = True, idle_seconds
            return session

    def give_back(self, session: Session) -> None:
        with self._lock:
            session.in_use = False
            session.forgotten_at = self._now() + session.idle_seconds

    def end(self, key: Key) -> None:
        with self._lock:
            self._sessions.pop(key, None)
