"""CloudWatch metric alarms: dimensions, periods, M out of N, missing data, and evaluation while time passes.

Follows https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
The engine evaluates an alarm only when somebody calls PutMetricData, over all metrics of that name whatever their
dimensions, as if all periods were one, and ignores DatapointsToAlarm and TreatMissingData.

Here every alarm is evaluated each second. Periods are aligned to the clock. AWS waits for a period to end; a laptop
should not wait a minute, so the period in progress counts too: a level (Maximum, Minimum, Average, percentile) as it is
now, a count (Sum, SampleCount) only once it breaches upwards, because until its end it can only grow.
Metric math, anomaly detection and composite alarms stay the engine's.
"""

import logging
import operator
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from ministack.core.responses import request_scope
from ministack.services import cloudwatch

from local.overlay import engine_hooks
from local.overlay.engine_hooks import Engine

type State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

EVALUATION_SECONDS = 1.0
# AWS looks further back than EvaluationPeriods, so that a late point does not make an alarm flap. Its examples show
# five periods where three are evaluated.
_EXTRA_PERIODS = 2
_COUNTS = ("Sum", "SampleCount")
_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}

logger = logging.getLogger("overlay.cloudwatch")
_one_evaluation_at_a_time = threading.RLock()


def install(_: Engine) -> None:
    engine_hooks.replace(cloudwatch, "_evaluate_alarm", evaluate)
    threading.Thread(target=_evaluate_forever, name="cloudwatch-alarms", daemon=True).start()


def evaluate(alarm: dict[str, Any]) -> None:
    """Sets the alarm's state from its metric, in the current account and region; fires its actions where it changed."""
    if not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in _BREACHES:
        return
    with _one_evaluation_at_a_time:
        points = recent_periods(alarm, _datapoints(alarm), time.time())
        old, new = alarm["StateValue"], next_state(alarm, points)
        if new != old:
            _transition(alarm, old, new, _reason(alarm, points, new))


def recent_periods(alarm: Mapping[str, Any], points: Iterable[Mapping[str, Any]], now: float) -> list[float | None]:
    """The alarm's statistic for each period that counts, the newest last; None where a period has no data."""
    period = int(alarm.get("Period") or 60)
    current = int(now // period)
    by_period: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for point in points:
        by_period[int(point["Timestamp"] // period)].append(point)
    periods = [
        _statistic(alarm, by_period.get(index, []))
        for index in range(current - alarm.get("EvaluationPeriods", 1) - _EXTRA_PERIODS, current + 1)
    ]
    return periods[1:] if _counts_already(alarm, periods[-1]) else periods[:-1]


def next_state(alarm: Mapping[str, Any], periods: Sequence[float | None]) -> State:
    """The state that AWS's rules give an alarm over these periods, the newest last.

    Where at least EvaluationPeriods of them have data, the newest of those decide. Where fewer have, the missing ones
    are filled as TreatMissingData says.
    """
    evaluated = int(alarm.get("EvaluationPeriods") or 1)
    needed = int(alarm.get("DatapointsToAlarm") or evaluated)
    treatment = _treatment(alarm)
    known = [_is_breaching(alarm, value) for value in periods if value is not None][-evaluated:]
    missing = evaluated - len(known)
    if not known and treatment == "missing":
        return "INSUFFICIENT_DATA"
    if missing and treatment in ("breaching", "notBreaching"):
        known += [treatment == "breaching"] * missing
        missing = 0
    if known and sum(known) >= needed:
        return "ALARM"
    if not missing or not all(known):
        return "OK"
    if treatment == "missing" and _oldest_age(periods, evaluated) >= needed:
        return "ALARM"
    return _current_state(alarm)


def _oldest_age(periods: Sequence[float | None], evaluated: int) -> int:
    """How many periods ago, the newest being 1, the oldest data within the evaluated periods lies."""
    ages = [age for age, value in enumerate(reversed(periods), start=1) if value is not None and age <= evaluated]
    return max(ages, default=0)


def _treatment(alarm: Mapping[str, Any]) -> str:
    # "Alarms that evaluate metrics in the AWS/DynamoDB namespace always ignore missing data": API_PutMetricAlarm.
    if alarm.get("Namespace") == "AWS/DynamoDB":
        return "ignore"
    return str(alarm.get("TreatMissingData") or "missing")


def _current_state(alarm: Mapping[str, Any]) -> State:
    state: State = alarm["StateValue"]
    return state


def _counts_already(alarm: Mapping[str, Any], value_so_far: float | None) -> bool:
    if value_so_far is None:
        return False
    if alarm.get("ExtendedStatistic") or alarm.get("Statistic") not in _COUNTS:
        return True
    return str(alarm["ComparisonOperator"]).startswith("Greater") and _is_breaching(alarm, value_so_far)


def _is_breaching(alarm: Mapping[str, Any], value: float) -> bool:
    return _BREACHES[alarm["ComparisonOperator"]](value, float(alarm["Threshold"]))


def _statistic(alarm: Mapping[str, Any], points: list[Mapping[str, Any]]) -> float | None:
    if not points:
        return None
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), name, points)
    return None if value is None else float(value)


def _datapoints(alarm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    dimensions = cloudwatch._dims_from_list(alarm.get("Dimensions") or [])
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    unit = alarm.get("Unit")
    return [point for point in list(cloudwatch._metrics.get(key, [])) if not unit or point["Unit"] == unit]


def _reason(alarm: Mapping[str, Any], periods: Sequence[float | None], state: State) -> str:
    shown = ", ".join("missing" if value is None else f"{value:g}" for value in reversed(periods))
    verb = {"ALARM": "crossed", "OK": "not crossed", "INSUFFICIENT_DATA": "unchecked: insufficient data"}[state]
    comparison = f"{alarm['ComparisonOperator']} {alarm['Threshold']:g}"
    return f"Threshold {verb}: {comparison}; most recent periods first: [{shown}]"


def _transition(alarm: dict[str, Any], old: State, new: State, reason: str) -> None:
    alarm.update(StateValue=new, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], old, new, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, new, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def _evaluate_forever() -> None:
    while True:
        time.sleep(EVALUATION_SECONDS)
        for (account_id, region, name), alarm in cloudwatch._alarms.to_dict().items():
            try:
                with request_scope(account_id, region):
                    evaluate(alarm)
            except Exception:
                logger.exception("The alarm %s could not be evaluated", name)
