"""Cases: asking a person at the bank to look into something.

Knows no AWS: where cases and transactions are kept is an argument.
"""

from typing import Any, Protocol

from backbone import contracts
from backbone.cases import Case
from backbone.outbox import Bus, as_text, publish_kept
from occasions import Occasion, build_event
from tool_answers import ToolAnswer, done
from tool_session import AGENT
from transaction_tools import Transactions, no_such_transaction, own_transaction


class Cases(Protocol):
    """The cases. Each raises Retryable where it cannot now."""

    def add(self, case: Case) -> Case:
        """Keeps ``case`` and its event; answers what stands there, which is an earlier one where there was one."""

    def note_published(self, case: Case) -> None: ...


def open_case(
    occasion: Occasion,
    subject: str,
    transaction_id: str | None,
    *,
    cases: Cases,
    transactions: Transactions,
    bus: Bus,
) -> ToolAnswer:
    """Opens a case; asked again in the same turn it answers the same case. Raises Retryable."""
    session = occasion.session
    if transaction_id is not None and own_transaction(transaction_id, session, transactions) is None:
        return no_such_transaction(transaction_id, session)
    case = cases.add(_case(occasion, subject, transaction_id))
    publish_kept(case.event_to_publish, bus, lambda _: cases.note_published(case))
    about = f" about transaction {case.transaction_id}" if case.transaction_id else ""
    facts = [
        f'Case {case.case_id}{about} is open: "{case.subject}".',
        "An analyst of the bank will look into it.",
    ]
    view = {"caseId": case.case_id, "status": case.status, "openedAt": case.opened_at}
    return done(facts, {"case": view if transaction_id is None else view | {"transactionId": transaction_id}})


def _case(occasion: Occasion, subject: str, transaction_id: str | None) -> Case:
    session = occasion.session
    arguments: dict[str, Any] = {"subject": subject}
    if transaction_id is not None:
        arguments["transactionId"] = transaction_id
    case_id = session.change_id("open_case", arguments)
    kind = "investigation" if session.role == AGENT else "chat"
    data = {"caseId": case_id, "customerId": session.customer_id, "kind": kind, "openedBy": session.role}
    if transaction_id is not None:
        data["transactionId"] = transaction_id
    return Case(
        case_id=case_id,
        customer_id=session.customer_id,
        subject=subject,
        transaction_id=transaction_id,
        kind=kind,
        status="open",
        opened_by=AGENT if session.role == AGENT else session.person_id,
        opened_by_role=session.role,
        opened_at=contracts.timestamp(occasion.now),
        correlation_id=session.correlation_id,
        causation_depth=session.causation_depth,
        event_to_publish=as_text(build_event("CaseOpened", case_id, data, occasion)),
    )
