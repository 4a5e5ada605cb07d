"""``python -m evaluation.investigation``: flagged transactions of a made-up bank, investigated by the deployed agent.

Deploys the stack to an embedded AWS of its own, streams a simulated bank's days one after the other, lets the agent
investigate what is flagged, has two analysts who know the truth decide on what it proposes, and compares what it said
with the truth. Exits with 1 where a figure is under its bar, with 2 where the profile's models are not there.
"""

import argparse
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evaluation.investigation.baselines import Tally, agent, always_escalate, threshold_only
from evaluation.investigation.case_files import CaseFile, case_file, case_rows, has_ended
from local.analysts import decide_by_truth, made_up_analysts
from local.approvals import Approvals
from local.models.description import describe
from local.models.profile import LIGHT, Profile, ProfileError, profile_from
from local.process import EngineProcess
from local.stack import REGION, Stack, build, deploy
from local.traffic import Traffic, backfill, backfill_cards, entry, make_traffic, put_entries
from models.fraud.simulate import SECONDS_PER_DAY, LabelledTransaction

# No world of this seed was looked at while the agent's models were made.
SEED = 2027
CUSTOMERS, TRANSACTIONS = 4_500, 42_000
WANTED_CASES = 200
_ALERTING = ("medium", "high")
_KEYS_PER_READ = 100
# Seconds without anything new after which a play is given up: a language model on a laptop takes a minute for a plan.
_PATIENCE_SECONDS = {LIGHT: 90.0}
_SLOW_PATIENCE_SECONDS = 900.0
_BETWEEN_LOOKS_SECONDS = 0.5
# What must hold of the agent with the default model; of another model nothing is known before it was tried.
RIGHT_OF_DECIDED = 0.90
HANDED_OVER = 0.40


class PlayError(Exception):
    """The play came to no end; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A flagged transaction that must be investigated."""

    transaction_id: str
    score: float
    is_fraud: bool


def main() -> int:
    """Measures all, prints it, and compares with the bars."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.investigation")
    parser.add_argument("--cases", type=int, default=WANTED_CASES, help=f"how many at least (default: {WANTED_CASES})")
    arguments = parser.parse_args()
    try:
        profile = profile_from(os.environ)
    except ProfileError as impossible:
        print(impossible, file=sys.stderr)
        return 2
    print(describe(profile)["inWords"])
    with TemporaryDirectory() as folder:
        home = Path(folder)
        build(home / "build.log")
        with EngineProcess.start(home=home, region=REGION) as engine:
            stack = deploy(engine.endpoint, home / "deploy.log")
            files = play(stack, profile, arguments.cases)
    return report(files, profile)


def play(stack: Stack, profile: Profile, wanted: int) -> list[CaseFile]:
    """Streams day after day until ``wanted`` transactions were flagged and investigated; answers all that were."""
    now = time.time()
    traffic = make_traffic(customers=CUSTOMERS, transactions=TRANSACTIONS, now=now, seed=SEED)
    backfill(stack.client("dynamodb"), stack.outputs["ProfilesTableName"], traffic.history, now)
    backfill_cards(stack.client("dynamodb"), stack.outputs["CardsTableName"], CUSTOMERS)
    desks, flags = made_up_analysts(stack), list[Flag]()
    patience = _PATIENCE_SECONDS.get(profile.name, _SLOW_PATIENCE_SECONDS)
    for number, day in enumerate(days_of(traffic), 1):
        put_entries(stack.client("kinesis"), stack.outputs["TransactionsStreamName"], [entry(one[0]) for one in day])
        flags += await_scores(stack, day)
        truth = {flag.transaction_id: flag.is_fraud for flag in flags}
        await_ends(stack, desks, truth, patience)
        print(f"· day {number}: {len(day):,} payments; {len(flags)} flagged so far, all investigated", file=sys.stderr)
        if len(flags) >= wanted:
            break
    else:
        raise PlayError(f"Only {len(flags)} transactions were flagged; {wanted} are wanted.")
    rows = case_rows(stack)
    return [case_file(stack, rows[flag.transaction_id], flag.score, flag.is_fraud) for flag in flags]


def days_of(traffic: Traffic) -> list[list[LabelledTransaction]]:
    """The traffic by UTC day, in order: what is learned on one is known on the next."""
    days: dict[int, list[LabelledTransaction]] = {}
    for one in traffic.live:
        days.setdefault(one.transaction.occurred_at // SECONDS_PER_DAY, []).append(one)
    return [days[day] for day in sorted(days)]


def await_scores(stack: Stack, day: Sequence[LabelledTransaction]) -> list[Flag]:
    """Waits until every payment of ``day`` is scored; answers those that wake an investigation."""
    waiting, flags = {one.transaction.transaction_id: one for one in day}, list[Flag]()
    deadline = time.monotonic() + _SLOW_PATIENCE_SECONDS
    while waiting:
        if time.monotonic() > deadline:
            raise PlayError(f"{len(waiting)} payments were not scored.")
        for item in _scored(stack, list(waiting)[: 40 * _KEYS_PER_READ]):
            one = waiting.pop(item["transactionId"]["S"])
            if item["flagged"]["BOOL"] and item["severity"]["S"] in _ALERTING:
                flags.append(Flag(one.transaction.transaction_id, float(item["score"]["N"]), one.is_fraud))
        time.sleep(_BETWEEN_LOOKS_SECONDS)
    return flags


def _scored(stack: Stack, transaction_ids: Sequence[str]) -> list[dict[str, Any]]:
    client, table, found = stack.client("dynamodb"), stack.outputs["TransactionsTableName"], list[dict[str, Any]]()
    names = {"#score": "score"}
    for start in range(0, len(transaction_ids), _KEYS_PER_READ):
        keys = [{"transactionId": {"S": one}} for one in transaction_ids[start : start + _KEYS_PER_READ]]
        request = {
            "Keys": keys,
            "ConsistentRead": True,
            "ProjectionExpression": "transactionId, flagged, severity, #score",
            "ExpressionAttributeNames": names,
        }
        found += client.batch_get_item(RequestItems={table: request})["Responses"][table]
    return found


def await_ends(stack: Stack, desks: Sequence[Approvals], truth: dict[str, bool], patience: float) -> None:
    """Has the analysts decide until every flagged transaction's investigation has come to its one end."""
    last_ended, since = -1, time.monotonic()
    while True:
        rows = case_rows(stack)
        ended = sum(has_ended(rows[one]) for one in truth if one in rows)
        if ended == len(truth):
            return
        is_fraud = {rows[one]["caseId"]["S"]: truth[one] for one in truth if one in rows}
        decided = list(decide_by_truth(desks, is_fraud, "By the simulation's truth."))
        if ended != last_ended or decided:
            last_ended, since = ended, time.monotonic()
        elif time.monotonic() - since > patience:
            raise PlayError(f"{len(truth) - ended} of {len(truth)} investigations came to no end.")
        time.sleep(_BETWEEN_LOOKS_SECONDS)


