"""The score_transactions handler: Kinesis batches in; rows, events, quarantine messages and metrics out."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from backbone import contracts
from backbone.settings import SettingsError
from fraud_model import InvalidModelError
from stream_records import StreamRecord
from tests.unit.aws_faults import failing
from tests.unit.lambda_events import Context, kinesis_event, metrics_in, sample, samples
from tests.unit.resources import ENVIRONMENT, Resources
from tests.unit.stream_record_builder import a_document, a_record

SOURCE = Path(__file__).resolve().parents[2] / "functions" / "score_transactions"
LARGE = 150_000  # above the limit of the rules: flagged whatever the model says


@pytest.fixture
def module(resources: Resources, handler_module: Callable[[str], Any]) -> Any:  # noqa: ARG001 - they must exist
    return handler_module("score_transactions")


def invoke(module: Any, event: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = module.handler(event, Context())
    return answer


def a_batch(count: int = 3) -> list[StreamRecord]:
    """Transactions of different cards at one terminal; every third is flagged."""
    return [
        a_record(a_document(n, cardId=f"CARD-{n}", amountMinor=LARGE if n % 3 == 0 else 2_000), position=n)
        for n in range(1, count + 1)
    ]


def counted_at_terminal(resources: Resources) -> int:
    """How many transactions the terminals' counters say there were."""
    return sum(
        int(value["N"])
        for item in resources.rows("profiles")
        for name, value in item.items()
        if name[0] == "n" and name[1:].isdigit()
    )


def test_a_batch_becomes_rows_and_events(module: Any, resources: Resources) -> None:
    assert invoke(module, kinesis_event(a_batch())) == {"batchItemFailures": []}
    assert {row["transactionId"]["S"] for row in resources.rows("transactions")} == {"TX-1", "TX-2", "TX-3"}
    (envelope,) = resources.published()
    event = contracts.parse("TransactionFlagged", envelope)
    assert event.data["transactionId"] == "TX-3"
    assert "AMOUNT_ABOVE_LIMIT" in {reason["code"] for reason in event.data["reasons"]}


def test_a_batch_that_comes_twice_changes_nothing_twice_counters_included(module: Any, resources: Resources) -> None:
    event = kinesis_event([*a_batch(), a_record(b"not json", position=4)])
    invoke(module, event)
    tables = [resources.rows(table) for table in ("transactions", "profiles")]
    assert invoke(module, event) == {"batchItemFailures": []}
    assert [resources.rows(table) for table in ("transactions", "profiles")] == tables
    assert (len(resources.published()), len(resources.quarantined())) == (1, 1)
    assert counted_at_terminal(resources) == 3


def test_another_transaction_under_a_used_id_is_quarantined(module: Any, resources: Resources) -> None:
    invoke(module, kinesis_event([a_record(a_document(1), position=1)]))
    other = a_record(a_document(1, amountMinor=2_001), position=2)
    assert invoke(module, kinesis_event([other])) == {"batchItemFailures": []}
    (body,) = resources.quarantined()
    assert body["reason"] == "transactionId TX-1 was used before by another transaction"
    assert counted_at_terminal(resources) == 1


@pytest.mark.parametrize("operation", ["BatchGetItem", "TransactWriteItems"])
def test_a_throttled_table_gives_the_batch_back_and_the_second_try_completes(
    module: Any, resources: Resources, operation: str
) -> None:
    batch = [a_record(b"not json", position=0), *a_batch()]
    with failing(operation, "ProvisionedThroughputExceededException"):
        answer = invoke(module, kinesis_event(batch))
    assert answer == {"batchItemFailures": [{"itemIdentifier": batch[1].sequence_number}]}
    assert len(resources.quarantined()) == 1
    assert resources.rows("transactions") == []
    assert invoke(module, kinesis_event(batch[1:])) == {"batchItemFailures": []}
    assert (len(resources.rows("transactions")), counted_at_terminal(resources)) == (3, 3)
    assert len(resources.published()) == 1


def test_a_bus_that_is_away_gives_back_from_the_flagged_record_and_publishes_the_next_time(
    module: Any, resources: Resources
) -> None:
    batch = a_batch(5)
    with failing("PutEvents", "InternalException"):
        answer = invoke(module, kinesis_event(batch))
    assert answer == {"batchItemFailures": [{"itemIdentifier": batch[2].sequence_number}]}
    row = next(row for row in resources.rows("transactions") if row["transactionId"]["S"] == "TX-3")
    assert ("flaggedEvent" in row, "publishedAt" in row) == (True, False)
    assert invoke(module, kinesis_event(batch[2:])) == {"batchItemFailures": []}
    (envelope,) = resources.published()
    assert envelope["detail"] == json.loads(row["flaggedEvent"]["S"])
    assert counted_at_terminal(resources) == 5


def test_a_quarantine_that_is_away_gives_back_from_the_bad_record(module: Any, resources: Resources) -> None:
    batch = [*a_batch(2), a_record(b"not json", position=3), a_record(a_document(4), position=4)]
    with failing("SendMessageBatch", "RequestThrottled"):
        answer = invoke(module, kinesis_event(batch))
    assert answer == {"batchItemFailures": [{"itemIdentifier": batch[2].sequence_number}]}
    assert invoke(module, kinesis_event(batch[2:])) == {"batchItemFailures": []}
    assert len(resources.quarantined()) == 1
    assert counted_at_terminal(resources) == 3


