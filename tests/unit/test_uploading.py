"""An uploaded folder starts its own import, once per version, whatever the order and number of events."""

import itertools
import re
from datetime import timedelta

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.upload import UploadStatus

from tests.factories import a_checkpoint, some_weights
from tests.world import SETTLE, UPLOAD_BUCKET

FILES = a_checkpoint()


def place(folder="llama"):
    return f"{UPLOAD_BUCKET}/uploads/{folder}/"


def upload(world, files=FILES, folder="llama", *, tell=True):
    world.source.upload(place(folder), files)
    for path in files if tell else ():
        event(world, path, folder)


def event(world, path, folder="llama"):
    world.uploading.note_event(f"uploads/{folder}/{path}", correlation_id="c-event")


def let_it_rest(world):
    """Let a folder rest: the first look sees it, the second one finds it unchanged."""
    for _ in range(2):
        world.clock.advance(seconds=SETTLE.total_seconds())
        world.sweep()


def started(world):
    return world.executions.names("deploy")


def record(world, folder="llama"):
    return world.uploads.find(folder)


def test_a_complete_folder_starts_its_deployment_when_it_rests(world):
    upload(world)
    assert (record(world).status, started(world)) == (UploadStatus.RESTING, [])

    let_it_rest(world)

    assert (record(world).status, started(world)) == (UploadStatus.STARTED, ["llama-g1"])
    deployment = world.deployment()
    assert deployment.source == f"s3://{place()}"
    assert (record(world).deployment, record(world).look_at) == ("llama", None)


def test_a_folder_that_still_changes_does_not_rest(world):
    files = dict(FILES)
    upload(world, {"config.json": files.pop("config.json")})

    for path, content in files.items():
        world.clock.advance(seconds=59)
        upload(world, {path: content})
        world.sweep()
        assert started(world) == []
    let_it_rest(world)

    assert started(world) == ["llama-g1"]


@pytest.mark.parametrize("order", list(itertools.permutations(FILES))[::5])
def test_events_in_any_order_doubled_and_late_start_it_once(world, order):
    upload(world, tell=False)
    for path in (*order, *reversed(order)):
        event(world, path)
    let_it_rest(world)

    for path in order:
        event(world, path)
    let_it_rest(world)

    assert started(world) == ["llama-g1"]
    assert record(world).status is UploadStatus.STARTED


def test_the_uploaders_mark_skips_the_rest(world):
    upload(world)
    upload(world, {"_COMPLETE": b""})

    assert started(world) == ["llama-g1"]


def test_a_folder_does_not_rest_while_a_file_is_uploaded_in_parts(world):
    begun = world.upload_bucket.start("uploads/llama/model.safetensors")
    world.upload_bucket.start("uploads/llama-2/model.safetensors")
    upload(world)
    let_it_rest(world)
    assert (record(world).status, started(world)) == (UploadStatus.RESTING, [])
    assert "still being uploaded in parts (1)" in record(world).reason

    del world.upload_bucket.uploads[begun]  # aborted, of which nobody is told
    world.clock.advance(minutes=15)
    world.sweep()

    assert started(world) == ["llama-g1"]


def test_an_upload_in_parts_that_was_abandoned_a_day_ago_keeps_no_folder_from_resting(world):
    world.upload_bucket.start("uploads/llama/model.safetensors")
    world.clock.advance(hours=24)
    upload(world)
    let_it_rest(world)

    assert started(world) == ["llama-g1"]


def test_a_folder_that_is_marked_complete_waits_for_no_upload_in_parts(world):
    world.upload_bucket.start("uploads/llama/old.safetensors")
    upload(world, {**FILES, "_COMPLETE": b""})

    assert started(world) == ["llama-g1"]


def test_a_folder_whose_ceiling_pays_for_nothing_is_held_and_says_why(world):
    upload(world, {**FILES, "pilotlight.json": b'{"spend_ceiling": {"usd": 0.01}}', "_COMPLETE": b""})

    assert started(world) == []
    assert record(world).status is UploadStatus.HELD
    assert "could not be warm even once" in record(world).reason
    assert record(world).look_at


def test_a_folder_whose_ceiling_can_never_pay_is_refused_and_not_looked_at_until_it_changes(world):
    never = b'{"spend_ceiling": {"usd": 0.01, "per": "deployment"}}'
    upload(world, {**FILES, "pilotlight.json": never, "_COMPLETE": b""})

    assert (record(world).status, record(world).look_at) == (UploadStatus.REFUSED, None)
    assert "could not be warm even once" in record(world).reason

    upload(world, {"pilotlight.json": b"{}", "_COMPLETE": b""})
    let_it_rest(world)
    assert started(world) == ["llama-g1"]


def test_settings_that_break_a_rule_are_told_in_words_and_without_what_they_hold(world):
    upload(world, {**FILES, "pilotlight.json": b'{"lease": 3, "the code is 1234": 1}', "_COMPLETE": b""})

    assert record(world).status is UploadStatus.REFUSED
    assert record(world).reason == (
        "pilotlight.json is not understood: (no name of a field): is not known: leave it out, or look at how it is "
        "spelled; lease: must be text"
    )


