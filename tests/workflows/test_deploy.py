"""`deploy`: from a request to SERVING, or to FAILED with its reason and nothing left that bills."""

import re

import pytest

from tests.workflows.world import World, eventually

HAPPY = ("StartStaging", "StartImport", "CheckImport", "StartWarmUp", "CheckWarmUp", "MarkServing", "Serving")


def test_a_model_on_a_hub_becomes_a_deployment_that_serves(world: World) -> None:
    name = world.serving(source=world.publish())

    execution = world.only_execution("deploy", name)
    assert execution.status == "SUCCEEDED"
    assert [state for state in HAPPY if state in execution.path] == list(HAPPY)
    statuses = [event["after"] for event in world.events(name) if "after" in event]
    assert statuses == ["REQUESTED", "STAGING", "IMPORTING", "WARMING", "SERVING"]
    assert world.imported_models(name) == [f"pilotlight-{name}-g1"]


def test_staging_shows_its_progress_in_bytes(world: World) -> None:
    world.forget_contents()
    world.hub.faults.slow_start(0.3, times=12, path="repos")  # six looks at headers come first
    name = world.deploy(source=world.publish())

    view = eventually(lambda: _with_progress(world, name), "progress")

    assert view["progress"]["total_bytes"] > 11_000_000
    assert 0 <= view["progress"]["percent"] <= 100
    world.until(name, "SERVING")


def _with_progress(world: World, name: str) -> dict | None:
    view = world.deployment(name)
    assert view["status"] in ("REQUESTED", "STAGING")
    return view if "progress" in view else None


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ({"architecture": "falcon"}, "architecture"),
        ({"quantised": True}, "quantisation"),
        ({"pickle_only": True}, "safetensors"),
    ],
)
def test_a_model_that_bedrock_would_not_take_fails_before_its_weights_move(world: World, kind: dict, says: str) -> None:
    view = world.failed(source=world.publish(**kind))

    assert view["failure"]["code"] == "preflight-refused"
    assert says in view["failure"]["reason"]
    assert view["failure"]["during"] == "REQUESTED"
    execution = world.only_execution("deploy", view["name"])
    assert (execution.status, execution.error) == ("FAILED", "DeploymentFailed")
    assert execution.path == ("StartStaging", "StopBilling", "MarkFailed", "DeploymentFailed")
    assert "artifact_id" not in view


def test_a_gated_model_says_what_to_do(world: World) -> None:
    view = world.failed(source=world.publish(gated=True))

    assert view["failure"]["code"] == "source-gated"
    assert "accept its terms" in view["failure"]["reason"]
    assert "HF_TOKEN" in view["failure"]["reason"]


def test_a_failed_import_keeps_bedrock_s_own_words_and_a_retry_imports_again(world: World) -> None:
    world.bedrock.knobs.fail_next_import = "Amazon Bedrock did not like this checkpoint."
    view = world.failed()
    name = view["name"]

    assert view["failure"]["code"] == "import-failed"
    assert "Amazon Bedrock did not like this checkpoint." in view["failure"]["reason"]
    assert view["failure"]["during"] == "IMPORTING"
    assert world.execution("deploy", f"{name}-g1").path[-2:] == ("MarkFailed", "DeploymentFailed")
    assert world.imported_models(name) == []

    assert world.http.post(f"/deployments/{name}/retry").status_code == 202
    view = world.until(name, "SERVING")
    assert view["attempt"] == 2
    assert "failure" not in view
    assert world.execution("deploy", f"{name}-g1-r2").status == "SUCCEEDED"


def test_a_deployment_waits_for_the_region_s_slot_and_says_who_holds_it(world: World) -> None:
    first = world.serving()  # so that the artifact is there, and what follows is about the slot alone
    world.bedrock.settings.import_jobs = 1
    world.bedrock.settings.import_floor_seconds = 150
    holder = world.deploy()
    eventually(lambda: _job_under_way(world, holder), "the first job")

    waiting = world.deploy()
    view = eventually(lambda: _waiting_for(world, waiting), "the second to wait")

    assert f"held by pilotlight-{holder}-g1-a1" in view["waiting_for"]
    world.until(waiting, "SERVING")
    assert "waiting_for" not in world.deployment(waiting)
    assert world.deployment(first)["artifact_id"] == world.deployment(waiting)["artifact_id"]
    assert "WaitForSlot" in world.only_execution("deploy", waiting).path


