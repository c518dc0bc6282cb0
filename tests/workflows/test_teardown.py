"""`teardown`: every trace is removed from every status, or the record says what is left and another round follows."""

import pytest

from tests.workflows.world import STACK, World, eventually


def test_a_serving_deployment_leaves_nothing_but_its_record(world: World) -> None:
    name = world.serving(source=world.publish())
    artifact_id = world.deployment(name)["artifact_id"]

    view = world.tear_down(name)

    assert world.left_behind(name, artifact_id) == []
    assert world.only_execution("teardown", name).status == "SUCCEEDED"
    assert not {"next", "model_arn", "artifact_id", "warmth", "cost_per_hour", "lease_ends_at"} & set(view)
    assert view["cost_so_far"]["usd"] > 0
    assert world.reasons(name)[-1] == "every trace is removed; the name is free"


def test_a_name_that_is_gone_is_the_next_generation_s(world: World) -> None:
    name = world.tear_down(world.failed(source=world.publish(quantised=True))["name"])["name"]

    world.serving(name)

    assert world.deployment(name)["generation"] == 2
    assert world.imported_models(name) == [f"{STACK}-{name}-g2"]
    assert world.executions("deploy", name) == [f"{name}-g1", f"{name}-g2"]


def test_a_deployment_that_is_still_staged_is_stopped_and_its_parts_are_removed(world: World) -> None:
    world.forget_contents()
    world.hub.faults.slow_start(2.0, times=20, path="/repos/")  # six looks at headers come first
    name = world.deploy(source=world.publish())
    artifact_id = eventually(lambda: world.deployment(name).get("artifact_id"), "staging to begin")
    eventually(lambda: world.unfinished_uploads(f"artifacts/{artifact_id}/"), "an upload to begin")

    world.tear_down(name)

    assert world.execution("deploy", f"{name}-g1").status in ("ABORTED", "FAILED")
    assert world.execution("stage_artifact", f"{artifact_id}-a1").status in ("ABORTED", "FAILED")
    eventually(lambda: not world.left_behind(name, artifact_id), "nothing to be left")


def test_an_import_job_cannot_be_stopped_so_it_is_waited_for_and_its_model_deleted(world: World) -> None:
    world.bedrock.settings.import_floor_seconds = 240
    name = world.deploy()
    eventually(lambda: world.deployment(name).get("import_job_arn"), "the job")

    world.tear_down(name)

    assert world.imported_models(name) == []
    assert any("it cannot be stopped, its model is deleted then" in reason for reason in world.reasons(name))
    assert "WaitForImportJob" in world.only_execution("teardown", name).path
    job = world.cloud.client("bedrock").get_model_import_job(jobIdentifier=world.bedrock.jobs[-1].arn)
    assert job["status"] == "Completed"


def test_a_model_that_is_being_warmed_is_taken_down(world: World) -> None:
    world.bedrock.knobs.never_ready = True
    name = world.deploy()
    world.until(name, "WARMING")

    world.tear_down(name)

    assert world.imported_models(name) == []


def test_a_failed_deployment_is_taken_down_with_the_import_that_it_kept(world: World) -> None:
    with world.unreachable("start_warm_up"):
        name = world.failed()["name"]
    assert world.imported_models(name) != []

    world.tear_down(name)

    assert world.imported_models(name) == []


def test_an_artifact_stays_while_somebody_refers_to_it_and_goes_with_the_last(world: World) -> None:
    source = world.publish()
    first, second = world.deploy(source=source), world.deploy(source=source)
    for name in (first, second):
        world.until(name, "SERVING")
    artifact_id = world.deployment(first)["artifact_id"]

    world.tear_down(first)
    held = world.objects(f"artifacts/{artifact_id}/weights/")
    answer = world.invoke(second, wait=25)
    world.tear_down(second)

    assert held
    assert answer.json()["status"] == "SUCCEEDED"
    assert f"artifact {artifact_id} stays: used by {second}-g1" in world.reasons(first)
    assert world.left_behind(second, artifact_id) == []


