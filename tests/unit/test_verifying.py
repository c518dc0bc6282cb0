"""Sealed weights are read back and hashed while others go on; what is not what its source lists serves nowhere."""

import hashlib
import json
from itertools import count

import pytest
from pilotlight.contracts import VerifyTask
from pilotlight.domain.artifact import (
    LARGEST_VERIFIED_BYTES,
    LONGEST_STAGING_LAMBDA,
    Artifact,
    ArtifactStatus,
    StagedFile,
    unverified_key,
    weight_key,
)
from pilotlight.domain.deployment import EventKind, Status
from pilotlight.domain.errors import NotFound, SourceRefused, Superseded
from pilotlight.domain.spans import MIB
from pilotlight.services.side_by_side import ahead

from tests.factories import NOON, a_checkpoint
from tests.world import World

SHARDS = {f"model-{n}.safetensors": bytes([n]) * size for n, size in ((1, 17 * MIB), (2, 5 * MIB + 1), (3, 2048))}


@pytest.fixture
def importing(world: World) -> World:
    """A deployment whose weights are sealed and not verified, and whose import is done."""
    world.source.push("acme/llama-8b", a_checkpoint(shards=SHARDS))
    world.bring(Status.STAGING)
    world.seal()
    world.bring(Status.IMPORTING)
    while not world.importing.check(world.task()).done:
        world.clock.advance(seconds=60)
    return world


def spoil(world: World, path: str = "model-1.safetensors", name: str = "llama") -> None:
    """Let one bit of a sealed file be another than the source's."""
    key = weight_key(world.artifact(name).id, path)
    body = bytearray(world.bucket.objects[key])
    body[-1] ^= 1
    world.bucket.objects[key] = bytes(body)


def execution(world: World) -> str:
    artifact = world.artifact()
    return f"{artifact.id}-a{artifact.attempt}"


def test_what_was_not_hashed_on_its_way_is_listed_to_be_verified(importing):
    listed = json.loads(importing.bucket.objects[unverified_key(importing.artifact().id)])

    assert [file["path"] for file in listed] == ["model-1.safetensors", "model-2.safetensors"]
    assert importing.artifact().unverified == 2
    assert importing.artifact().verified_at is None


def test_an_import_does_not_wait_and_the_first_wake_does(importing):
    started = importing.first_warm_up.start(importing.task())

    assert started.held
    assert 0 < started.wait_seconds <= 60
    assert "SHA-256 of 2 files" in importing.deployment().waiting_for
    assert importing.executions.of("warm") == []
    (*_, told), _ = importing.deployments.events("llama", None, 100)
    assert (told.kind, told.reason) == (EventKind.ARTIFACT, f"waits: {importing.deployment().waiting_for}")


def test_what_is_verified_is_woken(importing):
    importing.first_warm_up.start(importing.task())
    importing.verify()

    started = importing.first_warm_up.start(importing.task())

    assert started.wake_id
    assert (importing.artifact().unverified, importing.artifact().verified_at) == (0, importing.clock.now())
    assert importing.deployment().waiting_for is None


@pytest.mark.parametrize("path", ["model-1.safetensors", "model-2.safetensors"])
def test_one_bit_puts_the_artifact_into_quarantine_and_fails_its_deployment_with_the_file(importing, path):
    spoil(importing, path)
    importing.verify()

    assert importing.artifact().status is ArtifactStatus.QUARANTINED
    with pytest.raises(SourceRefused, match=path) as refused:
        importing.first_warm_up.start(importing.task())
    assert refused.value.detail["cause"] == "weights-corrupt"
    assert importing.executions.of("warm") == []


def test_a_retry_is_refused_before_anything_is_copied_where_the_weights_have_been_imported(importing):
    spoil(importing)
    importing.verify()
    importing.fail()
    importing.requesting.retry("llama", correlation_id="c-2")

    with pytest.raises(SourceRefused, match="Tear the deployment down and deploy again"):
        importing.deploying.start_staging(importing.task())


