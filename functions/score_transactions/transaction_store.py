"""What DynamoDB remembers for scoring: card and terminal profiles, and one row per transaction.

Exactly once. Kinesis delivers at least once, and a retried batch brings again what was done already. Everything that a
chunk of transactions changes - the new rows, their cards' profiles, their terminals' counters - is therefore written by
one TransactWriteItems: a row that exists already refuses the whole, so no counter can be added to twice.

Order. A card's profile is written under the version that was read, so a zombie of a timed-out invocation cannot put an
old profile over a newer one. A terminal's counters are added to, for its transactions arrive on many shards.

Tables: Transactions (transactionId) and Profiles (profileId: "card#..." or "terminal#...").
Source: Amazon DynamoDB, "Managing complex workflows with transactions": at most 100 items in one transaction.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backbone.card_counters import card_key
from backbone.errors import Retryable
from backbone.item_transactions import jittered, write_together
from backbone.terminal_counters import counts_in, frauds_on, terminal_key, transactions_on
from features import (
    SECONDS_PER_DAY,
    TERMINAL_DAYS_KEPT,
    CardProfile,
    TerminalProfile,
    card_from_dict,
    card_to_dict,
)
from scoring import Decision, KnownTransaction

# A decision writes at most three items (row, card, terminal): 33 of them fit one transaction of 100 items. Smaller
# chunks meet another shard's write to the same terminal less often; 25 keeps a batch of 100 at four calls.
CHUNK_SIZE = 25
_KEYS_PER_READ = 100
_READ_ATTEMPTS = 4
_PROFILE_RETENTION_DAYS = 60


@dataclass(slots=True)
class Known:
    """What was read for one batch; ``versions`` moves on with each commit of the batch."""

    cards: dict[str, CardProfile] = field(default_factory=dict)
    terminals: dict[str, TerminalProfile] = field(default_factory=dict)
    transactions: dict[str, KnownTransaction] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TransactionStore:
    """The two tables behind ``client`` (boto3 "dynamodb"). ``wait`` sleeps; tests hand in one that does not."""

    client: Any
    transactions_table: str
    profiles_table: str
    retention_days: int
    wait: Callable[[float], None] = time.sleep

    def load(self, card_ids: Iterable[str], terminal_ids: Iterable[str], transaction_ids: Iterable[str]) -> Known:
        """Reads profiles and rows, consistently; what is not there is absent from the answer. Raises Retryable."""
        keys = [f"card#{card}" for card in card_ids] + [f"terminal#{terminal}" for terminal in terminal_ids]
        profiles = self._read(self.profiles_table, "profileId", keys)
        rows = self._read(self.transactions_table, "transactionId", list(transaction_ids), _KNOWN_TRANSACTION)
        known = Known()
        for item in profiles:
            kind, _, identity = item["profileId"]["S"].partition("#")
            if kind == "card":
                known.cards[identity] = card_from_dict(json.loads(item["profile"]["S"]))
                known.versions[identity] = int(item["version"]["N"])
            else:
                known.terminals[identity] = TerminalProfile(counts_in(item))
        for row in rows:
            known.transactions[row["transactionId"]["S"]] = KnownTransaction(
                digest=row["digest"]["S"],
                flagged_event=row.get("flaggedEvent", {}).get("S"),
                is_published="publishedAt" in row,
            )
        return known

    def commit(self, known: Known, decisions: Sequence[Decision], now: float) -> None:
        """Writes all that ``decisions`` (at most CHUNK_SIZE) change, or nothing; raises Retryable where nothing was.

        Raises ClientError where DynamoDB calls an item invalid: that would fail for ever, and Kinesis finds the record
        by halving the batch.
        """
        last_profiles = {decision.transaction.card_id: decision.card_after for decision in decisions}
        items = [self._row(decision, now) for decision in decisions]
        items += [
            self._card(card, profile, known.versions.get(card, 0), now) for card, profile in last_profiles.items()
        ]
        items += self._terminals(known, decisions, now)
        self._transact(items)
        for card in last_profiles:
            known.versions[card] = known.versions.get(card, 0) + 1

    def mark_published(self, transaction_id: str, now: float) -> None:
        """Notes on the row that its event is on the bus, so that no retry sends it again. Raises Retryable."""
        self._call(
            "update_item",
            TableName=self.transactions_table,
            Key={"transactionId": {"S": transaction_id}},
            UpdateExpression="SET publishedAt = :now",
            ConditionExpression="attribute_exists(transactionId)",
            ExpressionAttributeValues={":now": {"N": f"{now:.3f}"}},
        )

    def _row(self, decision: Decision, now: float) -> dict[str, Any]:
        received, transaction, verdict = decision.received, decision.transaction, decision.verdict
        row = {
            "transactionId": {"S": transaction.transaction_id},
            "cardId": {"S": transaction.card_id},
            "customerId": {"S": transaction.customer_id},
            "terminalId": {"S": transaction.terminal_id},
            "amountMinor": {"N": str(transaction.amount_minor)},
            "currency": {"S": transaction.currency},
            "occurredAt": {"N": str(transaction.occurred_at)},
            # Seven decimals are a centimetre; DynamoDB refuses a number as near to zero as 1e-200.
            "latitude": {"N": f"{transaction.latitude:.7f}"},
            "longitude": {"N": f"{transaction.longitude:.7f}"},
            "score": {"N": f"{verdict.score:.6f}"},
            "flagged": {"BOOL": verdict.flagged},
            "severity": {"S": verdict.severity},
            "explanation": {"S": decision.explanation()},
            "modelVersion": {"S": verdict.model_version},
            "correlationId": {"S": received.correlation_id},
            "streamEventId": {"S": received.record.event_id},
            "digest": {"S": received.digest},
            "arrivedAt": {"N": f"{received.record.arrived_at:.3f}"},
            "scoredAt": {"N": f"{now:.3f}"},
            "expiresAt": {"N": str(int(now) + self.retention_days * SECONDS_PER_DAY)},
        }
        if verdict.flagged:
            # Key of the index of what was flagged at a terminal: rows without it are not in there.
            row["flaggedTerminalId"] = {"S": transaction.terminal_id}
        if decision.event is not None:
            row["flaggedEvent"] = {"S": json.dumps(decision.event.detail(), separators=(",", ":"))}
        return {
            "Put": {
                "TableName": self.transactions_table,
                "Item": row,
                "ConditionExpression": "attribute_not_exists(transactionId)",
            }
        }

    def _card(self, card_id: str, profile: CardProfile, version: int, now: float) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self.profiles_table,
            "Item": card_item(card_id, profile, version + 1, now),
            "ConditionExpression": "attribute_not_exists(profileId)" if version == 0 else "version = :read",
        }
        if version:
            put["ExpressionAttributeValues"] = {":read": {"N": str(version)}}
        return {"Put": put}

    def _terminals(self, known: Known, decisions: Sequence[Decision], now: float) -> list[dict[str, Any]]:
        counts: dict[str, Counter[int]] = {}
        for decision in decisions:
            day = decision.transaction.occurred_at // SECONDS_PER_DAY
            counts.setdefault(decision.transaction.terminal_id, Counter())[day] += 1
        return [
            self._terminal(terminal, days, known.terminals.get(terminal, TerminalProfile()), now)
            for terminal, days in counts.items()
        ]

    def _terminal(
        self, terminal_id: str, added: Mapping[int, int], before: TerminalProfile, now: float
    ) -> dict[str, Any]:
        horizon = max(added) - TERMINAL_DAYS_KEPT
        old_days = [day for day in before.days if day <= horizon]
        stale = [count(day) for day in old_days for count in (transactions_on, frauds_on)]
        add = ", ".join(f"{transactions_on(day)} :n{day}" for day in added)
        remove = f" REMOVE {', '.join(stale)}" if stale else ""
        return {
            "Update": {
                "TableName": self.profiles_table,
                "Key": terminal_key(terminal_id),
                "UpdateExpression": f"ADD {add} SET expiresAt = :expires{remove}",
                "ExpressionAttributeValues": {
                    ":expires": {"N": str(_profile_expiry(now))},
                    **{f":n{day}": {"N": str(count)} for day, count in added.items()},
                },
            }
        }

    def _read(self, table: str, key: str, identities: list[str], projection: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        options = {"ProjectionExpression": projection} if projection else {}
        for start in range(0, len(identities), _KEYS_PER_READ):
            keys = [{key: {"S": identity}} for identity in identities[start : start + _KEYS_PER_READ]]
            for attempt in range(_READ_ATTEMPTS):
                request = {table: {"Keys": keys, "ConsistentRead": True, **options}}
                answer = self._call("batch_get_item", RequestItems=request)
                found += answer["Responses"].get(table, [])
                # DynamoDB answers in part where the whole exceeds 16 MB or a partition's throughput.
                keys = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
                if not keys:
                    break
                self.wait(jittered(attempt))
            if keys:
                raise Retryable(f"{table} left {len(keys)} keys unread after {_READ_ATTEMPTS} attempts")
        return found

    def _transact(self, items: list[dict[str, Any]]) -> None:
        # Another shard may be writing to the same terminal, which write_together waits for.
        refused = write_together(self.client, items, self.wait)
        if refused:
            raise Retryable(f"of {len(items)} items those at {refused} were written by somebody else meanwhile")

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**arguments)
        except (ClientError, BotoCoreError) as failed:
            raise Retryable(f"{operation}: {failed}") from failed
        return answer


_KNOWN_TRANSACTION = "transactionId, digest, flaggedEvent, publishedAt"


def card_item(card_id: str, profile: CardProfile, version: int, now: float) -> dict[str, Any]:
    """A card's profile as an item of the Profiles table (DynamoDB's typed JSON)."""
    return {
        **card_key(card_id),
        "profile": {"S": json.dumps(card_to_dict(profile), separators=(",", ":"))},
        "version": {"N": str(version)},
        "expiresAt": {"N": str(_profile_expiry(now))},
    }


def terminal_item(terminal_id: str, profile: TerminalProfile, now: float) -> dict[str, Any]:
    """A terminal's counters as an item of the Profiles table (backbone.terminal_counters)."""
    item = terminal_key(terminal_id) | {"expiresAt": {"N": str(_profile_expiry(now))}}
    for day, (count, frauds) in profile.days.items():
        item[transactions_on(day)] = {"N": str(count)}
        if frauds:
            item[frauds_on(day)] = {"N": str(frauds)}
    return item


def _profile_expiry(now: float) -> int:
    return int(now) + _PROFILE_RETENTION_DAYS * SECONDS_PER_DAY
