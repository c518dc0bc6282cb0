"""Weights are copied byte for byte, only what is missing, and sealed only when all of them are there."""

import json

import pytest
from pilotlight.contracts import SpanTask
from pilotlight.domain.artifact import ArtifactStatus, Manifest, manifest_key
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import BodyCutShort, NotFound, SourceChanged, Superseded, Throttled
from pilotlight.domain.source import Source
from pilotlight.domain.spans import MIB, Span, whole
from pilotlight.services.copying import TRIES
from pilotlight.services.staging import Staging

from tests.factories import FIVE_MIB_PARTS, a_checkpoint
from tests.world import ARTIFACT_BUCKET

SHARDS = {f"model-{n}.safetensors": bytes([n]) * size for n, size in ((1, 12 * MIB), (2, 5 * MIB + 1), (3, 2048))}
FILES = a_checkpoint(shards=SHARDS)


@pytest.fixture
def task(world):
    world.source.push("acme/llama-8b", {**FILES, "README.md": b"# Llama", "original/consolidated.00.pth": b"x" * 2048})
    world.bring(Status.STAGING)
    return world.staging_task()


def large(span):
    """Say whether a span is of a file in parts."""
    return span.span.runs[0].upload_id is not None


def span_of(spans, path):
    """Return the span that holds a file, or its first part."""
    return next(span for span in spans if any(run.file.path == path for run in span.span.runs))


def upload_of(span):
    return span.span.runs[0].upload_id


def staged_bytes(world, attempt):
    return sum(mark.copied_bytes for mark in world.artifacts.span_marks(world.artifact().id, attempt))


def weights(world):
    prefix = f"artifacts/{world.artifact().id}/weights/"
    return {key.removeprefix(prefix): body for key, body in world.bucket.objects.items() if key.startswith(prefix)}


def manifest(world):
    stored = world.bucket.get(manifest_key(world.artifact().id))
    return None if stored is None else Manifest.model_validate_json(stored)


def copied(world):
    return sum(size for path, _, size in world.source.ranges if path.endswith(".safetensors"))


def restarted(world, part_bytes):
    """Return the steps of a stack whose part size was changed."""
    return Staging(
        world.artifacts,
        world.bucket,
        world.source,
        world.preflight,
        world.reusing,
        world.clock,
        bucket_name=ARTIFACT_BUCKET,
        limits=FIVE_MIB_PARTS.changed(part_bytes=part_bytes),
    )


def try_again(world):
    """Bring staging to its second attempt; return its task."""
    world.fail_staging("throttled", "too many requests")
    world.fail()
    world.requesting.retry("llama", correlation_id="c-2")
    world.deploying.start_staging(world.task())
    return world.staging_task()


def test_what_is_sealed_is_byte_for_byte_what_the_source_has(world, task):
    artifact = world.run_staging()

    assert weights(world) == FILES
    assert artifact.status is ArtifactStatus.SEALED
    assert artifact.total_bytes == sum(map(len, FILES.values()))
    assert world.bucket.uploads == {}


def test_the_manifest_says_what_is_there_and_what_was_left_behind(world, task):
    world.run_staging()

    told = manifest(world)
    assert {file.path: file.size_bytes for file in told.files} == {path: len(body) for path, body in FILES.items()}
    assert {file.path for file in told.skipped} == {"README.md", "original/consolidated.00.pth"}
    parts = {file.path: file.parts for file in told.files if file.path in SHARDS}
    assert parts == {"model-1.safetensors": 3, "model-2.safetensors": 2, "model-3.safetensors": 1}
    assert told.facts.architecture == "LlamaForCausalLM"
    assert told.revision == world.artifact().revision


def test_nothing_looks_sealed_before_everything_is(world, task):
    for span in world.plan(task):
        world.span_copying.copy(span)

    assert manifest(world) is None
    assert world.artifact().status is ArtifactStatus.STAGING


def test_a_separate_chat_template_is_folded_into_a_tokenizer_config_of_our_own(world):
    files = a_checkpoint()
    config = json.loads(files["tokenizer_config.json"])
    del config["chat_template"]
    files |= {"tokenizer_config.json": json.dumps(config).encode(), "chat_template.jinja": b"{{ messages }}"}
    world.source.push("acme/llama-8b", files)
    world.bring(Status.STAGING)
    world.run_staging()

    assert json.loads(weights(world)["tokenizer_config.json"])["chat_template"] == "{{ messages }}"
    assert "chat_template.jinja" not in weights(world)
    (derived,) = [file for file in manifest(world).files if file.derived_from]
    assert derived.path == "tokenizer_config.json"


def test_a_span_that_is_given_twice_is_copied_once(world, task):
    spans = world.plan(task)
    for span in spans:
        world.span_copying.copy(span)
    before = copied(world)

    for span in spans:
        if large(span):
            world.span_copying.copy(span)

    assert copied(world) == before
    assert staged_bytes(world, 1) == sum(map(len, FILES.values()))


