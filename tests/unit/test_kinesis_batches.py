"""The decisions of a Kinesis event source mapping, without an engine, a clock or a thread."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.overlay.kinesis_batches import (
    MAX_PAYLOAD_BYTES,
    RETRY_BASE_SECONDS,
    RETRY_MAX_SECONDS,
    Batch,
    Gathering,
    KinesisRecord,
    RetryPolicy,
    Verdict,
    after_invocation,
    after_refusal,
    first_failed,
    gather,
    lane_of,
    retry_delay,
    split_expired,
)
from local.overlay.kinesis_mapping_settings import mapping_settings, settings_error


def a_record(number: int, *, arrived: float = 0.0, size: int = 4) -> KinesisRecord:
    return {
        "SequenceNumber": f"{number:030d}",
        "ApproximateArrivalTimestamp": arrived,
        "Data": "x" * size,
        "PartitionKey": "key",
    }


def a_batch(count: int, invocations: int = 0) -> Batch:
    return Batch(tuple(a_record(number) for number in range(count)), invocations)


def a_policy(*, bisect: bool = False, retries: int = -1, age: float = 1e9) -> RetryPolicy:
    return RetryPolicy(bisect, retries, age)


def numbers(batch: Batch | None) -> list[int]:
    return [int(record["SequenceNumber"]) for record in batch.records] if batch else []


def named(*identifiers: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


@pytest.mark.parametrize("response", [None, {}, "", [], {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_first_failed_is_past_the_end_for_a_response_without_failures(response: object) -> None:
    assert first_failed(response, a_batch(3).records) == 3


@pytest.mark.parametrize(
    "response",
    [
        named(""),
        named(None),
        named(2),
        named("unknown"),
        named(f"{2:030d}", "unknown"),
        {"batchItemFailures": [{"sequenceNumber": f"{2:030d}"}]},
        {"batchItemFailures": ["unknown"]},
        {"batchItemFailures": {}},
        {"batchItemFailures": "all"},
        "done",
        ["done"],
        200,
    ],
)
def test_first_failed_is_the_first_record_for_a_response_that_makes_no_sense(response: object) -> None:
    assert first_failed(response, a_batch(3).records) == 0


def test_first_failed_is_the_lowest_sequence_number_named() -> None:
    assert first_failed(named(f"{4:030d}", f"{2:030d}", f"{3:030d}"), a_batch(5).records) == 2


def test_success_leaves_nothing_to_do() -> None:
    assert after_invocation(a_batch(3), 3, a_policy()) == Verdict()


def test_failed_batch_is_tried_again_whole_without_bisect() -> None:
    assert after_invocation(a_batch(3), 0, a_policy()) == Verdict(retry=(a_batch(3, invocations=1),))


def test_failed_batch_is_given_up_after_its_retries() -> None:
    policy = a_policy(retries=2)
    assert after_invocation(a_batch(3, invocations=1), 0, policy).discarded is None
    assert after_invocation(a_batch(3, invocations=2), 0, policy).discarded == a_batch(3, invocations=3)


def test_moved_checkpoint_starts_the_count_anew() -> None:
    verdict = after_invocation(a_batch(5, invocations=9), 2, a_policy(retries=1))
    assert verdict.discarded is None
    assert [(numbers(batch), batch.invocations) for batch in verdict.retry] == [([2, 3, 4], 1)]


def test_failed_batch_is_halved_and_the_halves_are_new_with_bisect() -> None:
    verdict = after_invocation(a_batch(5), 0, a_policy(bisect=True, retries=0))
    assert [(numbers(batch), batch.invocations) for batch in verdict.retry] == [([0, 1, 2], 0), ([3, 4], 0)]


def test_batch_is_cut_at_the_checkpoint_with_bisect() -> None:
    verdict = after_invocation(a_batch(5), 3, a_policy(bisect=True, retries=0))
    assert [(numbers(batch), batch.invocations) for batch in verdict.retry] == [([3, 4], 0)]


def test_single_record_uses_up_its_retries_with_bisect() -> None:
    assert numbers(after_invocation(a_batch(1), 0, a_policy(bisect=True, retries=0)).discarded) == [0]


def run(count: int, poison: set[int], policy: RetryPolicy, *, reports: bool) -> tuple[list[int], list[int]]:
    """Plays a batch to its end with a function that fails on ``poison``; returns what succeeded and what was given up.

    ``reports``: it names the first such record, and has done those before; otherwise it raises and has done nothing.
    """
    done: list[int] = []
    given_up: list[int] = []
    pending = [a_batch(count)]
    while pending:
        batch = pending.pop(0)
        bad = [index for index, number in enumerate(numbers(batch)) if number in poison]
        failed_at = len(batch.records) if not bad else bad[0] if reports else 0
        done += numbers(batch)[:failed_at]
        verdict = after_invocation(batch, failed_at, policy)
        given_up += numbers(verdict.discarded)
        pending = [*verdict.retry, *pending]
    return done, given_up


@given(
    count=st.integers(1, 40),
    poison=st.sets(st.integers(0, 39)),
    retries=st.integers(0, 3),
    bisect=st.booleans(),
    reports=st.booleans(),
)
def test_every_record_ends_once_and_in_order_as_done_or_given_up(
    count: int, poison: set[int], retries: int, bisect: bool, reports: bool
) -> None:
    done, given_up = run(count, poison, a_policy(bisect=bisect, retries=retries), reports=reports)
    assert done == sorted(done)
    assert given_up == sorted(given_up)
    assert sorted(done + given_up) == list(range(count))
    assert not poison & set(done)


@given(count=st.integers(1, 40), poison=st.sets(st.integers(0, 39)), retries=st.integers(0, 3), reports=st.booleans())
def test_bisect_gives_up_exactly_the_bad_records(count: int, poison: set[int], retries: int, reports: bool) -> None:
    _, given_up = run(count, poison, a_policy(bisect=True, retries=retries), reports=reports)
    assert given_up == sorted(number for number in poison if number < count)


def test_refusal_does_not_count_as_a_retry() -> None:
    refused = after_refusal(a_batch(2, invocations=1))
    assert (refused.invocations, refused.refusals) == (1, 1)
    assert after_invocation(refused, 0, a_policy(retries=2)).discarded is None


def test_delay_grows_up_to_its_bound_and_is_none_for_a_new_batch() -> None:
    delays = [retry_delay(a_batch(1, invocations)) for invocations in range(12)]
    assert delays[:4] == [0, RETRY_BASE_SECONDS, 2 * RETRY_BASE_SECONDS, 4 * RETRY_BASE_SECONDS]
    assert delays[-1] == RETRY_MAX_SECONDS
    assert retry_delay(a_batch(1, 100_000)) == RETRY_MAX_SECONDS


def test_expired_records_are_split_from_the_others() -> None:
    batch = Batch(tuple(a_record(number, arrived=float(number)) for number in range(5)), invocations=3)
    expired, live = split_expired(batch, now=12.0, policy=a_policy(age=10))
    assert (numbers(expired), numbers(live)) == ([0, 1], [2, 3, 4])
    assert expired is not None
    assert expired.invocations == 3


@pytest.mark.parametrize(("now", "old", "young"), [(0.0, [], [0, 1]), (1e6, [0, 1], [])])
def test_expired_records_may_be_none_or_all(now: float, old: list[int], young: list[int]) -> None:
    expired, live = split_expired(a_batch(2), now, a_policy(age=10))
    assert (numbers(expired), numbers(live)) == (old, young)


def gathered(records: Sequence[KinesisRecord], batch_size: int, *unwanted: int) -> tuple[list[int], int | None, bool]:
    """The numbers in the batch, the last number dealt with, and whether the batch is full."""
    gathering = Gathering()
    reached = gather(gathering, records, batch_size, lambda record: int(record["SequenceNumber"]) not in unwanted)
    return numbers(Batch(tuple(gathering.records))), int(reached) if reached else None, gathering.full


def test_gather_stops_at_the_batch_size() -> None:
    assert gathered(a_batch(5).records, 3) == ([0, 1, 2], 2, True)


def test_gather_moves_past_what_is_not_wanted_even_at_the_end() -> None:
    assert gathered(a_batch(5).records, 3, 0, 2, 3, 4) == ([1], 4, False)


def test_gather_stops_before_the_record_that_would_exceed_the_payload_quota() -> None:
    large = [a_record(number, size=MAX_PAYLOAD_BYTES // 3) for number in range(4)]
    assert gathered(large, 100) == ([0, 1], 1, True)


def test_gather_takes_a_record_that_exceeds_the_payload_quota_by_itself() -> None:
    assert gathered([a_record(0, size=MAX_PAYLOAD_BYTES * 2), a_record(1)], 100) == ([0], 0, True)


def test_gather_goes_on_with_a_batch_that_was_begun() -> None:
    gathering = Gathering()
    gather(gathering, a_batch(2).records, 4, lambda _record: True)
    gather(gathering, [a_record(number) for number in range(2, 6)], 4, lambda _record: True)
    assert numbers(Batch(tuple(gathering.records))) == [0, 1, 2, 3]


@given(key=st.text(min_size=1), lanes=st.integers(1, 10))
def test_key_has_one_of_the_lanes(key: str, lanes: int) -> None:
    assert 0 <= lane_of(key, lanes) < lanes


def test_keys_use_every_lane() -> None:
    assert {lane_of(f"card-{number}", 10) for number in range(1000)} == set(range(10))


def test_settings_have_the_defaults_of_aws() -> None:
    settings = mapping_settings({}, retention_seconds=86_400)
    assert settings.enabled
    assert (settings.batch_size, settings.window_seconds, settings.lanes) == (100, 0, 1)
    assert settings.retry == RetryPolicy(bisect=False, maximum_retries=-1, maximum_age_seconds=86_400)


def test_settings_may_be_text_as_cloudformation_passes_them() -> None:
    settings = mapping_settings({"Enabled": "false", "BatchSize": "7", "BisectBatchOnFunctionError": "true"}, 86_400)
    assert (settings.enabled, settings.batch_size, settings.retry.bisect) == (False, 7, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("BatchSize", 0), ("BatchSize", "many"), ("ParallelizationFactor", 11), ("MaximumRetryAttempts", -2)],
)
def test_setting_out_of_the_bounds_of_aws_is_refused_by_name(name: str, value: object) -> None:
    assert (settings_error({name: value}) or "").startswith(f"{name}: ")


@pytest.mark.parametrize("destination", ["queue", "arn:aws:lambda:eu-central-1:000000000000:function:f"])
def test_destination_that_aws_does_not_offer_is_refused_by_name(destination: str) -> None:
    assert destination in (settings_error({"DestinationConfig": {"OnFailure": {"Destination": destination}}}) or "")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"BatchSize": 10_000, "MaximumRetryAttempts": -1, "ParallelizationFactor": "10"},
        {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::bucket"}}},
    ],
)
def test_settings_that_aws_offers_are_accepted(settings: dict[str, Any]) -> None:
    assert settings_error(settings) is None
