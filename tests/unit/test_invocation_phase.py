"""How far an invocation is, from what is known around it, and how long it may take: measured, or assumed."""

from datetime import timedelta

import pytest
from pilotlight.domain.backlog import BacklogSizes
from pilotlight.domain.invocation import InvocationStatus, Submission
from pilotlight.domain.invocation_phase import (
    ASSUMED_ANSWER_SECONDS,
    ASSUMED_INSTANCE_START_SECONDS,
    EstimateBasis,
    Phase,
    Scene,
    progress_of,
)
from pilotlight.domain.values import Backend
from pilotlight.domain.warmth import WakeOutcome

from tests.factories import NOON, a_hosted_deployment, a_serving_deployment, a_wake, an_invocation

MEASURED, ASSUMED = EstimateBasis.MEASURED, EstimateBasis.ASSUMED
AT_ZERO = {"instances": 0, "desired": 0}


def later(**span):
    return NOON + timedelta(**span)


def handed_over(at=NOON, invocation_id="i-3", **fields):
    submission = Submission(at=at, by=at + timedelta(hours=6), output_location="s3://b-b/k")
    told = {"backend": Backend.SAGEMAKER_ASYNC, "status": InvocationStatus.RUNNING, "submission": submission}
    return an_invocation(invocation_id, **{**told, **fields})


def waiting(**fields):
    return an_invocation("i-3", **{"backend": Backend.SAGEMAKER_ASYNC, **fields})


def scene(deployment=None, *, now=NOON, **fields):
    return Scene(now=now, deployment=deployment or a_hosted_deployment(), **fields)


# ---- phases ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "phase"),
    [
        ({"status": "SUCCEEDED"}, Phase.DONE),
        ({"status": "FAILED", "error_code": "invocation-failed"}, Phase.FAILED),
        ({"status": "FAILED", "error_code": "deadline-passed"}, Phase.EXPIRED),
    ],
)
@pytest.mark.parametrize("backend", list(Backend))
def test_what_is_over_is_done_failed_or_expired_and_has_no_estimate(backend, fields, phase):
    progress = progress_of(an_invocation(backend=backend, **fields), Scene(now=NOON))

    assert (progress.phase, progress.estimate) == (phase, None)


@pytest.mark.parametrize(
    ("fields", "wakes", "phase"),
    [
        ({}, False, Phase.QUEUED),
        ({"was_cold": True}, False, Phase.QUEUED),
        ({}, True, Phase.QUEUED),
        ({"was_cold": True}, True, Phase.LOADING),
        ({"status": "RUNNING"}, True, Phase.RUNNING),
    ],
)
def test_a_model_on_bedrock_loads_while_it_is_woken(fields, wakes, phase):
    deployment = a_serving_deployment(wake=a_wake() if wakes else None)

    assert progress_of(an_invocation(**fields), scene(deployment)).phase is phase


@pytest.mark.parametrize(
    ("endpoint", "wakes", "phase"),
    [
        (AT_ZERO, False, Phase.QUEUED),
        (AT_ZERO, True, Phase.INSTANCE_STARTING),
        ({"instances": 0, "desired": 1}, False, Phase.INSTANCE_STARTING),
        ({**AT_ZERO, "status": "Updating"}, False, Phase.INSTANCE_STARTING),
        ({**AT_ZERO, "status": "Creating"}, False, Phase.INSTANCE_STARTING),
        ({"status": "Creating"}, False, Phase.LOADING),
        ({"status": "Updating"}, True, Phase.LOADING),
        ({"instances": 1, "desired": 2, "status": "Updating"}, True, Phase.RUNNING),
        ({"status": "Updating"}, False, Phase.RUNNING),
        ({}, False, Phase.RUNNING),
        ({"copies": 0}, False, Phase.LOADING),
        ({"copies": 1}, False, Phase.RUNNING),
        ({"exists": False}, False, Phase.QUEUED),
        ({"exists": False}, True, Phase.INSTANCE_STARTING),
    ],
)
def test_a_call_that_an_endpoint_has_taken_is_as_far_as_the_endpoint_is(endpoint, wakes, phase):
    deployment = a_hosted_deployment(**endpoint).changed(wake=a_wake() if wakes else None)

    assert progress_of(handed_over(), scene(deployment, waiting=("i-3",))).phase is phase


def test_a_call_that_no_endpoint_has_taken_yet_does_not_run():
    assert progress_of(waiting(), scene()).phase is Phase.QUEUED
    assert progress_of(waiting(status="RUNNING"), scene()).phase is Phase.RUNNING


def test_a_call_runs_when_it_is_its_turn():
    ids = ("i-1", "i-2", "i-3", "i-4")

    phases = [progress_of(handed_over(invocation_id=each), scene(waiting=ids)).phase for each in ids]

    assert phases == [Phase.RUNNING, Phase.QUEUED, Phase.QUEUED, Phase.QUEUED]


