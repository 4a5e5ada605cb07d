"""The transaction flow as a client sees it: what must happen, streamed to the stack and watched hop by hop.

What must be flagged is computed first, with the functions' own code (``local.traffic.expected_verdicts``); then the
transactions are put on the stream, and each flagged one is followed: its row, ``TransactionFlagged`` on the bus, the
``CaseOpened`` of its investigation, the notice in the customer's inbox, ``CustomerNotified``. A time is when this
client saw the fact, in seconds of the monotonic clock.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

import fraud_model
from local.bus_queue import bus_queue
from local.process import PROJECT
from local.stack import Stack, depth
from local.traffic import (
    Traffic,
    entry,
    expected_verdicts,
    make_traffic,
    put_entries,
    with_a_mended_terminal,
)
from transaction import Transaction
from verdict import Verdict

CUSTOMERS = 300
PLAYED_TRANSACTIONS = 400
_SEEDS = (4, *range(5, 25))  # the first has frauds of every kind on most days
_MODEL = PROJECT / "functions" / "score_transactions" / "fraud_model.json"
_ALERTING = ("medium", "high")  # the severities that the subscriptions in template.yaml ask for
_EVIDENT_SCORE = 0.9
_SLICE = 20
_SLICES_PER_SECOND = 10
_PATIENCE_SECONDS = 30.0
_KEYS_PER_READ = 100  # DynamoDB BatchGetItem
_LONG_SECONDS = 3600  # a message that was seen stays out of sight until it is deleted
_BETWEEN_LOOKS_SECONDS = 0.01

ROW, FLAGGED, OPENED, NOTICE, NOTIFIED = "row", "TransactionFlagged", "CaseOpened", "notice", "CustomerNotified"
HOPS = (ROW, FLAGGED, OPENED, NOTICE, NOTIFIED)

type Envelope = dict[str, Any]


class FlowError(Exception):
    """What was to be shown cannot be; the message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be streamed - ``played`` at once, ``trickled`` later - and how each must be judged, by its id."""

    traffic: Traffic
    verdicts: dict[str, Verdict]
    played: Sequence[Transaction]
    trickled: Sequence[Transaction]
    model_version: str

    @property
    def frauds(self) -> dict[str, bool]:
        """The simulation's truth about each transaction, by its id."""
        return {one.transaction.transaction_id: one.is_fraud for one in self.traffic.live}


@dataclass
class Journey:
    """A transaction that must be flagged, and when each hop of it was seen."""

    transaction: Transaction
    verdict: Verdict
    put_at: float = 0.0
    seen: dict[str, float] = field(default_factory=dict)
    events: dict[str, Envelope] = field(default_factory=dict)

    @property
    def expected(self) -> tuple[str, ...]:
        """The hops that must come, in order; nobody subscribes to what is of low severity."""
        return HOPS if _is_alerting(self.verdict) else HOPS[:2]

    @property
    def missing(self) -> list[str]:
        return [hop for hop in self.expected if hop not in self.seen]

    def before(self, hop: str) -> float:
        """When the hop before ``hop`` was seen, or the transaction was put."""
        return max([self.put_at, *(at for at in self.seen.values() if at < self.seen[hop])])


class Sighting(NamedTuple):
    journey: Journey
    hop: str
    at: float


def make_plan(now: float, trickled: int = 0) -> Plan:
    """A plan whose alerts are worth investigating: an evident fraud among them, and a payment that was genuine.

    FlowError where no seed gives one.
    """
    model = fraud_model.load(_MODEL)
    for seed in _SEEDS:
        traffic = with_a_mended_terminal(
            make_traffic(customers=CUSTOMERS, transactions=PLAYED_TRANSACTIONS + trickled, now=now, seed=seed),
            before=PLAYED_TRANSACTIONS,
            now=now,
        )
        transactions = traffic.transactions
        verdicts = expected_verdicts(traffic, model)
        played = transactions[:PLAYED_TRANSACTIONS]
        plan = Plan(traffic, verdicts, played, transactions[PLAYED_TRANSACTIONS:], model.version)
        alerting = [one.transaction_id for one in played if _is_alerting(verdicts[one.transaction_id])]
        evident = [one for one in alerting if plan.frauds[one] and verdicts[one].score >= _EVIDENT_SCORE]
        if evident and any(not plan.frauds[one] for one in alerting):
            return plan
    raise FlowError("None of the made-up worlds has what is to be shown. Is fraud_model.json the right one?")