def test_the_next_attempt_copies_only_what_is_missing(world, task):
    spans = world.plan(task)
    for span in spans[:-2]:
        world.span_copying.copy(span)
    left = sum(span.span.size_bytes for span in spans[-2:])
    missing = world.plan(try_again(world))
    world.source.ranges.clear()

    for span in missing:
        world.span_copying.copy(span)
    world.staging.seal(world.staging_task())

    assert sum(size for _, _, size in world.source.ranges) == left
    assert weights(world) == FILES


def test_progress_begins_with_what_s3_holds_already_and_reaches_the_whole(world, task):
    total = sum(map(len, FILES.values()))
    spans = world.plan(task)
    assert staged_bytes(world, 1) == 0
    for span in spans[:-1]:
        world.span_copying.copy(span)

    (last,) = world.plan(try_again(world))
    assert staged_bytes(world, 2) == total - last.span.size_bytes
    world.span_copying.copy(last)

    assert staged_bytes(world, 2) == total


def test_a_plan_asks_for_no_quota_and_judges_nothing(world, task):
    for name in ("one", "two", "three"):
        world.imports.add_model(name)
    world.imports.model_quota = lambda: pytest.fail("a quota was asked for")

    assert world.plan(task)


def test_sealing_goes_by_the_part_size_of_the_plan_whatever_the_settings_say_by_then(world, task):
    for span in world.plan(task):
        world.span_copying.copy(span)

    restarted(world, 6 * MIB).seal(task)

    assert world.artifact().status is ArtifactStatus.SEALED
    assert weights(world) == FILES


@pytest.mark.parametrize("copied_before", [slice(-1), slice(-1, None)], ids=["all but the last part", "the last part"])
def test_an_upload_goes_on_with_the_part_size_that_it_was_begun_with(world, monkeypatch, copied_before):
    shard = b"".join(bytes([number]) * (5 * MIB) for number in range(3))
    files = a_checkpoint(shards={"model-1.safetensors": shard})
    world.source.push("acme/llama-8b", files)
    world.bring(Status.STAGING)
    with monkeypatch.context() as patch:
        patch.setattr(world, "staging", restarted(world, 10 * MIB))
        planned = world.plan(world.staging_task())
    spans = [span for span in planned if large(span)]
    for span in (*spans[copied_before], *(span for span in planned if not large(span))):
        world.span_copying.copy(span)

    task = try_again(world)
    left = [span for span in world.plan(task) if large(span)]
    for span in left:
        world.span_copying.copy(span)
    world.staging.seal(task)

    assert weights(world) == files
    assert [span.span.runs for span in left] == [span.span.runs for span in spans if span not in spans[copied_before]]


def throttled(world, *waits):
    """Let the next streams be refused, each with how long the hub asks to wait."""
    stream, left = world.source.stream, list(waits)

    def refuse(*args, **kwargs):
        if left and (wait := left.pop(0)) != 0:
            raise Throttled("slow down", **({"retry_after_seconds": wait} if wait else {}))
        return stream(*args, **kwargs)

    world.source.stream = refuse


def test_a_hub_that_asks_to_wait_is_waited_for_and_asked_again(world, task):
    spans = world.plan(task)
    began = world.clock.now()
    throttled(world, 20, 30)

    world.span_copying.copy(spans[0])

    assert (world.clock.now() - began).total_seconds() == 50
    assert world.artifacts.trouble(task.artifact_id, 1) is None


@pytest.mark.parametrize(("waits", "waited"), [((None,), 0), ((101,), 0), ((60, 41), 60), ((3600,), 0)])
def test_a_wait_that_does_not_fit_into_its_lambda_is_left_to_the_next(world, task, waits, waited):
    spans = world.plan(task)
    began = world.clock.now()
    throttled(world, *waits)

    with pytest.raises(Throttled):
        world.span_copying.copy(spans[0])

    assert (world.clock.now() - began).total_seconds() == waited


def test_a_file_that_is_put_whole_and_is_not_what_its_source_lists_is_never_sealed(world, task):
    small = span_of(world.plan(task), "config.json")
    forged = tuple(run.changed(file=run.file.changed(sha256="0" * 64)) for run in small.span.runs)

    with pytest.raises(SourceChanged, match="not what its source lists"):
        world.span_copying.copy(small.changed(span=small.span.changed(runs=forged)))

    assert "config.json" not in weights(world)


def test_the_manifest_says_which_files_were_hashed(world, task):
    world.run_staging()

    hashed = {file.path for file in manifest(world).files if file.verified}
    assert hashed == set(FILES) - {"model-1.safetensors", "model-2.safetensors"}


def test_a_part_that_arrived_short_is_copied_again(world, task):
    big = span_of(world.plan(task), "model-1.safetensors")
    key = f"artifacts/{task.artifact_id}/weights/model-1.safetensors"
    world.bucket.upload_part(key, upload_of(big), 1, 5, [b"short"])

    world.run_staging()

    assert weights(world) == FILES


