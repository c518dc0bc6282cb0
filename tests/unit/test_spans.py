"""A checkpoint is cut into spans that cover every byte once, within what S3 takes and a copier has time for."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pilotlight.domain.source import SourceFile
from pilotlight.domain.spans import (
    MIB,
    MOST_PARTS,
    MOST_SMALL_FILES,
    SMALLEST_PART_BYTES,
    SpanLimits,
    in_parts,
    is_multipart,
    missing_parts,
    missing_runs,
    part_bytes_for,
    spans_of,
    whole,
)
from pydantic import ValidationError

from tests.factories import a_part

LIMITS = SpanLimits()
PART = LIMITS.part_bytes
TERABYTES_5 = 5 * 1024**4
SIZES = st.one_of(
    st.integers(0, 20 * MIB),
    st.integers(0, TERABYTES_5),
    st.builds(lambda parts, more: max(parts * PART + more, 0), st.integers(0, 300), st.integers(-1, 1)),
)


def a_run(size_bytes, path="f", limits=LIMITS):
    file = SourceFile(path=path, size_bytes=size_bytes)
    return in_parts(file, "u", part_bytes_for(size_bytes, limits)) if is_multipart(size_bytes) else whole(file)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(SIZES, min_size=1, max_size=5), st.integers(1, 1000))
@example([0], 8)
@example([1, SMALLEST_PART_BYTES, SMALLEST_PART_BYTES + 1, PART], 8)
@example([PART * MOST_PARTS, PART * MOST_PARTS + 1, TERABYTES_5], 256)
def test_spans_cover_every_file_exactly_once_in_parts_that_s3_takes(sizes, copiers):
    limits = LIMITS.changed(copiers=copiers)
    spans = spans_of([a_run(size, f"f{index}") for index, size in enumerate(sizes)], limits)

    assert [span.number for span in spans] == list(range(len(spans)))
    for index, size in enumerate(sizes):
        runs = sorted(
            (run for span in spans for run in span.runs if run.file.path == f"f{index}"), key=lambda run: run.offset
        )
        assert runs[0].offset == 0
        assert runs[-1].offset + runs[-1].size_bytes == size
        assert all(left.offset + left.size_bytes == right.offset for left, right in pairwise(runs))
        if is_multipart(size):
            parts = [part for run in runs for part in run.parts()]
            assert [part.number for part in parts] == list(range(1, len(parts) + 1))
            assert len(parts) <= MOST_PARTS
            assert {part.size_bytes for part in parts[:-1]} <= {part_bytes_for(size, limits)}
            assert 0 < parts[-1].size_bytes <= part_bytes_for(size, limits)
        else:
            assert [run.upload_id for run in runs] == [None]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 200 * 10**9), min_size=1, max_size=8), st.integers(1, 1000))
def test_no_span_takes_longer_than_a_copier_has_even_at_the_worst_rate(sizes, copiers):
    limits = LIMITS.changed(copiers=copiers)

    spans = spans_of([a_run(size, f"f{index}") for index, size in enumerate(sizes)], limits)

    assert max(span.size_bytes for span in spans) <= 150 * 25_000_000


def test_where_copiers_are_many_each_gets_its_share_and_every_stream_of_it_a_part():
    run = a_run(132 * 10**9)

    few, many, too_many = (spans_of([run], LIMITS.changed(copiers=copiers)) for copiers in (8, 128, 1000))

    assert {len(span.runs[0].parts()) for span in few[:-1]} == {27}  # all that 150 seconds allow
    assert {len(span.runs[0].parts()) for span in many[:-1]} == {8}
    assert {len(span.runs[0].parts()) for span in too_many[:-1]} == {LIMITS.streams}


def test_small_files_travel_together_and_after_the_large_ones():
    small = [a_run(1000, f"small-{index}") for index in range(MOST_SMALL_FILES + 1)]

    spans = spans_of([*small, a_run(PART)], LIMITS)

    assert [len(span.runs) for span in spans] == [1, MOST_SMALL_FILES, 1]
    assert spans[0].runs[0].upload_id


def test_small_files_that_are_many_megabytes_are_not_one_copiers_alone():
    limits = LIMITS.changed(span_seconds=1, worst_bytes_per_second=10 * MIB)

    spans = spans_of([a_run(4 * MIB, f"f{index}") for index in range(5)], limits)

    assert [len(span.runs) for span in spans] == [2, 2, 1]


def test_a_span_has_a_part_even_where_the_rate_is_hopeless():
    limits = LIMITS.changed(span_seconds=1, worst_bytes_per_second=1)

    spans = spans_of([a_run(3 * PART)], limits)

    assert [len(span.runs[0].parts()) for span in spans] == [1, 1, 1]


def test_parts_grow_in_whole_mebibytes_where_ten_thousand_would_not_do():
    assert part_bytes_for(PART * MOST_PARTS, LIMITS) == PART
    assert part_bytes_for(PART * MOST_PARTS + 1, LIMITS) == PART + MIB


def test_a_part_smaller_than_s3_takes_cannot_be_configured():
    with pytest.raises(ValidationError):
        SpanLimits(part_bytes=SMALLEST_PART_BYTES - 1)


def test_only_parts_that_s3_does_not_hold_in_full_are_missing():
    run = in_parts(SourceFile(path="f", size_bytes=22 * MIB), "u", 5 * MIB)
    run = run.changed(offset=10 * MIB, size_bytes=12 * MIB, first_part=3)

    missing = missing_parts(run, {1: a_part(1, 5 * MIB), 3: a_part(3, 5 * MIB), 5: a_part(5, 1)})

    assert [(part.number, part.offset, part.size_bytes) for part in missing] == [
        (4, 15 * MIB, 5 * MIB),
        (5, 20 * MIB, 2 * MIB),
    ]


def test_what_is_missing_of_a_run_are_runs_without_holes():
    run = in_parts(SourceFile(path="f", size_bytes=32 * MIB), "u", 5 * MIB)

    runs = missing_runs(run, {number: a_part(number, 5 * MIB) for number in (1, 4)})

    assert [(run.first_part, run.offset, run.size_bytes) for run in runs] == [
        (2, 5 * MIB, 10 * MIB),
        (5, 20 * MIB, 12 * MIB),
    ]
    assert [part.number for run in runs for part in run.parts()] == [2, 3, 5, 6, 7]
