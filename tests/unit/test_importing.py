"""One model per generation, whatever crashes: adopted when it is ours, refused when it is not, waited for in turn."""

from datetime import timedelta

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import (
    DeadlinePassed,
    ImportFailed,
    NotOurs,
    QuotaExceeded,
    Retryable,
    Superseded,
    Unavailable,
)

from tests.factories import a_checkpoint
from tests.world import ARTIFACT_BUCKET, ROLE


@pytest.fixture
def staged(world):
    world.bring(Status.STAGING)
    world.run_staging()
    return world


def start(world, name="llama"):
    return world.importing.start(world.task(name))


def check(world, name="llama"):
    return world.importing.check(world.task(name))


def test_the_job_reads_the_sealed_weights_as_our_role_and_its_model_is_ours(staged):
    assert start(staged).done

    deployment = staged.deployment()
    (job,) = staged.imports.jobs
    assert (deployment.status, deployment.imported.job_name) == (Status.IMPORTING, job)
    uri = f"s3://{ARTIFACT_BUCKET}/artifacts/{deployment.artifact_id}/weights/"
    assert staged.imports.asked(job) == (uri, ROLE)
    staged.clock.advance(minutes=10)
    model = staged.imports.model("pilotlight-llama-g1")
    assert model.tags == {
        "pilotlight:stack": "pilotlight",
        "pilotlight:deployment": "llama",
        "pilotlight:generation": "1",
        "pilotlight:artifact": deployment.artifact_id,
    }


def test_a_role_that_the_user_brings_is_used(world):
    role = "arn:aws:iam::123456789012:role/pilotlight-import-mine"
    world.bring(Status.IMPORTING, import_role_arn=role, tags={"team": "search"})

    assert world.imports.asked(world.imports.jobs[0])[1] == role


def test_a_user_cannot_make_our_tags(world):
    world.bring(Status.WARMING, tags={"pilotlight:deployment": "other"})

    assert world.imports.model("pilotlight-llama-g1").tags["pilotlight:deployment"] == "llama"


def test_a_job_under_way_is_asked_for_until_it_is_done(staged):
    start(staged)

    assert not check(staged).done
    staged.clock.advance(minutes=10)
    assert check(staged).done

    imported = staged.deployment().imported
    assert imported.model_arn == staged.imports.model("pilotlight-llama-g1").arn
    assert (imported.units, imported.ended_at) == (2, staged.clock.now())


def test_a_start_whose_answer_was_lost_is_found_again_and_noted(staged):
    staged.imports.loses_answers = 1
    with pytest.raises(Unavailable):
        start(staged)
    staged.clock.advance(minutes=2)

    assert start(staged).done

    assert len(staged.imports.jobs) == 1
    imported = staged.deployment().imported
    assert (imported.job_arn, imported.started_at) == (staged.imports.running_jobs()[0].arn, staged.clock.now())


def test_a_step_that_is_repeated_starts_no_second_job(staged):
    start(staged)
    before = staged.deployment()

    assert start(staged).done
    assert (staged.deployment(), len(staged.imports.jobs)) == (before, 1)


def test_the_regions_slot_is_waited_for_instead_of_failing_and_its_holder_is_named(staged):
    staged.imports.occupy("somebody-elses-job")

    wait = start(staged)
    start(staged)

    assert not wait.done
    assert staged.deployment().waiting_for == "waits for the region's import slot, held by somebody-elses-job"
    assert staged.deployments.timeline("llama").count(staged.deployment().waiting_for) == 1
    staged.clock.advance(minutes=11)
    assert start(staged).done
    assert staged.deployment().waiting_for is None, "the wait is over"


def test_a_slot_that_is_taken_between_our_look_and_our_call_is_waited_for_too(staged):
    staged.imports.before_start.append(lambda: staged.imports.occupy("quick-one"))

    wait = start(staged)

    assert not wait.done
    assert "quick-one" in (staged.deployment().waiting_for or "")


def test_a_conflict_is_looked_into_by_the_next_try(staged):
    job_name = staged.deployment().import_job_name(1)
    staged.imports.slots = 2
    staged.imports.before_start.append(lambda: staged.imports.occupy(job_name))

    with pytest.raises(Retryable, match="exists already"):
        start(staged)

    assert start(staged).done
    assert staged.imports.jobs == [job_name]


def test_a_slot_that_never_comes_free_ends_with_a_reason(staged):
    staged.imports.takes = timedelta(days=2)
    staged.imports.occupy()
    start(staged)
    staged.clock.advance(hours=6, seconds=1)

    with pytest.raises(DeadlinePassed, match="held by somebody-elses-job"):
        start(staged)


def test_the_time_in_which_the_kill_switch_was_on_is_no_wait_for_the_slot(staged):
    staged.imports.takes = timedelta(days=2)
    staged.switch.on("audit")
    start(staged)
    staged.clock.advance(hours=7)
    staged.switch.off()
    staged.imports.occupy()

    assert not start(staged).done
    staged.clock.advance(hours=5, minutes=59)
    assert not start(staged).done
    staged.clock.advance(minutes=2)
    with pytest.raises(DeadlinePassed):
        start(staged)


def test_a_step_that_is_held_for_long_asks_more_and_more_seldom(staged):
    staged.switch.on("audit")
    waits = []
    for _ in range(60):
        waits.append(start(staged).wait_seconds)
        staged.clock.advance(seconds=waits[-1])

    assert (waits[0], waits[-1], waits) == (60, 900, sorted(waits))


def test_a_quota_that_was_used_up_meanwhile_names_its_holders(staged):
    for name in ("one", "two", "three"):
        staged.imports.add_model(name)

    with pytest.raises(QuotaExceeded, match="one, two, three") as caught:
        start(staged)

    assert caught.value.detail["quota_code"] == "L-45B04988"
    assert [holder["name"] for holder in caught.value.detail["holders"]] == ["one", "two", "three"]


