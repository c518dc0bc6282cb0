"""A checkpoint is cut into spans that cover every byte once, within what S3 takes."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pilotlight.domain.artifact import (
    MIB,
    MOST_PARTS,
    SMALLEST_PART_BYTES,
    ArtifactStatus,
    Span,
    SpanLimits,
    is_multipart,
    manifest_key,
    missing_parts,
    part_bytes_for,
    plan_key,
    spans_of,
    weight_key,
    weights_prefix,
)
from pilotlight.domain.errors import InvalidInput
from pydantic import ValidationError

from tests.factories import NOON, a_part, an_artifact

LIMITS = SpanLimits()
PART = LIMITS.part_bytes
TERABYTES_5 = 5 * 1024**4
SIZES = st.one_of(
    st.integers(0, 20 * MIB),
    st.integers(0, TERABYTES_5),
    st.builds(lambda parts, more: max(parts * PART + more, 0), st.integers(0, 300), st.integers(-1, 1)),
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SIZES)
@example(0)
@example(1)
@example(SMALLEST_PART_BYTES)
@example(SMALLEST_PART_BYTES + 1)
@example(PART)
@example(PART * MOST_PARTS)
@example(PART * MOST_PARTS + 1)
@example(TERABYTES_5)
def test_spans_and_their_parts_cover_a_file_exactly_once(size_bytes):
    spans = spans_of("f", size_bytes, upload_id="u", limits=LIMITS, first_number=7)

    assert spans[0].offset == 0
    assert spans[-1].offset + spans[-1].size_bytes == size_bytes
    assert all(left.offset + left.size_bytes == right.offset for left, right in pairwise(spans))
    assert [span.number for span in spans] == list(range(7, 7 + len(spans)))
    if is_multipart(size_bytes):
        parts = [part for span in spans for part in span.parts()]
        assert [part.number for part in parts] == list(range(1, len(parts) + 1))
        assert len(parts) <= MOST_PARTS
        assert all(left.offset + left.size_bytes == right.offset for left, right in pairwise(parts))
        assert parts[-1].offset + parts[-1].size_bytes == size_bytes
        assert {part.size_bytes for part in parts[:-1]} <= {part_bytes_for(size_bytes, LIMITS)}
        assert 0 < parts[-1].size_bytes <= part_bytes_for(size_bytes, LIMITS)


@pytest.mark.parametrize("size_bytes", [0, 1, SMALLEST_PART_BYTES])
def test_a_small_file_is_one_span_without_an_upload(size_bytes):
    (span,) = spans_of("f", size_bytes, upload_id="u", limits=LIMITS)

    assert (span.upload_id, span.size_bytes) == (None, size_bytes)


def test_a_span_is_as_long_as_a_copier_has_time_for_at_the_worst_rate():
    limits = SpanLimits(part_bytes=64 * MIB, span_seconds=150, worst_bytes_per_second=25_000_000)

    spans = spans_of("f", 100 * 64 * MIB, upload_id="u", limits=limits)

    assert max(span.size_bytes for span in spans) <= 150 * 25_000_000
    assert limits.parts_per_span == 55


def test_a_span_has_a_part_even_where_the_rate_is_hopeless():
    assert SpanLimits(span_seconds=1, worst_bytes_per_second=1).parts_per_span == 1


def test_parts_grow_in_whole_mebibytes_where_ten_thousand_would_not_do():
    assert part_bytes_for(PART * MOST_PARTS, LIMITS) == PART
    assert part_bytes_for(PART * MOST_PARTS + 1, LIMITS) == PART + MIB


def test_a_part_smaller_than_s3_takes_cannot_be_configured():
    with pytest.raises(ValidationError):
        SpanLimits(part_bytes=SMALLEST_PART_BYTES - 1)


def test_only_parts_that_s3_does_not_hold_in_full_are_missing():
    span = Span(path="f", number=0, offset=10 * MIB, size_bytes=12 * MIB, part_bytes=5 * MIB, first_part=3)

    missing = missing_parts(span, {1: a_part(1, 5 * MIB), 3: a_part(3, 5 * MIB), 5: a_part(5, 1)})

    assert [(part.number, part.offset, part.size_bytes) for part in missing] == [
        (4, 15 * MIB, 5 * MIB),
        (5, 20 * MIB, 2 * MIB),
    ]


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

    assert artifact.used_by("a-g1").users == ("a-g1",)
    assert artifact.used_by("b-g1").users == ("a-g1", "b-g1")
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
