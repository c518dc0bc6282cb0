"""Weights that nobody uses: kept by the teardown, found again by whoever comes, collected when their time is over."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import ArtifactInUse, ConcurrentChange, NotFound
from pilotlight.domain.reconciliation import Decision, Kind, Pass
from pilotlight.domain.values import iso
from pilotlight.services.discarding import Discarding

from tests.factories import an_artifact
from tests.world import World

STRAY = "a00000000000000000ff"


@pytest.fixture
def world() -> World:
    return World()


def kept(world: World, wish: str = "collect_after:7d", name: str = "llama") -> str:
    """Let a deployment come and go; return the id of its artifact."""
    artifact_id = world.bring(Status.SERVING, name, artifact=wish).artifact_id or ""
    world.bring(Status.GONE, name)
    return artifact_id


def found(done: Pass) -> list[tuple[Decision, bool, bool]]:
    return [(each.decision, each.orphan, each.done) for each in done.findings if each.kind is Kind.ARTIFACT]


def status(world: World, artifact_id: str) -> ArtifactStatus:
    return world.artifacts.get(artifact_id).status


def test_a_teardown_keeps_the_weights_and_says_until_when(world: World) -> None:
    artifact_id = kept(world)

    artifact = world.artifacts.get(artifact_id)
    assert (artifact.status, artifact.users, artifact.keep) == (ArtifactStatus.SEALED, (), "collect_after:7d")
    assert artifact.last_used_at == world.clock.now()
    assert world.status() is Status.GONE
    told = f"artifact {artifact_id} is kept until {iso(artifact.kept_until)}, unless it is used before"  # type: ignore[arg-type]
    assert any(told in line for line in world.deployments.timeline("llama"))


def test_weights_are_collected_when_their_time_is_over_and_not_before(world: World) -> None:
    artifact_id = kept(world)
    world.clock.advance(days=6, hours=23)
    assert found(world.reconcile()) == []
    assert world.bucket.objects

    world.clock.advance(hours=1)
    done = world.reconcile()

    assert found(done) == [(Decision.COLLECT, False, True)]
    assert (done.found, done.orphans_left) == (0, 0)
    assert status(world, artifact_id) is ArtifactStatus.GONE
    assert world.traces() == {}


def test_weights_that_are_retained_stay_and_are_no_orphan(world: World) -> None:
    artifact_id = kept(world, "retain")
    assert any("is kept until somebody deletes it" in line for line in world.deployments.timeline("llama"))
    world.clock.advance(days=3650)

    done = world.reconcile()

    assert (found(done), done.found, done.removed) == ([], 0, 0)
    assert status(world, artifact_id) is ArtifactStatus.SEALED


def test_a_deployment_of_kept_weights_copies_nothing_and_their_time_begins_anew(world: World) -> None:
    artifact_id = kept(world)
    world.clock.advance(days=6)
    world.bring(Status.SERVING, "next", artifact="delete", lease="permanent")
    assert len(world.executions.of("stage_artifact")) == 1
    world.clock.advance(days=30)
    assert found(world.reconcile()) == []

    world.bring(Status.GONE, "next")

    world.clock.advance(days=6, hours=23)
    assert found(world.reconcile()) == []
    world.clock.advance(hours=1)
    world.reconcile()
    assert status(world, artifact_id) is ArtifactStatus.GONE


@pytest.mark.parametrize("first", ["delete", "collect_after:3d"])
@pytest.mark.parametrize("shorter_goes_first", [True, False])
def test_of_several_users_the_longest_wish_wins(world: World, first: str, shorter_goes_first: bool) -> None:
    artifact_id = world.bring(Status.SERVING, "short", artifact=first).artifact_id or ""
    world.bring(Status.SERVING, "long", artifact="collect_after:9d")
    for name in ("short", "long") if shorter_goes_first else ("long", "short"):
        world.bring(Status.GONE, name)

    world.clock.advance(days=8)
    world.reconcile()
    assert status(world, artifact_id) is ArtifactStatus.SEALED

    world.clock.advance(days=1)
    world.reconcile()
    assert status(world, artifact_id) is ArtifactStatus.GONE


@pytest.mark.parametrize("given", [each for each in ArtifactStatus if each not in ("QUARANTINED", "GONE", "DELETING")])
def test_whatever_nobody_uses_goes_whatever_became_of_it(world: World, given: ArtifactStatus) -> None:
    world.bring(Status.GONE)
    told: dict[str, Any] = {"status": given, "users": (), "keep": "collect_after:1h", "now": world.clock.now()}
    world.artifacts.save(None, an_artifact(STRAY, **told))
    world.bucket.put(f"artifacts/{STRAY}/weights/x", b"x")
    world.bucket.begin_upload(f"artifacts/{STRAY}/weights/model.safetensors")
    world.clock.advance(minutes=59)
    assert found(world.reconcile()) == []

    world.clock.advance(minutes=1)
    world.reconcile()

    assert status(world, STRAY) is ArtifactStatus.GONE
    assert (world.bucket.objects, world.bucket.uploads) == ({}, {})


def test_weights_in_quarantine_that_nobody_uses_go_whatever_was_wished(world: World) -> None:
    told: dict[str, Any] = {"status": ArtifactStatus.QUARANTINED, "users": (), "keep": "retain"}
    world.artifacts.save(None, an_artifact(STRAY, **told, now=world.clock.now()))
    world.bucket.put(f"artifacts/{STRAY}/weights/x", b"x")
    world.clock.advance(minutes=10)

    world.reconcile()

    assert status(world, STRAY) is ArtifactStatus.GONE
    assert world.bucket.objects == {}


def test_staging_that_was_given_up_keeps_its_parts_for_whoever_tries_again(world: World) -> None:
    world.bring(Status.STAGING, artifact="collect_after:1d")
    spans = world.plan(world.staging_task())
    world.span_copying.copy(spans[0])
    world.tearing_down.begin("llama", reason="enough", correlation_id="c-end")
    world.run_teardown()

    artifact = world.artifacts.get(spans[0].artifact_id)
    assert (world.status(), artifact.status, artifact.users) == (Status.GONE, ArtifactStatus.FAILED, ())
    assert world.executions.of("stage_artifact")[0].status == "ABORTED"
    assert world.bucket.objects
    world.clock.advance(days=1, minutes=10)
    world.reconcile()
    assert world.traces() == {}


def race(world: World, artifact_id: str, act: Callable[[], object]) -> None:
    """Let something be done just before the next write of an artifact's record."""
    world.artifacts.shelf.meanwhile.append(act)


