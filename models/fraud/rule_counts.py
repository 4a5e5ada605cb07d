"""How often the rules beside the model fire on simulated traffic, on what is genuine and on what is fraud."""

from collections import Counter
from dataclasses import dataclass

from features import CardProfile, add_to_card
from fraud_rules import evaluate_rules
from models.fraud.evaluate import days_of
from models.fraud.simulate import World, labelled_transactions


@dataclass(frozen=True, slots=True)
class RuleCounts:
    """Transactions that were judged, and how often each rule (by code) fired on the genuine and on the fraudulent."""

    genuine: int
    fraudulent: int
    fired_on_genuine: dict[str, int]
    fired_on_fraud: dict[str, int]


def count_findings(world: World, first_day: int, last_day: int) -> RuleCounts:
    """Replay the world from its beginning and count findings from ``first_day`` to ``last_day``, both included."""
    cards: dict[str, CardProfile] = {}
    day = days_of(world)
    judged: Counter[bool] = Counter()
    fired: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for position, (transaction, is_fraud, _) in enumerate(labelled_transactions(world)):
        card = cards.get(transaction.card_id, CardProfile())
        if first_day <= day[position] <= last_day:
            judged[is_fraud] += 1
            fired[is_fraud].update(finding.code for finding in evaluate_rules(card, transaction))
        cards[transaction.card_id] = add_to_card(card, transaction)
    return RuleCounts(
        judged[False], judged[True], dict(sorted(fired[False].items())), dict(sorted(fired[True].items()))
    )
