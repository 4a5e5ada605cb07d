"""Scoring a batch of card transactions: what happens to each record, in the order of the stream.

A record becomes one of three things: a row with a verdict (and, where that says so, a ``TransactionFlagged``), a
message in the quarantine with the reason, or a failure that Kinesis brings again. Nothing else, and nothing twice.

1. Read each record. What cannot be read is refused (``stream_records``).
2. Load the profiles and rows that the batch needs, in a few calls for all.
3. In order: recognise what was scored before, evaluate the rules, compute the features against the card as it is at
   that moment, and move the card's profile on.
4. Score all new transactions in one call and decide.
5. Commit in chunks, publish what was flagged, quarantine what was refused. The first record for which any of it failed
   is where Kinesis starts again; what was done after it is recognised then. A refused record leaves no row to be
   recognised by, so none is quarantined that Kinesis will bring again.

Knows no AWS: collaborators are arguments.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import batched, takewhile
from typing import Any, Protocol

from backbone import contracts
from backbone.contracts import Event, Metadata
from backbone.errors import Rejected, Retryable
from features import CardProfile, TerminalProfile, add_to_card, compute_features
from fraud_rules import evaluate_rules
from stream_records import ReceivedTransaction, Refusal, StreamRecord, read_transaction
from transaction import Transaction
from verdict import Candidate, DecisionFacts, Scorer, Verdict, decide

PRODUCER = "score_transactions"
FLAGGED = "TransactionFlagged"
_FLAGGED_VERSION = 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownTransaction:
    """What a row says of a transaction that was scored before.

    ``flagged_event`` is the detail of its TransactionFlagged as JSON, where it was flagged: it is kept with the row, so
    that a crash between writing the row and publishing loses no event.
    """

    digest: str
    flagged_event: str | None
    is_published: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """A new transaction with its verdict, the card's profile after it, and the event to publish where it is flagged."""

    received: ReceivedTransaction
    verdict: Verdict
    card_after: CardProfile
    event: Event | None

    @property
    def transaction(self) -> Transaction:
        return self.received.transaction

    def explanation(self) -> str:
        """Reasons, drivers and features as JSON, for the row: all that a person needs to follow the verdict."""
        verdict = self.verdict
        return json.dumps(
            {
                "reasons": [asdict(reason) for reason in verdict.reasons],
                "drivers": [asdict(driver) for driver in verdict.drivers],
                "features": verdict.features,
            },
            separators=(",", ":"),
        )


class KnownState(Protocol):
    """What was loaded for a batch. The store may hold more in it than is named here."""

    @property
    def cards(self) -> MutableMapping[str, CardProfile]: ...
    @property
    def terminals(self) -> Mapping[str, TerminalProfile]: ...
    @property
    def transactions(self) -> Mapping[str, KnownTransaction]: ...


class Store[State: KnownState](Protocol):
    """Remembers profiles and transactions; see ``transaction_store`` for what each promises."""

    def load(self, card_ids: Iterable[str], terminal_ids: Iterable[str], transaction_ids: Iterable[str]) -> State: ...
    def commit(self, known: State, decisions: Sequence[Decision], now: float) -> None: ...
    def mark_published(self, transaction_id: str, now: float) -> None: ...


class Bus(Protocol):
    """Publishes events; answers the reason per event id for those that were not taken."""

    def publish(self, events: Sequence[Event]) -> Mapping[str, str]: ...


class QuarantineStore(Protocol):
    """Keeps refused records; answers the failure per record's event id for those that could not be kept."""

    def put(self, refusals: Sequence[Refusal]) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of a batch. ``failed_from`` is the sequence number that Kinesis starts again from, or None.

    Counts are of things done, so that they add up over retries: ``scored`` rows were written, ``flagged`` of them with
    an event, ``refused`` records went into the quarantine, and ``repeated`` ones were recognised and are done with.
    """

    records: int
    scored: int
    flagged: int
    refused: int
    repeated: int
    failed_from: str | None


@dataclass(frozen=True, slots=True)
class _New:
    """A transaction that was not seen before, with its features and findings, and its card's profile after it."""

    received: ReceivedTransaction
    candidate: Candidate
    card_after: CardProfile


