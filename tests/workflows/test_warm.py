"""`warm`: a cold model answers a probe, or the record says why not; bounded, and one wake at a time."""

import json
from collections.abc import Iterator

import pytest

from tests.workflows.world import World, eventually


@pytest.fixture(scope="module")
def model(the_world: World) -> Iterator[str]:
    """Give a deployment that the tests of this module wake again and again."""
    the_world.calm()
    yield the_world.serving()
    the_world.calm()


@pytest.fixture
def cold(world: World, model: str) -> str:
    world.go_cold(model)
    return model


def wake(world: World, name: str) -> str:
    """Ask for a warm-up and give the name of its execution."""
    before = set(world.executions("warm", name))
    answer = world.http.post(f"/deployments/{name}/warm-up")
    assert answer.status_code == 202, answer.text
    (execution,) = set(world.executions("warm", name)) - before
    return execution


def test_a_model_that_loads_in_ninety_seconds_is_warm_after_one_wake(world: World, cold: str) -> None:
    world.bedrock.settings.cold_start_seconds = 90

    execution = world.execution("warm", wake(world, cold))

    assert execution.status == "SUCCEEDED"
    assert execution.path[-3:] == ("Ready?", "MarkWarm", "Warm")
    assert execution.path.count("ProbeDeployment") >= 2
    assert world.bedrock.is_warm(world.deployment(cold)["model_arn"])
    assert any(reason.startswith("warm after") for reason in world.reasons(cold))


def test_the_record_shows_waking_then_warm_with_its_end(world: World, cold: str) -> None:
    world.bedrock.settings.cold_start_seconds = 90

    execution = wake(world, cold)
    waking = world.deployment(cold)["warmth"]
    warm = eventually(lambda: _warmth(world, cold, "WARM"), "the record to say warm")
    world.execution("warm", execution)

    assert waking["state"] == "WAKING"
    assert warm["warm_until"] > warm["as_of"] > waking["as_of"]
    assert warm["cold_start_seconds"] > 20


def _warmth(world: World, name: str, state: str) -> dict | None:
    warmth = world.deployment(name)["warmth"]
    return warmth if warmth["state"] == state else None


def test_a_second_warm_up_joins_the_wake_under_way(world: World, cold: str) -> None:
    world.bedrock.knobs.never_ready = True
    execution = wake(world, cold)

    for _ in range(3):
        world.http.post(f"/deployments/{cold}/warm-up")
    world.bedrock.knobs.never_ready = False

    assert world.execution("warm", execution).status == "SUCCEEDED"
    assert len(_wakes_since(world, cold, execution)) == 1


def _wakes_since(world: World, name: str, execution: str) -> list[str]:
    """Give the wakes that the timeline tells of, from that execution's on."""
    wakes = [event["detail"]["wake"] for event in world.events(name) if event["reason"].startswith("waking: asked for")]
    return wakes[wakes.index(execution.rpartition("-w")[2]) :]


def test_a_model_that_never_loads_ends_the_wake_and_not_the_deployment(world: World, cold: str) -> None:
    world.bedrock.knobs.never_ready = True

    execution = world.execution("warm", wake(world, cold))

    assert (execution.status, execution.error) == ("FAILED", "WakeFailed")
    assert execution.path[-3:] == ("Ready?", "MarkWakeFailed", "WakeFailed")
    assert world.reasons(cold)[-1] == "the wake ended without an answer: no answer after 20 of 20 probes"
    assert world.deployment(cold)["status"] == "SERVING"

    world.bedrock.knobs.never_ready = False
    assert world.execution("warm", wake(world, cold)).status == "SUCCEEDED"


def test_throttled_probes_are_tried_again(world: World, cold: str) -> None:
    world.bedrock.knobs.throttle_calls = 3

    execution = world.execution("warm", wake(world, cold))

    assert execution.status == "SUCCEEDED"
    assert world.bedrock.knobs.throttle_calls == 0


def test_an_answer_without_text_is_not_taken_for_a_warm_model(world: World, cold: str) -> None:
    world.bedrock.knobs.hollow_first_answer = True

    execution = world.execution("warm", wake(world, cold))

    assert execution.status == "SUCCEEDED"
    assert execution.path.count("ProbeDeployment") >= 2


def test_a_model_that_was_deleted_by_hand_ends_the_wake_with_what_bedrock_said(world: World) -> None:
    name = world.serving()
    world.go_cold(name)
    world.cloud.client("bedrock").delete_imported_model(modelIdentifier=f"pilotlight-{name}-g1")

    execution = world.execution("warm", wake(world, name))

    assert execution.path == ("ProbeDeployment", "MarkWakeFailed", "WakeFailed")
    assert "ResourceNotFoundException" in world.reasons(name)[-1]


def test_a_wake_whose_success_cannot_be_marked_ends_as_failed(world: World, cold: str) -> None:
    with world.unreachable("mark_warm"):
        execution = world.execution("warm", wake(world, cold))

    assert execution.path[-3:] == ("MarkWarm", "MarkWakeFailed", "WakeFailed")
    assert world.reasons(cold)[-1].startswith("the wake ended without an answer: ")


def test_a_wake_whose_failure_cannot_be_marked_is_a_failed_execution_all_the_same(world: World) -> None:
    name = world.serving()
    world.go_cold(name)
    with world.unreachable("probe_deployment"), world.unreachable("mark_wake_failed"):
        execution = world.execution("warm", wake(world, name))

    assert (execution.status, execution.path) == ("FAILED", ("ProbeDeployment", "MarkWakeFailed", "WakeFailed"))


def test_a_wake_that_was_replaced_changes_nothing(world: World, model: str) -> None:
    before = world.events(model)
    stale = {"deployment": model, "generation": 1, "wake_id": "of-long-ago", "correlation_id": "c"}

    world.cloud.client("stepfunctions").start_execution(
        stateMachineArn=world.machine_arn("warm"), name=f"{model}-stale", input=json.dumps(stale)
    )

    execution = world.execution("warm", f"{model}-stale")
    assert execution.path == ("ProbeDeployment", "MarkWakeFailed", "WakeFailed")
    assert world.events(model) == before
