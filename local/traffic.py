"""Made-up card traffic for the demo, the load test and the benchmark: a past to backfill, and transactions to stream.

The world comes from ``models.fraud.simulate``. Its clock is set so that the stretch to be streamed ends now; what lies
before it is the past that a bank would load into its feature store before going live.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import batched
from typing import Any
from uuid import uuid4

from backbone.contracts import timestamp
from features import SECONDS_PER_DAY, CardProfile, TerminalProfile, add_to_card, compute_features
from fraud_model import FraudModel
from fraud_rules import evaluate_rules
from models.fraud.history import History, history_until
from models.fraud.simulate import (
    CURRENCY,
    LabelledTransaction,
    WorldParameters,
    as_stream_record,
    card_id,
    customer_id,
    labelled_transactions,
    position_at,
    simulate,
)
from stream_records import MAXIMUM_AGE_SECONDS
from transaction import Transaction
from transaction_store import card_item, terminal_item
from verdict import Candidate, Verdict, decide

HISTORY_DAYS = 44  # the widest window (30 days), the label delay (7) and a week more
_RECORDS_PER_CALL = 500  # Kinesis PutRecords
_ITEMS_PER_CALL = 25  # DynamoDB BatchWriteItem
_WRITERS = 4
_USUAL_DAYS = 10
_SMALL_MINOR = (1_000, 8_000)
_PAYMENTS_A_DAY = 3  # at a terminal of these small worlds


@dataclass(frozen=True, slots=True)
class Traffic:
    """The past as profiles, and the transactions to stream, in order of time, with their truth.

    ``past_flags`` are rows of flagged payments of the past that were looked into.
    """

    history: History
    live: Sequence[LabelledTransaction]
    past_flags: Sequence[dict[str, Any]] = ()

    @property
    def transactions(self) -> list[Transaction]:
        return [labelled.transaction for labelled in self.live]


def make_traffic(*, customers: int, transactions: int, now: float, seed: int) -> Traffic:
    """Traffic of ``customers`` cards whose last ``transactions`` happen in the days up to ``now`` (epoch seconds).

    A customer makes two transactions a day on average, so the stretch lasts some ``transactions / (2 x customers)``
    days; ValueError where the first of them would be too old for the stream.
    """
    days = HISTORY_DAYS + 7
    parameters = WorldParameters(
        customers=customers,
        terminals=2 * customers,
        days=days,
        start=int(now) - days * SECONDS_PER_DAY,
        seed=seed,
    )
    world = simulate(parameters)
    end = position_at(world, int(now))
    first = end - transactions
    cut = int(world.occurred_at[first])
    if first < 0 or now - cut > MAXIMUM_AGE_SECONDS:
        raise ValueError(
            f"{transactions} transactions of {customers} customers reach too far back; take more customers"
        )
    return Traffic(history_until(world, cut), list(labelled_transactions(world, position_at(world, cut), end)))


def with_a_mended_terminal(traffic: Traffic, before: int, now: float) -> Traffic:
    """The traffic, with a past in which the terminal of one payment before position ``before`` was tampered with.

    All payments there were frauds until eight days ago. It was mended since: what was flagged there in the last days
    was looked into, and was genuine. The fraud model learns of that a week late and flags the payment, which is a usual
    one of its customer; who looks into it can know better. ``now`` in epoch seconds.
    """
    cards, today = traffic.history.cards, int(now) // SECONDS_PER_DAY
    payment = next(
        one.transaction
        for one in traffic.live[:before]
        if not one.is_fraud
        and _SMALL_MINOR[0] <= one.transaction.amount_minor <= _SMALL_MINOR[1]
        and len(cards.get(one.transaction.card_id, CardProfile()).days) >= _USUAL_DAYS
    )
    terminal = TerminalProfile(
        {
            day: (_PAYMENTS_A_DAY, _PAYMENTS_A_DAY if day in range(today - 24, today - 7) else 0)
            for day in range(today - 35, today)
        }
    )
    history = replace(traffic.history, terminals=traffic.history.terminals | {payment.terminal_id: terminal})
    past = [past_flag_item(payment.terminal_id, payment.occurred_at - days * SECONDS_PER_DAY) for days in (1, 2, 4)]
    return replace(traffic, history=history, past_flags=past)


def past_flag_item(terminal_id: str, occurred_at: int) -> dict[str, Any]:
    """The row of a payment that was flagged at a terminal at ``occurred_at`` (epoch seconds), and was genuine.

    As scoring and learn_from_outcome leave one, but that it came by no stream: that takes no record so old.
    """
    fresh = uuid4().hex
    texts = {
        "transactionId": f"TX-PAST-{fresh}",
        "cardId": f"CARD-{fresh[:12]}",
        "customerId": f"CUST-{fresh[:12]}",
        "terminalId": terminal_id,
        "flaggedTerminalId": terminal_id,
        "currency": CURRENCY,
        "severity": "high",
        "label": "genuine",
        "labelCaseId": str(uuid4()),
        "labelledAt": timestamp(occurred_at + 3_600),
    }
    numbers = {"amountMinor": 1_900, "occurredAt": occurred_at, "score": 0.8}
    item: dict[str, Any] = {name: {"S": value} for name, value in texts.items()}
    item |= {name: {"N": str(value)} for name, value in numbers.items()}
    return item | {"flagged": {"BOOL": True}}


def backfill_flags(dynamodb: Any, table: str, traffic: Traffic) -> None:
    """Writes the past's flagged payments into the Transactions table."""
    _write(dynamodb, table, traffic.past_flags)