@dataclass(slots=True)
class _Batch:
    """A batch sorted by what each record turned out to be.

    ``repeated`` holds the records' event ids; ``unpublished`` is by transaction id, for one event is published once
    however many records of the batch repeat its transaction.
    """

    new: list[_New] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    unpublished: dict[str, tuple[ReceivedTransaction, Event]] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)


def score_batch[State: KnownState](
    records: Sequence[StreamRecord],
    *,
    store: Store[State],
    score: Scorer,
    facts: DecisionFacts,
    bus: Bus,
    quarantine: QuarantineStore,
    chunk_size: int,
    now: float,
    traceparent: str | None = None,
) -> BatchResult:
    """Scores ``records`` in order and says what became of them; ``now`` is in seconds since the epoch.

    Where the store or the model is away (Retryable) the batch is given back from the first record that needed it. What
    is raised is a defect and not the weather: Kinesis then halves the batch until the record that causes it is alone.
    """
    received, refusals = _read(records)
    try:
        known = store.load(
            {one.transaction.card_id for one in received},
            {one.transaction.terminal_id for one in received},
            {one.transaction.transaction_id for one in received},
        )
        batch = _sort(received, known)
        decisions = _decide(batch.new, score, facts, now, traceparent)
    except Retryable as away:
        batch, committed = _Batch(), []
        failed = {one.record.event_id: str(away) for one in received}
    else:
        failed = _commit(store, known, decisions, chunk_size, now)
        committed = [decision for decision in decisions if decision.received.record.event_id not in failed]
        flagged = [(decision.received, decision.event) for decision in committed if decision.event is not None]
        failed |= _publish(bus, store, [*batch.unpublished.values(), *flagged], now)

    done = _done(records, failed)
    refused = [refusal for refusal in (*refusals, *batch.refusals) if refusal.record.event_id in done]
    not_kept = quarantine.put(refused)
    failed |= not_kept
    done = _done(records, failed)
    given_back = records[len(done)] if len(done) < len(records) else None
    if given_back is not None:
        logger.warning(
            "given back from record %s on: %s (%d of %d records failed)",
            given_back.event_id,
            failed[given_back.event_id],
            len(failed),
            len(records),
        )
    return BatchResult(
        records=len(records),
        scored=len(committed),
        flagged=sum(decision.event is not None for decision in committed),
        refused=len(refused) - len(not_kept),
        repeated=len(batch.repeated & done),
        failed_from=given_back.sequence_number if given_back else None,
    )


def _read(records: Sequence[StreamRecord]) -> tuple[list[ReceivedTransaction], list[Refusal]]:
    received: list[ReceivedTransaction] = []
    refusals: list[Refusal] = []
    for record in records:
        try:
            received.append(read_transaction(record))
        except Rejected as rejected:
            refusals.append(Refusal(record, rejected.reason))
    return received, refusals


def _done(records: Sequence[StreamRecord], failed: Mapping[str, str]) -> set[str]:
    """The event ids of the records before the first that failed: Kinesis does not bring these again."""
    return set(takewhile(lambda event_id: event_id not in failed, (record.event_id for record in records)))


def _sort(received: Sequence[ReceivedTransaction], known: KnownState) -> _Batch:
    """Tells new transactions from repeated ones, in order, and moves each card's profile in ``known`` on."""
    batch = _Batch()
    digests = {identity: seen.digest for identity, seen in known.transactions.items()}
    added: set[str] = set()
    for one in received:
        identity = one.transaction.transaction_id
        digest = digests.setdefault(identity, one.digest)
        if digest != one.digest:
            batch.refusals.append(
                Refusal(one.record, f"transactionId {identity} was used before by another transaction")
            )
        elif (seen := known.transactions.get(identity)) is not None:
            batch.repeated.add(one.record.event_id)
            if seen.flagged_event and not seen.is_published:
                batch.unpublished.setdefault(identity, (one, _stored_event(seen.flagged_event)))
        elif identity in added:
            batch.repeated.add(one.record.event_id)
        else:
            added.add(identity)
            batch.new.append(_add(one, known))
    return batch


