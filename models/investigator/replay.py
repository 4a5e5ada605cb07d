"""A simulated world replayed through the real fraud model, rules and tools: the cases that come of it, with the truth.

Days of a world: 0 .. 44 fill the profiles, as a bank would before going live. From day 45 on each transaction is scored
and kept. A case of the first two weeks after that is one of a young stack, which has few rows and labels yet; both
kinds are learned from, and told apart in the figures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from evidence_tools import review_card, review_past_cases, review_terminal
from features import (
    LABEL_DELAY_DAYS,
    SECONDS_PER_DAY,
    CardProfile,
    TerminalProfile,
    add_known_fraud,
    add_to_card,
    compute_features,
)
from fraud_model import FraudModel
from fraud_rules import evaluate_rules
from models.fraud.history import history_until
from models.fraud.simulate import (
    LabelledTransaction,
    World,
    WorldParameters,
    labelled_transactions,
    position_at,
    simulate,
)
from models.investigator.bank import INVESTIGATED, Bank, Registry
from tool_session import AGENT, Session
from transaction import Transaction
from transaction_tools import explain_flag
from verdict import Candidate, Verdict, decide

HISTORY_DAYS = 45
LIVE_DAYS = 28
YOUNG_DAYS = 14
_BATCH = 500

type Facts = dict[str, tuple[str, ...]]
"""What each look-up answers, by the tool's name; explain_flag is what every investigation begins with."""


@dataclass(frozen=True, slots=True)
class ReplayedCase:
    """A flagged transaction of severity medium or high, the facts that can be had about it, and the truth."""

    transaction_id: str
    customer_id: str
    card_id: str
    terminal_id: str
    score: float
    is_fraud: bool
    scenario: int
    is_young: bool
    facts: Facts


def a_world(seed: int, customers: int = 1_000, live_days: int = LIVE_DAYS) -> WorldParameters:
    """A world with two terminals a customer, as the fraud model's."""
    return WorldParameters(customers=customers, terminals=2 * customers, days=HISTORY_DAYS + live_days, seed=seed)


def replayed_cases(parameters: WorldParameters, model: FraudModel, *, learns: bool = True) -> Iterator[ReplayedCase]:
    """The cases of a world, in order of time, of a bank that ``learns`` (``Bank``) or does not."""
    young_until = parameters.start + (HISTORY_DAYS + YOUNG_DAYS) * SECONDS_PER_DAY
    for labelled, verdict, bank in replayed(parameters, model, learns=learns):
        if verdict.flagged and verdict.severity in INVESTIGATED:
            yield _case(labelled, verdict, bank, is_young=bank.now < young_until)


def replayed(
    parameters: WorldParameters, model: FraudModel, *, learns: bool = True
) -> Iterator[tuple[LabelledTransaction, Verdict, Bank]]:
    """Each live transaction of a world with its verdict, and the bank as it is in the moment after (it moves on)."""
    world = simulate(parameters)
    cut = parameters.start + HISTORY_DAYS * SECONDS_PER_DAY
    history = history_until(world, cut)
    terminals = _with_all_frauds(world, cut, history.terminals) if learns else dict(history.terminals)
    bank = Bank(dict(history.cards), terminals, learns)
    cards = dict(history.cards)
    for batch in batched(labelled_transactions(world, position_at(world, cut)), _BATCH, strict=False):
        candidates, after = _candidates(batch, cards, bank)
        for labelled, verdict, card_after in zip(batch, decide(candidates, model.score, model), after, strict=True):
            bank.take(labelled, verdict, card_after)
            yield labelled, verdict, bank


def _with_all_frauds(world: World, cut: int, terminals: Mapping[str, TerminalProfile]) -> dict[str, TerminalProfile]:
    """Terminals with the frauds whose labels come after ``cut`` too; nobody looks at them before they would have come.

    A feature's window ends seven days before its transaction, and ``Bank`` holds back what is younger.
    """
    complete = dict(terminals)
    known = cut // SECONDS_PER_DAY - LABEL_DELAY_DAYS
    first = position_at(world, (known + 1) * SECONDS_PER_DAY)
    for transaction, is_fraud, _ in labelled_transactions(world, first, position_at(world, cut)):
        if is_fraud:
            terminal = complete[transaction.terminal_id]
            complete[transaction.terminal_id] = add_known_fraud(terminal, transaction.occurred_at)
    return complete


def _candidates(
    batch: Sequence[LabelledTransaction], cards: dict[str, CardProfile], bank: Bank
) -> tuple[list[Candidate], list[CardProfile]]:
    """What is to be decided on, and each card's profile after its transaction; ``cards`` moves on."""
    candidates, after = [], []
    for transaction, _, _ in batch:
        card = cards.get(transaction.card_id, CardProfile())
        terminal = bank.terminals.get(transaction.terminal_id, TerminalProfile())
        features = compute_features(card, terminal, transaction)
        candidates.append(Candidate(transaction.transaction_id, features, evaluate_rules(card, transaction)))
        cards[transaction.card_id] = add_to_card(card, transaction)
        after.append(cards[transaction.card_id])
    return candidates, after


def _case(labelled: LabelledTransaction, verdict: Verdict, bank: Bank, *, is_young: bool) -> ReplayedCase:
    transaction = labelled.transaction
    return ReplayedCase(
        transaction_id=transaction.transaction_id,
        customer_id=transaction.customer_id,
        card_id=transaction.card_id,
        terminal_id=transaction.terminal_id,
        score=verdict.score,
        is_fraud=labelled.is_fraud,
        scenario=labelled.scenario,
        is_young=is_young,
        facts=_facts(transaction, bank),
    )


def _facts(about: Transaction, bank: Bank) -> Facts:
    """What the tools say of a transaction in the moment after it was scored."""
    case_id = bank.case_about(about).case_id
    session = Session(AGENT, AGENT, about.customer_id, case_id, 1, about.transaction_id, case_id)
    identity, cards = about.transaction_id, Registry()
    answers = {
        "explain_flag": explain_flag(session, identity, transactions=bank, cards=cards, now=bank.now),
        "review_card": review_card(session, identity, transactions=bank, history=bank, counters=bank, cards=cards),
        "review_terminal": review_terminal(session, identity, transactions=bank, history=bank, counters=bank),
        "review_past_cases": review_past_cases(session, cases=bank, now=bank.now),
    }
    return {tool: answer.facts for tool, answer in answers.items()}
