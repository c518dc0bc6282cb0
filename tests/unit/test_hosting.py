"""What a user may say of instances, what is filled in for each backend, and what is refused with words that help."""

import botocore.session
import pytest
from pilotlight.domain.endpoint import (
    LOG_LINES_KEPT,
    Awaited,
    Seen,
    Waiting,
    last_lines,
    look_interval_seconds,
    rollback_alarm_name,
)
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.hosting import MOST_INSTANCES, Hosting, InstanceSettings, ScaleIn, ScalingSettings
from pilotlight.domain.values import Backend
from pydantic import ValidationError

from tests.factories import NOON, an_endpoint

ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME


def scaling(backend=ASYNC, **settings):
    return ScalingSettings.model_validate(settings).for_backend(backend)


# ---- defaults ----------------------------------------------------------------------------------------------------


def test_an_asynchronous_endpoint_reaches_zero_and_scales_by_its_backlog():
    found = scaling()

    assert (found.min, found.max, found.initial, found.target) == (0, 1, 1, 5.0)
    assert (found.scale_in_cooldown_seconds, found.scale_out_cooldown_seconds) == (600, 300)
    assert (found.disable_scale_in, found.scale_in, found.components) == (False, ScaleIn.COOLDOWN, False)


def test_a_real_time_endpoint_keeps_one_instance_and_scales_by_its_invocations():
    found = scaling(REALTIME)

    assert (found.min, found.max, found.initial, found.target) == (1, 3, 1, 30.0)
    assert (found.scale_in_cooldown_seconds, found.scale_out_cooldown_seconds) == (300, 0)


def test_with_components_a_real_time_endpoint_reaches_zero():
    found = scaling(REALTIME, components=True)

    assert (found.min, found.initial, found.components) == (0, 1, True)


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
@pytest.mark.parametrize(
    "settings", [{}, {"min": 2}, {"initial": 5}, {"min": 4, "initial": 2}, {"max": 2}, {"min": 2, "max": 2}], ids=str
)
def test_least_first_and_most_are_always_in_order(backend, settings):
    """What begins with more than its most would be more than anybody has claimed room and money for."""
    found = scaling(backend, **settings)

    assert found.min <= found.initial <= found.max
    assert found.max == settings.get("max", found.max)


def test_zero_is_a_number_and_not_the_absence_of_one():
    found = scaling(scale_in_cooldown_seconds=0, scale_out_cooldown_seconds=0, initial=0)

    assert (found.scale_in_cooldown_seconds, found.scale_out_cooldown_seconds, found.initial) == (0, 0, 0)


def test_what_is_said_is_kept():
    said = {"min": 1, "max": 9, "initial": 2, "backlog_per_instance": 7.5, "concurrent_invocations": 4}

    found = scaling(**said, scale_in="immediate")

    assert (found.min, found.max, found.initial, found.target, found.concurrent_invocations) == (1, 9, 2, 7.5, 4)
    assert found.scale_in is ScaleIn.IMMEDIATE


def test_what_is_said_of_a_real_time_endpoint_is_kept():
    said = {"min": 1, "max": 9, "initial": 4, "invocations_per_instance": 12.5, "disable_scale_in": True}

    found = scaling(REALTIME, **said)

    assert (found.min, found.max, found.initial, found.target, found.disable_scale_in) == (1, 9, 4, 12.5, True)
    assert scaling(REALTIME, components=True, min=0).min == 0


# ---- contradictions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min": 3, "max": 2}, "min is 3 and max is 2"),
        ({"initial": 3, "max": 2}, "initial is 3 and max is 2"),
        ({"disable_scale_in": True, "scale_in": "immediate"}, "leave one of them out"),
        ({"max": 0}, "greater than or equal to 1"),
        ({"min": -1}, "greater than or equal to 0"),
        ({"max": MOST_INSTANCES + 1}, "less than or equal to 100"),
        ({"backlog_per_instance": 5e-324}, "greater than or equal to 0.01"),
        ({"concurrent_invocations": 1001}, "less than or equal to 1000"),
        ({"scale_in": "never"}, "'cooldown' or 'immediate'"),
        ({"minimum": 1}, "Extra inputs are not permitted"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other_or_that_there_are_not_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        ScalingSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("backend", "settings", "field", "advice"),
    [
        (ASYNC, {"invocations_per_instance": 5}, "scaling.invocations_per_instance", "set backlog_per_instance"),
        (ASYNC, {"components": True}, "scaling.components", "leave components out"),
        (REALTIME, {"backlog_per_instance": 5}, "scaling.backlog_per_instance", "invocations_per_instance"),
        (REALTIME, {"concurrent_invocations": 5}, "scaling.concurrent_invocations", "invocations_per_instance"),
        (REALTIME, {"scale_in": "immediate"}, "scaling.scale_in", "set components"),
        (REALTIME, {"min": 0}, "scaling.min", "set components for scale to zero, or min 1"),
        (REALTIME, {"initial": 0}, "scaling.initial", "then scale it down"),
    ],
    ids=str,
)
def test_what_a_backend_does_not_have_is_refused_with_what_it_has(backend, settings, field, advice):
    with pytest.raises(InvalidInput, match=advice) as refused:
        scaling(backend, **settings)

    assert refused.value.detail["field"] == field
    assert refused.value.http_status == 422


