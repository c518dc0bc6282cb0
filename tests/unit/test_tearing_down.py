"""Everything that a deployment made is removed, from wherever it stands, and nothing else is."""

import re
from datetime import timedelta

import pytest
from pilotlight.contracts import FailureTask, Wait
from pilotlight.domain.artifact import ArtifactStatus
from pilotlight.domain.deployment import UNDER_WAY, Status
from pilotlight.domain.errors import AccessDenied, NotFound, NotOurs, Superseded, Terminal
from pilotlight.domain.spans import MIB

from tests.factories import a_checkpoint
from tests.world import an_error

BIG = a_checkpoint(weights=b"w" * (12 * MIB))


def begin(world, name="llama"):
    return world.tearing_down.begin(name, reason="deleted on request", correlation_id="c-end")


def tear_down(world, name="llama"):
    begin(world, name)
    return world.run_teardown(name)


# ---- from every status -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status", [*sorted(UNDER_WAY - {Status.CREATING}), Status.SERVING, Status.FAILED, Status.TEARING_DOWN]
)
def test_from_every_status_no_trace_is_left_and_the_name_is_free(world, status):
    world.bring(status)

    deployment = tear_down(world)

    assert (deployment.status, deployment.artifact_id) == (Status.GONE, None)
    assert world.traces() == {}
    assert not any(execution.status == "RUNNING" for execution in world.executions.of("deploy"))
    assert deployment.next_look_at is None
    assert world.bring(Status.SERVING).generation == 2


def staging(world):
    world.bring(Status.STAGING)
    return world.staging_task()


def copy_some_parts(world):
    spans = world.plan(staging(world))
    (run,) = next(span.span.runs for span in spans if span.span.runs[0].upload_id)
    key = f"artifacts/{spans[0].artifact_id}/weights/{run.file.path}"
    world.bucket.upload_part(key, run.upload_id, 1, 5 * MIB, [b"w" * (5 * MIB)])


def copy_all(world):
    for span in world.plan(staging(world)):
        world.span_copying.copy(span)


def wait_for_slot(world):
    world.bring(Status.STAGING)
    world.run_staging()
    world.imports.occupy("a-strangers-job")
    world.importing.start(world.task())


def lose_the_answer(world):
    world.bring(Status.STAGING)
    world.run_staging()
    world.imports.loses_answers = 1
    with pytest.raises(Exception, match="connection broke"):
        world.importing.start(world.task())


def an_hour(world):
    world.clock.advance(hours=1)


def retry_while_a_job_runs(world):
    world.imports.takes = timedelta(hours=4)
    world.bring(Status.IMPORTING)
    world.fail()
    world.requesting.retry("llama", correlation_id="c-2")


HALF_MADE = {
    "reserved, and its execution never began": lambda world: world.bring(Status.REQUESTED),
    "preflight passed, and nothing was planned": lambda world: world.bring(Status.STAGING),
    "uploads begun, and nothing copied": lambda world: world.plan(staging(world)),
    "one of three parts copied": copy_some_parts,
    "everything copied, and nothing sealed": copy_all,
    "sealed, and nothing imported": lambda world: (world.bring(Status.STAGING), world.run_staging()),
    "intent noted, and the slot is taken by a stranger": wait_for_slot,
    "the job started, and nothing was noted": lose_the_answer,
    "the job runs": lambda world: world.bring(Status.IMPORTING),
    "the job is done, and nothing was noted": lambda world: (world.bring(Status.IMPORTING), an_hour(world)),
    "the job failed": lambda world: (setattr(world.imports, "failure", "no"), world.bring(Status.IMPORTING)),
    "the model exists, and is loading": lambda world: world.bring(Status.WARMING),
    "the warm-up gave up": lambda world: (world.bring(Status.WARMING), world.fail()),
    "retried while an earlier job still runs": retry_while_a_job_runs,
}


@pytest.mark.parametrize("how", HALF_MADE)
def test_however_half_made_no_trace_is_left(world, how):
    world.source.push("acme/llama-8b", BIG)
    HALF_MADE[how](world)

    deployment = tear_down(world)

    assert deployment.status is Status.GONE
    assert world.traces() == ({"jobs": ["a-strangers-job"]} if "a stranger" in how else {})