def test_the_next_deployment_of_the_source_copies_it_anew_under_another_id(importing):
    spoil(importing)
    importing.verify()
    importing.fail()

    importing.bring(Status.SERVING, name="other")

    assert importing.artifact("other").id != importing.artifact().id
    assert importing.artifact("other").status is ArtifactStatus.SEALED
    assert importing.artifact().status is ArtifactStatus.QUARANTINED


def test_what_was_copied_after_a_quarantine_is_shared_also_once_that_is_gone(importing):
    spoil(importing)
    importing.verify()
    importing.fail()
    importing.bring(Status.SERVING, name="other")
    importing.tearing_down.begin("llama", reason="its weights are corrupt", correlation_id="c-3")
    importing.run_teardown("llama")

    importing.bring(Status.SERVING, name="third")

    assert importing.artifact("third") == importing.artifact("other")
    assert importing.artifact("third").users == ("other-g1", "third-g1")


def test_a_source_whose_own_copy_is_broken_is_refused_in_the_end(world: World):
    world.source.push("acme/llama-8b", a_checkpoint(shards=SHARDS))

    def spoil_each_copy():
        for number in count():
            world.bring(Status.STAGING, name=f"n-{number}")
            world.seal(f"n-{number}")
            spoil(world, name=f"n-{number}")
            world.verify(f"n-{number}")

    with pytest.raises(SourceRefused, match="its own copy is broken"):
        spoil_each_copy()


def test_a_verification_that_died_is_begun_again_with_what_is_to_be_verified_and_copies_nothing(importing):
    importing.executions.end("stage_artifact", execution(importing), "TIMED_OUT")

    assert importing.first_warm_up.start(importing.task()).held

    (again,) = [run for run in importing.executions.of("stage_artifact") if run.status == "RUNNING"]
    assert again.work["sealed"] == {"unverified": 2, "copiers": 8}
    assert again.work["attempt"] == importing.artifact().attempt == 2


def test_a_verification_that_keeps_dying_fails_its_deployment(importing):
    def die_until_it_fails():
        while True:
            importing.executions.end("stage_artifact", execution(importing), "TIMED_OUT")
            importing.first_warm_up.start(importing.task())

    with pytest.raises(SourceRefused, match=r"verifying .* died 4 times"):
        die_until_it_fails()


def test_deaths_of_staging_do_not_count_against_verifying(world: World):
    world.source.push("acme/llama-8b", a_checkpoint(shards=SHARDS))
    world.bring(Status.STAGING)
    world.artifacts.shelf.patch(world.artifact().id, revivals=3)

    world.seal()

    assert (world.artifact().revivals, world.artifact().unverified) == (0, 2)
    assert world.artifact().settles_at() is not None  # a Lambda of an execution that died may still write


def test_a_file_that_cannot_be_read_back_fails_the_artifact_and_the_deployment_with_its_reason(importing):
    del importing.bucket.objects[weight_key(importing.artifact().id, "model-2.safetensors")]
    with pytest.raises(NotFound):
        importing.verify()

    importing.fail_staging("States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold")

    with pytest.raises(SourceRefused, match=r"model-2\.safetensors could not be verified"):
        importing.first_warm_up.start(importing.task())


def test_a_lambda_that_died_over_a_file_leaves_a_reason_too(importing):
    importing.fail_staging("States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold")

    with pytest.raises(SourceRefused, match="its time was, or its memory"):
        importing.first_warm_up.start(importing.task())


def test_a_file_that_is_too_large_for_one_lambda_is_sealed_and_not_verified():
    file = StagedFile(path="model.safetensors", size_bytes=LARGEST_VERIFIED_BYTES, sha256="a" * 64)

    assert file.is_to_be_verified
    assert not file.changed(size_bytes=LARGEST_VERIFIED_BYTES + 1).is_to_be_verified
    assert not file.changed(verified=True).is_to_be_verified
    assert not file.changed(sha256=None).is_to_be_verified