def backfill(dynamodb: Any, table: str, history: History, now: float) -> int:
    """Writes ``history`` into the Profiles table (boto3 "dynamodb" client); returns the number of items."""
    items = [card_item(card, profile, 1, now) for card, profile in history.cards.items()]
    items += [terminal_item(terminal, profile, now) for terminal, profile in history.terminals.items()]

    _write(dynamodb, table, items)
    return len(items)


def backfill_cards(dynamodb: Any, table: str, customers: int) -> int:
    """Writes the cards of a world's ``customers`` into the Cards table, all active; returns the number of items.

    Whose a card is comes from the simulation that its transactions come from.
    """
    items = [_card(card_id(customer), customer_id(customer)) for customer in range(customers)]
    _write(dynamodb, table, items)
    return len(items)


def _card(card: str, customer: str) -> dict[str, Any]:
    return {
        "cardId": {"S": card},
        "customerId": {"S": customer},
        "label": {"S": f"Debit card ending {card[-4:]}"},
        "status": {"S": "active"},
        "version": {"N": "1"},
    }


def _write(dynamodb: Any, table: str, items: Sequence[dict[str, Any]]) -> None:
    def write(batch: Sequence[dict[str, Any]]) -> None:
        request: Mapping[str, Any] = {table: [{"PutRequest": {"Item": item}} for item in batch]}
        while request:
            request = dynamodb.batch_write_item(RequestItems=request).get("UnprocessedItems", {})

    with ThreadPoolExecutor(_WRITERS) as writers:
        for _ in writers.map(write, batched(items, _ITEMS_PER_CALL, strict=False)):
            pass


def entry(transaction: Transaction) -> dict[str, Any]:
    """The PutRecords entry of a transaction: its JSON under its card as partition key."""
    data = json.dumps(as_stream_record(transaction), separators=(",", ":")).encode()
    return {"Data": data, "PartitionKey": transaction.card_id}


def put_entries(
    kinesis: Any, stream: str, entries: Iterable[dict[str, Any]], on_put: Callable[[int], None] = lambda _: None
) -> None:
    """Puts ``entries`` on ``stream`` in order; what Kinesis did not take is put again, with a growing wait."""
    for batch in batched(entries, _RECORDS_PER_CALL, strict=False):
        pending = list(batch)
        for attempt in range(8):
            answer = kinesis.put_records(StreamName=stream, Records=pending)
            pending = [
                record for record, result in zip(pending, answer["Records"], strict=True) if "ErrorCode" in result
            ]
            if not pending:
                break
            time.sleep(0.05 * 2**attempt)
        if pending:
            raise RuntimeError(f"Kinesis did not take {len(pending)} records of {stream} after 8 attempts")
        on_put(len(batch))


def expected_verdicts(traffic: Traffic, model: FraudModel) -> dict[str, Verdict]:
    """What each live transaction must be judged, recomputed in one pass in memory, by transaction id."""
    cards = dict(traffic.history.cards)
    candidates = []
    for transaction in traffic.transactions:
        card = cards.get(transaction.card_id, CardProfile())
        terminal = traffic.history.terminals.get(transaction.terminal_id, TerminalProfile())
        candidates.append(
            Candidate(
                transaction.transaction_id,
                compute_features(card, terminal, transaction),
                evaluate_rules(card, transaction),
            )
        )
        cards[transaction.card_id] = add_to_card(card, transaction)
    return {verdict.transaction_id: verdict for verdict in decide(candidates, model.score, model)}
