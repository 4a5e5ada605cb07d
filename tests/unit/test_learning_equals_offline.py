"""Labels that arrive through learn_from_outcome, in any order, make the features that the model was trained on.

The whole online path on DynamoDB (moto): scoring with its own store, and for each fraud a case that is closed and
learned at some moment before a transaction may look at it; some are closed wrongly first. The offline path is
training's own, and shares nothing with it but the features' names.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from backbone.contracts import Event, parse
from features import FEATURE_NAMES, LABEL_DELAY_DAYS, SECONDS_PER_DAY, TERMINAL_DAYS_KEPT
from label_rows import LabelRows
from models.fraud.offline_features import offline_features
from models.fraud.simulate import (
    LabelledTransaction,
    World,
    WorldParameters,
    as_stream_record,
    labelled_transactions,
    simulate,
)
from outcome_learning import learn
from scoring import score_batch
from stream_records import StreamRecord
from tests.unit.case_builder import a_closed_case
from tests.unit.fake_adapters import FakeBus, FakeQuarantine
from tests.unit.resources import Resources
from transaction_store import CHUNK_SIZE, TransactionStore

PARAMETERS = WorldParameters(customers=4, terminals=2, days=TERMINAL_DAYS_KEPT + 5, seed=5)


@dataclass(frozen=True)
class NoModel:
    """Scores nothing and flags by rules alone: this is about features."""

    version: str = "none"
    threshold: float = 1.0
    reference_row: tuple[float, ...] = (0.0,) * len(FEATURE_NAMES)

    def score(self, rows: Sequence[Sequence[float]]) -> list[float]:
        return [0.0] * len(rows)


def a_world(chance: random.Random) -> World:
    """A small world in which every sixth transaction is a fraud: the simulation's own are too few at this size."""
    world = simulate(PARAMETERS)
    return replace(world, scenario=np.array([int(chance.random() < 1 / 6) for _ in range(len(world))]))


def closings_of(one: LabelledTransaction, chance: random.Random) -> list[Event]:
    """Cases about a transaction in the order in which they come: the last one closed says the truth.

    Every fraud has one; every tenth transaction had another case before, which said the opposite.
    """
    was_wrong = chance.random() < 1 / 10
    if not one.is_fraud and not was_wrong:
        return []
    verdicts = ["confirmed_fraud", "genuine"] if one.is_fraud else ["genuine", "confirmed_fraud"]
    cases = [
        a_closed_case(one.transaction.transaction_id, verdict, minute=minute, customerId=one.transaction.customer_id)
        for minute, verdict in ((1, verdicts[0]), (0, verdicts[1]))[: 2 if was_wrong else 1]
    ]
    cases += chance.sample(cases, 1)  # one comes twice
    chance.shuffle(cases)
    return [parse("CaseClosed", envelope) for envelope in cases]


def score_day(store: TransactionStore, transactions: Sequence[LabelledTransaction]) -> None:
    """Scores a day's transactions as the function does."""
    model, bus, quarantine = NoModel(), FakeBus(), FakeQuarantine()
    for start in range(0, len(transactions), 100):
        records = [
            StreamRecord(
                event_id=f"shard:{one.transaction.transaction_id}",
                sequence_number=one.transaction.transaction_id,
                partition_key=one.transaction.card_id,
                arrived_at=one.transaction.occurred_at + 1.0,
                data=json.dumps(as_stream_record(one.transaction)).encode(),
            )
            for one in transactions[start : start + 100]
        ]
        result = score_batch(
            records,
            store=store,
            score=model.score,
            facts=model,
            bus=bus,
            quarantine=quarantine,
            chunk_size=CHUNK_SIZE,
            now=records[-1].arrived_at,
        )
        assert (result.scored, result.failed_from) == (len(records), None)


def test_online_features_equal_the_offline_ones_when_labels_arrive_through_cases(
    resources: Resources,
) -> None:
    chance = random.Random(1)  # noqa: S311 - repeatable, keeps no secret
    world, dynamodb = a_world(chance), resources.client("dynamodb")
    store = TransactionStore(dynamodb, "transactions", "profiles", 90)
    labels = LabelRows(dynamodb, "transactions", "profiles")
    waiting: list[tuple[int, list[Event]]] = []
    learned = 0
    stream = list(labelled_transactions(world))
    for day, of_day in groupby(stream, key=lambda one: one.transaction.occurred_at // SECONDS_PER_DAY):
        # What is due is learned by now; of what is not, some comes early and must not be seen before its time.
        due = [one for one in waiting if one[0] <= day - LABEL_DELAY_DAYS or chance.random() < 1 / 4]
        waiting = [one for one in waiting if one not in due]
        for event in (event for _, events in due for event in events):
            learned += learn(event, labels) == "learned"
        transactions = list(of_day)
        score_day(store, transactions)
        waiting += [(day, events) for one in transactions if (events := closings_of(one, chance))]

    assert learned > 50
    rows: dict[str, Any] = {row["transactionId"]["S"]: row for row in all_rows(dynamodb)}
    explained = [json.loads(rows[one.transaction.transaction_id]["explanation"]["S"])["features"] for one in stream]
    online = np.array([[features[name] for name in FEATURE_NAMES] for features in explained])
    offline = offline_features(world)
    assert np.array_equal(online, offline)
    assert (offline[:, FEATURE_NAMES.index("terminal_risk_7d")] > 0).sum() > 100


def all_rows(dynamodb: Any) -> list[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName="transactions")
    return [row for page in pages for row in page["Items"]]