def test_a_record_of_a_former_version_is_taken_as_it_is():
    told = {"id": "a0", "source": "hf://acme/llama-8b", "revision": "c0", "status": "SEALED"}

    assert not Artifact(**told, created_at=NOON, updated_at=NOON).is_worked_on


def test_a_late_seal_of_a_former_attempt_seals_nothing_of_the_next_one(world: World):
    world.source.push("acme/llama-8b", a_checkpoint(shards=SHARDS))
    world.bring(Status.STAGING)
    late = world.staging_task()
    for span in world.plan(late):
        world.span_copying.copy(span)
    newer = {"attempt": 2, "version": world.artifact().version + 1}
    world.artifacts.shelf.meanwhile.append(lambda: world.artifacts.shelf.patch(late.artifact_id, **newer))

    with pytest.raises(Superseded):
        world.staging.seal(late)

    assert world.artifact().status is ArtifactStatus.STAGING


def test_a_step_that_was_superseded_fails_nothing_that_was_sealed_since(importing):
    importing.fail_staging("superseded", "this task was for attempt 1")

    assert importing.artifact().status is ArtifactStatus.SEALED


def test_weights_in_quarantine_are_kept_for_nobody(importing):
    spoil(importing)
    importing.verify()
    importing.artifacts.shelf.patch(importing.artifact().id, keep="retain")

    assert importing.artifact().kept_until == importing.artifact().updated_at + LONGEST_STAGING_LAMBDA


def test_a_teardown_lets_the_verification_of_weights_that_are_kept_go_on(importing):
    artifact = importing.artifact()
    importing.artifacts.shelf.patch(artifact.id, keep="collect_after:7d")

    importing.tearing_down.begin("llama", reason="enough", correlation_id="c-3")
    importing.run_teardown("llama")

    assert importing.artifacts.get(artifact.id).status is ArtifactStatus.SEALED
    assert importing.executions.is_running("stage_artifact", f"{artifact.id}-a1")


def test_a_verification_of_a_former_attempt_says_nothing(importing):
    spoil(importing)
    stale = importing.staging_task()
    importing.executions.end("stage_artifact", execution(importing), "TIMED_OUT")
    importing.first_warm_up.start(importing.task())

    (file, _) = json.loads(importing.bucket.objects[unverified_key(importing.artifact().id)])
    importing.verifying.verify(VerifyTask(**dict(stale), **file))
    importing.verifying.mark_verified(stale)

    assert importing.artifact().status is ArtifactStatus.SEALED
    assert importing.artifact().unverified == 2


def test_nothing_is_verified_once_it_is_in_quarantine(importing):
    spoil(importing)
    importing.verify()

    importing.verifying.mark_verified(importing.staging_task())

    assert importing.artifact().status is ArtifactStatus.QUARANTINED
    assert importing.artifact().verified_at is None


def test_a_file_that_is_gone_is_no_verified_file(importing):
    del importing.bucket.objects[weight_key(importing.artifact().id, "model-2.safetensors")]

    with pytest.raises(NotFound):
        importing.verify()

    assert importing.artifact().unverified == 2


def test_a_seal_whose_answer_was_lost_answers_the_same_again(importing):
    first = importing.artifact()

    again = importing.staging.seal(importing.staging_task())

    assert again.unverified == 2
    assert importing.artifact() == first


@pytest.mark.parametrize("at_once", [1, 3])
def test_bytes_are_read_ahead_and_hashed_in_order(at_once):
    body = bytes(range(256)) * 100
    read = lambda offset: body[offset : offset + 700]  # noqa: E731

    digest = hashlib.sha256(b"".join(ahead(read, range(0, len(body), 700), at_once)))

    assert digest.digest() == hashlib.sha256(body).digest()


def test_no_more_is_read_ahead_than_is_asked_for():
    begun = []

    first = next(ahead(lambda item: begun.append(item) or item, range(100), 3))

    assert first == 0
    assert len(begun) <= 4
