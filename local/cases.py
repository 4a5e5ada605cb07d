"""Cases in the terminal: which are open, and closing one; for `make cases` and `make close-case` (local.approvals)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.api_client import Ask, answered

# As POST /cases/{caseId}/close takes them.
OUTCOMES = ("confirmed_fraud", "genuine", "unresolved")

type View = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases at ``url`` as the analyst behind the id token ``token`` meets them. Each raises ApiError."""

    call: Ask
    url: str
    token: str

    def open(self) -> list[View]:
        """The newest open cases, newest first."""
        cases: list[View] = answered(self.call("GET", self.url, self.token))["cases"]
        return cases

    def look_at(self, case_id: str) -> View:
        """One case with its transaction's score and reasons."""
        return answered(self.call("GET", f"{self.url}/{case_id}", self.token))

    def close(self, case_id: str, outcome: str, note: str) -> str:
        """Closes a case, and answers the outcome that stands then."""
        body = {"outcome": outcome} | ({"note": note} if note else {})
        return str(answered(self.call("POST", f"{self.url}/{case_id}/close", self.token, body))["outcome"])


def line_of(case: View) -> str:
    """A case in one line."""
    about = f" about {case['transactionId']}" if "transactionId" in case else ""
    because = f"; given to a person: {case['escalatedBecause']}" if "escalatedBecause" in case else ""
    return (
        f"{case['caseId']}  case{about} of {case['customerId']}: {case['subject']}; "
        f"opened by {case['openedBy']['role']}, {case['openedAt']}{because}"
    )


def lines_of(case: View) -> list[str]:
    """A case in full, with what scoring says of its transaction."""
    lines = [line_of(case)]
    transaction = case.get("transaction")
    if transaction is not None:
        amount = f"{transaction['amountMinor'] / 100:.2f} {transaction['currency']}"
        flagged = f"flagged ({transaction['severity']})" if transaction["flagged"] else "not flagged"
        lines.append(f"  {amount} at {transaction['terminalId']}, {transaction['occurredAt']}")
        lines.append(f"  score {transaction['score']:.3f}, {flagged}")
        lines += [f"  {reason['code']}: {reason['explanation']}" for reason in transaction["reasons"]]
    investigation = case.get("investigation")
    return lines if investigation is None else lines + investigation_lines(investigation)


def investigation_lines(investigation: View) -> list[str]:
    """What an agent knew, thought and did in a case, step by step."""
    lines = [f"  goal: {investigation['goal']}"]
    for step in investigation["steps"]:
        rests_on = f" [{', '.join(step['evidence'])}]" if step["evidence"] else ""
        lines.append(f"  {step['step']}. {step['move']}: {step['reasoning']}{rests_on}")
        lines += [f"       [{identity}] {fact}" for identity, fact in step["facts"].items()]
        if "outcome" in step and not step["facts"]:
            lines.append(f"       {step['outcome']}")
    tokens = investigation["inputTokens"] + investigation["outputTokens"]
    return [*lines, f"  {tokens:,} tokens, {investigation['costMicroDollars']:,} micro-dollars"]
