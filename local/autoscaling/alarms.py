"""Alarms of CloudWatch on the hosting's metrics: evaluated each minute; moto's evaluate nothing.

Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data": the tables of the cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from moto.cloudwatch.models import Alarm

from local.sagemaker.metrics import NAMESPACE, Metric, Series
from local.sagemaker.places import Place

_LOOKS_FURTHER_BACK = 2  # periods beyond those that are evaluated, for the sake of late data
_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Average": fmean,
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
}
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def evaluate(alarm: Alarm, place: Place, series: Series, now: float) -> float | None:
    """Bring an alarm's state up to date; give the value that keeps it in ALARM, None where it is not."""
    if alarm.namespace != NAMESPACE or not alarm.metric_name or alarm.comparison_operator not in _COMPARISONS:
        return None
    points = _datapoints(alarm, place, series, now)
    found = [value for value in points if value is not None]
    state = _state(alarm, points)
    if state != alarm.state_value:
        reason = f"Threshold Crossed: {len(found)} datapoints were evaluated against {alarm.threshold}."
        alarm.update_state(reason, "{}", state)
        alarm.state_updated_timestamp = datetime.fromtimestamp(now, UTC).replace(tzinfo=None)
    return found[-1] if state == "ALARM" and found else None


def _datapoints(alarm: Alarm, place: Place, series: Series, now: float) -> list[float | None]:
    """Give the statistic of each period that is looked at, oldest first."""
    period = int(alarm.period)
    end = now // period * period
    dimensions = tuple(sorted((each.name, each.value) for each in alarm.dimensions))
    metric = Metric(place, alarm.metric_name, dimensions)
    periods = int(alarm.evaluation_periods) + _LOOKS_FURTHER_BACK
    starts = [end - period * number for number in range(periods, 0, -1)]
    values = [series.between(metric, start, start + period) for start in starts]
    return [_statistic(alarm, each) if each else None for each in values]


def _statistic(alarm: Alarm, values: Sequence[float]) -> float:
    if alarm.extended_statistic:  # a percentile, as p90
        rank = float(alarm.extended_statistic.lstrip("p")) / 100 * (len(values) - 1)
        return sorted(values)[round(rank)]
    return float(_STATISTICS[alarm.statistic](values))


def _state(alarm: Alarm, points: Sequence[float | None]) -> str:
    """Give the state that the datapoints make, the missing ones treated as the alarm says."""
    wanted = int(alarm.evaluation_periods)
    needed = int(alarm.datapoints_to_alarm or wanted)
    breaches = _COMPARISONS[alarm.comparison_operator]
    known = [value for value in points if value is not None][-wanted:]
    breaching = sum(breaches(value, float(alarm.threshold)) for value in known)
    treatment = alarm.treat_missing_data or "missing"
    if breaching >= needed or (treatment == "breaching" and breaching + wanted - len(known) >= needed):
        return "ALARM"
    if treatment in ("breaching", "notBreaching") or breaching < len(known):
        return "OK"
    # nothing is known that does not breach: too little for an alarm, unless it has gone on for as long
    if treatment == "missing" and known:
        oldest = next(number for number, value in enumerate(points) if value is not None)
        return "ALARM" if len(points) - oldest >= needed else str(alarm.state_value)
    return "INSUFFICIENT_DATA" if treatment == "missing" else str(alarm.state_value)


def names_policy(alarm: Any, policy_arn: str) -> bool:
    """Say whether a policy is what an alarm sets off."""
    return bool(alarm.actions_enabled) and any(
        action == policy_arn or action.startswith(f"{policy_arn}:") for action in alarm.alarm_actions
    )