def test_an_event_outside_of_any_folder_is_nothing(world):
    world.uploading.note_event("uploads/readme.txt", correlation_id="c")
    world.uploading.note_event("artifacts/a/x", correlation_id="c")

    assert world.uploads.shelf.all() == []


def test_an_incomplete_folder_names_what_is_missing_and_starts_when_it_came(world):
    sharded = a_checkpoint(shards={"model-1.safetensors": b"1" * 2048, "model-2.safetensors": b"2" * 2048})
    late = {path: sharded.pop(path) for path in ("model-2.safetensors", "tokenizer.json")}
    upload(world, sharded)
    let_it_rest(world)
    assert record(world).status is UploadStatus.INCOMPLETE
    assert set(record(world).missing) == set(late)

    upload(world, late)
    let_it_rest(world)

    assert (record(world).status, record(world).missing) == (UploadStatus.STARTED, ())


def test_a_marked_folder_that_lacks_files_is_still_incomplete(world):
    upload(world, {"config.json": FILES["config.json"], "_COMPLETE": b""})

    assert record(world).status is UploadStatus.INCOMPLETE


def test_a_folder_that_cannot_name_a_deployment_is_refused_with_the_reason(world):
    upload(world, folder="Llama_8B")
    let_it_rest(world)

    assert record(world, "Llama_8B").status is UploadStatus.REFUSED
    assert "cannot name a deployment" in record(world, "Llama_8B").reason


def test_a_folder_with_a_hostile_chat_template_is_refused_with_the_reason(world):
    upload(world, a_checkpoint() | {"chat_template.jinja": b"{{ messages.__class__ }}"})
    let_it_rest(world)

    assert (record(world).status, started(world)) == (UploadStatus.REFUSED, [])
    assert "chat_template.jinja uses the attribute '__class__' in line 1" in record(world).reason


def test_a_model_that_the_backend_would_not_take_is_refused_with_the_reason(world):
    upload(world, a_checkpoint(config={"model_type": "falcon"}))
    let_it_rest(world)

    assert (record(world).status, started(world)) == (UploadStatus.REFUSED, [])
    assert "falcon" in record(world).reason


def test_settings_in_the_folder_are_the_deployments(world):
    settings = b'{"lease": "8h", "tags": {"team": "search"}, "keep_warm": {"policy": "always"}}'
    upload(world, {**FILES, "pilotlight.json": settings})
    let_it_rest(world)

    deployment = world.deployment()
    assert (deployment.lease.term, deployment.tags) == ("8h", {"team": "search"})
    assert deployment.keep_warm.policy == "always"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (b'{"leese": "8h"}', "leese"),
        (b'{"lease": "soon"}', "lease"),
        (b"{", "JSON"),
        (b"\xff", ""),
        (b"1" * 70_000, "larger"),
    ],
)
@pytest.mark.parametrize("held", [False, True])
def test_settings_that_break_a_rule_are_told_and_start_nothing(world, settings, told, held):
    if held:
        world.bring(Status.SERVING)
    upload(world, {**FILES, "pilotlight.json": settings})
    let_it_rest(world)

    assert record(world).status is UploadStatus.REFUSED
    assert told in record(world).reason
    assert len(started(world)) == held
    assert world.journal.surprises == []


def test_a_full_region_holds_a_folder_until_there_is_room(world):
    arns = [world.imports.add_model(name) for name in ("one", "two", "three")]
    upload(world)
    let_it_rest(world)
    assert record(world).status is UploadStatus.HELD
    assert re.search("one .*two .*three", record(world).reason)

    world.imports.delete_model(arns[0])
    world.clock.advance(minutes=15)
    world.sweep()

    assert record(world).status is UploadStatus.STARTED


def test_a_changed_folder_of_a_live_deployment_is_held_and_starts_after_it_is_gone(world):
    upload(world)
    let_it_rest(world)
    world.bring(Status.SERVING)
    upload(world, {"model.safetensors": some_weights(b"v" * 4096)})
    let_it_rest(world)
    assert (record(world).status, record(world).held_by) == (UploadStatus.HELD, "llama")
    assert "SERVING" in record(world).reason

    world.bring(Status.GONE)
    world.sweep()

    assert (record(world).status, started(world)) == (UploadStatus.STARTED, ["llama-g1", "llama-g2"])


def test_a_held_folder_starts_though_word_that_its_name_is_free_was_lost(world):
    world.bring(Status.SERVING)
    upload(world)
    let_it_rest(world)
    assert record(world).look_at == world.clock.now() + timedelta(minutes=15)
    held = record(world)
    world.bring(Status.GONE)
    world.uploads.shelf.write("llama", held, held.version)

    world.clock.advance(minutes=15)
    world.sweep()

    assert record(world).status is UploadStatus.STARTED


