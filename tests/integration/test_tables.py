"""The fakes and the table keep the same contract: every test here runs against both.

What the services are specified over is therefore what they meet.
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from pilotlight import ports
from pilotlight.adapters.artifact_table import ArtifactTable
from pilotlight.adapters.capacity_table import CapacityTable
from pilotlight.adapters.content_table import ContentTable
from pilotlight.adapters.deployment_table import DeploymentTable
from pilotlight.adapters.invocation_table import IdempotencyTable, InvocationTable
from pilotlight.adapters.notice_table import NoticeTable
from pilotlight.adapters.speed_table import SpeedTable
from pilotlight.adapters.table import Table
from pilotlight.adapters.upload_table import UploadTable
from pilotlight.domain.capacity import Claim, Unit
from pilotlight.domain.content import HeldContent
from pilotlight.domain.deployment import Deployment, EventKind, Status, change
from pilotlight.domain.errors import (
    CapacityReached,
    ConcurrentChange,
    Conflict,
    IdempotencyKeyReused,
    InvalidInput,
    NameTaken,
    NotFound,
    Terminal,
    Throttled,
)
from pilotlight.domain.notice import Notice
from pilotlight.domain.staging_progress import SpanMark
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.upload import UploadStatus
from pilotlight.domain.uptime import metered
from pilotlight.services.metering import Metering

from tests import fakes
from tests.factories import (
    NOON,
    a_deployment,
    a_hosted_deployment,
    a_serving_deployment,
    a_wake,
    a_window,
    an_artifact,
    an_event,
    an_invocation,
    an_upload,
    an_uptime,
    at,
    office_hours,
)
from tools import cloudformation

TEMPLATE = cloudformation.parse((Path(__file__).parents[2] / "template.yaml").read_text())
DECLARED = cloudformation.of_type(TEMPLATE, "AWS::DynamoDB::Table")["Table"]
OF_INTEREST = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
LATER = NOON + timedelta(minutes=1)


@dataclass
class Records:
    """The ports that keep records."""

    deployments: ports.Deployments
    artifacts: ports.Artifacts
    invocations: ports.Invocations
    uploads: ports.Uploads
    keys: ports.IdempotencyKeys
    speeds: ports.Speeds
    contents: ports.Contents


def in_memory() -> Records:
    return Records(
        fakes.FakeDeployments(),
        fakes.FakeArtifacts(),
        fakes.FakeInvocations(),
        fakes.FakeUploads(),
        fakes.FakeKeys(),
        fakes.FakeSpeeds(),
        fakes.FakeContents(),
    )


def in_dynamodb(table: Table) -> Records:
    return Records(
        DeploymentTable(table),
        ArtifactTable(table),
        InvocationTable(table),
        UploadTable(table),
        IdempotencyTable(table),
        SpeedTable(table),
        ContentTable(table),
    )


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "testing")
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        yield boto3.client("dynamodb", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture
def table(dynamodb) -> Iterator[Table]:
    """An empty table with the keys and indexes that template.yaml gives it."""
    dynamodb.create_table(TableName="records", **{name: DECLARED[name] for name in OF_INTEREST})
    yield Table(dynamodb, "records")
    dynamodb.delete_table(TableName="records")


@pytest.fixture(params=["in memory", "in DynamoDB"])
def records(request) -> Records:
    return in_memory() if request.param == "in memory" else in_dynamodb(request.getfixturevalue("table"))


def reserve(records: Records, name: str = "llama", **fields) -> Deployment:
    return records.deployments.reserve(a_deployment(name, **fields), an_event("asked for"))


def move(records: Records, before: Deployment, status: Status, reason: str = "it went on") -> Deployment:
    decision = change(before, before.moved_to(status, LATER), EventKind.STATUS, reason, LATER)
    return records.deployments.save(before, decision)


def all_pages(page: Callable[..., tuple[list, str | None]], *args: str, limit: int) -> list[list]:
    """Return every page of a list, in order."""
    pages, cursor = [], None
    while True:
        items, cursor = page(*args, cursor, limit)
        pages.append(items)
        if cursor is None:
            return pages


# ---- deployments -----------------------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_written(records):
    fields = {"keep_warm": office_hours("Asia/Shanghai"), "tags": {"team": "search"}, "cold_starts": (1.5, 90.0)}
    written = records.deployments.reserve(a_serving_deployment(wake=a_wake(usd=0.5718), **fields), an_event())

    assert records.deployments.get("llama") == written
    assert written.version == 1


def test_a_change_that_another_one_tells_of_is_written_without_a_line(records):
    before = reserve(records)
    decision = change(before, before.changed(waiting_for="room"), EventKind.NOTE, "it waits", LATER)

    saved = records.deployments.save(before, decision.changed(event=None))

    assert (saved, saved.version, saved.waiting_for) == (records.deployments.get("llama"), 2, "room")
    assert len(records.deployments.events("llama", None, 10)[0]) == 1
    with pytest.raises(ConcurrentChange):
        records.deployments.save(before, decision.changed(event=None))


def test_what_was_never_written_is_not_found(records):
    assert records.deployments.find("llama") is None
    with pytest.raises(NotFound):
        records.deployments.get("llama")


def test_a_live_name_is_taken_and_the_holder_is_named(records):
    reserve(records)

    with pytest.raises(NameTaken) as caught:
        reserve(records)

    assert caught.value.detail["holder"] == {"name": "llama", "generation": 1, "status": "REQUESTED"}


def test_a_name_that_is_gone_is_reserved_as_the_next_generation(records):
    gone = move(records, move(records, reserve(records), Status.TEARING_DOWN), Status.GONE)

    again = records.deployments.reserve(a_deployment(), an_event("asked for", now=LATER + timedelta(seconds=1)))

    assert (again.generation, again.version) == (2, gone.version + 1)
    assert records.deployments.get("llama") == again
    timeline, _ = records.deployments.events("llama", None, 50)
    assert timeline[0].generation == 1
    assert {event.generation for event in timeline} == {1, 2}
    assert sum(event.after is Status.REQUESTED for event in timeline) == 2


def test_a_change_is_written_with_its_line_of_the_timeline(records):
    before = reserve(records)

    after = move(records, before, Status.STAGING, "preflight passed")

    assert records.deployments.get("llama") == after
    assert (after.status, after.version) == (Status.STAGING, 2)
    (_, line), _ = records.deployments.events("llama", None, 10)
    assert (line.reason, line.before, line.after) == ("preflight passed", Status.REQUESTED, Status.STAGING)


def test_a_write_with_an_old_version_is_refused_and_leaves_no_line(records):
    before = reserve(records)
    move(records, before, Status.STAGING)

    with pytest.raises(ConcurrentChange):
        move(records, before, Status.FAILED, "too late")

    assert records.deployments.get("llama").status is Status.STAGING
    assert all(event.reason != "too late" for event in records.deployments.events("llama", None, 10)[0])


def test_a_change_of_what_was_never_written_is_refused(records):
    with pytest.raises(ConcurrentChange):
        move(records, a_deployment(version=3), Status.STAGING)


def test_a_look_is_set_without_moving_the_fence(records):
    reserved = reserve(records)

    records.deployments.reschedule(reserved, (LATER, "look"))

    stored = records.deployments.get("llama")
    assert (stored.next_look_at, stored.next_step, stored.version) == (LATER, "look", reserved.version)
    records.deployments.reschedule(stored, None)
    assert records.deployments.get("llama").next_look_at is None


def test_a_look_is_not_set_over_somebody_elses_change(records):
    before = reserve(records)
    after = move(records, before, Status.STAGING)

    records.deployments.reschedule(before, (LATER, "look"))

    assert records.deployments.get("llama").next_look_at == after.next_look_at


def test_what_is_due_comes_longest_overdue_first_and_what_is_not_does_not(records):
    for name, minutes in (("late", 30), ("later", 10), ("now", 0), ("soon", -1), ("never", None)):
        look = None if minutes is None else NOON - timedelta(minutes=minutes)
        reserve(records, name, next_look_at=look, next_step="look")
    records.uploads.note_event("folder", NOON, NOON)

    assert records.deployments.due(NOON, 10) == ["late", "later", "now"]
    assert records.deployments.due(NOON, 2) == ["late", "later"]


def test_records_come_in_pages_by_name_and_each_once(records):
    for name in ("dd", "aa", "cc", "bb", "ee"):
        reserve(records, name)
    records.artifacts.save(None, an_artifact())

    pages = all_pages(records.deployments.page, limit=2)

    assert [each.name for page in pages for each in page] == ["aa", "bb", "cc", "dd", "ee"]
    assert max(map(len, pages)) == 2


def test_a_cursor_that_no_list_gave_is_refused(records):
    for cursor in ("nonsense", "e30", "!!"):
        with pytest.raises(InvalidInput, match="cursor"):
            records.deployments.page(cursor, 2)


def test_a_timeline_comes_oldest_first_and_in_pages(records):
    reserve(records)
    for second in (3, 1, 2):
        records.deployments.note("llama", an_event(f"second {second}", now=NOON + timedelta(seconds=second)))

    pages = all_pages(records.deployments.events, "llama", limit=3)

    assert [event.reason for page in pages for event in page] == ["asked for", "second 1", "second 2", "second 3"]


def test_an_unknown_timeline_is_empty(records):
    assert records.deployments.events("nobody", None, 10) == ([], None)


# ---- billing windows -------------------------------------------------------------------------------------------


def test_a_window_is_opened_by_one_call_alone(records):
    assert records.deployments.open_window("llama", a_window())
    assert not records.deployments.open_window("llama", a_window(starts_at=LATER))

    assert records.deployments.latest_window("llama", 1) == a_window()


def test_a_window_is_charged_to_its_months_by_the_call_that_opened_it_alone(records):
    charged = [
        records.deployments.open_window("llama", a_window(starts_at=each), {"2026-11": 1.25}) for each in (NOON, LATER)
    ]
    records.deployments.open_window("llama", a_window(ordinal=2), {"2026-11": -0.5, "2026-12": 1})
    records.deployments.open_window("llama", a_window(generation=2), {"2026-12": 1})

    assert charged == [True, False]
    assert [records.deployments.spent_in("llama", month) for month in ("2026-10", "2026-11", "2026-12")] == [0, 0.75, 2]
    assert records.deployments.spent_in("other", "2026-11") == 0


def test_windows_are_told_from_the_newest_back_to_the_one_that_began_by_a_moment(records):
    for ordinal in range(1, 121):
        start = NOON + timedelta(minutes=5 * ordinal)
        records.deployments.open_window("llama", a_window(ordinal=ordinal, starts_at=start))

    moment = NOON + timedelta(minutes=5 * 50, seconds=1)
    ordinals = [window.ordinal for window in records.deployments.windows_back_to("llama", 1, moment)]

    assert ordinals[:71] == list(range(120, 49, -1))
    assert records.deployments.windows_back_to("llama", 2, moment) == []


def test_the_latest_window_is_that_of_the_highest_ordinal_of_its_generation(records):
    for ordinal in (1, 10, 9):
        records.deployments.open_window("llama", a_window(ordinal=ordinal))
    records.deployments.open_window("llama", a_window(ordinal=99, generation=2))

    assert records.deployments.latest_window("llama", 1).ordinal == 10
    assert records.deployments.latest_window("llama", 3) is None
    assert records.deployments.latest_window("other", 1) is None


def test_a_last_answer_moves_forward_and_never_back(records):
    records.deployments.open_window("llama", a_window())

    records.deployments.touch_window("llama", a_window(last_answer_at=LATER, tokens_per_second=30.5))
    records.deployments.touch_window("llama", a_window(last_answer_at=NOON, tokens_per_second=1.0))
    records.deployments.touch_window("llama", a_window(last_answer_at=LATER))

    latest = records.deployments.latest_window("llama", 1)
    assert (latest.last_answer_at, latest.tokens_per_second) == (LATER, 30.5)


def test_a_window_that_was_never_opened_is_not_made_by_a_touch(records):
    records.deployments.touch_window("llama", a_window())

    assert records.deployments.latest_window("llama", 1) is None


def test_a_window_is_charged_to_one_invocation_alone(records):
    records.deployments.open_window("llama", a_window())

    charged = [records.deployments.charge_window("llama", a_window(), each) for each in ("i-1", "i-2", "i-1")]

    assert charged == [True, False, True]
    assert records.deployments.latest_window("llama", 1).charged_to == "i-1"
    assert not records.deployments.charge_window("llama", a_window(ordinal=2), "i-1")


# ---- uptime ----------------------------------------------------------------------------------------------------


def meter(records, instances, moment):
    """Look at an endpoint and enter what was seen; return whether it was written."""
    before = records.deployments.latest_uptime("llama", 1)
    look = metered(before, generation=1, instances=instances, usd_per_hour=3600.0, at=moment)
    return records.deployments.meter("llama", look)


def test_a_ledger_of_uptime_goes_on_from_look_to_look(records):
    looks = ((0, 0), (1, 60), (1, 120), (2, 180), (0, 240))

    written = [meter(records, instances, NOON + timedelta(seconds=second)) for instances, second in looks]

    latest = records.deployments.latest_uptime("llama", 1)
    assert all(written)
    assert (latest.ordinal, latest.instances, latest.usd, latest.seconds) == (4, 0, 360, 360)
    assert records.deployments.spent_in("llama", "2026-11") == pytest.approx(360)
    assert records.deployments.latest_uptime("llama", 2) is None
    assert records.deployments.latest_uptime("other", 1) is None


@pytest.mark.parametrize("then", [1, 2, 0], ids=["as many", "more", "none"])
def test_of_two_who_look_at_once_one_is_charged(records, then):
    meter(records, 1, NOON)
    before = records.deployments.latest_uptime("llama", 1)
    looks = [
        metered(before, generation=1, instances=then, usd_per_hour=3600.0, at=NOON + timedelta(seconds=60 + number))
        for number in range(2)
    ]

    written = [records.deployments.meter("llama", look) for look in looks]

    assert written == [True, False]
    assert records.deployments.latest_uptime("llama", 1) == looks[0].latest
    assert records.deployments.spent_in("llama", "2026-11") == pytest.approx(looks[0].usd)


def test_of_two_who_look_first_one_begins_the_ledger(records):
    looks = [metered(None, generation=1, instances=1, usd_per_hour=1.0, at=moment) for moment in (NOON, LATER)]

    assert [records.deployments.meter("llama", look) for look in looks] == [True, False]
    assert records.deployments.latest_uptime("llama", 1) == looks[0].latest


def test_a_look_charges_each_month_that_it_covers(records):
    meter(records, 1, at("2026-11-30T23:59"))
    meter(records, 1, at("2026-12-01T00:02"))

    assert [records.deployments.spent_in("llama", month) for month in ("2026-11", "2026-12")] == [60, 120]


def test_a_look_keeps_the_speed_and_the_answer_that_were_entered_meanwhile(records):
    meter(records, 1, NOON)
    before = records.deployments.latest_uptime("llama", 1)
    records.deployments.touch_uptime("llama", before.changed(last_answer_at=NOON, tokens_per_second=30.5))

    look = metered(before, generation=1, instances=1, usd_per_hour=3600.0, at=LATER)
    assert records.deployments.meter("llama", look)

    latest = records.deployments.latest_uptime("llama", 1)
    assert (latest.ends_at, latest.last_answer_at, latest.tokens_per_second) == (LATER, NOON, 30.5)


@pytest.mark.parametrize("known", [None, NOON - timedelta(minutes=1)], ids=["the first", "a later one"])
def test_a_look_that_begins_a_stretch_without_an_answer_that_came_meanwhile_is_made_again(records, known):
    meter(records, 1, NOON)
    if known:
        records.deployments.touch_uptime("llama", an_uptime(last_answer_at=known))
    before = records.deployments.latest_uptime("llama", 1)
    records.deployments.touch_uptime("llama", before.changed(last_answer_at=NOON))

    late = metered(before, generation=1, instances=2, usd_per_hour=3600.0, at=LATER)

    assert not records.deployments.meter("llama", late)
    assert meter(records, 2, LATER)
    latest = records.deployments.latest_uptime("llama", 1)
    assert (latest.ordinal, latest.last_answer_at) == (2, NOON)


def test_the_last_answer_of_a_stretch_moves_forward_and_never_back(records):
    meter(records, 1, NOON)

    records.deployments.touch_uptime("llama", an_uptime(tokens_per_second=20.0))
    records.deployments.touch_uptime("llama", an_uptime(last_answer_at=LATER, tokens_per_second=30.5))
    records.deployments.touch_uptime("llama", an_uptime(last_answer_at=NOON, tokens_per_second=1.0))
    records.deployments.touch_uptime("llama", an_uptime(last_answer_at=LATER))
    records.deployments.touch_uptime("llama", an_uptime())

    latest = records.deployments.latest_uptime("llama", 1)
    assert (latest.last_answer_at, latest.tokens_per_second) == (LATER, 30.5)


def test_a_stretch_that_was_never_begun_is_not_made_by_a_touch(records):
    records.deployments.touch_uptime("llama", an_uptime(last_answer_at=NOON))

    assert records.deployments.latest_uptime("llama", 1) is None


# ---- artifacts -------------------------------------------------------------------------------------------------


def test_an_artifact_is_written_once_as_new_and_then_under_its_fence(records):
    first = records.artifacts.save(None, an_artifact("a1"))
    with pytest.raises(ConcurrentChange):
        records.artifacts.save(None, an_artifact("a1"))

    second = records.artifacts.save(first, first.used_by("other-g1", "delete"))
    with pytest.raises(ConcurrentChange):
        records.artifacts.save(first, first.used_by("late-g1", "delete"))

    assert records.artifacts.get("a1") == second
    assert second.users == ("llama-g1", "other-g1")
    assert records.artifacts.find("a2") is None
    with pytest.raises(NotFound):
        records.artifacts.get("a2")


def test_copied_spans_are_counted_once_by_attempt_until_they_are_forgotten(records):
    for number, size in ((0, 100), (1, 50), (1, 50)):
        records.artifacts.mark_span("a1", 1, number, SpanMark(at=NOON, files={"a.safetensors": size}, small_bytes=1))
    records.artifacts.mark_span("a1", 2, 0, SpanMark(small_bytes=7))
    records.artifacts.mark_span("a2", 1, 0, SpanMark(small_bytes=1000))

    def staged(artifact_id, attempt):
        return sum(mark.copied_bytes for mark in records.artifacts.span_marks(artifact_id, attempt))

    assert (staged("a1", 1), staged("a1", 2)) == (152, 7)
    assert records.artifacts.span_marks("a1", 1)[0].files == {"a.safetensors": 100}
    records.artifacts.forget_spans("a1")
    assert staged("a1", 1) == 0
    assert staged("a2", 1) == 1000


def test_the_newest_trouble_of_an_attempt_is_kept(records):
    records.artifacts.note_trouble("a1", 1, "throttled", "slow down")
    records.artifacts.note_trouble("a1", 1, "source-changed", "replaced")

    assert records.artifacts.trouble("a1", 1) == ("source-changed", "replaced")
    assert records.artifacts.trouble("a1", 2) is None


# ---- invocations -----------------------------------------------------------------------------------------------


def test_an_invocation_is_put_and_changed_under_its_fence(records):
    records.invocations.put(an_invocation())
    stored = records.invocations.get("i-1")

    claimed = records.invocations.save(stored, stored.changed(attempts=1, claimed_until=LATER))
    with pytest.raises(ConcurrentChange):
        records.invocations.save(stored, stored.changed(attempts=9))

    assert records.invocations.get("i-1") == claimed
    with pytest.raises(NotFound):
        records.invocations.get("i-2")


def test_who_put_an_invocation_may_change_it_without_reading_it_again(records):
    fresh = an_invocation()
    records.invocations.put(fresh)

    assert records.invocations.save(fresh, fresh.changed(attempts=1)).attempts == 1


def test_only_so_many_requests_are_held_at_once_and_places_are_given_back(records):
    assert [records.invocations.hold(NOON, 2) for _ in range(3)] == [True, True, False]

    records.invocations.release(NOON)

    assert [records.invocations.hold(NOON, 2) for _ in range(2)] == [True, False]


def test_places_that_a_crash_kept_are_free_again_half_a_minute_later(records):
    records.invocations.hold(NOON, 1)

    assert records.invocations.hold(NOON + timedelta(seconds=30), 1)


def test_a_place_that_was_never_taken_is_not_given_back(records):
    records.invocations.release(NOON)

    assert [records.invocations.hold(NOON, 1) for _ in range(2)] == [True, False]


# ---- uploads ---------------------------------------------------------------------------------------------------


def test_an_event_makes_a_folders_record_and_sets_its_look(records):
    records.uploads.note_event("llama", LATER, NOON)

    upload = records.uploads.find("llama")
    assert (upload.status, upload.look_at, upload.updated_at) == (UploadStatus.RESTING, LATER, NOON)
    assert records.uploads.due(NOON, 10) == []
    assert records.uploads.due(LATER, 10) == ["llama"]


def test_an_event_keeps_what_is_known_of_a_folder(records):
    known = an_upload(status=UploadStatus.STARTED, started="v1", seen="v1", newest_at=NOON)
    saved = records.uploads.save(an_upload(), known)

    records.uploads.note_event("llama", LATER, LATER)

    upload = records.uploads.find("llama")
    assert upload == saved.changed(look_at=LATER, updated_at=LATER, version=upload.version)


def test_a_look_that_did_not_see_an_event_does_not_write_over_it(records):
    records.uploads.note_event("llama", NOON, NOON)
    before = records.uploads.find("llama")
    records.uploads.note_event("llama", LATER, LATER)

    with pytest.raises(ConcurrentChange):
        records.uploads.save(before, before.changed(look_at=None))

    assert records.uploads.find("llama").look_at == LATER


def test_a_folder_without_a_look_is_not_due(records):
    records.uploads.note_event("llama", NOON, NOON)
    before = records.uploads.find("llama")

    saved = records.uploads.save(before, before.changed(look_at=None, missing=("config.json",)))

    assert records.uploads.find("llama") == saved
    assert records.uploads.due(NOON + timedelta(days=99), 10) == []


def test_folders_come_in_pages_by_name(records):
    for folder in ("cc", "aa", "Odd Name"):
        records.uploads.note_event(folder, NOON, NOON)
    reserve(records, "aa")

    pages = all_pages(records.uploads.page, limit=2)

    assert [each.folder for page in pages for each in page] == ["Odd Name", "aa", "cc"]


# ---- idempotency keys ------------------------------------------------------------------------------------------


def test_a_key_is_claimed_once_and_gives_its_answer_from_then_on(records):
    assert records.keys.claim("k", "body", NOON) is None
    records.keys.answer("k", {"name": "llama", "cost": 1.5, "nothing": None, "list": [1, {"a": True}]})

    answer = records.keys.claim("k", "body", NOON + timedelta(hours=1))

    assert {**answer, "nothing": None} == {"name": "llama", "cost": 1.5, "nothing": None, "list": [1, {"a": True}]}


def test_a_key_with_another_body_is_refused(records):
    records.keys.claim("k", "body", NOON)

    with pytest.raises(IdempotencyKeyReused):
        records.keys.claim("k", "other", NOON)
    with pytest.raises(IdempotencyKeyReused):
        records.keys.claim("k", "other", NOON + timedelta(hours=1))


def test_a_claim_holds_for_a_minute_and_can_then_be_taken_over(records):
    records.keys.claim("k", "body", NOON)

    with pytest.raises(Conflict, match="still under way"):
        records.keys.claim("k", "body", NOON + timedelta(seconds=59))
    assert records.keys.claim("k", "body", NOON + timedelta(seconds=61)) is None


def test_a_key_that_was_given_back_may_come_with_another_body(records):
    records.keys.claim("k", "body", NOON)
    records.keys.forget("k")

    assert records.keys.claim("k", "other", NOON) is None


# ---- what only DynamoDB does -----------------------------------------------------------------------------------


class Interfering:
    """A client whose next calls end as told: before they take effect, or after (a lost answer)."""

    def __init__(self, client, operation: str, *errors: ClientError, after: bool = False) -> None:
        self._client, self._operation, self._errors, self._after = client, operation, list(errors), after

    def __getattr__(self, name):
        call = getattr(self._client, name)
        if name != self._operation or not self._errors:
            return call

        def broken(**request):
            error = self._errors.pop(0)
            if self._after:
                call(**request)
            raise error

        return broken


def refusal(code: str, operation: str, *reasons: str) -> ClientError:
    response = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError({**response, "CancellationReasons": [{"Code": reason} for reason in reasons]}, operation)


def interfered(table: Table, *errors: ClientError, operation: str = "transact_write_items", after: bool = False):
    return Table(Interfering(table.client, operation, *errors, after=after), table.name)


def test_a_write_whose_answer_was_lost_knows_its_own_success(table):
    lost = refusal("TransactionCanceledException", "TransactWriteItems", "ConditionalCheckFailed", "None")
    deployments = DeploymentTable(interfered(table, lost, after=True))

    reserved = deployments.reserve(a_deployment(), an_event())

    assert (reserved.version, DeploymentTable(table).get("llama")) == (1, reserved)


@pytest.mark.parametrize("reason", ["TransactionConflict", "ConditionalCheckFailed"])
def test_a_transaction_that_met_another_one_is_a_concurrent_change(table, reason):
    reserved = DeploymentTable(table).reserve(a_deployment(), an_event())
    cancelled = refusal("TransactionCanceledException", "TransactWriteItems", reason, "None")
    deployments = DeploymentTable(interfered(table, cancelled))

    with pytest.raises(ConcurrentChange):
        deployments.save(reserved, change(reserved, reserved, EventKind.NOTE, "x", LATER))


@pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_was_throttled_is_worth_another_try(table, reason):
    throttled = refusal("TransactionCanceledException", "TransactWriteItems", reason, "None")
    deployments = DeploymentTable(interfered(table, throttled))

    with pytest.raises(Throttled):
        deployments.reserve(a_deployment(), an_event())


def test_a_single_write_that_met_a_transaction_is_a_concurrent_change_and_no_lost_condition(table):
    met = refusal("TransactionConflictException", "PutItem")
    deployments = DeploymentTable(interfered(table, met, operation="put_item"))

    with pytest.raises(ConcurrentChange):
        deployments.open_window("llama", a_window())
    assert deployments.open_window("llama", a_window())


def test_a_window_whose_transaction_met_another_one_is_opened_and_charged_all_the_same(table):
    met = refusal("TransactionCanceledException", "TransactWriteItems", "TransactionConflict", "None")
    deployments = DeploymentTable(interfered(table, met))

    assert deployments.open_window("llama", a_window(), {"2026-11": 1})
    assert deployments.spent_in("llama", "2026-11") == 1


def test_a_look_whose_transaction_met_another_one_is_entered_and_charged_all_the_same(table):
    meter(in_dynamodb(table), 1, NOON)
    met = refusal("TransactionCanceledException", "TransactWriteItems", "TransactionConflict", "None")
    deployments = DeploymentTable(interfered(table, met))
    deployment = a_hosted_deployment()

    charged = Metering(deployments).observe(deployment, 1, NOON + timedelta(hours=1))

    assert charged.usd == pytest.approx(3600)
    assert deployments.spent_in("llama", "2026-11") == pytest.approx(3600)


def test_a_look_whose_answer_was_lost_is_charged_once(table):
    meter(in_dynamodb(table), 1, NOON)
    lost = refusal("TransactionCanceledException", "TransactWriteItems", "ConditionalCheckFailed", "None")
    deployments = DeploymentTable(interfered(table, lost, after=True))

    Metering(deployments).observe(a_hosted_deployment(), 1, NOON + timedelta(hours=1))

    assert deployments.spent_in("llama", "2026-11") == pytest.approx(3600)


@pytest.mark.parametrize("kind", ["memory", "dynamodb"])
def test_the_ledger_of_capacity_is_written_by_one_of_two(table, kind):
    ledger = CapacityTable(table) if kind == "dynamodb" else fakes.FakeCapacity()
    empty = ledger.read()
    claims = {"llama-g1": Claim(units={Unit.MODEL_UNITS: 2}, until=LATER)}

    ledger.save(empty, empty.changed(claims=claims))

    with pytest.raises(ConcurrentChange):
        ledger.save(empty, empty)
    assert ledger.read().claims == claims
    ledger.save(ledger.read(), empty)
    assert (ledger.read().claims, ledger.read().version) == ({}, 2)


def test_a_ledger_of_claims_that_cannot_be_read_holds_what_would_be_woken(table):
    table.put({"pk": "CAPACITY", "sk": "META", "claims": "from another version", "version": 1})

    with pytest.raises(CapacityReached, match="Delete that item"):
        CapacityTable(table).read()


def test_what_was_told_and_seen_last_is_kept_by_subject(table):
    notices = NoticeTable(table)
    assert notices.latest("kill-switch") == Notice()

    notices.note("kill-switch", Notice(told="on", seen_once="unreadable"))
    assert notices.latest("kill-switch") == Notice(told="on", seen_once="unreadable")
    notices.note("kill-switch", Notice(told="off"))

    assert (notices.latest("kill-switch"), notices.latest("other")) == (Notice(told="off"), Notice())


def test_records_with_a_time_to_live_carry_it(table):
    InvocationTable(table).put(an_invocation())
    IdempotencyTable(table).claim("k", "body", NOON)
    InvocationTable(table).hold(NOON, 1)

    items = table.client.scan(TableName="records")["Items"]

    assert {item["pk"]["S"].partition("#")[0] for item in items if "ttl" in item} == {
        "INVOCATION",
        "IDEMPOTENCY",
        "HELD",
    }


@pytest.mark.parametrize("own", [True, False])
def test_a_record_knows_its_own_write_whose_answer_was_lost_from_somebody_elses(table, own):
    before = ArtifactTable(table).save(None, an_artifact("a1"))
    lost = refusal("ConditionalCheckFailedException", "PutItem")
    if not own:
        ArtifactTable(table).save(before, before.used_by("other-g1", "delete"))
    artifacts = ArtifactTable(interfered(table, lost, operation="put_item", after=own))

    if own:
        saved = artifacts.save(before, before.used_by("late-g1", "delete"))
        assert (saved.version, ArtifactTable(table).get("a1")) == (2, saved)
    else:
        with pytest.raises(ConcurrentChange):
            artifacts.save(before, before.used_by("late-g1", "delete"))


def test_a_record_that_cannot_be_read_is_left_out_of_its_list(table):
    DeploymentTable(table).reserve(a_deployment("fine"), an_event("asked for it"))
    UploadTable(table).note_event("fine", NOON, NOON)
    for kind in ("DEPLOYMENT", "UPLOAD"):
        table.put({"pk": f"{kind}#broken", "sk": "META", "kind": kind, "status": "NONSENSE"})
    table.put({"pk": "DEPLOYMENT#fine", "sk": "EVENT#0", "reason": "half a line"})

    assert [each.name for each in DeploymentTable(table).page(None, 10)[0]] == ["fine"]
    assert [each.folder for each in UploadTable(table).page(None, 10)[0]] == ["fine"]
    assert [each.reason for each in DeploymentTable(table).events("fine", None, 10)[0]] == ["asked for it"]


def test_what_the_sdk_refuses_to_send_is_an_error_of_ours_that_says_nothing_of_the_request(table):
    with pytest.raises(Terminal, match="updating DEPLOYMENT") as caught:
        table.update("DEPLOYMENT#llama", UpdateExpression=b"a secret")

    assert "secret" not in caught.value.message


KEY = {"pk": {"S": "DEPLOYMENT#llama"}, "sk": {"S": "META"}, "kind": {"S": "DEPLOYMENT"}}


@pytest.mark.parametrize(
    "forged",
    [
        [],
        "text",
        {},
        {"pk": KEY["pk"], "sk": KEY["sk"]},
        {**KEY, "more": {"S": "x"}},
        {**KEY, "pk": "DEPLOYMENT#llama"},
        {**KEY, "pk": {"N": "1"}},
        {**KEY, "pk": {"S": 1}},
        {**KEY, "pk": {"S": "DEPLOYMENT#llama", "N": "1"}},
        {**KEY, "pk": {"S": "ARTIFACT#a1"}},
        {**KEY, "pk": {"S": "DEPLOYMENT#" + "x" * 2000}},
        {**KEY, "pk": {"S": "DEPLOYMENT#\ud800"}},
        {**KEY, "sk": {"S": ""}},
        {**KEY, "kind": {"S": "UPLOAD"}},
    ],
)
def test_a_cursor_that_somebody_made_up_is_refused(table, forged):
    cursor = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")

    with pytest.raises(InvalidInput, match="cursor"):
        DeploymentTable(table).page(cursor, 2)
    with pytest.raises(InvalidInput, match="cursor"):
        DeploymentTable(table).events("llama", cursor, 2)


def test_a_timelines_cursor_is_of_no_use_to_another_timeline(table):
    for name in ("llama", "llama-2"):
        DeploymentTable(table).reserve(a_deployment(name), an_event())
        DeploymentTable(table).note(name, an_event("later", now=LATER))
    _, cursor = DeploymentTable(table).events("llama-2", None, 1)

    with pytest.raises(InvalidInput, match="cursor"):
        DeploymentTable(table).events("llama", cursor, 1)


def test_a_record_that_cannot_be_read_does_not_say_what_is_in_it(table):
    table.put({"pk": "DEPLOYMENT#llama", "sk": "META", "name": "llama", "source": "a secret"})

    with pytest.raises(NotFound, match="cannot be read") as caught:
        DeploymentTable(table).get("llama")

    assert "secret" not in caught.value.message


# ---- contents --------------------------------------------------------------------------------------------------------


def test_a_content_has_many_holders_and_each_is_forgotten_alone(records):
    held = HeldContent(
        sha256="5" * 64, size_bytes=100, checksum_crc64nvme="AAAAAAAAAAA=", artifact_id="a1", path="deep/x.safetensors"
    )
    another = held.changed(artifact_id="a2")
    assert records.contents.holders(held.sha256, 100) == []

    for each in (another, held, held.changed(path="y.safetensors"), held):
        records.contents.note(each)
    assert records.contents.holders(held.sha256, 100) == [held, another]
    assert records.contents.holders(held.sha256, 101) == []
    records.contents.forget(another)
    records.contents.forget(another)

    assert records.contents.holders(held.sha256, 100) == [held]


def test_no_more_holders_of_a_content_are_told_than_anybody_needs(records):
    held = HeldContent(
        sha256="5" * 64, size_bytes=100, checksum_crc64nvme="AAAAAAAAAAA=", artifact_id="a1", path="x.safetensors"
    )
    for number in range(30):
        records.contents.note(held.changed(artifact_id=f"a{number}"))

    assert len(records.contents.holders(held.sha256, 100)) == 10


def test_a_holder_whose_record_cannot_be_read_is_passed_over(table):
    table.put({"pk": "CONTENT#abc#100", "sk": "HOLDER#a1", "size_bytes": -1})

    assert ContentTable(table).holders("abc", 100) == []


# ---- measured speeds -------------------------------------------------------------------------------------------


def test_the_newest_speed_of_a_model_is_kept_for_each_instance_and_number_of_shares(records):
    def measured(instance_type: str, tokens_per_second: float, shares: int = 1) -> Measurement:
        return Measurement(
            instance_type=instance_type,
            tensor_parallel_degree=shares,
            tokens_per_second=tokens_per_second,
            measured_at=NOON,
            deployment="llama",
        )

    for each in (measured("ml.g5.xlarge", 20.0), measured("ml.g5.xlarge", 25.0), measured("ml.g5.12xlarge", 60.5, 4)):
        records.speeds.note("a1", each)
    records.speeds.note("a2", measured("ml.g6.xlarge", 9.0))

    found = {
        (each.instance_type, each.tensor_parallel_degree): each.tokens_per_second for each in records.speeds.of("a1")
    }
    assert found == {("ml.g5.xlarge", 1): 25.0, ("ml.g5.12xlarge", 4): 60.5}
