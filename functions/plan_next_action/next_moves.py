"""Which moves an investigation may make next, and what each of them means: the rules that no model can talk away.

A model chooses among the moves that are allowed and says nothing else: the ids in a move's arguments are the case's
own. A fraud is never confirmed without a person: that verdict is open only once an analyst approved that the card is
blocked, or the payment paid back. A payment is called genuine only once it was released. What an analyst rejected, or
nobody decided on, is a person's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from backbone.cases import Reason
from backbone.investigations import Investigation, Kind, Outcome, Step, Verdict

BLOCK_CARD, REFUND, RELEASE = "block_card", "refund", "release_transaction"
ASK_PERSON = "ask_person"
# nothing_to_do: the card was blocked meanwhile, for whatever reason.
_CARRIED_OUT: tuple[Outcome, ...] = ("done", "approved", "nothing_to_do")
_TURNED_DOWN: dict[Outcome, Reason] = {"rejected": "rejected", "expired": "expired"}
# How far back the card's payments are listed.
_LISTED_DAYS = "30"


@dataclass(frozen=True, slots=True)
class Move:
    """A move that is allowed: its name, what a model is told of it, and what it does.

    ``tool`` runs with ``arguments``; a move without one ends the investigation, with ``verdict`` or for a person.
    """

    name: str
    kind: Kind
    description: str
    tool: str | None = None
    arguments: dict[str, str] = field(default_factory=dict)
    verdict: Verdict | None = None


def allowed_moves(investigation: Investigation, steps: Sequence[Step]) -> tuple[Move, ...]:
    """The moves that may come after ``steps``, of which there is at least the first; to ask a person always may."""
    made = {step.move: step.outcome for step in steps}
    if any(outcome in _TURNED_DOWN for outcome in made.values()):
        return (_ask_person(),)
    look_ups = [move for move in _look_ups(investigation) if move.name not in made]
    return (*look_ups, *_changes(investigation, made), *_verdicts(made), _ask_person())


def why_nothing_is_left(steps: Sequence[Step]) -> tuple[Reason, str]:
    """Why only a person can go on, as a reason and in words."""
    for step in steps:
        if step.outcome == "rejected":
            return "rejected", f"An analyst rejected what was proposed ({step.move}), so a person decides what follows."
        if step.outcome == "expired":
            return "expired", f"Nobody decided in time on what was proposed ({step.move}), so a person must look."
    return "asked", "Nothing is left that an agent may do."


def _look_ups(investigation: Investigation) -> tuple[Move, ...]:
    about = {"transactionId": investigation.transaction_id}
    listed = {"cardId": investigation.card_id, "days": _LISTED_DAYS}
    return (
        Move(
            "review_card",
            "look_up",
            "Compares the payment with the card's own payments before it, and tells of others that were flagged.",
            "review_card",
            about,
        ),
        Move(
            "review_terminal",
            "look_up",
            "Tells how many payments at the terminal were frauds, and how many others were flagged there lately.",
            "review_terminal",
            about,
        ),
        Move(
            "review_past_cases",
            "look_up",
            "Tells how the customer's earlier cases ended.",
            "review_past_cases",
        ),
        Move("list_transactions", "look_up", "Lists the card's newest payments.", "list_transactions", listed),
    )


def _changes(investigation: Investigation, made: dict[str, Outcome | None]) -> list[Move]:
    about = {"transactionId": investigation.transaction_id}
    moves = []
    if BLOCK_CARD not in made and RELEASE not in made:
        moves += [
            Move(
                BLOCK_CARD,
                "act",
                "For a payment that was a fraud: proposes to an analyst that the card is blocked.",
                BLOCK_CARD,
                {"cardId": investigation.card_id, "reason": "fraud"},
            ),
            Move(
                RELEASE,
                "act",
                "For a payment that was genuine: releases it, so that it counts as suspicious no more.",
                RELEASE,
                about,
            ),
        ]
    if made.get(BLOCK_CARD) in _CARRIED_OUT and REFUND not in made:
        moves.append(
            Move(REFUND, "act", "For a fraud: proposes to an analyst that the payment is paid back.", REFUND, about)
        )
    return moves


def _verdicts(made: dict[str, Outcome | None]) -> list[Move]:
    moves = []
    if "approved" in (made.get(BLOCK_CARD), made.get(REFUND)):
        moves.append(
            Move(
                "verdict_confirmed_fraud",
                "conclude",
                "Closes the case: the payment was a fraud, and all that follows was done.",
                verdict="confirmed_fraud",
            )
        )
    if made.get(RELEASE) in _CARRIED_OUT:
        moves.append(
            Move(
                "verdict_genuine",
                "conclude",
                "Closes the case: the payment was genuine, and it was released.",
                verdict="genuine",
            )
        )
    return moves


def _ask_person() -> Move:
    return Move(ASK_PERSON, "ask_person", "Gives the case to a person, where the facts do not decide it.")