def _add(received: ReceivedTransaction, known: KnownState) -> _New:
    transaction = received.transaction
    card = known.cards.get(transaction.card_id, CardProfile())
    terminal = known.terminals.get(transaction.terminal_id, TerminalProfile())
    features = compute_features(card, terminal, transaction)
    candidate = Candidate(transaction.transaction_id, features, evaluate_rules(card, transaction))
    known.cards[transaction.card_id] = add_to_card(card, transaction)
    return _New(received, candidate, known.cards[transaction.card_id])


def _decide(
    new: Sequence[_New], score: Scorer, facts: DecisionFacts, now: float, traceparent: str | None
) -> list[Decision]:
    verdicts = decide([one.candidate for one in new], score, facts)
    return [
        Decision(one.received, verdict, one.card_after, _flagged_event(one.received, verdict, now, traceparent))
        for one, verdict in zip(new, verdicts, strict=True)
    ]


def _flagged_event(
    received: ReceivedTransaction, verdict: Verdict, now: float, traceparent: str | None
) -> Event | None:
    if not verdict.flagged:
        return None
    transaction = received.transaction
    metadata = Metadata(
        event_id=contracts.event_id(FLAGGED, transaction.transaction_id),
        event_version=_FLAGGED_VERSION,
        correlation_id=received.correlation_id,
        causation_id=received.record.event_id,
        occurred_at=contracts.timestamp(now),
        producer=PRODUCER,
        traceparent=traceparent,
    )
    data: dict[str, Any] = {
        "transactionId": transaction.transaction_id,
        "cardId": transaction.card_id,
        "customerId": transaction.customer_id,
        "terminalId": transaction.terminal_id,
        "amountMinor": transaction.amount_minor,
        "currency": transaction.currency,
        "occurredAt": contracts.timestamp(transaction.occurred_at).replace(".000Z", "Z"),
        "score": round(verdict.score, 6),
        "severity": verdict.severity,
        "reasons": [asdict(reason) for reason in verdict.reasons],
        "drivers": [asdict(driver) for driver in verdict.drivers],
        "modelVersion": verdict.model_version,
    }
    return contracts.build(FLAGGED, data, metadata)


def _stored_event(detail: str) -> Event:
    source = contracts.SOURCES[FLAGGED]
    return contracts.parse(FLAGGED, {"source": source, "detail-type": FLAGGED, "detail": json.loads(detail)})


def _commit[State: KnownState](
    store: Store[State], known: State, decisions: Sequence[Decision], chunk_size: int, now: float
) -> dict[str, str]:
    """Commits chunk by chunk; a chunk that fails ends it, for the cards' profiles build on one another."""
    chunks: Iterator[tuple[Decision, ...]] = batched(decisions, chunk_size, strict=False)
    for chunk in chunks:
        try:
            store.commit(known, chunk, now)
        except Retryable as failed:
            rest = [*chunk, *(decision for later in chunks for decision in later)]
            return {decision.received.record.event_id: str(failed) for decision in rest}
    return {}


def _publish[State: KnownState](
    bus: Bus, store: Store[State], due: Sequence[tuple[ReceivedTransaction, Event]], now: float
) -> dict[str, str]:
    """Publishes and notes it on the rows; answers the failure per record's event id."""
    if not due:
        return {}
    refused = bus.publish([event for _, event in due])
    problems: dict[str, str] = {}
    for received, event in due:
        reason = refused.get(event.metadata.event_id)
        if reason is None:
            reason = _note_published(store, received.transaction.transaction_id, now)
        if reason is not None:
            problems[received.record.event_id] = reason
    return problems


def _note_published[State: KnownState](store: Store[State], transaction_id: str, now: float) -> str | None:
    try:
        store.mark_published(transaction_id, now)
    except Retryable as failed:
        return str(failed)
    return None
