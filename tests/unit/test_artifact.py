"""Where an artifact lies, who uses it, and when it has settled."""

from datetime import timedelta

import pytest
from pilotlight.domain.artifact import ArtifactStatus, manifest_key, plan_key, weight_key, weights_prefix
from pilotlight.domain.errors import InvalidInput

from tests.factories import NOON, an_artifact


def test_the_manifest_lies_beside_the_weights_and_not_among_them():
    assert weight_key("a1", "sub/model.safetensors") == "artifacts/a1/weights/sub/model.safetensors"
    for key in (manifest_key("a1"), plan_key("a1", 2, "plan"), plan_key("a1", 2, "spans")):
        assert not key.startswith(weights_prefix("a1"))
        assert key.startswith("artifacts/a1/")


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/x", "a/../../x", "a\\b", ".."])
def test_a_path_that_leaves_the_prefix_is_refused(path):
    with pytest.raises(InvalidInput, match="leaves its folder"):
        weight_key("a1", path)


def test_an_artifact_counts_each_user_once():
    artifact = an_artifact(users=("a-g1",))

    assert artifact.used_by("a-g1", "delete").users == ("a-g1",)
    assert artifact.used_by("b-g1", "delete").users == ("a-g1", "b-g1")
    assert artifact.given_back_by("a-g1", NOON).users == ()
    assert artifact.given_back_by("stranger-g1", NOON) == artifact


def test_staging_that_nobody_waits_for_has_failed_and_settles_when_its_longest_lambda_is_over():
    later = NOON + timedelta(hours=1)
    artifact = an_artifact(users=("a-g1",)).given_back_by("a-g1", later)

    assert (artifact.status, artifact.failure_code) == (ArtifactStatus.FAILED, "given-back")
    assert artifact.settles_at() == later + timedelta(minutes=10)


@pytest.mark.parametrize(("revivals", "settled"), [(0, True), (1, False)])
def test_an_artifact_that_was_sealed_without_a_death_is_settled_at_once(revivals, settled):
    artifact = an_artifact(status=ArtifactStatus.SEALED, revivals=revivals, users=("a-g1",))

    assert (artifact.given_back_by("a-g1", NOON).settles_at() is None) is settled


def test_an_artifact_knows_its_source_at_its_revision():
    assert str(an_artifact().pinned_source) == f"hf://acme/llama-8b@{an_artifact().revision}"