def test_a_name_that_never_was_cannot_be_torn_down(world):
    with pytest.raises(NotFound):
        begin(world)


@pytest.mark.parametrize("status", [Status.TEARING_DOWN, Status.GONE])
def test_asking_again_changes_nothing(world, status):
    world.bring(status)
    before = world.deployment(), world.executions.names("teardown")

    begin(world)

    assert (world.deployment(), world.executions.names("teardown")) == before


def test_every_step_may_be_repeated(world):
    world.bring(Status.TEARING_DOWN)
    task = world.task()
    steps = world.tearing_down.stop_executions, world.tearing_down.delete_model, world.tearing_down.release_artifact

    for step in steps:
        assert step(task).done
        assert step(task).done
    world.tearing_down.mark_gone(task)

    assert world.tearing_down.mark_gone(task).status is Status.GONE
    assert world.traces() == {}


def test_what_was_there_before_and_after_is_on_the_timeline(world):
    world.bring(Status.GONE)

    told = "\n".join(world.deployments.timeline("llama"))
    assert "imported model pilotlight-llama-g1 deleted" in told
    assert re.search(r"deleted, 7 objects of [\d,]+ bytes and 0 unfinished uploads: nobody else refers to it", told)
    assert told.endswith("every trace is removed; the name is free")
    assert world.topic.events == ["serving", "gone"]


# ---- what must not be deleted ----------------------------------------------------------------------------------


def test_an_artifact_stays_while_another_deployment_uses_it(world):
    world.bring(Status.SERVING, "one")
    world.bring(Status.SERVING, "two")
    sealed = sorted(world.bucket.objects)

    tear_down(world, "one")
    assert sorted(world.bucket.objects) == sealed
    assert world.artifact("two").users == ("two-g1",)
    assert any("stays: used by two-g1" in line for line in world.deployments.timeline("one"))

    tear_down(world, "two")
    assert world.traces() == {}


def test_a_staging_goes_on_while_another_deployment_waits_for_it(world):
    world.bring(Status.STAGING, "one")
    world.bring(Status.STAGING, "two")

    tear_down(world, "one")

    assert world.executions.of("stage_artifact")[0].status == "RUNNING"
    assert world.bring(Status.SERVING, "two").status is Status.SERVING


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"pilotlight:stack": "pilotlight", "pilotlight:deployment": "llama", "pilotlight:generation": "2"},
        {"pilotlight:stack": "staging", "pilotlight:deployment": "llama", "pilotlight:generation": "1"},
    ],
)
def test_a_strangers_model_of_our_name_is_left_alone_and_does_not_keep_us_from_going(world, tags):
    world.bring(Status.STAGING)
    world.imports.add_model("pilotlight-llama-g1", **tags)

    deployment = tear_down(world)

    assert deployment.status is Status.GONE
    assert world.imports.models == ["pilotlight-llama-g1"]
    assert any("is left alone" in line for line in world.deployments.timeline("llama"))
    assert world.deployments.timeline("llama")[-1].startswith("what was ours is removed")
    assert "every trace" not in world.topic.messages[-1]["reason"]


def test_our_own_model_that_lost_its_tags_is_left_alone_until_somebody_says_what_it_is(world):
    world.bring(Status.SERVING)
    model = world.deployment().imported.model_arn
    world.imports.retag("pilotlight-llama-g1")
    begin(world)

    with pytest.raises(NotOurs, match="Tag it again, or delete it yourself"):
        world.run_teardown()
    assert (world.status(), world.imports.models) == (Status.TEARING_DOWN, ["pilotlight-llama-g1"])

    world.imports.delete_model(model)
    assert world.run_teardown().status is Status.GONE


def test_models_and_weights_of_others_are_not_touched(world):
    world.imports.add_model("somebody-elses")
    world.bucket.objects["artifacts/a999/weights/config.json"] = b"{}"
    world.bring(Status.SERVING)

    tear_down(world)

    assert world.traces() == {"models": ["somebody-elses"], "objects": ["artifacts/a999/weights/config.json"]}


# ---- what is still on its way ----


