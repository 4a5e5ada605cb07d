"""What became of each investigated transaction, read from the deployed stack's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backbone.investigation_rows import InvestigationRows
from backbone.investigations import Step
from local.stack import Stack

# What the agent said, by what it proposed or did. handed_over: it gave the case to a person undecided.
type Position = Literal["fraud", "genuine", "handed_over"]
type Item = Mapping[str, Any]

_ENDED = ("closing", "closed")


@dataclass(frozen=True, slots=True)
class CaseFile:
    """An investigated transaction: its score, its truth, and what the agent did.

    ``reason`` is why a person got the case, None where the agent closed it. ``outcome`` is the case's, None while it is
    open. Tokens and micro-dollars are those of all its steps.
    """

    transaction_id: str
    case_id: str
    score: float
    is_fraud: bool
    steps: Sequence[Step]
    outcome: str | None
    reason: str | None

    @property
    def position(self) -> Position:
        """What the agent said it was."""
        moves = {step.move for step in self.steps}
        if "block_card" in moves:
            return "fraud"
        return "genuine" if "release_transaction" in moves else "handed_over"

    @property
    def is_right(self) -> bool:
        return self.position == ("fraud" if self.is_fraud else "genuine")

    @property
    def was_caught(self) -> bool:
        """Whether a person turned a wrong proposal down, so that nothing came of it."""
        return self.position == "fraud" and not self.is_fraud and self.outcome is None

    @property
    def tokens(self) -> int:
        return sum(step.input_tokens + step.output_tokens for step in self.steps)

    @property
    def cost_micro_dollars(self) -> int:
        return sum(step.cost_micro_dollars for step in self.steps)


def case_rows(stack: Stack) -> dict[str, Item]:
    """The investigations' cases as of now, by the transaction that they are about."""
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stack.outputs["CasesTableName"], ConsistentRead=True)
    )
    items = [item for page in pages for item in page["Items"] if item["kind"]["S"] == "investigation"]
    rows = {item["transactionId"]["S"]: item for item in items}
    if len(rows) != len(items):
        raise AssertionError("A transaction has two investigations.")
    return rows


def has_ended(row: Item) -> bool:
    """Whether an investigation came to its one end: closed, or given to a person."""
    return row["status"]["S"] in _ENDED or "escalatedAt" in row


def case_file(stack: Stack, row: Item, score: float, is_fraud: bool) -> CaseFile:
    """The whole of an investigation that has ended."""
    case_id = row["caseId"]["S"]
    steps = InvestigationRows(stack.client("dynamodb"), stack.outputs["InvestigationStepsTableName"]).steps(case_id)
    text = {name: value["S"] for name, value in row.items() if "S" in value}
    return CaseFile(
        row["transactionId"]["S"],
        case_id,
        score,
        is_fraud,
        steps,
        text.get("outcome"),
        text.get("escalatedBecause"),
    )
