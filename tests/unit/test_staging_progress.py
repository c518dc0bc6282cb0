"""Progress is counted from what was noted now and then, and its rate from when the plan was made."""

from datetime import timedelta

from pilotlight.domain.staging_progress import SpanMark, progress_of

from tests.factories import NOON

SIZES = {"a.safetensors": 600, "b.safetensors": 300}
PLAN = SpanMark(at=NOON, files={"a.safetensors": 100, "b.safetensors": 0}, small_bytes=10, sizes=SIZES)
LATER = NOON + timedelta(seconds=20)


def test_every_mark_counts_and_every_file_in_parts_is_told():
    marks = [PLAN, SpanMark(files={"a.safetensors": 200}, small_bytes=90), SpanMark(files={"b.safetensors": 300})]

    progress = progress_of(marks, 1000, LATER)

    assert (progress.staged_bytes, progress.percent) == (700, 70.0)
    assert [(file.path, file.staged_bytes, file.total_bytes) for file in progress.files] == [
        ("a.safetensors", 300, 600),
        ("b.safetensors", 300, 300),
    ]


def test_the_rate_is_of_what_this_attempt_copied_and_tells_what_is_left_of_the_time():
    marks = [PLAN, SpanMark(files={"a.safetensors": 200}, small_bytes=190)]

    progress = progress_of(marks, 1000, LATER)

    assert progress.bytes_per_second == 390 / 20
    assert progress.seconds_left == 500 / (390 / 20)


def test_files_under_way_share_the_rate_and_none_takes_longer_than_the_whole():
    sizes = {"begun": 900, "half": 400, "untouched": 300, "whole": 100}
    marks = [SpanMark(at=NOON, sizes=sizes), SpanMark(files={"begun": 100, "half": 300, "whole": 100})]

    told = {file.path: file.seconds_left for file in progress_of(marks, 1700, LATER).files}

    rate = 500 / 20
    assert told == {"begun": 1200 / rate, "half": 2 * 100 / rate, "untouched": None, "whole": None}


def test_before_anything_is_copied_there_is_no_rate():
    progress = progress_of([PLAN], 1000, LATER)

    assert (progress.staged_bytes, progress.bytes_per_second, progress.seconds_left) == (110, None, None)
    assert [file.seconds_left for file in progress.files] == [None, None]


def test_a_part_that_was_copied_twice_makes_nothing_more_than_whole():
    progress = progress_of([PLAN, SpanMark(files={"a.safetensors": 5000})], 1000, LATER)

    assert (progress.percent, progress.files[0].staged_bytes) == (100.0, 600)


def test_without_a_mark_nothing_is_known():
    progress = progress_of([], 1000, LATER)

    assert (progress.staged_bytes, progress.files, progress.seconds_left) == (0, (), None)
