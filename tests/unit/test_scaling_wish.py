"""How many instances there shall be: the bill stops when nobody waits, and nobody waits for an alarm."""

from datetime import UTC, datetime, timedelta

import pytest
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import Endpoint
from pilotlight.domain.hosting import ScaleIn, ScalingSettings
from pilotlight.domain.keep_warm import KeepWarm, Policy
from pilotlight.domain.lease import lease_from
from pilotlight.domain.scaling import Wish, wish
from pilotlight.domain.values import Backend
from pilotlight.domain.warmth import Wake, WakeOutcome

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
LONG_AGO, HOUR = NOW - timedelta(hours=2), timedelta(hours=1)
ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME


def an_endpoint(backend: Backend = ASYNC, *, instances: int = 1, **settings: object) -> Endpoint:
    scaling = ScalingSettings.model_validate(settings).for_backend(backend)
    return Endpoint(
        name="pilotlight-llama-g1",
        revision=1,
        newest_revision=1,
        instance_type="ml.g5.2xlarge",
        usd_per_hour=1.515,
        scaling=scaling,
        exists=True,
        status="InService",
        instances=instances,
        desired=instances,
        in_service_at=LONG_AGO,
    )


def a_deployment(backend: Backend = ASYNC, **fields: object) -> Deployment:
    return Deployment.model_validate(
        {
            "name": "llama",
            "status": Status.SERVING,
            "source": "hf://acme/llama",
            "backend": backend,
            "lease": lease_from("8h", NOW),
            "correlation_id": "c",
            "created_at": LONG_AGO,
            "updated_at": LONG_AGO,
            **fields,
        }
    )


def wished(deployment: Deployment, endpoint: Endpoint, **scene: object) -> Wish:
    told = {"must_stop": None, "in_flight": 0, "last_answer_at": None, "now": NOW, **scene}
    return wish(deployment, endpoint, **told)  # type: ignore[arg-type]


def test_an_asynchronous_endpoint_scales_between_nothing_and_its_most() -> None:
    found = wished(a_deployment(), an_endpoint(max=4))

    assert (found.floor, found.most, found.now, found.parked) == (0, 4, None, False)


def test_what_must_stop_stops_at_once_and_does_not_begin_by_itself_whoever_waits() -> None:
    found = wished(a_deployment(), an_endpoint(), must_stop="the ceiling is reached", in_flight=3)

    assert (found.floor, found.now, found.suspended) == (0, 0, True)
    assert found.reason == "the ceiling is reached"


def test_a_real_time_endpoint_that_must_stop_is_parked_because_it_cannot_have_no_instance() -> None:
    found = wished(a_deployment(REALTIME), an_endpoint(REALTIME), must_stop="the lease ended")

    assert found.parked


def test_an_open_window_keeps_one_instance_and_asks_for_it_at_once() -> None:
    deployment = a_deployment(keep_warm=KeepWarm(policy=Policy.ALWAYS))

    found = wished(deployment, an_endpoint(instances=0))

    assert (found.floor, found.now) == (1, 1)


def test_after_the_last_answer_instances_go_at_once_where_that_was_asked_for() -> None:
    endpoint = an_endpoint(scale_in="immediate")

    found = wished(a_deployment(), endpoint, last_answer_at=NOW - timedelta(seconds=1))

    assert (found.floor, found.now) == (0, 0)


def test_direct_calls_which_leave_no_mark_keep_their_copy_while_they_come() -> None:
    endpoint = an_endpoint(REALTIME, scale_in="immediate", components=True)

    called = wished(a_deployment(REALTIME), endpoint, last_answer_at=NOW - timedelta(seconds=119))
    quiet = wished(a_deployment(REALTIME), endpoint, last_answer_at=NOW - timedelta(seconds=120))

    assert (called.now, quiet.now) == (None, 0)


@pytest.mark.parametrize("backend", [ASYNC, REALTIME])
def test_more_instances_than_are_allowed_any_more_go_at_once(backend: Backend) -> None:
    found = wished(a_deployment(backend), an_endpoint(backend, max=2).changed(instances=5, desired=5), in_flight=9)

    assert (found.most, found.now, found.parked) == (2, 2, False)


