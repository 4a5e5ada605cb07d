"""Two analysts who know the truth and decide by it, through the same API as anybody: they approve what is right."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from local.api_client import ask
from local.approvals import Approvals, decide_together
from local.people import Person, create_person, sign_in, user_pool
from local.stack import Stack

# What is proposed of a payment that was a fraud, and what of one that was genuine.
_FOR_FRAUD = frozenset({"block_card", "refund"})


@dataclass(frozen=True, slots=True)
class Analysts:
    """They decide what waits; where one is not enough, both do."""

    desks: list[Approvals]

    def decide(self, case_of: Mapping[str, str], truth: Mapping[str, bool]) -> int:
        """Decides on all that waits now, and answers how many that were.

        ``case_of``: the transaction by the case; ``truth``: whether a transaction was a fraud.
        """
        waiting = self.desks[0].waiting()
        for action in waiting:
            is_fraud = truth[case_of[action["caseId"]]]
            is_right = is_fraud == (action["action"] in _FOR_FRAUD)
            decision = "approve" if is_right else "reject"
            decide_together(self.desks, action["actionId"], decision, "By the simulation's truth.")
        return len(waiting)


def analysts(stack: Stack) -> Analysts:
    """Two made-up analysts of the stack, signed in."""
    cognito, pool = stack.client("cognito-idp"), user_pool(stack.outputs)
    desks = []
    for _ in range(2):
        name = f"analyst-{uuid4().hex[:8]}"
        password = create_person(cognito, pool, Person(name, "analyst", ""))
        desks.append(Approvals(ask, stack.outputs["ApprovalsUrl"], sign_in(cognito, pool, name, password)))
    return Analysts(desks)
