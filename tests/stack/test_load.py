"""Twenty thousand transactions, some sent twice, some that are none: each ends once, as a row or in the quarantine."""

import base64
import json
import os
import random
from collections import Counter

import pytest

from features import SECONDS_PER_DAY, CardProfile, TerminalProfile, add_to_card, card_from_dict
from fraud_model import FraudModel
from local.traffic import Traffic, backfill, entry, expected_verdicts, make_traffic, put_entries
from tests.engine.waiting import wait_until
from tests.stack.deployed import Stack, now
from tests.stack.observers import BusObserver

TRANSACTIONS = int(os.environ.get("BACKBONE_LOAD_TRANSACTIONS", "20000"))
BAD_RECORDS = 100
SENT_TWICE = 0.05
CUSTOMERS = 2_300


@pytest.mark.timeout(900)
def test_every_record_ends_once_and_flags_counters_and_events_equal_the_recomputation(
    stack: Stack, model: FraudModel, bus: BusObserver
) -> None:
    traffic = make_traffic(customers=CUSTOMERS, transactions=TRANSACTIONS, now=now(), seed=3)
    dynamodb, profiles = stack.client("dynamodb"), stack.outputs["ProfilesTableName"]
    backfill(dynamodb, profiles, traffic.history, now())
    expected = expected_verdicts(traffic, model)

    choice = random.Random(3)  # noqa: S311 - repeatable, not secret
    entries = []
    for transaction in traffic.transactions:
        entries.append(entry(transaction))
        if choice.random() < SENT_TWICE:
            entries.append(entry(transaction))
    for number in range(BAD_RECORDS):
        bad = {"Data": b'{"transactionId": "BAD-%d"}' % number, "PartitionKey": f"CARD-{number:06d}"}
        entries.insert(choice.randrange(len(entries)), bad)
    put_entries(stack.client("kinesis"), stack.outputs["TransactionsStreamName"], entries)

    # The last of each shard is among the last hundreds; what came before it on its shard was done before it.
    for transaction in traffic.transactions[-200:]:
        stack.row(transaction.transaction_id, seconds=600)
    rows = stack.rows()
    assert expected.keys() - rows.keys() == set()
    flagged = {key for key, verdict in expected.items() if verdict.flagged}
    assert {key for key in expected if rows[key]["flagged"]} == flagged
    assert [key for key, verdict in expected.items() if abs(float(rows[key]["score"]) - verdict.score) > 1e-6] == []

    assert quarantined(stack) == {f"BAD-{number}": 1 for number in range(BAD_RECORDS)}
    assert stack.depth("ScoreTransactionsDeadLetterQueue") == 0

    def published() -> Counter[str]:
        bus.poll()
        events = [event for event in bus.seen if event["detail-type"] == "TransactionFlagged"]
        return Counter(event["detail"]["data"]["transactionId"] for event in events)

    wait_until(lambda: published().keys() >= flagged, 60, f"{len(flagged)} TransactionFlagged")
    assert published() == dict.fromkeys(flagged, 1)
    assert_profiles_are_as_after_one_clean_pass(stack, traffic)


def quarantined(stack: Stack) -> Counter[str]:
    """What is in the quarantine of this test's bad records, by their id; takes it out."""
    queue, found = stack.queue("TransactionQuarantineQueue"), Counter[str]()
    while found.total() < BAD_RECORDS:
        for message in queue.receive(1, 60):
            data = base64.b64decode(json.loads(message["Body"]).get("data", ""))
            if b'"BAD-' in data:
                found[json.loads(data)["transactionId"]] += 1
    assert stack.depth("TransactionQuarantineQueue") == 0
    return found


def assert_profiles_are_as_after_one_clean_pass(stack: Stack, traffic: Traffic) -> None:
    """No counter was added to twice and none was missed: cards to the last bucket, terminals on the streamed days."""
    cards = dict(traffic.history.cards)
    terminals: Counter[tuple[str, int]] = Counter()
    for one in traffic.transactions:
        cards[one.card_id] = add_to_card(cards.get(one.card_id, CardProfile()), one)
        terminals[one.terminal_id, one.occurred_at // SECONDS_PER_DAY] += 1
    items = stack.items("ProfilesTableName", "profileId")
    streamed = {one.card_id for one in traffic.transactions}
    assert [
        card for card in streamed if card_from_dict(json.loads(items[f"card#{card}"]["profile"])) != cards[card]
    ] == []
    before = traffic.history.terminals
    assert {(terminal, day): int(items[f"terminal#{terminal}"][f"n{day}"]) for terminal, day in terminals} == {
        (terminal, day): count + before.get(terminal, TerminalProfile()).days.get(day, (0, 0))[0]
        for (terminal, day), count in terminals.items()
    }
