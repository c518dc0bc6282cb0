"""What a record looks like from outside: what it does, what it costs, what happens next and when."""

import pytest
from pilotlight.domain.deployment import Status
from pilotlight.domain.errors import InvalidInput, NotFound
from pilotlight.domain.spans import MIB
from pilotlight.domain.warmth import Warmth
from pilotlight.services.viewing import page_limit

from tests.factories import a_checkpoint, a_request, always_warm, at, office_hours
from tests.world import IDLE


def view(world, name="llama"):
    return world.viewing.deployment(name)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.CREATING])
def test_every_status_can_be_shown_and_read_back(world, status):
    world.bring(status)

    shown = view(world)

    assert shown.status is status
    assert type(shown).model_validate(shown.dump()) == shown
    assert (shown.cost_per_hour is None) == (status in {Status.FAILED, Status.TEARING_DOWN, Status.GONE})


def test_what_happens_next_and_when_is_told(world):
    world.bring(Status.SERVING, keep_warm=always_warm())

    step = view(world).next

    assert step.what == "keep the model warm"
    assert 0 < (step.at - world.clock.now()).total_seconds() <= 60


def test_the_next_window_is_told_in_utc(world):
    world.clock.set(at("2026-11-20T17:00"))  # a Friday
    world.bring(Status.SERVING, keep_warm=office_hours("America/New_York"))

    open_now = view(world).next_window
    world.clock.set(at("2026-11-21T12:00"))
    later = view(world).next_window

    assert (open_now.opens_at, open_now.closes_at) == (at("2026-11-23T14:00"), at("2026-11-20T23:00"))
    assert (later.opens_at, later.closes_at) == (at("2026-11-23T14:00"), at("2026-11-23T23:00"))


def test_what_has_no_windows_or_is_gone_has_no_next_one(world):
    world.bring(Status.SERVING, keep_warm=always_warm())
    always = view(world).next_window
    world.requesting.keep_warm("llama", office_hours())
    world.bring(Status.GONE)

    assert (always, view(world).next_window) == (None, None)


def test_staging_shows_its_progress_in_bytes_and_per_cent(world):
    world.source.push("acme/llama-8b", a_checkpoint(weights=b"w" * (12 * MIB)))
    world.bring(Status.STAGING)
    assert (view(world).progress.staged_bytes, view(world).progress.percent) == (0, 0)

    for span in world.plan(world.staging_task()):
        world.span_copying.copy(span)

    progress = view(world).progress
    assert progress.staged_bytes == progress.total_bytes > 12 * MIB
    assert progress.percent == 100


def test_warmth_is_an_estimate_with_its_moment(world):
    world.bring(Status.SERVING)
    warm = view(world).warmth

    world.clock.advance(seconds=IDLE.total_seconds())
    cold = view(world).warmth

    assert (warm.state, warm.warm_until) == (Warmth.WARM, warm.as_of + IDLE)
    assert (cold.state, cold.warm_until) == (Warmth.COLD, None)
    assert view(world).model_arn


def test_a_failure_is_shown_with_its_reason(world):
    world.bring(Status.FAILED)

    assert view(world).failure["reason"] == "it broke"


def test_what_is_gone_has_no_lease_and_no_model_any_more_but_its_cost(world):
    world.bring(Status.GONE)

    shown = view(world)

    assert (shown.lease_ends_at, shown.model_arn, shown.next, shown.warmth) == (None, None, None, None)
    assert shown.cost_so_far.usd > 0


def test_lists_come_in_pages_by_name(world):
    for name in ("cc", "aa", "bb"):
        world.requesting.request(a_request(name), correlation_id="c")

    first = world.viewing.deployments(None, limit=2)
    second = world.viewing.deployments(first.next, limit=2)

    assert [item.name for item in (*first.items, *second.items)] == ["aa", "bb", "cc"]
    assert second.next is None


def test_the_timeline_is_told_oldest_first_and_in_pages(world):
    world.bring(Status.GONE)

    whole = world.viewing.events("llama", None, limit=200).items
    first = world.viewing.events("llama", None, limit=3)

    assert first.items == whole[:3]
    assert world.viewing.events("llama", first.next, limit=200).items == whole[3:]
    moves = [(event.before, event.after) for event in whole if event.after]
    assert [after for _, after in moves] == [
        Status.REQUESTED,
        Status.STAGING,
        Status.IMPORTING,
        Status.WARMING,
        Status.SERVING,
        Status.TEARING_DOWN,
        Status.GONE,
    ]
    assert [before for before, _ in moves[1:]] == [after for _, after in moves[:-1]]


def test_a_timeline_of_nobody_is_not_found(world):
    with pytest.raises(NotFound):
        world.viewing.events("nobody", None)


def test_folders_are_listed_with_where_to_upload_to(world):
    world.uploads.note_event("llama", world.clock.now(), world.clock.now())

    listed = world.viewing.uploads(None)

    assert (listed.bucket, listed.prefix) == ("uploads-bucket", "uploads/")
    assert [(item.folder, item.look_at) for item in listed.items] == [("llama", world.clock.now())]


@pytest.mark.parametrize(("text", "limit"), [(None, 50), ("1", 1), ("200", 200)])
def test_a_page_has_as_many_items_as_were_asked_for(text, limit):
    assert page_limit(text) == limit


@pytest.mark.parametrize("text", ["0", "201", "-1", "ten", "", "²", "1e2"])
def test_a_page_of_another_size_is_refused(text):
    with pytest.raises(InvalidInput, match="from 1 to 200"):
        page_limit(text)


def test_artifacts_tell_their_size_their_users_and_what_they_cost(world):
    world.source.push("acme/llama-8b", a_checkpoint(weights=b"w" * (12 * MIB)))
    world.bring(Status.SERVING)
    world.bring(Status.SERVING, "other")

    (artifact,) = world.viewing.artifacts(None).items

    assert (artifact.status, artifact.source) == ("SEALED", "hf://acme/llama-8b")
    assert artifact.users == ("llama-g1", "other-g1")
    assert artifact.cost_per_month.usd == pytest.approx(artifact.total_bytes / 1024**3 * 0.023, abs=1e-6)


def test_an_artifact_that_is_gone_is_not_shown(world):
    world.bring(Status.GONE)

    assert world.viewing.artifacts(None).items == ()
