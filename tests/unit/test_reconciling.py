"""The reconciliation over the fakes: what an orphan of each kind becomes, and what is left alone."""

from contextlib import suppress
from datetime import timedelta
from typing import NoReturn

import pytest
from pilotlight.domain import names
from pilotlight.domain.artifact import ArtifactStatus
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import Throttled
from pilotlight.domain.invocation import InvocationStatus
from pilotlight.domain.reconciliation import MOST_FINDINGS, Decision, Kind, Pass

from tests.factories import NOON, a_checkpoint, a_deployment, a_question, an_artifact, an_event, an_invocation
from tests.world import UPLOAD_BUCKET, World

OLD = {"hours": 2}
STRAY = "a00000000000000000ff"
FOLDER = f"{UPLOAD_BUCKET}/uploads/house-style/"


@pytest.fixture
def world() -> World:
    return World()


def decisions(done: Pass) -> list[tuple[Kind, Decision]]:
    return [(finding.kind, finding.decision) for finding in done.findings]


def a_model_of(world: World, name: str = "llama", generation: int = 1) -> str:
    """Put a model there with our tags; return its name."""
    model = names.imported_model_name(name, generation)
    world.imports.add_model(model, **names.ownership_tags("pilotlight", name, generation))
    return model


def late_bytes(world: World, count: int) -> None:
    """Put bytes there that zombies wrote after the deletion of so many artifacts."""
    for number in range(count):
        artifact_id = f"a{number:019x}"
        world.artifacts.save(None, an_artifact(artifact_id, status=ArtifactStatus.GONE, users=()))
        world.bucket.put(f"artifacts/{artifact_id}/weights/x", b"x")


# ---- imported models -----------------------------------------------------------------------------------------


