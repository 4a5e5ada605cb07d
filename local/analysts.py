"""Two made-up analysts who know the simulation's truth and decide by it, through the same API as anybody.

They approve what is right. The demo has them (``investigation_flow``), and so has ``evaluation.investigation``.
"""

from collections.abc import Iterator, Mapping, Sequence
from uuid import uuid4

from local.api_client import ask
from local.approvals import Approvals, View, decide_together
from local.people import Person, create_person, sign_in, user_pool
from local.stack import Stack

# What is proposed of a payment that was a fraud; all else is proposed of one that was genuine.
_FOR_FRAUD = frozenset({"block_card", "refund"})


def made_up_analysts(stack: Stack) -> list[Approvals]:
    """The two, signed in: where one is not enough, both decide."""
    cognito, pool = stack.client("cognito-idp"), user_pool(stack.outputs)
    desks = []
    for _ in range(2):
        name = f"made-up-analyst-{uuid4().hex[:8]}"
        password = create_person(cognito, pool, Person(name, "analyst", ""))
        desks.append(Approvals(ask, stack.outputs["ApprovalsUrl"], sign_in(cognito, pool, name, password)))
    return desks


def decide_by_truth(
    desks: Sequence[Approvals], is_fraud: Mapping[str, bool], note: str
) -> Iterator[tuple[View, str | None]]:
    """Decides on what waits now about the cases of ``is_fraud``, one action after the other as they are asked for.

    ``is_fraud``: by case, whether its payment was a fraud. Each action comes with its status then, None where it was
    over before. Raises ApiError.
    """
    for action in desks[0].waiting():
        case_id = action.get("caseId", "")
        if case_id not in is_fraud:
            continue
        is_right = is_fraud[case_id] == (action["action"] in _FOR_FRAUD)
        decision = "approve" if is_right else "reject"
        yield action, decide_together(desks, action["actionId"], decision, note)
