"""An investigation whose third step asks to block a card: its step's row, its execution, and agent_tools behind it.

The tables and the key are moto's, agent_tools is the real function; only Step Functions is made up here, of which an
execution needs no more than the token that counts and what it was told.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from backbone.action_tokens import SealedToken, TokenRows
from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Investigation, Step
from backbone.json_objects import encode
from tests.unit.bank_builder import OWNER
from tests.unit.lambda_events import Context
from tests.unit.resources import Resources

CASE = "5f0c7a52-6d1b-5c58-9a3e-0d5f6a7b8c9d"
NUMBER = 3
INVESTIGATION = Investigation(
    case_id=CASE,
    transaction_id="TX-1",
    customer_id=OWNER,
    card_id="CARD-000042",
    terminal_id="TERM-00017",
    correlation_id="order-1",
    causation_id="17793124-05d4-5198-9fde-7ededc63b103",
)
AT = "2026-01-01T12:00:00.000Z"
BLOCK = {"cardId": "CARD-000042", "reason": "fraud"}


@dataclass
class Execution:
    """The execution that waits: ``token`` is its newest attempt's, ``told`` what it was told, once at most."""

    token: str = "token-1"  # noqa: S105 - made up
    told: list[str] = field(default_factory=list)
    calls: int = 0

    def resume(self, token: str, outcome: str) -> bool:
        """What SendTaskSuccess does; False where it is refused."""
        self.calls += 1
        if token != self.token or self.told:
            return False
        self.told.append(outcome)
        return True

    def tried_again(self) -> str:
        """The token of the next attempt; the one before is closed."""
        self.token = f"token-{int(self.token.rpartition('-')[2]) + 1}"
        return self.token


@contextmanager
def an_execution(tools: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[Execution]:
    """Step Functions and Lambda in place of AWS's; ``tools`` is agent_tools; moto is behind all else."""
    execution, real = Execution(), BaseClient._make_api_call  # type: ignore[attr-defined] # as aws_faults

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "Invoke":
            return {"Payload": io.BytesIO(json.dumps(tools(json.loads(arguments["Payload"]))).encode())}
        if operation != "SendTaskSuccess":
            return real(client, operation, arguments)
        if not execution.resume(arguments["taskToken"], json.loads(arguments["output"])["outcome"]):
            raise ClientError({"Error": {"Code": "TaskTimedOut", "Message": "does not exist anymore"}}, operation)
        return {}

    with patch.object(BaseClient, "_make_api_call", call):
        yield execution


def agent_tools_in(handler_module: Callable[[str], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The real agent_tools, over moto; without its handler's decorators, whose metrics are one set in one process."""

    def run(event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = handler_module("agent_tools").resolver.resolve(event, Context())
        return answer

    return run


def plan_step(resources: Resources, **changes: Any) -> None:
    """The step's row, as plan_next_action leaves it."""
    values: dict[str, Any] = {"kind": "act", "move": "block_card", "tool": "block_card", "arguments": BLOCK} | changes
    step = Step(case_id=CASE, number=NUMBER, reasoning="-", planned_at=AT, **values)
    InvestigationRows(resources.client("dynamodb"), "investigation-steps").add(step)


def step_in(resources: Resources) -> Step:
    found = InvestigationRows(resources.client("dynamodb"), "investigation-steps").get(CASE, NUMBER)
    assert found is not None
    return found


def observe_step(resources: Resources, outcome: Any) -> None:
    """What observe_outcome does once the execution has gone on."""
    InvestigationRows(resources.client("dynamodb"), "investigation-steps").observe(CASE, NUMBER, outcome, (), AT)


def token_in(resources: Resources) -> SealedToken | None:
    return TokenRows(resources.client("dynamodb"), "action-tokens").get(CASE)


def a_request(token: str, **changes: Any) -> dict[str, Any]:
    """What state RequestAction hands over."""
    return {"investigation": encode(INVESTIGATION), "step": NUMBER, "taskToken": token} | changes