def test_a_model_that_appeared_after_its_deployment_was_gone_is_removed(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    world.clock.advance(**OLD)

    done = world.reconcile()

    assert world.imports.models == []
    assert done.removed == 1
    (finding,) = done.findings
    assert finding.done
    assert finding.belongs_to == "llama-g1"
    assert finding.usd_per_month
    assert finding.usd_per_month.usd == 3.9


def test_a_model_of_an_earlier_generation_is_removed_and_that_of_the_live_one_stays(world: World) -> None:
    world.bring(Status.GONE)
    world.bring(Status.SERVING)
    old = a_model_of(world, generation=1)
    world.clock.advance(**OLD)

    world.reconcile()

    assert old not in world.imports.models
    assert world.imports.models == ["pilotlight-llama-g2"]


@pytest.mark.parametrize("status", [each for each in Status if each not in (Status.GONE, Status.CREATING)])
def test_nothing_of_a_live_deployment_is_ever_removed(world: World, status: Status) -> None:
    world.bring(status)
    world.clock.advance(hours=3)
    before = world.traces()

    done = world.reconcile()

    assert world.traces() == before
    assert done.removed == 0
    assert world.status() == status


def test_what_others_made_is_not_even_told(world: World) -> None:
    world.bring(Status.GONE)
    world.imports.add_model("pilotlight-llama-g1")
    world.imports.add_model("pilotlight-other-g1", **names.ownership_tags("another-stack", "other", 1))
    world.imports.add_model("their-own", **names.ownership_tags("pilotlight", "llama", 1))
    world.bucket.put("backups/a00000000000000000ff/x", b"mine")
    world.executions.start("deploy", "by-hand", {})
    before = world.traces()
    world.clock.advance(days=30)

    done = world.reconcile()

    assert done.findings == ()
    assert world.traces() == before
    assert world.executions.is_running("deploy", "by-hand")


def test_a_young_orphan_is_left_alone(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    world.clock.advance(minutes=59)

    assert decisions(world.reconcile()) == [(Kind.MODEL, Decision.LEAVE)]
    assert world.imports.models


@pytest.mark.parametrize("posted_since", [False, True])
def test_a_table_that_was_lost_removes_nothing_even_once_it_is_written_to_again(
    world: World, posted_since: bool
) -> None:
    world.bring(Status.SERVING)
    world.bring(Status.STAGING, "other")
    world.deployments.shelf.lose()
    world.artifacts.shelf.lose()
    if posted_since:
        world.deployments.reserve(a_deployment("new", now=world.clock.now()), an_event())
    world.clock.advance(**OLD)
    before = world.traces()
    staging = [run for run in world.executions.of("stage_artifact") if run.status == "RUNNING"]

    done = world.reconcile()

    assert world.traces() == before
    assert [run for run in world.executions.of("stage_artifact") if run.status == "RUNNING"] == staging
    assert {finding.decision for finding in done.findings if finding.orphan} == {Decision.LOOK}
    assert (done.removed, done.orphans_left) == (0, done.found)


def test_weights_that_were_staged_again_after_the_moment_that_a_table_was_restored_to_stay(world: World) -> None:
    artifact_id = world.bring(Status.SERVING).artifact_id or ""
    gone, erased = world.bring(Status.GONE), world.artifacts.get(artifact_id)
    world.clock.advance(hours=8)
    assert world.bring(Status.SERVING).artifact_id == artifact_id
    world.deployments.shelf.write("llama", gone, gone.version)
    world.artifacts.shelf.write(artifact_id, erased, erased.version)
    world.clock.advance(**OLD)
    before = world.traces()

    done = world.reconcile()

    assert world.traces() == before
    assert decisions(done) == [(Kind.MODEL, Decision.LOOK), (Kind.ARTIFACT, Decision.LOOK)]


def test_an_import_that_ended_after_its_deployment_had_failed_is_adopted_and_removed_with_it(world: World) -> None:
    world.bring(Status.IMPORTING)
    world.fail()
    world.clock.advance(minutes=30)

    world.reconcile()

    adopted = world.deployment().imported
    assert adopted
    assert adopted.model_arn
    assert adopted.units == 2
    assert world.imports.models
    world.tearing_down.begin("llama", reason="enough", correlation_id="c")
    world.run_teardown()
    assert world.traces() == {}


def test_a_model_of_other_weights_is_not_adopted_by_a_failed_deployment_of_its_name(world: World) -> None:
    world.bring(Status.STAGING)
    world.run_staging()
    world.imports.occupy()
    world.importing.start(world.task())
    world.fail()
    a_model_of(world)
    world.clock.advance(minutes=30)

    done = world.reconcile()

    assert decisions(done) == [(Kind.MODEL, Decision.LOOK)]
    assert world.deployment().imported.model_arn is None  # type: ignore[union-attr]


def test_a_model_without_an_age_is_for_a_person(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    world.imports._made_at.clear()
    world.clock.advance(**OLD)

    assert decisions(world.reconcile()) == [(Kind.MODEL, Decision.LOOK)]
    assert world.imports.models


# ---- artifacts -----------------------------------------------------------------------------------------------


def test_bytes_that_a_zombie_wrote_after_the_deletion_are_removed(world: World) -> None:
    artifact_id = world.bring(Status.SERVING).artifact_id
    world.bring(Status.GONE)
    world.bucket.put(f"artifacts/{artifact_id}/weights/late.json", b"{}")
    world.bucket.begin_upload(f"artifacts/{artifact_id}/weights/model.safetensors")

    world.clock.advance(minutes=30)
    assert decisions(world.reconcile()) == [(Kind.ARTIFACT, Decision.LEAVE)]
    world.clock.advance(minutes=31)
    world.reconcile()

    assert world.traces() == {}
    assert world.artifacts.get(artifact_id or "").status is ArtifactStatus.GONE


@pytest.mark.parametrize(("late", "left"), [(("manifest.json",), 0), (("manifest.json", "weights/a.safetensors"), 2)])
def test_a_manifest_that_came_late_is_removed_unless_there_are_weights_that_it_could_be_of(
    world: World, late: tuple[str, ...], left: int
) -> None:
    artifact_id = world.bring(Status.SERVING).artifact_id
    world.bring(Status.GONE)
    for path in late:
        world.bucket.put(f"artifacts/{artifact_id}/{path}", b"{}")
    world.clock.advance(minutes=61)

    world.reconcile()

    assert len(world.bucket.objects) == left


@pytest.mark.parametrize("name", ["backup", "a123", f"{STRAY}-copy", STRAY.upper(), "", "..", "mine#1"])
def test_a_folder_beside_the_artifacts_is_told_and_never_removed(world: World, name: str) -> None:
    world.bring(Status.GONE)
    world.bucket.put(f"artifacts/{name}/weights/x", b"x")
    world.bucket.put(f"artifacts/{name}/manifest.json", b"x")
    young = world.reconcile()
    world.clock.advance(days=400)

    done = world.reconcile()

    assert decisions(young) == [(Kind.ARTIFACT, Decision.LEAVE)]
    (finding,) = done.findings
    assert (finding.resource, finding.decision, finding.orphan) == (f"artifacts/{name}/", Decision.LOOK, True)
    assert "its name is no artifact's" in finding.reason
    assert len(world.bucket.objects) == 2


def test_a_folder_beside_the_artifacts_with_an_unfinished_upload_alone_is_told(world: World) -> None:
    world.bucket.begin_upload("artifacts/backup/weights/model.safetensors")
    world.clock.advance(days=400)

    (finding,) = world.reconcile().findings

    assert (finding.resource, finding.decision, finding.orphan) == ("artifacts/backup/", Decision.LOOK, True)
    assert len(world.bucket.uploads) == 1


def test_bytes_without_a_record_are_told(world: World) -> None:
    world.bring(Status.GONE)
    world.bucket.put(f"artifacts/{STRAY}/weights/x", b"x")
    world.clock.advance(**OLD)

    done = world.reconcile()

    assert decisions(done) == [(Kind.ARTIFACT, Decision.LOOK)]
    assert world.traces()
    assert done.orphans_left == 1


def test_a_user_that_a_superseded_start_left_is_given_back_and_then_the_artifact_is_removed(world: World) -> None:
    artifact_id = world.bring(Status.SERVING, "keeper").artifact_id or ""
    world.bring(Status.GONE)
    artifact = world.artifacts.get(artifact_id)
    world.artifacts.save(artifact, artifact.used_by("llama-g1", "delete"))
    world.clock.advance(**OLD)

    world.reconcile()

    assert world.artifacts.get(artifact_id).users == ("keeper-g1",)
    assert world.artifacts.get(artifact_id).status is ArtifactStatus.SEALED
    world.bring(Status.TEARING_DOWN, "keeper")
    world.run_teardown("keeper")
    assert world.traces() == {}


def test_a_sealed_artifact_whose_only_user_is_over_is_removed_by_a_later_pass(world: World) -> None:
    world.bring(Status.GONE)
    artifact = world.artifacts.save(None, an_artifact(STRAY, status=ArtifactStatus.SEALED))
    world.bucket.put(f"artifacts/{STRAY}/weights/x", b"x")
    world.clock.advance(**OLD)

    first = world.reconcile()
    world.clock.advance(**OLD)
    world.reconcile()

    assert decisions(first) == [(Kind.ARTIFACT, Decision.RELEASE)]
    assert world.artifacts.get(artifact.id).status is ArtifactStatus.GONE
    assert world.traces() == {}


def test_a_user_without_a_record_keeps_its_artifact(world: World) -> None:
    world.bring(Status.GONE)
    world.artifacts.save(None, an_artifact(STRAY, status=ArtifactStatus.SEALED, users=("nobody-knows-g1",)))
    world.bucket.put(f"artifacts/{STRAY}/weights/x", b"x")
    world.clock.advance(days=30)

    assert world.reconcile().findings == ()
    assert world.traces()


def test_an_artifact_that_lost_its_deleter_is_deleted(world: World) -> None:
    world.bring(Status.GONE)
    now = world.clock.now()
    world.artifacts.save(None, an_artifact(STRAY, now=now, status=ArtifactStatus.DELETING, users=()))
    world.bucket.put(f"artifacts/{STRAY}/weights/x", b"x")
    world.clock.advance(minutes=14)
    world.reconcile()
    assert world.traces()

    world.clock.advance(minutes=1)
    world.reconcile()

    assert world.traces() == {}
    assert world.artifacts.get(STRAY).status is ArtifactStatus.GONE


def test_whoever_takes_an_artifact_into_use_at_the_last_moment_keeps_it(world: World) -> None:
    world.bring(Status.GONE, "other")
    world.bring(Status.SERVING)
    orphan = world.artifact()
    freed = world.artifacts.save(orphan, orphan.given_back_by("llama-g1", NOON))
    world.clock.advance(**OLD)
    world.artifacts.shelf.meanwhile.append(lambda: world.artifacts.shelf.put(orphan.id, orphan, freed.version))

    done = world.reconcile()

    assert [finding.done for finding in done.findings if finding.kind is Kind.ARTIFACT] == [False]
    assert world.artifact().status is ArtifactStatus.SEALED
    assert world.bucket.objects


def test_staging_that_died_and_that_nobody_waits_for_has_failed(world: World) -> None:
    world.bring(Status.STAGING)
    world.fail()
    artifact = world.artifact()
    world.clock.advance(**OLD)
    world.reconcile()
    assert world.artifact().status is ArtifactStatus.STAGING

    run = names.staging_name(artifact.id, artifact.attempt, artifact.created_at)
    world.executions.end("stage_artifact", run, "ABORTED")
    world.reconcile()

    assert world.artifact().status is ArtifactStatus.FAILED
    world.requesting.retry("llama", correlation_id="c-2")
    assert world.bring(Status.SERVING).status is Status.SERVING


def test_an_upload_begun_twice_is_aborted_once_its_artifact_is_sealed_and_never_before(world: World) -> None:
    world.source.push("acme/llama-8b", a_checkpoint(weights=b"w" * (12 * 1024 * 1024)))
    world.bring(Status.STAGING)
    world.plan(world.staging_task())
    key = f"artifacts/{world.artifact().id}/weights/model.safetensors"
    world.bucket.begin_upload(key)
    world.clock.advance(**OLD)
    world.reconcile()
    assert len(world.bucket.uploads) == 2

    world.bring(Status.SERVING)
    world.reconcile()
    assert len(world.bucket.uploads) == 1
    world.clock.advance(**OLD)
    world.reconcile()

    assert world.bucket.uploads == {}
    assert key in world.bucket.objects


# ---- executions, records, invocations, folders ---------------------------------------------------------------


def test_an_execution_of_a_generation_that_is_over_is_stopped(world: World) -> None:
    world.bring(Status.SERVING)
    staging = names.staging_name(world.artifact().id, 1, world.artifact().created_at)
    run = names.run_name("llama", 1, 7, world.bring(Status.GONE).created_at)
    world.executions.start("deploy", run, {})
    world.executions.end("stage_artifact", staging, "RUNNING")
    world.clock.advance(**OLD)

    world.reconcile()

    assert not world.executions.is_running("deploy", run)
    assert not world.executions.is_running("stage_artifact", staging)


def test_a_record_that_the_index_lost_is_looked_at_again(world: World) -> None:
    world.bring(Status.STAGING)
    born = world.deployment().created_at
    world.executions.end("deploy", names.run_name("llama", 1, 1, born), "TIMED_OUT")
    world.deployments.shelf.patch("llama", next_look_at=None)
    world.clock.advance(**OLD)
    world.sweep()
    assert world.status() is Status.STAGING

    done = world.reconcile()
    world.sweep()

    assert (Kind.DEPLOYMENT, Decision.RESUME) in decisions(done)
    assert world.status() is Status.FAILED


def test_a_model_that_somebody_deleted_by_hand_is_told_and_nothing_is_done(world: World) -> None:
    world.bring(Status.SERVING)
    world.imports._models.clear()

    done = world.reconcile()

    assert decisions(done) == [(Kind.DEPLOYMENT, Decision.LOOK)]
    assert done.orphans_left == 1
    assert world.status() is Status.SERVING


def test_an_invocation_that_nobody_answered_gets_its_end(world: World) -> None:
    world.bring(Status.SERVING)
    world.invocations.put(an_invocation("i-00000001", now=world.clock.now()))
    world.bodies.put_request("i-00000001", a_question())
    world.clock.advance(minutes=119)
    world.reconcile()
    assert world.invocations.get("i-00000001").status is InvocationStatus.QUEUED

    world.clock.advance(minutes=2)
    world.reconcile()

    over = world.invocations.get("i-00000001")
    assert over.status is InvocationStatus.FAILED
    assert over.error_code == "deadline-passed"


def test_bodies_that_outlived_their_record_by_days_are_removed_and_a_weeks_calls_cost_no_removal(
    world: World,
) -> None:
    world.bring(Status.GONE)
    world.bodies.put_request("i-00000001", a_question())
    world.clock.advance(days=2)
    world.bodies.put_request("i-00000002", a_question())
    a_model_of(world)
    world.clock.advance(days=7)

    done = world.reconcile(most_removals=2)

    assert list(world.bodies.requests) == ["i-00000002"]
    assert world.imports.models == []
    assert done.found == 2


def test_a_folder_whose_every_event_was_lost_becomes_a_deployment(world: World) -> None:
    world.source.upload(FOLDER, a_checkpoint())

    world.reconcile()
    for _ in range(3):
        world.clock.advance(seconds=61)
        world.sweep()

    assert world.status("house-style") is Status.REQUESTED


def test_a_folder_whose_last_event_was_lost_is_looked_at_again(world: World) -> None:
    files = a_checkpoint()
    late = files.pop("model.safetensors")
    world.source.upload(FOLDER, files)
    world.uploading.note_event("uploads/house-style/config.json", correlation_id="c")
    for _ in range(2):
        world.clock.advance(seconds=61)
        world.sweep()
    world.source.upload(FOLDER, {"model.safetensors": late})

    world.reconcile()
    for _ in range(3):
        world.clock.advance(seconds=61)
        world.sweep()

    assert world.status("house-style") is Status.REQUESTED


def test_a_folder_that_was_seen_as_it_is_rests(world: World) -> None:
    world.source.upload(FOLDER, a_checkpoint())
    world.uploading.note_event("uploads/house-style/config.json", correlation_id="c")
    for _ in range(3):
        world.clock.advance(seconds=61)
        world.sweep()
    before = world.uploads.find("house-style")

    done = world.reconcile()

    assert done.findings == ()
    assert world.uploads.find("house-style") == before


# ---- the pass ------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_everything_and_does_nothing(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    late_bytes(world, 1)
    before = world.traces()
    world.clock.advance(**OLD)

    done = world.reconcile(dry_run=True)

    assert decisions(done) == [(Kind.MODEL, Decision.REMOVE), (Kind.ARTIFACT, Decision.REMOVE)]
    assert not any(finding.done for finding in done.findings)
    assert (done.dry_run, done.found, done.removed, done.orphans_left) == (True, 2, 0, 2)
    assert world.traces() == before


def test_a_pass_removes_no_more_than_it_may_and_every_orphan_has_its_turn(world: World) -> None:
    world.bring(Status.GONE)
    late_bytes(world, 5)
    world.clock.advance(**OLD)

    left = []
    for _ in range(3):
        done = world.reconcile(most_removals=2)
        left.append((len(world.bucket.objects), done.found, done.orphans_left))

    assert left == [(3, 5, 3), (1, 3, 1), (0, 1, 0)]


def test_orphans_that_a_pass_may_not_remove_are_counted_though_only_some_are_kept(world: World) -> None:
    world.bring(Status.GONE)
    late_bytes(world, MOST_FINDINGS + 5)
    world.clock.advance(**OLD)

    done = world.reconcile(most_removals=1)

    assert len(done.findings) == MOST_FINDINGS
    assert (done.found, done.removed, done.orphans_left) == (MOST_FINDINGS + 5, 1, MOST_FINDINGS + 4)
    assert all(finding.is_left for finding in done.findings)


def test_a_list_that_did_not_come_whole_removes_nothing_of_its_kind(world: World) -> None:
    gone = world.bring(Status.GONE)
    world.executions.start("deploy", names.run_name("llama", 1, 7, gone.created_at), {})
    world.executions.hidden.add("warm")
    a_model_of(world)
    world.clock.advance(**OLD)

    done = world.reconcile()

    assert set(done.incomplete) == {Kind.EXECUTION}
    assert done.orphans_left == 1
    assert world.executions.of("deploy")[-1].status == "RUNNING"
    assert world.imports.models == []


def test_a_list_that_fails_is_told_and_the_others_go_on(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    world.clock.advance(**OLD)
    world.inventory.trouble["artifact_ids"] = Throttled("slow down")

    done = world.reconcile()

    assert done.incomplete == {Kind.ARTIFACT: "slow down"}
    assert world.imports.models == []


def test_what_belongs_to_a_record_that_cannot_be_read_is_left_alone(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    a_model_of(world, "spoilt")
    world.clock.advance(**OLD)
    world.deployments.shelf.spoil("spoilt", "next_look_at", world.clock.now())  # and lists leave it out

    done = world.reconcile()

    assert world.imports.models == ["pilotlight-spoilt-g1"]
    (finding,) = (each for each in done.findings if each.trouble)
    assert (finding.decision, finding.resource) == (Decision.LEAVE, world.imports.model("pilotlight-spoilt-g1").arn)
    assert (done.found, done.orphans_left) == (2, 1)


def test_one_pass_at_a_time_and_a_dead_one_is_followed(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    world.clock.advance(**OLD)
    world.passes.begin("another", world.clock.now(), world.clock.now() + timedelta(minutes=10))

    world.reconcile()
    assert world.imports.models

    world.clock.advance(minutes=11)
    world.reconcile()
    assert world.imports.models == []


def test_the_event_that_starts_a_pass_may_come_twice_and_only_one_runs(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    world.clock.advance(**OLD)
    beside: list[Pass] = []
    look = world.inventory.artifact_ids
    world.inventory.artifact_ids = lambda: (beside.append(world.reconcile()), look())[1]  # type: ignore[method-assign]

    done = world.reconcile()

    assert [each.as_of for each in beside] == [None]
    assert (done.number, done.removed, world.passes.begun) == (1, 1, 1)


def test_a_pass_that_never_ends_is_followed_by_one_that_begins_elsewhere(world: World) -> None:
    world.bring(Status.GONE)
    late_bytes(world, 1)
    world.clock.advance(**OLD)

    def die() -> NoReturn:
        raise SystemExit

    world.imports.holders = die  # type: ignore[method-assign]
    for _ in range(7):
        with suppress(SystemExit):
            world.reconcile()
        world.clock.advance(minutes=15)

    assert world.bucket.objects == {}


def test_what_there_was_no_time_to_list_is_told_and_goes_on_where_it_was(world: World) -> None:
    world.bring(Status.GONE)
    late_bytes(world, 1)
    world.clock.advance(**OLD)
    look = world.imports.holders
    world.imports.holders = lambda: (look(), world.clock.advance(minutes=5))[0]  # type: ignore[method-assign]

    done = world.reconcile()

    assert done.incomplete == {kind: "there was no time left to list it" for kind in Kind if kind is not Kind.MODEL}
    assert world.bucket.objects


def test_an_orphan_that_stays_is_told_for_how_long(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    world.clock.advance(**OLD)
    first_seen_at = world.clock.now()
    for _ in range(3):
        done = world.reconcile(dry_run=True)
        world.clock.advance(minutes=15)

    (finding,) = done.findings
    assert finding.passes == 3
    assert finding.first_seen_at == first_seen_at


def test_a_pass_that_runs_out_of_time_begins_elsewhere_the_next_time(world: World) -> None:
    world.bring(Status.GONE)
    late_bytes(world, 5)
    world.clock.advance(**OLD)
    slow = world.erasing.erase
    world.erasing.erase = lambda artifact: (slow(artifact), world.clock.advance(minutes=4))[0]  # type: ignore[method-assign]

    for _ in range(5):
        world.reconcile()
        world.clock.advance(minutes=15)

    assert world.bucket.objects == {}


def test_a_reconciliation_twice_finds_nothing_the_second_time(world: World) -> None:
    world.bring(Status.GONE)
    a_model_of(world)
    late_bytes(world, 1)
    world.clock.advance(**OLD)
    world.reconcile()

    assert world.reconcile().findings == ()
