"""What a closed case says of a transaction becomes its label, and counts at its terminal.

Of the model's features only a terminal's are made from labels (score_transactions/features.py), so a label changes
nothing else. It is counted on the transaction's own UTC day, whenever it comes: windows end seven days before the
transaction that is scored, so a label that comes sooner is not seen sooner. That is the delay that the model was
trained with (docs/adr/0005); a label that comes later is seen from then on.

Exactly once. The label stands on the transaction's row, and is written in one DynamoDB transaction with the counter. A
later case about the same transaction takes the label's place, and corrects the counter where it says otherwise; which
is later the cases' times of closing say, not the order in which the events come.
Knows no AWS: where labels are kept is an argument.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

from backbone.cases import closing_order
from backbone.contracts import Event
from backbone.errors import Rejected, Retryable

type Verdict = Literal["fraud", "genuine"]
type Result = Literal["learned", "known", "forgotten", "nothing_to_learn"]
_VERDICTS: dict[str, Verdict] = {"confirmed_fraud": "fraud", "genuine": "genuine"}


@dataclass(frozen=True, slots=True)
class Label:
    """What a transaction turned out to be, by which case, and when that was closed (RFC 3339)."""

    verdict: Verdict
    case_id: str
    closed_at: str

    def is_later_than(self, other: "Label") -> bool:
        """Whether this label takes the other's place."""
        return closing_order(self.closed_at, self.case_id) > closing_order(other.closed_at, other.case_id)


@dataclass(frozen=True, slots=True)
class LabelledTransaction:
    """A transaction as labels need it; ``occurred_at`` in epoch seconds, ``label`` None while there is none."""

    transaction_id: str
    customer_id: str
    terminal_id: str
    occurred_at: int
    label: Label | None


class Labels(Protocol):
    """The transactions' labels and the terminals' counters. Each raises Retryable where it cannot now."""

    def get(self, transaction_id: str) -> LabelledTransaction | None: ...

    def put(self, transaction: LabelledTransaction, label: Label, frauds: int) -> bool:
        """Writes the label where ``transaction`` still stands as it was read, and adds ``frauds`` to its counter.

        Both or neither; False, and nothing written, where another label came meanwhile. A day that the terminal does
        not keep any more has no counter: then the label alone is written.
        """


def learn(closed: Event, labels: Labels) -> Result:
    """Learns from ``closed`` (a CaseClosed); again, or after a later case, it changes nothing ("known").

    forgotten: the transaction's row has expired, long after its day left the windows. Raises Rejected where the case
    and the transaction are not one customer's; Retryable as ``labels``.
    """
    transaction_id, verdict = closed.data.get("transactionId"), _VERDICTS.get(closed.data["outcome"])
    if transaction_id is None or verdict is None:
        return "nothing_to_learn"
    transaction = labels.get(transaction_id)
    if transaction is None:
        return "forgotten"
    if transaction.customer_id != closed.data["customerId"]:
        raise Rejected(f"case {closed.data['caseId']} and transaction {transaction_id} are not one customer's")
    label, before = Label(verdict, closed.data["caseId"], closed.data["closedAt"]), transaction.label
    if before is not None and not label.is_later_than(before):
        return "known"
    if not labels.put(transaction, label, _frauds(label) - _frauds(before)):
        raise Retryable(f"{transaction_id} was labelled by another case meanwhile")
    return "learned"


def _frauds(label: Label | None) -> int:
    return 1 if label is not None and label.verdict == "fraud" else 0