def test_what_a_copier_puts_down_after_its_execution_was_stopped_is_removed_as_well(world):
    world.source.push("acme/llama-8b", BIG)
    spans = world.plan(staging(world))
    key = f"artifacts/{spans[0].artifact_id}/weights/config.json"
    begin(world)
    wait = world.tearing_down.release_artifact(world.task())
    assert (wait.done, wait.wait_seconds) == (False, 600)
    assert world.executions.of("stage_artifact")[0].status == "ABORTED"

    world.clock.advance(seconds=300)
    world.bucket.put(key, b"late")
    world.bucket.start_upload(key)
    assert world.tearing_down.release_artifact(world.task()).wait_seconds == 300
    world.run_teardown()

    assert (world.status(), world.traces()) == (Status.GONE, {})
    assert any("2 unfinished uploads" in line for line in world.deployments.timeline("llama"))


@pytest.mark.parametrize("status", [Status.STAGING, Status.FAILED])
def test_copiers_of_an_artifact_that_nobody_wants_any_more_must_not_act(world, status):
    world.bring(Status.STAGING)
    spans = world.plan(world.staging_task())
    world.bring(status)
    begin(world)
    world.tearing_down.release_artifact(world.task())

    with pytest.raises(Superseded):
        world.span_copying.copy(spans[0])


def test_a_sealed_artifact_goes_at_once(world):
    world.bring(Status.STAGING)
    world.run_staging()
    begin(world)

    assert world.tearing_down.release_artifact(world.task()).done
    assert world.traces() == {}


def test_an_artifact_that_waits_for_its_end_is_taken_up_by_the_next_who_wants_it(world):
    world.bring(Status.STAGING, "one")
    begin(world, "one")
    assert not world.tearing_down.release_artifact(world.task("one")).done

    world.bring(Status.STAGING, "two")
    world.run_teardown("one")

    assert world.artifact("two").users == ("two-g1",)
    assert world.bring(Status.SERVING, "two").status is Status.SERVING


def test_an_import_that_is_being_started_after_a_long_wait_for_the_slot_is_waited_for(world):
    wait_for_slot(world)
    task = world.task()
    world.clock.advance(hours=1)
    waits = []

    def torn_down_meanwhile():
        begin(world)
        waits.append(world.tearing_down.delete_model(world.task()))

    world.imports.before_start.append(torn_down_meanwhile)
    with pytest.raises(Superseded):
        world.importing.start(task)

    assert waits == [Wait(done=False, wait_seconds=90)]
    world.run_teardown()
    assert world.traces() == {"models": ["a-strangers-job"]}


def test_an_import_is_not_started_after_a_teardown_began(world):
    world.bring(Status.STAGING)
    world.run_staging()
    world.deployments.shelf.meanwhile += [lambda: None, lambda: begin(world)]

    with pytest.raises(Superseded):
        world.importing.start(world.task())

    assert world.imports.jobs == []


# ---- waiting and going on --------------------------------------------------------------------------------------


def test_a_running_import_job_is_waited_for_because_nothing_can_stop_it(world):
    world.bring(Status.IMPORTING)
    begin(world)

    wait = world.tearing_down.delete_model(world.task())

    assert not wait.done
    assert "waits for import job" in (world.deployment().waiting_for or "")
    world.clock.advance(minutes=10)
    assert world.tearing_down.delete_model(world.task()).done
    assert world.imports.models == []


def test_executions_under_way_are_ended(world):
    world.bring(Status.IMPORTING)

    tear_down(world)

    (execution,) = world.executions.of("deploy")
    assert (execution.status, execution.stopped_because) == ("ABORTED", "the deployment is being torn down")


def test_a_wake_under_way_is_ended_and_that_of_another_deployment_is_not(world):
    world.bring(Status.SERVING, name="llama")
    world.bring(Status.SERVING, name="alpaca")
    for name in ("llama", "alpaca"):
        world.warming.wake(name, reason="somebody calls", correlation_id="c-wake")

    tear_down(world)

    ended = {each.name.partition("-")[0]: each.stopped_because for each in running_wakes(world)}
    assert ended == {"llama": "the deployment is being torn down", "alpaca": None}


def test_a_wake_that_the_record_has_forgotten_is_ended_too(world):
    world.bring(Status.SERVING)
    world.warming.wake("llama", reason="somebody calls", correlation_id="c-wake")
    world.warming.scale_down("llama")

    tear_down(world)

    assert [each.status for each in running_wakes(world)] == ["ABORTED"]


