"""From a request to SERVING: judged first, staged once, and failed with a reason that stays."""

import pytest
from pilotlight.contracts import FailureTask
from pilotlight.domain.artifact import ArtifactStatus
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import ImportFailed, PreflightRefused, SourceNotFound, SourceRefused, Superseded

from tests.factories import a_checkpoint, a_request
from tests.world import an_error


def start(world, name="llama"):
    return world.deploying.start_staging(world.task(name))


def check(world, name="llama"):
    return world.deploying.check_staging(world.task(name))


def test_a_model_that_the_backend_would_not_take_is_refused_before_anything_is_staged(world):
    world.source.push("acme/llama-8b", a_checkpoint(config={"model_type": "falcon"}))
    world.bring(Status.REQUESTED)

    with pytest.raises(PreflightRefused, match="falcon"):
        start(world)

    assert (world.status(), world.executions.names("stage_artifact")) == (Status.REQUESTED, [])
    assert world.bucket.objects == {}


def test_a_fourth_import_is_refused_before_anything_is_staged_and_names_the_holders(world):
    for name in ("one", "two", "three"):
        world.imports.add_model(name)
    world.bring(Status.REQUESTED)

    with pytest.raises(PreflightRefused, match=r"one .*two .*three .*L-45B04988"):
        start(world)


def test_a_source_that_is_not_there_says_so(world):
    world.bring(Status.REQUESTED, source="hf://acme/nothing")

    with pytest.raises(SourceNotFound):
        start(world)


def test_staging_is_pinned_to_the_revision_that_was_judged(world):
    commit = world.source.push("acme/llama-8b", a_checkpoint())

    deployment = world.bring(Status.STAGING)

    assert (deployment.status, deployment.revision) == (Status.STAGING, commit)
    assert world.artifact().revision == commit
    assert world.artifact().users == ("llama-g1",)
    assert world.executions.names("stage_artifact") == [f"{deployment.artifact_id}-a1"]


def test_a_step_that_is_repeated_changes_nothing(world):
    world.bring(Status.STAGING)
    before = world.deployment(), world.artifact(), world.executions.names("stage_artifact")

    start(world)

    assert (world.deployment(), world.artifact(), world.executions.names("stage_artifact")) == before


def test_deployments_of_the_same_source_share_one_artifact_and_one_staging(world):
    world.bring(Status.STAGING, "one")
    world.bring(Status.STAGING, "two")

    assert world.artifact("one").users == ("one-g1", "two-g1")
    assert len(world.executions.of("stage_artifact")) == 1


def test_a_sealed_artifact_is_used_at_once(world):
    world.bring(Status.STAGING, "one")
    world.run_staging("one")
    world.bring(Status.REQUESTED, "two")

    assert start(world, "two").done
    assert check(world, "two").done
    total = world.artifact("one").total_bytes
    assert any(f"{total:,} bytes of revision" in told and "staged already" in told for told in timeline(world, "two"))


def test_the_timeline_says_how_much_was_staged_how_fast_and_what_was_here_already(world):
    world.bring(Status.STAGING)
    world.clock.advance(seconds=8)
    world.run_staging()
    world.artifacts.shelf.patch(world.artifact().id, reused_bytes=1000)

    assert check(world).done

    total = world.artifact().total_bytes
    rate = f"{total / 8e6:.2g} MB/s"
    assert f"staged {total:,} bytes in 8 s ({rate}), 1,000 of them from other artifacts" in timeline(world)


def timeline(world, name="llama"):
    return world.deployments.timeline(name)


def test_an_artifact_under_way_is_waited_for(world):
    world.bring(Status.STAGING)

    wait = check(world)

    assert not wait.done
    assert wait.wait_seconds > 0


def test_a_staging_that_died_is_not_started_again_while_the_kill_switch_is_on(world):
    world.bring(Status.STAGING)
    world.executions.end("stage_artifact", f"{world.artifact().id}-a1", "TIMED_OUT")
    world.switch.on("audit")

    assert not world.deploying.check_staging(world.task()).done
    assert (world.artifact().attempt, "audit" in world.deployment().waiting_for) == (1, True)

    world.switch.off()
    world.deploying.check_staging(world.task())
    assert world.artifact().attempt == 2


def test_a_staging_that_died_is_started_again(world):
    world.bring(Status.STAGING)
    first = world.artifact()
    world.executions.end("stage_artifact", f"{first.id}-a1", "TIMED_OUT")

    assert not check(world).done

    assert world.artifact().attempt == 2
    assert world.executions.is_running("stage_artifact", f"{first.id}-a2")


def test_a_staging_that_keeps_dying_fails_and_can_be_retried(world):
    world.bring(Status.STAGING)

    def die_until_it_fails():
        while True:
            artifact = world.artifact()
            world.executions.end("stage_artifact", f"{artifact.id}-a{artifact.attempt}", "TIMED_OUT")
            check(world)

    with pytest.raises(SourceRefused, match="died 4 times without saying why"):
        die_until_it_fails()
    world.fail()
    world.requesting.retry("llama", correlation_id="c-2")
    start(world)

    artifact = world.artifact()
    assert artifact.status is ArtifactStatus.STAGING
    assert world.executions.is_running("stage_artifact", f"{artifact.id}-a{artifact.attempt}")
    assert not check(world).done