def test_a_strangers_model_of_our_name_is_neither_adopted_nor_replaced(staged):
    staged.imports.add_model("pilotlight-llama-g1", **{"pilotlight:stack": "another-stack"})

    with pytest.raises(NotOurs, match="is left alone"):
        start(staged)

    assert staged.imports.jobs == []


@pytest.mark.parametrize("of_other_weights", [{}, {"pilotlight:artifact": "a00000000000000000ff"}])
def test_a_model_of_other_weights_that_outlived_a_lost_table_is_not_adopted(staged, of_other_weights):
    tags = {"pilotlight:stack": "pilotlight", "pilotlight:deployment": "llama", "pilotlight:generation": "1"}
    staged.imports.add_model("pilotlight-llama-g1", **tags, **of_other_weights)

    with pytest.raises(NotOurs, match="of other weights"):
        start(staged)

    assert staged.imports.jobs == []
    assert staged.deployment().imported.model_arn is None


def test_a_failed_job_ends_with_the_backends_own_words(staged):
    staged.imports.failure = "The tokenizer is not supported."
    start(staged)
    staged.clock.advance(minutes=10)

    with pytest.raises(ImportFailed, match=r"The tokenizer is not supported\."):
        check(staged)


def test_a_job_that_does_not_end_in_time_ends_with_a_reason(staged):
    staged.imports.takes = timedelta(hours=5)
    start(staged)
    staged.clock.advance(hours=3, seconds=1)

    with pytest.raises(DeadlinePassed, match="retry later adopts its model"):
        check(staged)


def test_the_wait_for_the_slot_does_not_count_against_the_job(staged):
    staged.imports.takes = timedelta(hours=2)
    staged.imports.occupy()
    start(staged)
    staged.clock.advance(hours=2)
    start(staged)
    staged.clock.advance(hours=1, minutes=30)

    assert not check(staged).done


def test_a_model_that_vanished_before_it_was_noted_is_a_failure(staged):
    start(staged)
    staged.clock.advance(minutes=10)
    staged.imports.delete_model(staged.imports.model("pilotlight-llama-g1").arn)

    with pytest.raises(ImportFailed, match="complete, but model pilotlight-llama-g1 does not exist"):
        check(staged)


def retry(world):
    world.fail()
    world.requesting.retry("llama", correlation_id="c-2")
    world.deploying.start_staging(world.task())


def test_a_retry_after_a_failed_job_starts_a_job_of_its_own_name(staged):
    staged.imports.failure = "a fault of the service"
    start(staged)
    staged.clock.advance(minutes=10)
    check_fails(staged)
    staged.imports.failure = None

    retry(staged)
    start(staged)
    staged.clock.advance(minutes=10)

    assert check(staged).done
    assert len(staged.imports.jobs) == 2


def check_fails(world):
    with pytest.raises(ImportFailed):
        check(world)


def test_a_retry_waits_for_its_earlier_job_and_adopts_its_model(staged):
    staged.imports.takes = timedelta(hours=4)
    start(staged)
    staged.clock.advance(hours=3, seconds=1)
    with pytest.raises(DeadlinePassed):
        check(staged)

    retry(staged)
    assert not start(staged).done, "the earlier attempt's job still holds the slot"
    staged.clock.advance(hours=1)

    assert start(staged).done
    assert check(staged).done
    assert len(staged.imports.jobs) == 1
    assert "adopted the finished import pilotlight-llama-g1" in staged.deployments.timeline("llama")


def test_a_retry_goes_on_from_a_finished_import_though_the_quota_is_used_up(world):
    world.imports.quota = 1
    world.bring(Status.WARMING)
    model = world.imports.models
    retry(world)

    assert start(world).done
    assert check(world).done

    assert (world.imports.models, len(world.imports.jobs)) == (model, 1)
    assert world.deployment().imported.model_arn


def test_a_new_generation_imports_anew_and_the_job_names_never_meet(world):
    world.bring(Status.GONE)
    world.bring(Status.WARMING)

    assert world.imports.models == ["pilotlight-llama-g2"]
    assert len(set(world.imports.jobs)) == 2


def test_two_deployments_take_turns_at_the_slot(world):
    world.source.push("acme/second", a_checkpoint(weights=b"2" * 2048))
    world.bring(Status.IMPORTING, "one")
    world.bring(Status.IMPORTING, "two", source="hf://acme/second")

    assert world.importing.check(world.task("one")).done
    assert len(world.imports.jobs) == 2


def test_a_task_that_comes_back_after_a_teardown_began_starts_nothing(staged):
    staged.tearing_down.begin("llama", reason="enough", correlation_id="c")

    with pytest.raises(Superseded):
        start(staged)

    assert staged.imports.jobs == []


def test_a_retry_keeps_counting_the_storage_of_a_model_that_was_finished_before(world):
    world.bring(Status.WARMING)
    finished = world.deployment().imported
    world.fail()
    world.clock.advance(hours=5)
    world.requesting.retry("llama", correlation_id="c-2")

    world.bring(Status.WARMING)

    imported = world.deployment().imported
    assert (imported.model_arn, imported.units) == (finished.model_arn, finished.units)
    assert imported.ended_at == finished.ended_at


def test_a_retry_whose_model_was_deleted_meanwhile_imports_it_anew_and_waits_for_it(world):
    world.bring(Status.WARMING)
    gone = world.deployment().imported.model_arn
    world.fail()
    world.imports.delete_model(gone)
    world.requesting.retry("llama", correlation_id="c-2")
    world.bring(Status.IMPORTING)

    assert not world.importing.check(world.task()).done
    assert world.deployment().imported.model_arn is None