def _is_alerting(verdict: Verdict) -> bool:
    return verdict.flagged and verdict.severity in _ALERTING


class Watch:
    """Streams transactions to ``stack`` and sees what comes of them: one thread a place to look at.

    So a fact is seen within milliseconds, and a slow look at one place does not hold up the others.
    """

    def __init__(self, stack: Stack, verdicts: dict[str, Verdict], bus_queue: str) -> None:
        self.put = 0
        self.unexpected: list[Envelope] = []
        self._stack = stack
        self._verdicts = verdicts
        self._bus_queue = bus_queue
        self._journeys: dict[str, Journey] = {}
        self._lock = threading.Lock()  # of the journeys, which threads read while others are put
        self._seen: SimpleQueue[Sighting | Exception] = SimpleQueue()
        self._stopped = threading.Event()
        looks = (self._rows, self._events, self._notices)
        self._threads = [threading.Thread(target=self._look_again, args=(look,), daemon=True) for look in looks]

    def journeys(self) -> list[Journey]:
        """Every transaction put so far that must be flagged, in the order in which they were put."""
        with self._lock:
            return list(self._journeys.values())

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the looking."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def stream(
        self,
        transactions: Sequence[Transaction],
        on_sighting: Callable[[Sighting], None],
        slice_size: int = _SLICE,
        slices_per_second: float = _SLICES_PER_SECOND,
    ) -> None:
        """Puts ``transactions`` in order, a slice at a time, and tells what is seen meanwhile."""
        for start in range(0, len(transactions), slice_size):
            due = time.monotonic() + 1 / slices_per_second
            self._put(transactions[start : start + slice_size])
            while self._tell(on_sighting, due):
                pass

    def await_all(self, on_sighting: Callable[[Sighting], None]) -> list[Journey]:
        """Looks until everything that must come has come; returns the journeys that lack a hop at the deadline."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while lacking := [journey for journey in self.journeys() if journey.missing]:
            if not self._tell(on_sighting, deadline):
                break
        return lacking

    def _put(self, transactions: Sequence[Transaction]) -> None:
        at = time.monotonic()
        with self._lock:
            for transaction in transactions:
                verdict = self._verdicts[transaction.transaction_id]
                if verdict.flagged:
                    self._journeys[transaction.transaction_id] = Journey(transaction, verdict, at)
        stream = self._stack.outputs["TransactionsStreamName"]
        put_entries(self._stack.client("kinesis"), stream, map(entry, transactions))
        self.put += len(transactions)

    def _tell(self, on_sighting: Callable[[Sighting], None], deadline: float) -> bool:
        """Tells the next thing that is seen before ``deadline``; False where nothing is."""
        try:
            sighting = self._seen.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return False
        if isinstance(sighting, Exception):
            raise sighting
        if sighting.hop not in sighting.journey.seen:
            sighting.journey.seen[sighting.hop] = sighting.at
            on_sighting(sighting)
        return True

    def _look_again(self, look: Callable[[], Iterator[Sighting]]) -> None:
        try:
            while not self._stopped.wait(_BETWEEN_LOOKS_SECONDS):
                for sighting in look():
                    self._seen.put(sighting)
        except (ClientError, BotoCoreError, KeyError, ValueError) as error:
            self._seen.put(error)

    def _rows(self) -> Iterator[Sighting]:
        pending = {one.transaction.transaction_id: one for one in self.journeys() if ROW not in one.seen}
        table = self._stack.outputs["TransactionsTableName"]
        for item in self._items(table, [{"transactionId": {"S": identity}} for identity in pending]):
            yield Sighting(pending[item["transactionId"]["S"]], ROW, time.monotonic())

    def _notices(self) -> Iterator[Sighting]:
        told = [one for one in self.journeys() if FLAGGED in one.events and NOTICE in one.missing]
        pending = {one.events[FLAGGED]["detail"]["metadata"]["eventId"]: one for one in told}
        keys = [
            {"customerId": {"S": journey.transaction.customer_id}, "notificationId": {"S": identity}}
            for identity, journey in pending.items()
        ]
        for item in self._items(self._stack.outputs["CustomerInboxTableName"], keys):
            yield Sighting(pending[item["notificationId"]["S"]], NOTICE, time.monotonic())

    def _events(self) -> Iterator[Sighting]:
        messages, at = self._messages(self._bus_queue), time.monotonic()
        for message in messages:
            envelope: Envelope = json.loads(message["Body"])
            journey = self._journey_of(envelope)
            if journey is None:
                if envelope["detail-type"] == FLAGGED:
                    self.unexpected.append(envelope)
                continue  # notices and cases of the other flows
            journey.events[envelope["detail-type"]] = envelope
            yield Sighting(journey, envelope["detail-type"], at)
        for message in messages:
            self._stack.client("sqs").delete_message(QueueUrl=self._bus_queue, ReceiptHandle=message["ReceiptHandle"])

    def _journey_of(self, envelope: Envelope) -> Journey | None:
        """The journey that an event belongs to: it is the flag of its transaction, or the flag led to it."""
        with self._lock:
            journey = self._journeys.get(envelope["detail"]["data"].get("transactionId", ""))
        if journey is None or envelope["detail-type"] == FLAGGED:
            return journey
        led_here = journey.events.get(FLAGGED, {}).get("detail", {}).get("metadata", {}).get("eventId")
        return journey if led_here in (None, envelope["detail"]["metadata"]["causationId"]) else None

    def _items(self, table: str, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not keys:
            return []
        request = {table: {"Keys": keys[:_KEYS_PER_READ], "ConsistentRead": True}}
        answer = self._stack.client("dynamodb").batch_get_item(RequestItems=request)
        found: list[dict[str, Any]] = answer["Responses"][table]
        return found

    def _messages(self, queue: str) -> list[dict[str, Any]]:
        answer = self._stack.client("sqs").receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=_LONG_SECONDS
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found


@contextmanager
def watching(stack: Stack, verdicts: dict[str, Verdict]) -> Iterator[Watch]:
    """A watch of the stack and of what its bus says about transactions."""
    with bus_queue(stack, (FLAGGED, OPENED, NOTIFIED)) as queue:
        watch = Watch(stack, verdicts, queue)
        watch.start()
        try:
            yield watch
        finally:
            watch.stop()


@dataclass(frozen=True, slots=True)
class Account:
    """Where everything that was put ended: ``flagged`` of ``rows``, ``quarantined``, in dead-letter queues, nowhere."""

    put: int
    rows: int
    flagged: int
    quarantined: int
    dead_letters: int

    @property
    def lost(self) -> int:
        return self.put - self.rows - self.quarantined


def settle(stack: Stack, put: int) -> Account:
    """Counts until nothing of ``put`` transactions is on its way any more, or patience ends."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        account = take_stock(stack, put)
        if not account.lost or time.monotonic() > deadline:
            return account
        time.sleep(0.1)


def take_stock(stack: Stack, put: int) -> Account:
    """Counts rows and messages as they are now."""
    sqs, queues = stack.client("sqs"), stack.queues()
    dead = sum(depth(sqs, url) for name, url in queues.items() if name.endswith("DeadLetterQueue"))
    streamed = "attribute_exists(streamEventId)"  # what a made-up past was loaded with came by no stream
    flagged = {
        "FilterExpression": f"{streamed} AND flagged = :true",
        "ExpressionAttributeValues": {":true": {"BOOL": True}},
    }
    return Account(
        put=put,
        rows=_count(stack, {"FilterExpression": streamed}),
        flagged=_count(stack, flagged),
        quarantined=depth(sqs, queues["TransactionQuarantineQueue"]),
        dead_letters=dead,
    )


def _count(stack: Stack, condition: dict[str, Any]) -> int:
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stack.outputs["TransactionsTableName"], Select="COUNT", ConsistentRead=True, **condition)
    )
    return sum(page["Count"] for page in pages)