def test_a_staging_that_failed_fails_its_deployments_with_its_own_reason(world):
    world.bring(Status.STAGING)
    world.fail_staging("source-changed", "the shard was replaced")

    with pytest.raises(SourceRefused, match="the shard was replaced") as caught:
        check(world)

    assert caught.value.detail["cause"] == "source-changed"


def test_an_artifact_that_failed_is_staged_again_for_the_next_who_asks(world):
    world.bring(Status.STAGING, "one")
    world.fail_staging("throttled", "too many requests", "one")

    world.bring(Status.STAGING, "two")

    artifact = world.artifact("two")
    assert (artifact.status, artifact.attempt, artifact.failure_reason) == (ArtifactStatus.STAGING, 2, None)
    assert artifact.users == ("one-g1", "two-g1")


def test_a_failure_keeps_its_code_its_words_and_what_was_being_done(world):
    world.bring(Status.IMPORTING)
    task = FailureTask(**dict(world.task()), error=an_error(ImportFailed("Bedrock said: no such tokenizer")))

    world.deploying.mark_failed(task)

    failure = world.deployment().failure
    assert failure is not None
    assert (failure.code, failure.reason) == ("import-failed", "Bedrock said: no such tokenizer")
    assert failure.during is Status.IMPORTING
    assert world.topic.events == ["failed"]
    assert world.deployments.timeline("llama")[-1] == "Bedrock said: no such tokenizer"


@pytest.mark.parametrize("stale", [{"generation": 2}, {"attempt": 2}])
def test_word_of_an_older_run_does_not_fail_a_newer_one(world, stale):
    world.bring(Status.STAGING)
    task = FailureTask(**{**dict(world.task()), **stale}, error=an_error(ImportFailed("late")))

    world.deploying.mark_failed(task)

    assert world.status() is Status.STAGING


@pytest.mark.parametrize("status", [Status.SERVING, Status.TEARING_DOWN, Status.GONE])
def test_a_deployment_that_is_past_it_cannot_fail_any_more(world, status):
    world.bring(status)
    told = len(world.topic.events)

    world.deploying.mark_failed(FailureTask(**dict(world.task()), error=an_error(ImportFailed("late"))))

    assert world.status() is status
    assert len(world.topic.events) == told


def test_a_deployment_that_answers_takes_invocations_and_tells_it(world):
    world.bring(Status.SERVING)

    assert world.topic.messages[-1]["event"] == "serving"
    assert world.deployment().require_serving()


def test_a_retry_goes_on_from_the_sealed_artifact_though_its_source_is_gone_or_moved(world):
    world.bring(Status.IMPORTING)
    sealed = world.artifact()
    world.fail()
    world.source.trouble["acme/llama-8b"] = SourceNotFound("the repository was deleted")
    world.requesting.retry("llama", correlation_id="c-2")

    assert start(world).done

    assert world.artifact() == sealed
    assert (world.status(), world.deployment().revision) == (Status.STAGING, sealed.revision)
    assert len(world.executions.of("stage_artifact")) == 1


def test_a_retry_of_an_unfinished_staging_takes_the_present_revision_and_loses_sight_of_nothing(world):
    world.bring(Status.FAILED)
    first = world.artifact()
    commit = world.source.push("acme/llama-8b", a_checkpoint(weights=b"v" * 4096))
    world.requesting.retry("llama", correlation_id="c-2")

    start(world)

    assert world.artifact().revision == commit
    assert world.deployment().former_artifacts == (first.id,)
    world.tearing_down.begin("llama", reason="enough", correlation_id="c")
    world.run_teardown()
    assert world.artifacts.get(first.id).status is ArtifactStatus.GONE
    assert world.traces() == {}


def test_a_task_of_an_older_generation_must_not_act(world):
    world.bring(Status.REQUESTED)
    task = world.task()
    world.bring(Status.GONE)
    world.requesting.request(a_request(), correlation_id="c")

    with pytest.raises(Superseded):
        world.deploying.start_staging(task)


def test_an_artifact_taken_into_use_after_a_teardown_had_given_it_back_is_given_back_again(world):
    def torn_down_meanwhile():
        world.tearing_down.begin("llama", reason="enough", correlation_id="c")
        world.run_teardown()

    world.bring(Status.REQUESTED)
    world.artifacts.shelf.meanwhile.append(torn_down_meanwhile)

    with pytest.raises(Superseded):
        start(world)

    (artifact,) = world.artifacts.shelf.all()
    assert (artifact.users, artifact.status) == ((), ArtifactStatus.FAILED)
    assert world.executions.of("stage_artifact") == []
    assert world.bring(Status.SERVING).generation == 2


def test_a_step_that_comes_back_late_takes_nothing_from_a_deployment_that_has_gone_on(world):
    def gone_on_meanwhile():
        start(world)  # as the machine does again when the first has not answered in its time
        world.bring(Status.SERVING)

    world.bring(Status.REQUESTED)
    world.artifacts.shelf.meanwhile.append(gone_on_meanwhile)

    with pytest.raises(Superseded):
        start(world)

    (artifact,) = world.artifacts.shelf.all()
    assert artifact.users == ("llama-g1",)