def test_a_body_that_ends_early_is_told_and_a_repeat_makes_it_whole(world, task):
    spans = world.plan(task)
    world.source.cuts = [100] * TRIES

    with pytest.raises(BodyCutShort, match="gave 100 of"):
        world.span_copying.copy(spans[0])
    code, reason = world.artifacts.trouble(task.artifact_id, 1)
    assert code == "body-cut-short"
    assert spans[0].span.runs[0].file.path in reason
    world.run_staging()

    assert weights(world) == FILES


def test_an_incomplete_file_is_not_sealed_and_named(world, task):
    spans = world.plan(task)
    for span in spans:
        if span.span.runs[0].file.path != "model-1.safetensors":
            world.span_copying.copy(span)

    with pytest.raises(BodyCutShort, match=r"model-1\.safetensors lacks 3 of 3 parts"):
        world.staging.seal(task)

    assert (manifest(world), world.artifact().status) == (None, ArtifactStatus.STAGING)


def test_a_small_file_that_is_missing_is_not_sealed_over(world, task):
    for span in world.plan(task):
        world.span_copying.copy(span)
    del world.bucket.objects[f"artifacts/{task.artifact_id}/weights/config.json"]

    with pytest.raises(BodyCutShort, match=r"config\.json has 0 of"):
        world.staging.seal(task)


def test_a_seal_that_broke_after_joining_is_finished_by_its_repeat(world, task):
    for span in world.plan(task):
        world.span_copying.copy(span)
    world.artifacts.shelf.meanwhile.append(lambda: (_ for _ in ()).throw(Throttled("slow down")))
    with pytest.raises(Throttled):
        world.staging.seal(task)

    world.staging.seal(task)

    assert world.artifact().status is ArtifactStatus.SEALED
    assert weights(world) == FILES


def test_a_late_copier_finds_its_file_joined_already(world, task):
    spans = world.plan(task)
    for span in spans:
        world.span_copying.copy(span)
    big = span_of(spans, "model-1.safetensors")
    key = f"artifacts/{task.artifact_id}/weights/model-1.safetensors"
    world.bucket.complete(key, upload_of(big), list(world.bucket.parts(key, upload_of(big)).values()))

    world.span_copying.copy(big)

    world.staging.seal(task)

    assert world.artifact().status is ArtifactStatus.SEALED


def test_an_upload_that_was_aborted_meanwhile_is_told(world, task):
    big = next(span for span in world.plan(task) if large(span))
    world.bucket.abort_uploads("")

    with pytest.raises(NotFound, match="over or was aborted"):
        world.span_copying.copy(big)


def test_a_source_that_changed_before_the_plan_is_refused(world):
    world.source.upload("weights/llama/", FILES)
    world.bring(Status.STAGING, source="s3://weights/llama/")
    world.source.upload("weights/llama/", {"config.json": b"{}"})

    with pytest.raises(SourceChanged):
        world.staging.plan(world.staging_task())


def test_a_source_that_changes_during_the_copy_is_noticed_and_never_sealed(world):
    world.source.upload("weights/llama/", FILES)
    world.bring(Status.STAGING, source="s3://weights/llama/")
    spans = world.plan(world.staging_task())
    world.source.upload("weights/llama/", {"model-1.safetensors": b"z" * 12 * MIB})
    changed = [span for span in spans if span.span.runs[0].file.path == "model-1.safetensors"]

    for span in changed:
        with pytest.raises(SourceChanged, match="replaced"):
            world.span_copying.copy(span)
    world.fail_staging("States.ExceedToleratedFailureThreshold", "too many items failed")

    artifact = world.artifact()
    assert (artifact.status, artifact.failure_code) == (ArtifactStatus.FAILED, "source-changed")
    assert "replaced since it was listed" in (artifact.failure_reason or "")


@pytest.mark.parametrize("stale", [{"attempt": 2}, {"attempt": 7}])
def test_another_attempts_copier_must_not_act(world, task, stale):
    spans = world.plan(task)

    with pytest.raises(Superseded):
        world.span_copying.copy(spans[0].changed(**stale))
    with pytest.raises(Superseded):
        world.staging.seal(task.changed(**stale))


def test_a_sealed_artifact_is_never_written_again(world, task):
    spans = world.plan(task)
    world.run_staging()
    before = dict(world.bucket.objects)

    with pytest.raises(Superseded):
        world.span_copying.copy(spans[0])
    with pytest.raises(Superseded):
        world.staging.plan(task)
    world.fail_staging("late", "an execution that was thought dead")

    assert world.bucket.objects == before
    assert world.artifact().status is ArtifactStatus.SEALED


@pytest.mark.parametrize("content", [b"", b"1", b"12"])
def test_a_file_of_hardly_a_byte_is_copied_as_any_other(world, task, content):
    world.source.push("acme/odd", {"odd.txt": content})
    listing = world.source.resolve(Source.parse("hf://acme/odd"))
    run = whole(listing.file("odd.txt"))

    world.span_copying.copy(SpanTask(**dict(task), source=listing.source, span=Span(number=9, runs=(run,))))

    assert world.bucket.objects[f"artifacts/{task.artifact_id}/weights/odd.txt"] == content
