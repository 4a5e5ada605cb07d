"""``make bench``: how fast transactions go through the local stack, beside the bare model on the same machine.

Starts an embedded AWS of its own, deploys, streams, measures, stops. Prints records a second from the first put to the
last row, the ratio to scoring the same rows with the model alone, and the time from put_record to the row for single
records on an otherwise idle stack; then what each function's cold start adds to its clients' (``cold_imports``). Local
figures: they compare changes to this project, not AWS.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from benchmarks.cold_imports import cold_imports
from features import CardProfile, TerminalProfile, compute_features
from fraud_model import FraudModel, load
from local.process import PROJECT, EngineProcess
from local.stack import REGION, Stack, build, deploy
from local.traffic import Traffic, backfill, entry, make_traffic, put_entries
from transaction import Transaction

SINGLE_RECORDS = 200
WARM_UP_RECORDS = 200
_GIVE_UP_SECONDS = 900.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure the transaction flow on this machine.")
    parser.add_argument("--records", type=int, default=20_000)
    records: int = parser.parse_args().records
    model = load(PROJECT / "functions" / "score_transactions" / "fraud_model.json")
    total = records + WARM_UP_RECORDS
    traffic = make_traffic(customers=max(200, total // 8), transactions=total, now=time.time(), seed=5)
    bare = bare_rows_per_second(model, traffic)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        build(home / "build.log")
        with EngineProcess.start(home=home, region=REGION) as engine:
            stack = deploy(engine.endpoint, home / "deploy.log")
            backfill(stack.client("dynamodb"), stack.outputs["ProfilesTableName"], traffic.history, time.time())
            stream(stack, traffic.transactions[:WARM_UP_RECORDS])  # the functions' cold starts
            streamed = records / stream(stack, traffic.transactions[WARM_UP_RECORDS:])
            latencies = [put_to_row(stack, traffic.transactions[0]) for _ in range(SINGLE_RECORDS)]
            imports = cold_imports(stack)
    cuts = statistics.quantiles(latencies, n=20)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, model {model.version}")
    print(f"records streamed              {records:>10,}")
    print(f"records/s, put to last row    {streamed:>10,.0f}")
    print(f"bare model, rows/s            {bare:>10,.0f}")
    print(f"ratio to the bare model       {streamed / bare:>10.4f}")
    print(f"put_record to row, p50        {cuts[9] * 1000:>10.1f} ms")
    print(f"put_record to row, p95        {cuts[18] * 1000:>10.1f} ms")
    print("\ncold import, processor ms    function  boto3 + clients  ratio")
    for one in imports:
        print(f"  {one.name:28}{one.seconds * 1000:7.0f}{one.clients_alone * 1000:17.0f}{one.ratio:7.2f}")
    return 0


def bare_rows_per_second(model: FraudModel, traffic: Traffic) -> float:
    """Rows a second of the model alone: one process, batches of 100, features given."""
    rows = [compute_features(CardProfile(), TerminalProfile(), one) for one in traffic.transactions[:5_000]]
    began = time.perf_counter()
    for start in range(0, len(rows), 100):
        model.score(rows[start : start + 100])
    return len(rows) / (time.perf_counter() - began)


def stream(stack: Stack, transactions: Sequence[Transaction]) -> float:
    """Seconds from the first put to the last row; TimeoutError names how many rows did not come."""
    began = time.perf_counter()
    put_entries(stack.client("kinesis"), stack.outputs["TransactionsStreamName"], map(entry, transactions))
    # The last of each shard is among the last hundred; what came before it on its shard was done before it.
    missing = {one.transaction_id for one in transactions[-100:]}
    while missing:
        if time.perf_counter() - began > _GIVE_UP_SECONDS:
            raise TimeoutError(f"{len(missing)} of the last {len(transactions[-100:])} rows did not come")
        missing -= present(stack, missing)
        time.sleep(0.02)
    return time.perf_counter() - began


def present(stack: Stack, transaction_ids: set[str]) -> set[str]:
    """Those of ``transaction_ids`` (at most 100) that have a row."""
    table = stack.outputs["TransactionsTableName"]
    keys = [{"transactionId": {"S": identity}} for identity in transaction_ids]
    request = {table: {"Keys": keys, "ProjectionExpression": "transactionId", "ConsistentRead": True}}
    answer = stack.client("dynamodb").batch_get_item(RequestItems=request)
    return {item["transactionId"]["S"] for item in answer["Responses"][table]}


def put_to_row(stack: Stack, like: Transaction) -> float:
    """Seconds from put_record until the row can be read, for one record on an idle stack."""
    transaction = replace(like, transaction_id=f"TX-{uuid4().hex}", occurred_at=int(time.time()))
    began = time.perf_counter()
    stack.client("kinesis").put_record(StreamName=stack.outputs["TransactionsStreamName"], **entry(transaction))
    while not present(stack, {transaction.transaction_id}):
        if time.perf_counter() - began > _GIVE_UP_SECONDS:
            raise TimeoutError(f"no row for {transaction.transaction_id}")
    return time.perf_counter() - began