def _job_under_way(world: World, name: str) -> bool:
    jobs = world.cloud.client("bedrock").list_model_import_jobs(statusEquals="InProgress")["modelImportJobSummaries"]
    return any(f"-{name}-" in job["jobName"] for job in jobs)


def _waiting_for(world: World, name: str) -> dict | None:
    view = world.deployment(name)
    return view if "waiting_for" in view else None


def test_a_place_lost_between_preflight_and_import_fails_naming_the_holders(world: World) -> None:
    holder = world.serving()
    with world.unreachable("start_import"):
        name = world.deploy()
        world.until(name, "STAGING")
        eventually(lambda: "StartImport" in world.path("deploy", f"{name}-g1"), "the import to be tried")
        world.bedrock.settings.imported_models = 1

    view = world.until(name, "FAILED")

    assert view["failure"]["code"] == "quota-exceeded"
    assert "L-45B04988" in view["failure"]["reason"]
    assert f"pilotlight-{holder}-g1" in view["failure"]["reason"]


def test_a_role_that_is_not_known_everywhere_yet_is_tried_again(world: World) -> None:
    world.bedrock.knobs.refuse_roles = 2

    name = world.serving()

    assert world.bedrock.knobs.refuse_roles == 0
    assert world.only_execution("deploy", name).path.count("StartImport") == 1


def test_a_model_that_never_loads_ends_in_a_failure_that_says_how_long_was_waited(world: World) -> None:
    world.bedrock.knobs.never_ready = True

    view = world.failed()

    assert view["failure"]["code"] == "warm-up-exhausted"
    assert "20 of 20 probes" in view["failure"]["reason"]
    assert view["failure"]["during"] == "WARMING"
    assert view["cost_so_far"]["usd"] < 0.01


def test_a_deployment_that_fails_at_every_step_in_turn_goes_on_from_there_each_time(world: World) -> None:
    steps = ["start_staging", "check_staging", "start_import", "check_import", "start_warm_up", "check_warm_up"]
    name, source = world.name(), world.publish()
    for attempt, step in enumerate([*steps, "mark_serving"], start=1):
        with world.unreachable(step):
            if attempt == 1:
                world.deploy(name, source)
            else:
                assert world.http.post(f"/deployments/{name}/retry").status_code == 202
            view = world.until(name, "FAILED")

        execution = world.execution("deploy", f"{name}-g1" + (f"-r{attempt}" if attempt > 1 else ""))
        state = "".join(word.capitalize() for word in step.split("_"))
        assert execution.status == "FAILED"
        assert execution.path[-4:] == (state, "StopBilling", "MarkFailed", "DeploymentFailed")
        assert view["failure"]["code"] == "Lambda.TooManyRequestsException"

    world.http.post(f"/deployments/{name}/retry")
    world.until(name, "SERVING")
    assert world.imported_models(name) == [f"pilotlight-{name}-g1"]


def test_a_function_that_crashes_fails_the_deployment_with_what_the_runtime_said(world: World) -> None:
    with world.crashing("start_import"):
        view = world.failed()

    assert view["failure"]["code"].startswith("Runtime.")
    assert "nowhere" in view["failure"]["reason"]


def test_a_failure_that_cannot_even_be_marked_is_marked_by_the_rule_on_executions(world: World) -> None:
    with world.unreachable("mark_failed"):
        view = world.failed(source=world.publish(architecture="mamba2"))

    assert view["failure"]["code"] == "execution-ended"
    assert re.fullmatch(rf"execution {view['name']}-g1-\w+ ended as FAILED", view["failure"]["reason"])
    assert world.only_execution("deploy", view["name"]).path[-2:] == ("MarkFailed", "DeploymentFailed")
