"""Judgements of the reconciliation: mostly of what must not be removed, whatever the records say."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pilotlight.domain import names
from pilotlight.domain.artifact import ArtifactStatus
from pilotlight.domain.deployment import Status
from pilotlight.domain.orphans import (
    FoundExecution,
    FoundFolder,
    FoundModel,
    judge_artifact,
    judge_execution,
    judge_folder,
    judge_invocation,
    judge_model,
    judge_multipart,
)
from pilotlight.domain.reconciliation import Decision, Rules, Scene
from pilotlight.domain.upload import Upload, UploadStatus

from tests.factories import NOON, a_deployment, a_serving_deployment, an_artifact

STACK = "pilotlight"
YEAR_LATER = NOON + timedelta(days=365)
OLD = Scene(now=YEAR_LATER, rules=Rules(stack=STACK))
statuses = st.sampled_from(Status)
generations = st.integers(min_value=1, max_value=5)
ages = st.one_of(st.none(), st.integers(min_value=-60, max_value=300).map(lambda age: NOON - timedelta(minutes=age)))


def a_model(generation: int = 1, **fields: object) -> FoundModel:
    name = names.imported_model_name("llama", generation)
    tags = names.ownership_tags(STACK, "llama", generation)
    return FoundModel.model_validate({"arn": f"arn/{name}", "name": name, "created_at": NOON, "tags": tags, **fields})


@given(statuses, generations, generations, ages)
def test_a_model_is_removed_only_when_its_generation_is_over_and_it_is_old(
    status: Status, recorded: int, found: int, created_at: object
) -> None:
    scene = Scene(now=NOON, rules=Rules(stack=STACK))
    record = a_deployment(status=status, generation=recorded)

    verdict = judge_model(a_model(found, created_at=created_at), record, scene)

    over = recorded > found or (recorded == found and status is Status.GONE)
    old = created_at is not None and NOON - created_at >= timedelta(hours=1)  # type: ignore[operator]
    assert (verdict is not None and verdict.decision is Decision.REMOVE) == (over and old)


@given(statuses, generations, generations, st.integers(min_value=1, max_value=3))
def test_the_execution_that_a_live_record_wants_is_never_stopped(
    status: Status, recorded: int, found: int, attempt: int
) -> None:
    record = a_deployment(status=status, generation=recorded, attempt=attempt)
    run = names.run_name("llama", found, attempt, record.created_at)

    verdict = judge_execution(FoundExecution(machine="deploy", name=run, started_at=NOON), record, OLD)

    over = recorded > found or (recorded == found and status is Status.GONE)
    assert (verdict is not None) == over


@given(st.integers(min_value=0, max_value=365 * 24 * 60).map(lambda age: NOON - timedelta(minutes=age)))
def test_what_has_no_record_is_never_removed_but_told_once_it_is_old(since: datetime) -> None:
    scene = Scene(now=NOON, rules=Rules(stack=STACK))
    staging = FoundExecution(machine="stage_artifact", name="a00000000000000000ff-tlofos-a1", started_at=since)
    deploying = FoundExecution(machine="deploy", name=names.run_name("llama", 1, 1, since), started_at=since)

    verdicts = [
        judge_model(a_model(created_at=since), None, scene),
        judge_execution(staging, None, scene),
        judge_execution(deploying, None, scene),
        judge_artifact(None, {}, scene, newest_write=since, is_staging=False),
    ]

    expected = Decision.LOOK if NOON - since >= timedelta(hours=1) else Decision.LEAVE
    assert [verdict and verdict.decision for verdict in verdicts] == [expected] * 4


@given(st.sampled_from(ArtifactStatus), st.integers(min_value=1, max_value=3), st.integers(min_value=1, max_value=3))
def test_a_staging_of_a_later_attempt_than_the_record_is_never_stopped(
    status: ArtifactStatus, recorded: int, found: int
) -> None:
    artifact = an_artifact(status=status, attempt=recorded)
    run = names.staging_name(artifact.id, found, artifact.created_at)

    verdict = judge_execution(FoundExecution(machine="stage_artifact", name=run, started_at=NOON), artifact, OLD)

    assert (verdict is not None and verdict.decision is Decision.LOOK) == (found > recorded)


@pytest.mark.parametrize("days", [0, 1, 6, 7, 8])
def test_bodies_that_the_lifecycle_rule_will_remove_are_nobodys_business(days: int) -> None:
    assert judge_invocation(None, YEAR_LATER - timedelta(days=days, hours=23), OLD) is None


def test_bodies_that_the_lifecycle_rule_left_for_days_are_removed() -> None:
    verdict = judge_invocation(None, YEAR_LATER - timedelta(days=9), OLD)

    assert verdict is not None
    assert verdict.decision is Decision.REMOVE


def test_a_folder_whose_record_was_written_after_it_was_listed_is_left_to_the_next_pass() -> None:
    found = FoundFolder(folder="house-style", files=(), listed_at=NOON)
    seen = Upload(folder="house-style", status=UploadStatus.STARTED, seen="another", updated_at=NOON)

    verdict = judge_folder(found, seen, OLD)
    later = judge_folder(found, seen.changed(updated_at=NOON + timedelta(seconds=1)), OLD)

    assert verdict is not None
    assert verdict.decision is Decision.RESUME
    assert later is None


@given(st.sampled_from(ArtifactStatus), statuses, ages)
def test_an_artifact_in_use_is_never_removed(status: ArtifactStatus, of_user: Status, written: object) -> None:
    if status in (ArtifactStatus.GONE, ArtifactStatus.DELETING):
        return
    user = a_deployment(status=of_user)

    verdict = judge_artifact(
        an_artifact(status=status),
        {"llama-g1": user},
        OLD,
        newest_write=written,  # type: ignore[arg-type]
        is_staging=False,
    )

    assert verdict is None or verdict.decision in (Decision.RELEASE, Decision.FAIL)
    assert (verdict is not None and verdict.decision is Decision.RELEASE) == (of_user is Status.GONE)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {names.TAG_STACK: STACK},
        {**names.ownership_tags("another", "llama", 1)},
        {**names.ownership_tags(STACK, "llama", 1), names.TAG_GENERATION: "one"},
        {**names.ownership_tags(STACK, "", 1)},
        {**names.ownership_tags(STACK, "llama", 1), names.TAG_GENERATION: "²"},
    ],
)
def test_a_model_without_our_three_tags_is_nobodys_business(tags: dict[str, str]) -> None:
    assert judge_model(a_model(tags=tags), None, OLD) is None


def test_a_model_of_a_later_generation_than_the_record_is_for_a_person() -> None:
    verdict = judge_model(a_model(generation=3), a_deployment(generation=2, status=Status.GONE), OLD)

    assert verdict is not None
    assert verdict.decision is Decision.LOOK


def test_a_model_with_the_tags_of_a_live_deployment_and_another_name_is_for_a_person() -> None:
    verdict = judge_model(a_model(name="pilotlight-mine-g1"), a_serving_deployment(), OLD)

    assert verdict is not None
    assert verdict.decision is Decision.LOOK


@pytest.mark.parametrize("status", [each for each in ArtifactStatus if each is not ArtifactStatus.SEALED])
def test_an_upload_of_an_artifact_that_is_not_sealed_may_still_be_needed(status: ArtifactStatus) -> None:
    assert judge_multipart(an_artifact(status=status), NOON, OLD) is None
    assert judge_multipart(None, NOON, OLD) is None


@pytest.mark.parametrize("name", ["by-hand", "llama-g1", "llama-gx-abc", "a00-tlofos-a1", ""])
def test_an_execution_that_we_would_not_name_so_is_not_ours(name: str) -> None:
    assert judge_execution(FoundExecution(machine="deploy", name=name, started_at=NOON), None, OLD) is None


def test_the_name_of_a_run_tells_whom_it_works_for() -> None:
    born = NOON

    assert names.parse_run(names.run_name("my-g2-llama", 12, 3, born)) == ("my-g2-llama", 12, 3)
    assert names.parse_run(names.teardown_name("llama", 1, 4, born)) == ("llama", 1, 4)
    assert names.parse_run(names.wake_name("llama", 1, "0123456789ab", born)) == ("llama", 1, 1)
    assert names.parse_run(names.staging_name("a00000000000000000ff", 2, born)) == ("a00000000000000000ff", 0, 2)
