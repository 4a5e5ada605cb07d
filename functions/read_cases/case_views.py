"""What people are shown of cases: analysts all, a customer those that they opened themselves.

What the bank looks into on its own account is not shown to whom it is about: it would warn a thief.
Knows no AWS: where cases and transactions are kept is an argument.
"""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from backbone.cases import Case
from backbone.identity import CUSTOMER, Caller
from backbone.investigations import Step, fact_id, totals
from backbone.rest import RefusedError

LISTED_AT_MOST = 50
_CASE_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

type View = dict[str, Any]


class Cases(Protocol):
    """Reads cases. Raises Retryable where it cannot now."""

    def get(self, case_id: str) -> Case | None: ...


class Index(Protocol):
    """Finds open cases, newest first; perhaps a moment behind. Each raises Retryable where it cannot now."""

    def open(self, at_most: int) -> list[Case]: ...
    def open_of(self, customer_id: str, at_most: int, opened_by_role: str | None = None) -> list[Case]: ...


class Transactions(Protocol):
    """Reads scored transactions. Raises Retryable where it cannot now."""

    def get(self, transaction_id: str) -> View | None: ...


class Steps(Protocol):
    """Reads investigations' steps. Raises Retryable where it cannot now."""

    def steps(self, case_id: str) -> Sequence[Step]: ...


def view_list(caller: Caller, customer_id: str | None, *, index: Index) -> View:
    """The newest open cases; of one customer where an analyst names one. RefusedError (403) for another's."""
    if caller.is_analyst:
        found = index.open(LISTED_AT_MOST) if customer_id is None else index.open_of(customer_id, LISTED_AT_MOST)
    elif caller.customer_id is None or customer_id not in (None, caller.customer_id):
        raise RefusedError(403, "You see your own cases only.")
    else:
        found = index.open_of(caller.customer_id, LISTED_AT_MOST, opened_by_role=CUSTOMER)
    return {"cases": [_view(case, caller) for case in found]}


def view_case(caller: Caller, case_id: str, *, cases: Cases, transactions: Transactions, steps: Steps) -> View:
    """One case with its transaction's score and reasons, while that is kept; for analysts also what an agent did in it.

    Raises RefusedError: 404 where there is no such case, and for one that the caller may not see.
    """
    case = cases.get(case_id) if _CASE_ID.fullmatch(case_id) else None
    if case is None or not _may_see(caller, case):
        raise RefusedError(404, "There is no such case.")
    view = _view(case, caller)
    if caller.is_analyst and case.kind == "investigation":
        view["investigation"] = _investigation(case, steps.steps(case_id))
    transaction = None if case.transaction_id is None else transactions.get(case.transaction_id)
    return view if transaction is None else view | {"transaction": transaction}


def _investigation(case: Case, steps: Sequence[Step]) -> View:
    """What an agent knew, thought and did: the goal, the steps in order, what they took."""
    took = totals(steps)
    return {
        "goal": case.goal or "",
        "steps": [_step(step) for step in steps],
        "inputTokens": took.input_tokens,
        "outputTokens": took.output_tokens,
        "costMicroDollars": took.cost_micro_dollars,
    }


def _step(step: Step) -> View:
    view: View = {
        "step": step.number,
        "move": step.move,
        "reasoning": step.reasoning,
        "evidence": list(step.evidence),
        "arguments": step.arguments,
        "plannedAt": step.planned_at,
        "outcome": step.outcome,
        "facts": {fact_id(step.number, number): fact for number, fact in enumerate(step.facts, 1)},
        "actionId": step.action_id,
        "verdict": step.verdict,
        "observedAt": step.observed_at,
        "model": step.model_id,
        "profile": step.model_profile,
    }
    return {name: value for name, value in view.items() if value is not None}


def _may_see(caller: Caller, case: Case) -> bool:
    return caller.is_analyst or (case.customer_id == caller.customer_id and case.opened_by_role == CUSTOMER)


def _view(case: Case, caller: Caller) -> View:
    """A case without what it does not have; people's ids and their notes are for analysts."""
    view: View = {
        "caseId": case.case_id,
        "status": "open" if case.is_open else "closed",
        "kind": case.kind,
        "customerId": case.customer_id,
        "subject": case.subject,
        "transactionId": case.transaction_id,
        "openedAt": case.opened_at,
        "outcome": case.outcome,
        "closedAt": case.closed_at,
    }
    if caller.is_analyst:
        view |= {"openedBy": {"personId": case.opened_by, "role": case.opened_by_role}, "note": case.note}
        view |= {"escalatedBecause": case.escalated_because, "escalatedAt": case.escalated_at}
        if case.closed_by is not None:
            view["closedBy"] = {"personId": case.closed_by, "role": case.closed_by_role}
    return {name: value for name, value in view.items() if value is not None}