def test_a_record_beyond_128_kilobytes_is_quarantined_in_the_bucket(module: Any, resources: Resources) -> None:
    huge = replace(a_record(position=1), data=b"x" * 200_000)
    assert invoke(module, kinesis_event([huge])) == {"batchItemFailures": []}
    (body,) = resources.quarantined()
    assert body["reason"] == "record of 200,000 bytes; at most 65,536 are taken"
    kept = resources.client("s3").get_object(Bucket=body["object"]["bucket"], Key=body["object"]["key"])
    assert kept["Body"].read() == huge.data


def test_the_batch_is_measured(module: Any, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    batch = a_batch()
    invoke(module, kinesis_event([*batch, a_record(b"not json", position=4), replace(batch[0], event_id="shard:5")]))
    measured = metrics_in(capsys.readouterr().out)
    assert measured.pop("ArrivalToRow") > 0
    assert measured == {
        "TransactionsScored": 3,
        "TransactionsFlagged": 1,
        "RecordsQuarantined": 1,
        "RecordsRepeated": 1,
    }


def test_the_trace_of_the_invocation_goes_with_the_event(
    module: Any, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = "Root=1-69566140-a1b2c3d4e5f60718293a4b5c;Parent=53995c3f42cd8ad8;Sampled=1"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    invoke(module, kinesis_event(a_batch()))
    metadata = resources.published()[0]["detail"]["metadata"]
    assert metadata["traceparent"] == "00-69566140a1b2c3d4e5f60718293a4b5c-53995c3f42cd8ad8-01"


# ---- the sample events


def outcome(module: Any, resources: Resources, name: str) -> tuple[int, list[str], list[str]]:
    """Rows, transactions that were flagged, and reasons in the quarantine after a sample event; nothing given back."""
    assert invoke(module, sample("score_transactions", name)) == {"batchItemFailures": []}
    flagged = [envelope["detail"]["data"]["transactionId"] for envelope in resources.published()]
    return len(resources.rows("transactions")), flagged, [body["reason"] for body in resources.quarantined()]


def test_every_sample_event_has_a_test() -> None:
    assert samples("score_transactions") == ["bad", "edge", "good"]


def test_the_good_sample_becomes_rows_and_one_flag(module: Any, resources: Resources) -> None:
    assert outcome(module, resources, "good") == (3, ["TX-SAMPLE-3"], [])


def test_the_bad_sample_is_quarantined_with_a_reason_each_and_stops_nothing(module: Any, resources: Resources) -> None:
    rows, flagged, reasons = outcome(module, resources, "bad")
    assert (rows, flagged) == (1, [])
    expected = ["not JSON", "cardId", "amountMinor", "in the future", "days old", "at most 65,536 are taken"]
    assert len(reasons) == len(expected)
    assert all(part in reason for part, reason in zip(expected, reasons, strict=True))


def test_the_edge_sample_is_scored_once_each(module: Any, resources: Resources) -> None:
    rows, flagged, reasons = outcome(module, resources, "edge")
    assert (rows, flagged) == (4, ["TX-SAMPLE-23"])
    assert reasons == ["transactionId TX-SAMPLE-21 was used before by another transaction"]


# ---- initialisation


def initialise(folder: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> ModuleType:
    """Initialises a copy of the handler that lies in ``folder``, as a new execution environment would."""
    for name, value in (ENVIRONMENT | environment).items():
        monkeypatch.setenv(name, value)
    shutil.copy(SOURCE / "score_transactions.py", folder)
    specification = importlib.util.spec_from_file_location("a_new_environment", folder / "score_transactions.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_missing_model_fails_the_initialisation_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidModelError, match=rf"{tmp_path}/fraud_model.json: cannot be read"):
        initialise(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda text: text[: len(text) // 2], "is not JSON"),
        (lambda text: text.replace('"threshold":', '"threshold":0', 1), "says checksum|is not JSON"),
        (lambda _: "{}", "does not have the layout"),
    ],
    ids=["cut off", "changed", "another document"],
)
def test_a_corrupt_model_fails_the_initialisation_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[str], str], problem: str
) -> None:
    (tmp_path / "fraud_model.json").write_text(damage((SOURCE / "fraud_model.json").read_text()))
    with pytest.raises(InvalidModelError, match=rf"fraud_model.json: ({problem})"):
        initialise(tmp_path, monkeypatch)


def test_a_missing_variable_fails_the_initialisation_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="PROFILES_TABLE_NAME is missing"):
        initialise(tmp_path, monkeypatch, PROFILES_TABLE_NAME="")


@pytest.mark.parametrize("choice", ["sagemaker", "neural"], ids=["no endpoint", "no such model"])
def test_a_model_that_there_is_not_fails_the_initialisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    shutil.copy(SOURCE / "fraud_model.json", tmp_path)
    with pytest.raises(ValueError, match=f"FRAUD_MODEL='{choice}'"):
        initialise(tmp_path, monkeypatch, FRAUD_MODEL=choice)