def test_components_may_let_go_with_the_last_answer():
    assert scaling(REALTIME, components=True, scale_in="immediate").scale_in is ScaleIn.IMMEDIATE


@pytest.mark.parametrize("kind", ["g5.xlarge", "ml.g5", "ML.g5.xlarge", "ml.g5.xlarge\n", "ml.g5.xlarge; rm", ""])
def test_what_is_no_name_of_an_instance_is_refused(kind):
    with pytest.raises(ValidationError):
        InstanceSettings(type=kind)


def test_hosting_that_nobody_said_a_word_of_is_complete():
    hosting = Hosting()

    assert Hosting.model_validate(hosting.dump()) == hosting


# ---- endpoints ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "takes_calls"),
    [
        ({"status": "InService", "instances": 1}, True),
        ({"status": "InService", "instances": 0}, False),
        ({"status": "InService", "instances": 1, "copies": 0}, False),
        ({"status": "InService", "instances": 0, "copies": 1}, True),
        ({"status": "Updating", "instances": 1}, False),
        ({"status": "Failed", "instances": 1}, False),
    ],
    ids=str,
)
def test_calls_are_taken_by_an_instance_in_service_or_a_copy_of_the_model(found, takes_calls):
    assert Seen(name="e", arn="a", config_name="c", **found).has_capacity is takes_calls


@pytest.mark.parametrize("status", ["InService", "Failed", "OutOfService", "UpdateRollbackFailed"])
def test_what_is_at_rest_and_not_in_service_is_broken(status):
    endpoint = an_endpoint(exists=True, status=status)

    assert endpoint.is_broken is (status != "InService")
    assert Seen(name="e", arn="a", config_name="c", status=status).is_settled
    assert not endpoint.changed(exists=False).is_broken


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting", "IN_SERVICE"])
def test_what_moves_is_neither_at_rest_nor_broken(status):
    assert not Seen(name="e", arn="a", config_name="c", status=status).is_settled
    assert not an_endpoint(exists=True, status=status).is_broken


def test_every_status_that_sagemaker_knows_is_one_or_the_other():
    told = botocore.session.get_session().get_service_model("sagemaker").shape_for("EndpointStatus").enum
    at_rest = {name for name in told if Seen(name="e", arn="a", config_name="c", status=name).is_settled}

    assert at_rest == {"InService", "Failed", "OutOfService", "UpdateRollbackFailed"}


def test_who_waits_for_something_else_keeps_his_token():
    first = Waiting(token="a", awaited=Awaited.UPDATED, since=NOON)
    second = Waiting(token="b", awaited=Awaited.CAPACITY, since=NOON)
    third = Waiting(token="c", awaited=Awaited.CAPACITY, since=NOON)

    endpoint = an_endpoint().with_waiting(first).with_waiting(second).with_waiting(third)

    assert [each.token for each in endpoint.waiting] == ["a", "c"]
    assert [each.token for each in endpoint.without_waiting("a").waiting] == ["c"]
    assert type(endpoint).model_validate(endpoint.dump()) == endpoint


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"status": "InService", "instances": 1}, 60),
        ({"status": "InService", "desired": 1}, 60),
        ({"status": "Creating"}, 60),
        ({"status": "InService"}, 300),
        ({"status": "InService", "waiting": [{"token": "a", "awaited": "capacity", "since": NOON}]}, 60),
    ],
    ids=str,
)
def test_what_costs_or_moves_is_looked_at_each_minute_and_all_else_seldom(fields, seconds):
    assert look_interval_seconds(an_endpoint(exists=True, **fields)) == seconds


def test_of_a_log_the_last_lines_are_kept_that_say_something():
    lines = ["", *(f"line {number}\n" for number in range(30)), "x" * 900, "  "]

    kept = last_lines(lines)

    assert len(kept) == LOG_LINES_KEPT
    assert (kept[-1], kept[-2]) == ("x" * 500, "line 29")


def test_the_alarm_of_an_endpoint_is_named_after_it():
    assert rollback_alarm_name("pilotlight-llama-g1") == "pilotlight-llama-g1-failures"
