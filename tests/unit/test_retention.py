"""How long weights are kept: what may be said, whose wish wins, and when they may go."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pilotlight.contracts import DeploymentRequest, UploadSettings
from pilotlight.domain.artifact import Artifact, ArtifactStatus
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.retention import DEFAULT_RETENTION, FORMS, kept_for, longest
from pydantic import ValidationError

from tests.factories import HUB_SOURCE, NOON, a_deployment, an_artifact

WEEK = timedelta(days=7)
times = st.one_of(
    st.integers(min_value=15, max_value=100_000).map(lambda count: f"{count}m"),
    st.integers(min_value=1, max_value=8_000).map(lambda count: f"{count}h"),
    st.integers(min_value=1, max_value=365).map(lambda count: f"{count}d"),
)
wishes = st.one_of(st.just("retain"), st.just("delete"), times.map("collect_after:{}".format))


def wished(*said: str) -> Artifact:
    """Return an artifact that was used by as many as said something, one after the other."""
    artifact = an_artifact(status=ArtifactStatus.SEALED, users=(), keep=None)
    for number, wish in enumerate(said):
        user = f"user-g{number + 1}"
        artifact = artifact.used_by(user, wish).given_back_by(user, NOON + number * timedelta(hours=1))
    return artifact


def rank(wish: str) -> timedelta:
    time = kept_for(wish)
    return timedelta.max if time is None else time


@pytest.mark.parametrize(
    "said", ["retain", "delete", "collect_after:15m", "collect_after:12h", "collect_after:7d", "collect_after:365d"]
)
@pytest.mark.parametrize("model", [DeploymentRequest, UploadSettings])
def test_each_form_may_be_said(model: type[DeploymentRequest], said: str) -> None:
    named = {"name": "llama", "source": HUB_SOURCE} if model is DeploymentRequest else {}

    assert model.model_validate({**named, "artifact": said}).artifact == said


@pytest.mark.parametrize(
    "said",
    [
        "",
        "keep",
        "RETAIN",
        "retain:7d",
        "collect_after",
        "collect_after:",
        "collect_after:7",
        "collect_after:0d",
        "collect_after:14m",
        "collect_after:-1d",
        "collect_after:1w",
        "collect_after:366d",
        "collect_after: 7d",
        "collect_after:７d",
        "7d",
    ],
)
def test_what_is_none_of_the_forms_is_refused_and_the_forms_are_named(said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DeploymentRequest(name="llama", source=HUB_SOURCE, artifact=said)

    assert FORMS in str(caught.value)


@pytest.mark.parametrize(("said", "why"), [("collect_after:366d", "is longer than a year"), ("7d", "does not say how")])
def test_a_time_that_is_too_long_is_told_from_one_that_is_none(said: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        DeploymentRequest(name="llama", source=HUB_SOURCE, artifact=said)


def test_there_is_one_default_for_requests_folders_and_records_of_before() -> None:
    record = a_deployment().model_dump(mode="json", exclude={"artifact"})

    assert DeploymentRequest(name="llama", source=HUB_SOURCE).artifact == DEFAULT_RETENTION
    assert UploadSettings().artifact == DEFAULT_RETENTION
    assert Deployment.model_validate(record).artifact == DEFAULT_RETENTION
    assert an_artifact(users=(), keep=None, status=ArtifactStatus.SEALED).kept_until == NOON + WEEK


@given(st.lists(wishes, min_size=1, max_size=5))
def test_the_longest_wish_wins_whoever_said_it_and_whenever(said: list[str]) -> None:
    artifact = wished(*said)

    assert artifact.keep in said
    assert rank(artifact.keep or "") == max(map(rank, said))
    assert wished(*reversed(said)).keep is not None
    assert rank(wished(*reversed(said)).keep or "") == rank(artifact.keep or "")


@given(st.lists(wishes, min_size=1, max_size=5))
def test_the_time_counts_from_the_last_use(said: list[str]) -> None:
    artifact = wished(*said)

    last_use = NOON + (len(said) - 1) * timedelta(hours=1)
    assert artifact.last_used_at == last_use
    time = kept_for(artifact.keep or "")
    assert artifact.kept_until == (None if time is None else last_use + time)
    assert artifact.is_over(last_use + timedelta(days=366)) == (time is not None)
    assert time is None or not time or not artifact.is_over(last_use + time - timedelta(seconds=1))


@given(wishes, wishes)
def test_a_wish_is_never_made_shorter(one: str, other: str) -> None:
    assert rank(longest(one, other)) == max(rank(one), rank(other))
    assert longest(None, one) == one


def test_what_is_used_is_never_over() -> None:
    artifact = wished("delete").used_by("late-g1", "delete")

    assert not artifact.is_over(datetime.max.replace(tzinfo=NOON.tzinfo))


def test_whoever_gives_back_what_he_does_not_use_moves_no_last_use() -> None:
    artifact = wished("collect_after:7d")

    assert artifact.given_back_by("user-g1", NOON + WEEK) == artifact
    assert artifact.given_back_by("stranger-g1", NOON + WEEK) == artifact


@pytest.mark.parametrize("status", [ArtifactStatus.FAILED, ArtifactStatus.SEALED])
def test_nothing_is_over_before_the_last_lambda_of_its_staging_must_be(status: ArtifactStatus) -> None:
    artifact = an_artifact(status=status, revivals=1, users=(), keep="delete", last_used_at=NOON)

    assert artifact.kept_until == NOON + timedelta(minutes=10)
