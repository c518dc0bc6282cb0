"""`update`: another revision serves without a gap, or the former one serves on and the record says why."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.workflows.hosted import ASYNC, REALTIME, endpoint, hosted, kept, told
from tests.workflows.world import World, eventually

pytestmark = pytest.mark.slow

LONG_ENOUGH = 1800  # for instances to come that are rolled back before they do


@pytest.fixture(scope="module")
def live(the_world: World, staged: str) -> Iterator[str]:
    """Give a real-time deployment that the tests of this module update again and again."""
    the_world.calm()
    yield (name := hosted(the_world, REALTIME))
    the_world.let_go([name])


def change(world: World, name: str, **sections: Any) -> int:
    """Ask for other settings, and give the revision that is on its way."""
    answer = world.http.patch(f"/deployments/{name}", json=sections)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["endpoint"]["update"]["revision"])


def context(tokens: int) -> dict[str, Any]:
    return {"options": {"max_model_len": str(tokens)}}


def over(world: World, name: str, meanwhile: Callable[[], object] = bool) -> dict[str, Any]:
    """Give the endpoint once nothing changes it; until then something is done again and again."""

    def look() -> bool:
        meanwhile()
        return "update" not in kept(world, name)

    eventually(look, f"the update of {name} to be over", but=lambda: str(world.reasons(name)[-8:]))
    return endpoint(world, name)


def served_by(world: World, name: str) -> str:
    """Give the config that SageMaker says is in service."""
    described = world.cloud.client("sagemaker").describe_endpoint(EndpointName=f"pilotlight-{name}-g1")
    return str(described["EndpointConfigName"].rpartition("-v")[2])


def statuses(world: World, name: str) -> dict[int, str]:
    """Give what became of each revision."""
    return {each["number"]: each["status"] for each in world.http.get(f"/deployments/{name}/revisions").json()["items"]}


def test_an_update_brings_the_next_revision_and_callers_meet_no_gap(world: World, live: str) -> None:
    before = endpoint(world, live)["revision"]
    revision = change(world, live, serving=context(4096))

    calls: list[str] = []
    over(world, live, meanwhile=lambda: calls.append(told(world, live)["status"]))

    assert endpoint(world, live)["revision"] == revision
    assert served_by(world, live) == str(revision)
    assert set(calls) == {"SUCCEEDED"}
    assert {before: "RETIRED", revision: "IN_SERVICE"}.items() <= statuses(world, live).items()
    number = world.executions("update", live)[-1]
    assert world.execution("update", number).path == (
        *("StartUpdate", "UpdateStarted?", "AwaitEndpoint", "FinishUpdate", "Updated"),
    )


def test_instances_that_do_not_come_up_leave_the_former_revision_in_service(world: World, live: str) -> None:
    before = endpoint(world, live)["revision"]
    world.hosting.knobs.update_fails = 1
    soon = {"container": {"health_check_timeout_seconds": 60}}

    revision = change(world, live, serving={**context(2048), "model_loading_timeout": 60}, **soon)
    after = over(world, live)

    assert after["revision"] == before
    assert served_by(world, live) == str(before)
    assert statuses(world, live)[revision] == "FAILED"
    reason = world.reasons(live)[-1]
    assert reason.startswith(f"the update to revision {revision} failed, revision {before} serves on: ")
    assert told(world, live)["status"] == "SUCCEEDED"
    failed = [world.execution("update", each) for each in world.executions("update", live)]
    assert (failed[-1].status, failed[-1].error) == ("FAILED", "UpdateFailed")


def test_calls_that_fail_meanwhile_ring_the_alarm_that_takes_an_update_back(world: World, live: str) -> None:
    before = endpoint(world, live)["revision"]
    world.hosting.settings.start_seconds = LONG_ENOUGH
    revision = change(world, live, serving=context(1024))
    eventually(lambda: world.hosting.endpoint(f"pilotlight-{live}-g1").deployment, "the new instances to be asked for")

    def fail() -> None:
        world.hosting.knobs.fail_calls = ["the new weights are no good"]
        world.invoke(live)

    after = over(world, live, meanwhile=fail)
    world.hosting.knobs.fail_calls = []

    assert after["revision"] == before
    assert statuses(world, live)[revision] == "FAILED"
    assert served_by(world, live) == str(before)
    assert told(world, live)["status"] == "SUCCEEDED"


def test_a_rollback_on_request_serves_what_served_before(world: World, live: str) -> None:
    before = endpoint(world, live)["revision"]
    revision = change(world, live, serving=context(512))
    over(world, live)

    answer = world.http.post(f"/deployments/{live}/rollback", json={})
    after = over(world, live)

    assert answer.status_code == 202, answer.text
    assert after["revision"] == before
    assert served_by(world, live) == str(before)
    assert {before: "IN_SERVICE", revision: "RETIRED"}.items() <= statuses(world, live).items()


def test_other_bounds_make_no_revision(world: World, live: str) -> None:
    before, updates = endpoint(world, live), world.executions("update", live)

    answer = world.http.patch(f"/deployments/{live}", json={"scaling": {"min": 1, "max": 2}})

    assert answer.status_code == 202, answer.text
    scaling = world.cloud.client("application-autoscaling")

    def bounds() -> list[tuple[int, int]]:
        found = scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/pilotlight-{live}-g1/variant/main"]
        )["ScalableTargets"]
        return [(each["MinCapacity"], each["MaxCapacity"]) for each in found]

    eventually(lambda: bounds() == [(1, 2)], "its bounds to be registered", but=lambda: str(bounds()))
    assert endpoint(world, live)["revision"] == before["revision"]
    assert world.executions("update", live) == updates


def test_an_endpoint_without_an_instance_is_updated_and_answers_by_the_new_revision(world: World, staged: str) -> None:
    name = hosted(world, ASYNC, scaling={"min": 0, "max": 1, "initial": 0})

    revision = change(world, name, serving=context(4096))
    parked = over(world, name)
    answer = told(world, name)

    assert (parked["status"], parked["revision"]) == ("Parked", revision)
    assert answer["was_cold"] is True
    assert served_by(world, name) == str(revision)