def running_wakes(world):
    """Return the executions of wakes, without those that ended by themselves."""
    return [each for each in world.executions.of("warm") if each.status != "SUCCEEDED"]


def test_a_step_of_an_older_generation_must_not_act(world):
    world.bring(Status.TEARING_DOWN)
    task = world.task()
    world.run_teardown()
    world.bring(Status.SERVING)

    for step in (world.tearing_down.delete_model, world.tearing_down.release_artifact, world.tearing_down.mark_gone):
        with pytest.raises(Superseded):
            step(task)
    assert world.status() is Status.SERVING


def test_a_round_that_fails_is_told_and_the_next_one_goes_on(world):
    world.bring(Status.TEARING_DOWN)
    world.bucket.keeps = {f"artifacts/{world.artifact().id}/weights/config.json"}
    with pytest.raises(Terminal, match="S3 keeps"):
        world.tearing_down.release_artifact(world.task())
    error = an_error(Terminal("S3 keeps a file"))
    world.tearing_down.mark_teardown_failed(FailureTask(**dict(world.task()), error=error))
    world.executions.end("teardown", "llama-g1-t1", "FAILED")
    assert world.status() is Status.TEARING_DOWN
    assert world.topic.messages[-1]["reason"].endswith("S3 keeps a file")

    world.bucket.keeps = set()
    world.clock.advance(minutes=6)
    world.sweep()
    world.run_teardown()

    assert world.executions.names("teardown") == ["llama-g1-t1", "llama-g1-t2"]
    assert (world.status(), world.traces()) == (Status.GONE, {})


def fail_round(world, reason="S3 keeps a file"):
    task = FailureTask(**dict(world.task()), error=an_error(Terminal(reason)))
    world.tearing_down.mark_teardown_failed(task)
    world.executions.end("teardown", f"llama-g1-t{world.deployment().teardown_round}", "FAILED")


def test_rounds_that_keep_failing_follow_more_and_more_seldom_and_each_reason_is_told_once(world):
    world.bring(Status.TEARING_DOWN)
    told, rests = len(world.topic.messages), []
    for _ in range(6):
        fail_round(world)
        rests.append((world.deployment().next_look_at - world.clock.now()).total_seconds() / 60)
        world.clock.set(world.deployment().next_look_at)
        world.sweep()
    fail_round(world, "another reason")

    assert rests == [5, 10, 20, 40, 60, 60]
    reasons = [message["reason"] for message in world.topic.messages[told:]]
    assert [reason.rpartition(": ")[2] for reason in reasons] == ["S3 keeps a file", "another reason"]


def test_a_topic_that_fails_neither_keeps_a_deployment_nor_the_folder_that_waits_for_its_name(world):
    world.bring(Status.SERVING)
    world.uploads.note_event("llama", world.clock.now() + timedelta(days=1), world.clock.now())
    world.topic.refusals.append(AccessDenied("no such topic"))

    assert tear_down(world).status is Status.GONE

    assert world.uploads.find("llama").look_at == world.clock.now()
    assert world.journal.surprises[-1][1]["reason"] == "no such topic"


def test_a_round_that_is_alive_is_left_alone(world):
    world.bring(Status.TEARING_DOWN)

    world.tearing_down.revive(world.deployment())

    assert world.executions.names("teardown") == ["llama-g1-t1"]


def test_an_artifact_that_is_being_deleted_is_not_taken_into_use_before_it_is_gone(world):
    world.bring(Status.SERVING, "one")
    artifact = world.artifact("one")
    world.artifacts.shelf.write(artifact.id, artifact.changed(status=ArtifactStatus.DELETING), artifact.version)

    with pytest.raises(Exception, match="is being deleted"):
        world.bring(Status.STAGING, "two")


def test_an_artifact_that_was_deleted_is_staged_anew(world):
    world.bring(Status.GONE)
    first = world.executions.names("stage_artifact")

    world.bring(Status.SERVING)

    assert len(set(world.executions.names("stage_artifact"))) == len(first) + 1


def test_what_waited_for_the_name_is_looked_at(world):
    world.bring(Status.SERVING)
    world.uploads.note_event("llama", world.clock.now() + timedelta(days=1), world.clock.now())

    tear_down(world)

    assert world.uploads.find("llama").look_at == world.clock.now()
