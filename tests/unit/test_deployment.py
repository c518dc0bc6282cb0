"""A deployment changes only as its table allows, says why it refuses, and always knows what happens next."""

from datetime import timedelta

import pytest
from pilotlight.domain.deployment import (
    TRANSITIONS,
    UNDER_WAY,
    EventKind,
    Status,
    change,
    next_generation,
)
from pilotlight.domain.errors import IllegalTransition, NotServing, Superseded
from pydantic import ValidationError

from tests.factories import NOON, a_deployment, a_serving_deployment, a_wake, always_warm, at, office_hours

LATER = NOON + timedelta(hours=1)
LEGAL = {
    ("REQUESTED", "STAGING"),
    ("STAGING", "IMPORTING"),
    ("STAGING", "CREATING"),
    ("IMPORTING", "WARMING"),
    ("CREATING", "WARMING"),
    ("WARMING", "SERVING"),
    ("FAILED", "REQUESTED"),
    ("TEARING_DOWN", "GONE"),
    ("GONE", "REQUESTED"),
    *((status, "FAILED") for status in ("REQUESTED", "STAGING", "IMPORTING", "CREATING", "WARMING")),
    *((status, "TEARING_DOWN") for status in ("REQUESTED", "STAGING", "IMPORTING", "CREATING", "WARMING")),
    ("SERVING", "TEARING_DOWN"),
    ("FAILED", "TEARING_DOWN"),
}
PAIRS = [(before, after) for before in Status for after in Status]


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda status: status.value)
def test_a_status_follows_another_exactly_where_the_table_says(before, after):
    deployment = a_deployment(status=before)

    if (before.value, after.value) in LEGAL:
        moved = deployment.moved_to(after, LATER)
        assert (moved.status, moved.updated_at) == (after, LATER)
    else:
        with pytest.raises(IllegalTransition, match=f"is {before} and cannot become {after}; it can become"):
            deployment.moved_to(after, LATER)


def test_every_status_has_its_line_in_the_table_and_a_way_to_its_end():
    assert set(TRANSITIONS) == set(Status)
    for status in set(Status) - {Status.GONE, Status.TEARING_DOWN}:
        assert Status.TEARING_DOWN in TRANSITIONS[status]


@pytest.mark.parametrize("name", ["", "Llama", "1llama", "llama_8b", "llama--8b", "llama-", "a" * 33, "läma", "a\n"])
def test_a_name_that_some_service_would_refuse_is_refused_at_once(name):
    with pytest.raises(ValidationError):
        a_deployment(name)


def test_a_task_of_another_generation_must_not_act():
    with pytest.raises(Superseded, match="at generation 2; this task was for 1"):
        a_deployment(generation=2).require(1)


def test_a_task_that_comes_back_late_must_not_act():
    with pytest.raises(Superseded, match="is SERVING; this task works on STAGING, IMPORTING"):
        a_serving_deployment().require(1, Status.STAGING, Status.IMPORTING)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.SERVING}))
def test_only_a_serving_deployment_takes_invocations_and_the_others_say_what_to_do(status):
    with pytest.raises(NotServing, match=f"is {status} and takes no invocations; .+") as caught:
        a_deployment(status=status).require_serving()

    assert caught.value.detail == {"deployment": "llama", "status": status}


def test_a_record_survives_its_json_form():
    deployment = a_serving_deployment(wake=a_wake(), keep_warm=office_hours("Asia/Shanghai"), tags={"team": "search"})

    assert type(deployment).model_validate(deployment.dump()) == deployment


def test_a_record_of_a_newer_version_with_more_fields_can_be_read():
    told = {**a_deployment().dump(), "schema_version": 2, "colour": "blue"}

    assert type(a_deployment()).model_validate(told).schema_version == 2


def test_only_the_newest_cold_starts_are_remembered():
    deployment = a_deployment()

    for seconds in range(1, 9):
        deployment = deployment.with_cold_start(float(seconds))

    assert deployment.cold_starts == (4.0, 5.0, 6.0, 7.0, 8.0)
    assert deployment.cold_start_seconds == 6.0


def test_a_change_names_the_statuses_where_they_differ_and_sets_the_next_look():
    before = a_deployment(status=Status.WARMING)

    moved = change(before, before.moved_to(Status.SERVING, LATER), EventKind.STATUS, "it answers", LATER, probes=3)
    same = change(before, before, EventKind.NOTE, "nothing", LATER)

    assert (moved.event.before, moved.event.after) == (Status.WARMING, Status.SERVING)
    assert moved.event.detail == {"probes": 3}
    assert (same.event.before, same.event.after) == (None, None)
    assert moved.after.next_look_at == before.lease.warn_at


def test_a_name_that_is_gone_goes_on_with_its_next_generation():
    gone = a_deployment(status=Status.GONE, generation=4, version=17)

    following = next_generation(gone, a_deployment())

    assert (following.generation, following.version, following.status) == (5, 17, Status.REQUESTED)


def look(deployment, now=NOON):
    return deployment.next_look(now)


def moment_of(deployment, now=NOON):
    return deployment.next_look(now)[0]


@pytest.mark.parametrize("status", sorted(UNDER_WAY))
def test_a_deployment_under_way_is_looked_at_every_five_minutes(status):
    assert moment_of(a_deployment(status=status)) == NOON + timedelta(minutes=5)


def test_nothing_is_due_for_what_is_gone():
    assert look(a_deployment(status=Status.GONE)) is None


@pytest.mark.parametrize("status", [Status.FAILED, Status.STAGING])
def test_a_lease_ends_whatever_the_status(status):
    when, what = look(a_deployment(status=status, lease="3m")) or (None, "")

    assert (when, what) == (NOON + timedelta(minutes=3), "lease ends: teardown")


def test_a_failed_permanent_deployment_waits_for_its_owner():
    assert look(a_deployment(status=Status.FAILED, lease="permanent")) is None


def test_a_teardown_is_looked_at_until_it_is_over_though_its_lease_ended():
    torn = a_deployment(status=Status.TEARING_DOWN, lease="1m")

    assert moment_of(torn, LATER) == LATER + timedelta(minutes=5)


def test_a_serving_deployment_is_looked_at_when_its_owner_must_be_warned_and_then_at_its_end():
    serving = a_serving_deployment()
    warned = serving.changed(lease=serving.lease.changed(warned=True))

    assert look(serving) == (NOON + timedelta(hours=66), "notice that the lease ends soon")
    assert look(warned) == (NOON + timedelta(hours=72), "lease ends: teardown")


def test_a_wake_is_looked_after():
    assert moment_of(a_serving_deployment(wake=a_wake())) == NOON + timedelta(minutes=5)


def test_a_model_in_its_window_is_looked_at_every_minute_and_outside_when_the_window_opens():
    serving = a_serving_deployment(keep_warm=office_hours(), lease="permanent")

    assert look(serving) == (NOON + timedelta(minutes=1), "keep the model warm")
    assert look(serving, at("2026-11-20T19:00")) == (at("2026-11-23T09:00"), "keep-warm window opens: wake the model")


def test_a_model_that_was_scaled_down_is_quiet_though_its_policy_wants_it_warm():
    quiet = a_serving_deployment(keep_warm=always_warm(), quiet_until=LATER, lease="permanent")

    assert not quiet.wants_warm(NOON)
    assert look(quiet) == (LATER, "keep-warm window opens: wake the model")
    assert quiet.wants_warm(LATER)


def test_a_model_that_nobody_keeps_warm_is_not_looked_at_for_it():
    asked_for_quiet = a_serving_deployment(lease="permanent", quiet_until=LATER)

    assert look(asked_for_quiet) is None
