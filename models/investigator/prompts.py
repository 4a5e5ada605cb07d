"""The prompt of an investigation, as plan_next_action writes it: what the investigator reads, in training as in use."""

from collections.abc import Iterable, Sequence

from backbone.investigations import fact_id
from local.models.investigation_facts import DONE, GOAL, KNOWN, MOVES
from models.investigator.replay import ReplayedCase

PERCEIVED = "explain_flag"


def prompt(case: ReplayedCase, done: Sequence[tuple[str, str]], moves: Iterable[str]) -> tuple[str, list[str]]:
    """The text after the steps ``done`` (move, outcome), and the ids of the facts in it."""
    facts: dict[str, str] = {}
    for step, (move, _) in enumerate(done, 1):
        for number, sentence in enumerate(case.facts.get(move, ()), 1):
            if sentence not in facts.values():
                facts[fact_id(step, number)] = sentence
    paid = f"paid with {case.card_id} at terminal {case.terminal_id}"
    whether = f"whether transaction {case.transaction_id} of customer {case.customer_id}, {paid}, was a fraud"
    lines = [
        f"{GOAL} Decide {whether}, and do what follows from it.",
        "",
        KNOWN,
        *(f"[{identity}] {sentence}" for identity, sentence in facts.items()),
        "",
        DONE,
        *(f"{step}. {move}: {outcome}" for step, (move, outcome) in enumerate(done, 1)),
        "",
        MOVES,
        *(f"- {move}: {move.replace('_', ' ')}" for move in moves),
    ]
    return "\n".join(lines), list(facts)