@pytest.mark.parametrize(
    "scene",
    [{"in_flight": 1, "last_answer_at": NOW}, {"last_answer_at": None}],
    ids=["somebody waits", "nobody has called since it was woken"],
)
def test_instances_stay_while_they_may_be_needed(scene: dict[str, object]) -> None:
    endpoint = an_endpoint(scale_in="immediate").changed(in_service_at=NOW - timedelta(minutes=1))

    found = wished(a_deployment(), endpoint, **scene)

    assert found.now is None


def test_a_call_that_was_answered_before_its_wake_was_noted_lets_its_instance_go_at_once() -> None:
    began, answered, noted = (NOW - timedelta(seconds=seconds) for seconds in (300, 20, 10))
    wake = WakeOutcome(id="w", warm=True, reason="a call waits", began_at=began, at=noted)

    found = wished(a_deployment(last_wake=wake), an_endpoint(scale_in="immediate"), last_answer_at=answered)

    assert found.now == 0


def test_an_instance_that_was_woken_and_never_called_goes_after_the_cooldown() -> None:
    endpoint = an_endpoint(scale_in="immediate").changed(in_service_at=NOW - timedelta(minutes=11))

    found = wished(a_deployment(), endpoint)

    assert found.now == 0


def test_a_wake_under_way_is_not_scaled_away_beneath_its_feet() -> None:
    wake = Wake(id="w", started_at=NOW, deadline=NOW + timedelta(hours=1))

    found = wished(a_deployment(wake=wake), an_endpoint(scale_in="immediate"), last_answer_at=NOW)

    assert found.now is None


def test_without_the_option_autoscaling_removes_instances_and_we_do_not() -> None:
    found = wished(a_deployment(), an_endpoint(), last_answer_at=LONG_AGO)

    assert found.now is None


def test_a_deployment_that_was_scaled_down_lets_go_when_nobody_calls_any_more() -> None:
    quiet = a_deployment(quiet_until=NOW + timedelta(hours=1))

    while_called = wished(quiet, an_endpoint(), in_flight=1, last_answer_at=NOW)
    afterwards = wished(quiet, an_endpoint(), last_answer_at=NOW - timedelta(minutes=11))

    assert while_called.now is None
    assert (afterwards.floor, afterwards.now) == (0, 0)


def test_what_was_asked_to_go_while_it_was_called_or_moved_goes_when_it_can_and_not_a_cooldown_later() -> None:
    asked = {"quiet_since": NOW - timedelta(minutes=1), "quiet_until": NOW + timedelta(hours=1)}
    woken = WakeOutcome(id="w", warm=True, reason="called", began_at=NOW - timedelta(seconds=9), at=NOW)
    endpoint = an_endpoint().changed(created_at=LONG_AGO, in_service_at=NOW)

    under_way = wished(a_deployment(**asked), endpoint, last_answer_at=NOW)
    woken_since = wished(a_deployment(**asked, last_wake=woken), endpoint, last_answer_at=NOW)

    assert (under_way.now, woken_since.now) == (0, None)


def test_what_was_asked_to_go_waits_for_the_calls_that_leave_no_mark_where_there_may_be_some() -> None:
    def asked(backend: Backend, seconds: float) -> Wish:
        quiet = {"quiet_since": NOW - timedelta(seconds=seconds), "quiet_until": NOW + HOUR}
        return wished(a_deployment(backend, **quiet), an_endpoint(backend), last_answer_at=NOW)

    assert [asked(REALTIME, seconds).parked for seconds in (0, 59, 60)] == [False, False, True]
    assert asked(ASYNC, 0).now == 0


def test_a_real_time_endpoint_with_windows_is_parked_outside_them_once_nobody_calls() -> None:
    window = {"days": "*", "start": "20:00", "end": "21:00", "timezone": "UTC"}
    deployment = a_deployment(REALTIME, keep_warm={"policy": "window", "windows": [window]})

    called = wished(deployment, an_endpoint(REALTIME), last_answer_at=NOW - timedelta(minutes=1))
    idle = wished(deployment, an_endpoint(REALTIME), last_answer_at=NOW - timedelta(minutes=6))

    assert (called.floor, called.parked) == (1, False), "with less than one SageMaker has no real-time endpoint"
    assert idle.parked