def test_weights_that_are_kept_serve_the_next_who_wants_them_and_go_when_somebody_says_so(world: World) -> None:
    source = world.publish()
    first = world.serving(source=source, artifact="retain")
    artifact_id = world.deployment(first)["artifact_id"]
    world.tear_down(first)
    second = world.serving(source=source, artifact="delete")
    in_use = world.http.delete(f"/artifacts/{artifact_id}")
    world.tear_down(second)
    items = world.http.get("/artifacts", params={"limit": 200}).json()["items"]
    (kept,) = (each for each in items if each["id"] == artifact_id)

    discarded = world.http.delete(f"/artifacts/{artifact_id}")

    assert len(world.executions("stage_artifact", artifact_id)) == 1
    assert (in_use.status_code, in_use.json()["users"]) == (409, [f"{second}-g1"])
    assert f"artifact {artifact_id} is kept until somebody deletes it" in world.reasons(second)
    assert (kept["status"], kept["users"], kept["keep"], "kept_until" in kept) == ("SEALED", [], "retain", False)
    assert (discarded.status_code, discarded.json()["keep"]) == (202, "delete")
    eventually(lambda: not world.left_behind(second, artifact_id), "the reconciliation to collect the weights")


def test_a_source_can_be_deployed_again_after_its_artifact_went(world: World) -> None:
    source = world.publish()
    world.tear_down(world.serving(source=source))

    again = world.serving(source=source)

    assert world.objects(f"artifacts/{world.deployment(again)['artifact_id']}/weights/")


def test_deleting_twice_is_one_teardown(world: World) -> None:
    name = world.serving()

    answers = [world.http.delete(f"/deployments/{name}") for _ in range(3)]
    world.until_gone(name)
    after = world.http.delete(f"/deployments/{name}")

    assert {answer.status_code for answer in (*answers, after)} == {202}
    assert after.json()["status"] == "GONE"
    assert world.executions("teardown", name) == [f"{name}-g1-t1"]


def test_a_model_that_somebody_else_deleted_already_is_a_success(world: World) -> None:
    name = world.serving()
    world.cloud.client("bedrock").delete_imported_model(modelIdentifier=f"{STACK}-{name}-g1")

    world.tear_down(name)

    assert world.only_execution("teardown", name).status == "SUCCEEDED"


def test_a_model_that_lost_our_tags_is_left_alone_until_somebody_decides(world: World) -> None:
    name = world.serving()
    bedrock, arn = world.cloud.client("bedrock"), world.deployment(name)["model_arn"]
    bedrock.untag_resource(resourceARN=arn, tagKeys=["pilotlight:stack"])

    world.http.delete(f"/deployments/{name}")
    execution = world.execution("teardown", f"{name}-g1-t1")

    assert execution.path[-3:] == ("DeleteModel", "MarkTeardownFailed", "TeardownFailed")
    assert world.deployment(name)["status"] == "TEARING_DOWN"
    assert world.imported_models(name) == [f"{STACK}-{name}-g1"]
    assert any("without this deployment's tags; it is left alone" in reason for reason in world.reasons(name))

    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "pilotlight:stack", "value": STACK}])
    world.until_gone(name)
    assert world.imported_models(name) == []


@pytest.mark.parametrize("step", ["stop_executions", "release_artifact", "mark_gone"])
def test_a_round_that_fails_says_so_and_the_sweep_starts_the_next(world: World, step: str) -> None:
    name = world.failed(source=world.publish(quantised=True))["name"]
    with world.unreachable(step):
        world.http.delete(f"/deployments/{name}")
        execution = world.execution("teardown", f"{name}-g1-t1")

    state = "".join(word.capitalize() for word in step.split("_"))
    assert (execution.status, execution.error) == ("FAILED", "TeardownFailed")
    assert execution.path[-3:] == (state, "MarkTeardownFailed", "TeardownFailed")
    view = world.until_gone(name)
    assert "next" not in view
    reasons = world.reasons(name)
    assert any(reason.startswith("teardown could not finish and will be tried again") for reason in reasons)
    assert "teardown goes on: round 2" in reasons


def test_a_round_whose_failure_cannot_be_marked_is_followed_by_the_next_all_the_same(world: World) -> None:
    name = world.failed(source=world.publish(quantised=True))["name"]
    with world.unreachable("delete_model"), world.unreachable("mark_teardown_failed"):
        world.http.delete(f"/deployments/{name}")
        execution = world.execution("teardown", f"{name}-g1-t1")

    assert execution.path[-3:] == ("DeleteModel", "MarkTeardownFailed", "TeardownFailed")
    world.until_gone(name)
