"""What stands around an agent engine in a test: a person, a sink that remembers, tools and a meter that keep notes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agent_port import Progress, Session, ToolResult

CONVERSATION = "2b6f8a52-7f0f-4f6e-9d65-0a2d3c1f5e11"
CARD_IS_ACTIVE = ToolResult("done", ("The debit card ending 0042 (CARD-000042) is active.",))


def a_session(**changes: Any) -> Session:
    """A customer in their third turn."""
    return replace(Session("person-1", "customer", "CUST-000001", CONVERSATION, 3, "correlation-1"), **changes)


@dataclass
class Heard:
    """A sink: what was said, and which tools began and ended."""

    pieces: list[str] = field(default_factory=list)
    tools: list[tuple[str, Progress]] = field(default_factory=list)

    def text(self, piece: str) -> None:
        self.pieces.append(piece)

    def tool(self, name: str, state: Progress) -> None:
        self.tools.append((name, state))

    @property
    def said(self) -> str:
        return "".join(self.pieces)


@dataclass
class FakeTools:
    """Answers ``results`` by tool name; ``runs`` has what was asked, with the session."""

    results: Mapping[str, ToolResult] = field(default_factory=dict)
    runs: list[tuple[str, dict[str, Any], Session]] = field(default_factory=list)

    def run(self, name: str, arguments: Mapping[str, Any], session: Session) -> ToolResult:
        self.runs.append((name, dict(arguments), session))
        return self.results[name]


@dataclass
class Measured:
    """A meter: the calls as (model, input tokens, output tokens)."""

    calls: list[tuple[str, int, int]] = field(default_factory=list)

    def model_call(
        self,
        model_id: str,
        *,
        input_tokens: int,
        output_tokens: int,
        first_token_milliseconds: float | None = None,  # noqa: ARG002 - the port's
    ) -> None:
        self.calls.append((model_id, input_tokens, output_tokens))