def report(files: Sequence[CaseFile], profile: Profile) -> int:
    """Prints the table and the bars; 1 where a figure is under its bar."""
    frauds = sum(one.is_fraud for one in files)
    print(f"\n{len(files)} flagged transactions of severity medium or high, {frauds} of them frauds; seed {SEED}")
    judged, everybody = agent(files), always_escalate(files)
    by_threshold, threshold = threshold_only(files)
    print(f"  {'':34}{'right':>7}{'wrong':>7}{'to a person':>13}{'right of all':>14}{'right of decided':>18}")
    for name, tally in (
        (f"the agent ({profile.name})", judged),
        ("always to a person", everybody),
        (f"score >= {threshold:.3f} (best for these)", by_threshold),
    ):
        print(
            f"  {name:34}{tally.right:>7}{tally.wrong:>7}{tally.handed_over:>13}"
            f"{tally.right_of_all:>14.3f}{tally.right_of_decided:>18.3f}"
        )
    caught = sum(one.was_caught for one in files)
    print(f"\n  of the {judged.wrong} wrong, {caught} were proposals that an analyst turned down: nothing came of them")
    reasons = Counter(one.reason for one in files if one.reason)
    print("  given to a person, by reason: " + (", ".join(f"{why} {n}" for why, n in reasons.most_common()) or "none"))
    steps, tokens = [len(one.steps) for one in files], [one.tokens for one in files]
    costs = [one.cost_micro_dollars for one in files]
    print(f"  a case takes {statistics.mean(steps):.1f} steps (at most {max(steps)}),", end=" ")
    print(f"{statistics.mean(tokens):,.0f} tokens, {statistics.mean(costs):,.0f} micro-dollars", end=" ")
    print(f"at the template's prices (at most {max(costs):,})")
    return compare(judged, by_threshold, profile)


def compare(judged: Tally, by_threshold: Tally, profile: Profile) -> int:
    """Prints each figure beside its bar; 1 where one is under it. Only the default model has bars."""
    bars = (
        ("right of decided", judged.right_of_decided, ">=", RIGHT_OF_DECIDED),
        ("to a person, of all", judged.handed_over / judged.cases, "<=", HANDED_OVER),
        ("right of decided, over the threshold's", judged.right_of_decided, ">=", by_threshold.right_of_decided),
    )
    if profile.name != LIGHT:
        print("\nno bars for this profile")
        return 0
    print("\nbars")
    under = False
    for name, figure, sign, bar in bars:
        holds = figure >= bar if sign == ">=" else figure <= bar
        under |= not holds
        print(f"  {'ok   ' if holds else 'UNDER'}  {name:40} {figure:6.3f}  {sign} {bar:.3f}")
    return 1 if under else 0


if __name__ == "__main__":
    sys.exit(main())
