"""What alarms and policies make of numbers: the tables of the user guides."""

from types import SimpleNamespace

import pytest

from local.autoscaling import alarms
from local.autoscaling.activities import Activity
from local.autoscaling.deciding import by_steps, by_target
from local.sagemaker.metrics import NAMESPACE, Metric, Series
from local.sagemaker.places import Place

PLACE = Place("123456789012", "us-east-1")
DIMENSIONS = (("EndpointName", "little"),)
NOW = 1_800_000_000.0


class Alarm(SimpleNamespace):
    def update_state(self, _reason, _data, state):
        self.state_value = state


def alarm(treatment="missing", needed=3, periods=3, before="OK", **more):
    told = {
        "namespace": NAMESPACE,
        "metric_name": "ApproximateBacklogSize",
        "dimensions": [SimpleNamespace(name="EndpointName", value="little")],
        "period": 60,
        "evaluation_periods": periods,
        "datapoints_to_alarm": needed,
        "comparison_operator": "GreaterThanThreshold",
        "threshold": 0.5,
        "statistic": "Average",
        "extended_statistic": None,
        "treat_missing_data": treatment,
        "state_value": before,
    }
    return Alarm(**told | more)


def series(points):
    """Give a series of minutes: X breaches, 0 does not, - is missing; the last is the latest."""
    made = Series()
    for age, point in zip(range(len(points), 0, -1), points, strict=True):
        if point != "-":
            made.put(PLACE, NOW - 60 * age, {"ApproximateBacklogSize": float(point == "X")}, DIMENSIONS, keep=1e9)
    return made


@pytest.mark.parametrize(
    ("points", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0-X-X", "OK", "OK", "OK", "OK"),
        ("0----", "OK", "OK", "OK", "OK"),
        ("-----", "INSUFFICIENT_DATA", "before", "ALARM", "OK"),
        ("0XX-X", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("--X--", "ALARM", "before", "ALARM", "OK"),
        ("----X", "before", "before", "ALARM", "OK"),
    ],
)
def test_missing_data_is_treated_as_the_table_of_the_user_guide_has_it(
    points, missing, ignore, breaching, not_breaching
):
    wanted = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    for treatment, state in wanted.items():
        made = alarm(treatment, before="before")

        alarms.evaluate(made, PLACE, series(points), NOW)

        assert made.state_value == state, treatment


def test_so_many_of_so_many_datapoints_are_enough():
    made = alarm(needed=2)

    assert alarms.evaluate(made, PLACE, series("X0X"), NOW) == 1.0
    assert made.state_value == "ALARM"


def test_an_alarm_looks_at_whole_periods_only():
    made = alarm(needed=1, periods=1)

    assert alarms.evaluate(made, PLACE, series("0X"), NOW + 59) == 1.0
    assert alarms.evaluate(made, PLACE, series("0X"), NOW - 1) is None


@pytest.mark.parametrize(("statistic", "value"), [("Sum", 6), ("Maximum", 3), ("Minimum", 1), ("SampleCount", 3)])
def test_statistics_are_taken_over_a_period(statistic, value):
    made = Series()
    for number in (1.0, 2.0, 3.0):
        made.put(PLACE, NOW - 30, {"ApproximateBacklogSize": number}, DIMENSIONS, keep=1e9)

    assert alarms.evaluate(alarm(needed=1, periods=1, statistic=statistic), PLACE, made, NOW) == value


def test_other_services_alarms_are_left_alone():
    made = alarm(namespace="AWS/SQS", before="before")

    assert alarms.evaluate(made, PLACE, series("XXX"), NOW) is None
    assert made.state_value == "before"


def test_tracking_brings_a_shared_metric_to_its_target():
    config = {"TargetValue": 5.0, "ScaleOutCooldown": 30, "ScaleInCooldown": 60}

    assert (by_target(config, 2, 11.0).capacity, by_target(config, 2, 11.0).cooldown_seconds) == (5, 30)
    assert (by_target(config, 4, 2.0).capacity, by_target(config, 4, 2.0).cooldown_seconds) == (2, 60)
    assert by_target(config, 2, 4.6) is None
    assert by_target({**config, "DisableScaleIn": True}, 4, 0.0) is None
    assert by_target(config, 0, 100.0).capacity == 0


@pytest.mark.parametrize(
    ("kind", "capacity", "over", "wanted"),
    [
        ("ChangeInCapacity", 2, 0.0, 3),
        ("ChangeInCapacity", 2, 10.0, 6),
        ("ExactCapacity", 7, 3.0, 1),
        ("PercentChangeInCapacity", 10, 3.0, 11),
        ("ChangeInCapacity", 0, -5.0, None),
    ],
)
def test_steps_are_taken_by_how_far_a_value_is_over(kind, capacity, over, wanted):
    steps = [
        {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 10, "ScalingAdjustment": 1},
        {"MetricIntervalLowerBound": 10, "ScalingAdjustment": 4},
    ]

    wish = by_steps({"AdjustmentType": kind, "StepAdjustments": steps}, capacity, over)

    assert (wish.capacity if wish else None) == wanted


def test_a_cooldown_is_of_one_direction():
    activity = Activity(out_at=NOW)

    assert not activity.allows(NOW + 299, grows=True, cooldown_seconds=300)
    assert activity.allows(NOW + 300, grows=True, cooldown_seconds=300)
    assert activity.allows(NOW + 1, grows=False, cooldown_seconds=300)


def test_series_give_what_lies_between_and_forget_what_is_old():
    made = Series()
    metric = Metric(PLACE, "n", DIMENSIONS)
    for at in range(10):
        made.put(PLACE, float(at), {"n": float(at)}, DIMENSIONS, keep=5)

    assert made.between(metric, 6, 8) == [6, 7]
    assert made.between(metric, 0, 100) == [4, 5, 6, 7, 8, 9]