def test_a_mark_of_an_earlier_upload_does_not_start_a_later_one_that_is_under_way(world):
    upload(world)
    upload(world, {"_COMPLETE": b""})
    world.bring(Status.GONE)
    world.clock.advance(minutes=1)

    upload(world, {"tokenizer.json": b"{}"})
    world.uploading.look("llama", correlation_id="c")
    world.clock.advance(seconds=1)
    upload(world, {"model.safetensors": some_weights(b"v" * 4096)})
    world.uploading.look("llama", correlation_id="c")

    assert (record(world).status, len(started(world))) == (UploadStatus.RESTING, 1)


def test_a_folder_named_like_somebody_elses_deployment_is_held_by_it(world):
    world.bring(Status.SERVING)
    upload(world)
    let_it_rest(world)

    assert (record(world).status, record(world).held_by) == (UploadStatus.HELD, "llama")


def test_the_same_version_is_not_started_again_by_itself_or_by_late_events(world):
    upload(world)
    let_it_rest(world)
    world.bring(Status.GONE)

    for path in FILES:
        event(world, path)
    let_it_rest(world)

    assert (record(world).status, started(world)) == (UploadStatus.STARTED, ["llama-g1"])
    assert "upload it again" in record(world).reason


@pytest.mark.parametrize("again", [FILES, {"_COMPLETE": b""}, {"config.json": FILES["config.json"]}])
def test_the_same_version_starts_again_when_somebody_uploads_it_again_after_it_is_gone(world, again):
    upload(world)
    let_it_rest(world)
    world.bring(Status.GONE)

    upload(world, again)
    let_it_rest(world)
    let_it_rest(world)

    assert started(world) == ["llama-g1", "llama-g2"]
    assert record(world).status is UploadStatus.STARTED


def test_a_new_version_that_is_just_being_uploaded_does_not_start_the_old_one_again(world):
    upload(world)
    let_it_rest(world)
    world.bring(Status.GONE)
    world.clock.advance(minutes=5)

    upload(world, {"config.json": FILES["config.json"]})  # the first of all files, and the same as before
    world.uploading.look("llama", correlation_id="c-look")
    assert record(world).status is UploadStatus.RESTING
    world.clock.advance(seconds=30)
    upload(world, {"model.safetensors": a_checkpoint(weights=b"n" * 2048)["model.safetensors"]})
    let_it_rest(world)
    let_it_rest(world)

    assert started(world) == ["llama-g1", "llama-g2"]
    assert record(world).started == record(world).seen


def test_the_same_version_uploaded_again_while_it_is_live_is_what_is_live(world):
    upload(world)
    let_it_rest(world)
    world.bring(Status.SERVING)
    upload(world)
    let_it_rest(world)
    assert record(world).status is UploadStatus.STARTED

    world.bring(Status.GONE)
    let_it_rest(world)

    assert started(world) == ["llama-g1"]


def test_two_looks_at_once_start_it_once_and_both_know_it(world):
    upload(world)
    world.clock.advance(seconds=SETTLE.total_seconds())
    world.sweep()
    world.clock.advance(seconds=SETTLE.total_seconds())
    world.uploads.shelf.meanwhile.append(lambda: world.uploading.look("llama", correlation_id="c-other"))

    world.uploading.look("llama", correlation_id="c-1")

    assert (record(world).status, started(world)) == (UploadStatus.STARTED, ["llama-g1"])
    world.bring(Status.GONE)
    let_it_rest(world)
    assert started(world) == ["llama-g1"], "it is known to have been started"


def test_a_look_that_died_before_it_was_noted_is_known_to_the_next(world):
    def die():
        raise KeyboardInterrupt

    upload(world)
    world.clock.advance(seconds=SETTLE.total_seconds())
    world.sweep()
    world.clock.advance(seconds=SETTLE.total_seconds())
    world.uploads.shelf.meanwhile.append(die)
    with pytest.raises(KeyboardInterrupt):
        world.sweep()
    world.clock.advance(minutes=2)

    world.sweep()

    assert (record(world).status, started(world)) == (UploadStatus.STARTED, ["llama-g1"])


def test_a_new_object_during_a_look_is_not_lost(world):
    upload(world)
    world.uploads.shelf.meanwhile.append(lambda: event(world, "model.safetensors"))

    world.uploading.look("llama", correlation_id="c")

    assert record(world).look_at == world.clock.now() + SETTLE


def test_a_folder_that_was_emptied_waits_for_its_files(world):
    upload(world)
    world.source.remove(place())
    let_it_rest(world)

    assert (record(world).status, record(world).reason) == (UploadStatus.RESTING, "the folder is empty")
    assert record(world).look_at is None


def test_the_whole_way_from_a_folder_to_an_answer(world):
    upload(world)
    let_it_rest(world)

    deployment = world.bring(Status.SERVING)

    assert deployment.status is Status.SERVING
    assert timedelta() < world.clock.now() - deployment.created_at
    assert "pilotlight.json" not in str(sorted(world.bucket.objects))