def test_each_instance_and_each_place_on_it_is_a_turn():
    deployment = a_hosted_deployment(instances=2, desired=2)
    endpoint = deployment.endpoint.changed(scaling=deployment.endpoint.scaling.changed(concurrent_invocations=2))
    deployment = deployment.changed(endpoint=endpoint)
    ids = tuple(f"i-{number}" for number in range(1, 6))

    phases = [progress_of(handed_over(invocation_id=each), scene(deployment, waiting=ids)).phase for each in ids]

    assert phases == [Phase.RUNNING] * 4 + [Phase.QUEUED]


def test_the_endpoint_of_another_generation_says_nothing():
    assert progress_of(handed_over(generation=2), scene()).phase is Phase.QUEUED


@pytest.mark.parametrize(
    ("measured_at", "size", "phase"),
    [
        (later(minutes=2), 1, Phase.RUNNING),  # the answers before it are there, and nobody has told us
        (later(minutes=2), 9, Phase.QUEUED),  # others call the endpoint past us
        (later(seconds=30), 1, Phase.QUEUED),  # of before it was handed over
        (None, 1, Phase.QUEUED),
    ],
)
def test_the_endpoints_own_measure_corrects_the_place_once_it_is_newer(measured_at, size, phase):
    backlog = BacklogSizes(size=size, measured_at=measured_at)

    told = progress_of(handed_over(), scene(waiting=("i-1", "i-2", "i-3"), backlog=backlog))

    assert told.phase is phase


# ---- estimates -------------------------------------------------------------------------------------------------


def left(invocation, told):
    estimate = progress_of(invocation, told).estimate
    return estimate.seconds_left, estimate.basis


def test_an_estimate_of_nothing_measured_says_so():
    assert left(handed_over(), scene(waiting=("i-3",))) == (ASSUMED_ANSWER_SECONDS, ASSUMED)


def test_a_running_call_has_what_the_last_answers_took_and_it_did_not_yet():
    told = scene(waiting=("i-3",), latencies=(50.0, 10.0, 40.0), now=later(seconds=15))

    assert left(handed_over(), told) == (25, MEASURED)


def test_a_call_that_runs_longer_than_others_did_is_still_not_over():
    told = scene(waiting=("i-3",), latencies=(40.0,), now=later(seconds=900))

    assert left(handed_over(), told) == (5, MEASURED)


def test_a_call_does_not_begin_to_run_before_the_endpoint_was_awake():
    outcome = WakeOutcome(id="w-1", warm=True, reason="up", at=later(minutes=5))
    deployment = a_hosted_deployment().changed(last_wake=outcome)
    told = scene(deployment, waiting=("i-3",), latencies=(40.0,), now=later(minutes=5, seconds=10))

    assert left(handed_over(), told) == (30, MEASURED)


def test_a_place_in_the_queue_is_so_many_answers():
    told = scene(waiting=("i-1", "i-2", "i-3"), latencies=(40.0,))

    assert left(handed_over(), told) == (120, MEASURED)


def test_a_start_that_was_measured_counts_and_one_that_was_not_is_assumed():
    deployment = a_hosted_deployment(**AT_ZERO).changed(wake=a_wake())
    now = later(seconds=100)

    measured = deployment.changed(cold_starts=(300.0, 320.0, 310.0))

    assert left(handed_over(), scene(measured, latencies=(40.0,), now=now)) == (250, MEASURED)
    assert left(handed_over(), scene(deployment, latencies=(40.0,), now=now)) == (
        round(ASSUMED_INSTANCE_START_SECONDS - 100 + 40),
        ASSUMED,
    )


def test_a_start_that_takes_longer_than_others_did_is_still_not_over():
    deployment = a_hosted_deployment(**AT_ZERO).changed(wake=a_wake(), cold_starts=(300.0,))

    assert left(handed_over(), scene(deployment, latencies=(40.0,), now=later(minutes=20))) == (45, MEASURED)


def test_where_nothing_begins_yet_a_whole_start_is_to_come():
    deployment = a_hosted_deployment(**AT_ZERO).changed(cold_starts=(300.0,))

    assert left(handed_over(), scene(deployment, latencies=(40.0,))) == (340, MEASURED)


def test_on_bedrock_the_speed_says_how_long_an_answer_takes():
    told = scene(
        a_serving_deployment(wake=a_wake(), cold_starts=(90.0,)), tokens_per_second=51.2, now=later(seconds=30)
    )

    assert left(an_invocation(was_cold=True), told) == (70, MEASURED)
    assert left(an_invocation(), told) == (10, MEASURED)


def test_without_its_deployment_an_invocation_has_the_least_that_can_be_said():
    assert left(waiting(), Scene(now=NOON)) == (ASSUMED_ANSWER_SECONDS, ASSUMED)