def test_weights_that_are_taken_at_the_last_moment_are_not_collected(world: World) -> None:
    artifact_id = kept(world)
    world.clock.advance(days=7)

    race(world, artifact_id, lambda: world.bring(Status.STAGING, "next"))
    done = world.reconcile()

    assert found(done) == [(Decision.COLLECT, False, False)]
    assert world.artifacts.get(artifact_id).users == ("next-g1",)
    assert world.bring(Status.SERVING, "next").status is Status.SERVING
    assert world.reconcile().findings == ()


def test_whoever_comes_while_weights_are_collected_waits_and_stages_anew(world: World) -> None:
    artifact_id = kept(world)
    world.clock.advance(days=7)
    refused: list[Exception] = []

    def collected_and_asked_for(artifact: Artifact) -> str:
        world.bring(Status.REQUESTED, "next")
        with pytest.raises(ConcurrentChange, match="is being deleted") as caught:
            world.deploying.start_staging(world.task("next"))
        refused.append(caught.value)
        return erase(artifact)

    erase, world.erasing.erase = world.erasing.erase, collected_and_asked_for  # type: ignore[method-assign]
    world.reconcile()

    assert len(refused) == 1
    assert status(world, artifact_id) is ArtifactStatus.GONE
    world.deploying.start_staging(world.task("next"))
    assert world.bring(Status.SERVING, "next").status is Status.SERVING
    assert world.artifacts.get(artifact_id).attempt == 2


def test_a_collection_that_died_is_finished_by_a_later_pass(world: World) -> None:
    artifact_id = kept(world)
    world.clock.advance(days=7)
    erase, world.erasing.erase = world.erasing.erase, lambda _: 1 // 0  # type: ignore[method-assign,return-value]
    world.reconcile()
    assert status(world, artifact_id) is ArtifactStatus.DELETING

    world.erasing.erase = erase  # type: ignore[method-assign]
    world.clock.advance(minutes=15)
    world.reconcile()

    assert status(world, artifact_id) is ArtifactStatus.GONE
    assert world.traces() == {}


def test_a_dry_run_collects_nothing_and_tells_what_it_would(world: World) -> None:
    artifact_id = kept(world)
    world.clock.advance(days=7)

    done = world.reconciling(dry_run=True).reconcile()

    assert found(done) == [(Decision.COLLECT, False, False)]
    assert status(world, artifact_id) is ArtifactStatus.SEALED


def test_one_pass_collects_no_more_than_it_may(world: World) -> None:
    for number in range(3):
        told = an_artifact(f"a{number:019x}", status=ArtifactStatus.SEALED, users=(), now=world.clock.now())
        world.artifacts.save(None, told)
    world.clock.advance(days=1)

    done = world.reconciling(most_removals=2).reconcile()

    assert sorted(found(done)) == [(Decision.COLLECT, False, True)] * 2 + [(Decision.LEAVE, False, False)]
    assert done.orphans_left == 0


# ---- on request ----------------------------------------------------------------------------------------------


def test_weights_that_are_retained_go_with_the_next_pass_when_somebody_says_so(world: World) -> None:
    artifact_id = kept(world, "retain")

    told = world.viewing.artifact(Discarding(world.artifacts).discard(artifact_id))
    assert (told.keep, told.kept_until) == ("delete", world.clock.now())
    world.reconcile()

    assert status(world, artifact_id) is ArtifactStatus.GONE
    assert world.traces() == {}


def test_weights_that_are_used_are_not_discarded_and_their_users_are_named(world: World) -> None:
    artifact_id = world.bring(Status.SERVING).artifact_id or ""

    with pytest.raises(ArtifactInUse, match="used by llama-g1") as caught:
        Discarding(world.artifacts).discard(artifact_id)

    assert caught.value.detail["users"] == ["llama-g1"]
    assert world.artifact().keep == "delete"


def test_weights_that_are_not_there_are_not_discarded(world: World) -> None:
    gone = kept(world, "delete")

    for artifact_id in (STRAY, gone):
        with pytest.raises(NotFound, match="no artifact"):
            Discarding(world.artifacts).discard(artifact_id)


# ---- what is shown -------------------------------------------------------------------------------------------


def test_last_use_wish_and_end_are_shown(world: World) -> None:
    world.bring(Status.SERVING, artifact="collect_after:2d")
    world.clock.advance(days=3)
    (used,) = world.viewing.artifacts(None).items
    world.bring(Status.GONE)
    gone_at = world.clock.now()
    world.clock.advance(hours=5)
    (unused,) = world.viewing.artifacts(None).items

    assert (used.keep, used.last_used_at, used.kept_until) == ("collect_after:2d", gone_at, None)
    assert (unused.last_used_at, unused.kept_until) == (gone_at, gone_at + timedelta(days=2))
    assert world.viewing.deployment("llama").artifact == "collect_after:2d"