def test_a_real_time_endpoint_without_windows_keeps_its_least() -> None:
    found = wished(a_deployment(REALTIME), an_endpoint(REALTIME, min=2, instances=2), last_answer_at=LONG_AGO)

    assert (found.floor, found.most, found.now, found.parked) == (2, 3, None, False)


def test_components_let_a_real_time_endpoint_reach_nothing_without_being_parked() -> None:
    quiet = a_deployment(REALTIME, quiet_until=NOW + timedelta(hours=1))

    found = wished(quiet, an_endpoint(REALTIME, components=True))

    assert (found.now, found.parked) == (0, False)


def test_a_wake_that_answered_holds_its_instance_for_whoever_it_was_for() -> None:
    woken = WakeOutcome(id="w", warm=True, reason="asked for", at=NOW - timedelta(seconds=30))
    deployment = a_deployment(last_wake=woken)

    found = wished(deployment, an_endpoint(scale_in=ScaleIn.IMMEDIATE), last_answer_at=LONG_AGO)

    assert found.now is None


# ---- woken just now --------------------------------------------------------------------------------------------------


def woken(minutes_ago: float, **more: object) -> WakeOutcome:
    at = NOW - timedelta(minutes=minutes_ago)
    return WakeOutcome.model_validate({"id": "w", "warm": True, "reason": "warm", "at": at, "began_at": at, **more})


@pytest.mark.parametrize(
    ("deployment", "instances", "settings", "floor"),
    [
        ({"last_wake": woken(9)}, 1, {}, 1),
        ({"last_wake": woken(9)}, 3, {"max": 3, "min": 2, "initial": 2}, 2),
        ({"last_wake": woken(10)}, 1, {}, 0),
        ({"last_wake": woken(2)}, 1, {"scale_in_cooldown_seconds": 60}, 0),
        ({"last_wake": woken(1)}, 1, {"scale_in": "immediate"}, 1),
        ({"last_wake": woken(1)}, 0, {}, 0),
        ({"last_wake": woken(1, warm=False)}, 1, {}, 0),
        ({"last_wake": woken(5), "quiet_since": NOW - timedelta(minutes=2), "quiet_until": NOW + HOUR}, 1, {}, 0),
        ({"last_wake": woken(5), "quiet_since": NOW - timedelta(minutes=8), "quiet_until": NOW + HOUR}, 1, {}, 1),
    ],
)
def test_what_was_woken_is_held_for_a_cooldown(
    deployment: dict[str, object], instances: int, settings: dict[str, object], floor: int
) -> None:
    """An alarm that let go of it a quarter of an hour ago may ring still, and would take it again within a minute."""
    assert wished(a_deployment(**deployment), an_endpoint(instances=instances, **settings)).floor == floor


@pytest.mark.parametrize(
    ("minutes_ago", "instances", "settings", "floor"),
    [
        (9, 1, {}, 1),
        (10, 1, {}, 0),
        (2, 1, {"scale_in_cooldown_seconds": 60}, 0),
        (1, 0, {}, 0),
    ],
)
def test_what_is_called_is_held_for_a_cooldown_after_its_last_answer(
    minutes_ago: float, instances: int, settings: dict[str, object], floor: int
) -> None:
    """One call in two minutes is no backlog: the alarm that let go of an instance once would ring on beside it."""
    endpoint, answered = an_endpoint(instances=instances, **settings), NOW - timedelta(minutes=minutes_ago)

    found = wished(a_deployment(last_wake=woken(30)), endpoint, last_answer_at=answered)

    assert (found.floor, found.now) == (floor, None)


def test_what_was_woken_goes_with_its_last_answer_where_that_is_wanted() -> None:
    deployment, endpoint = a_deployment(last_wake=woken(5)), an_endpoint(scale_in="immediate")

    found = wished(deployment, endpoint, last_answer_at=NOW - timedelta(minutes=4))

    assert (found.floor, found.now) == (0, 0)


def test_the_timeline_is_told_why_it_stays_where_that_is_why() -> None:
    deployment = a_deployment(last_wake=woken(1))

    reasons = [wished(deployment, an_endpoint(min=least)).reason for least in (0, 1)]

    assert reasons == ["it was woken just now", "by its load"]
