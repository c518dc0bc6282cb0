"""How far each large file is: at a terminal beside the bar, in `status`, and not at all in a pipe."""

import io
from datetime import datetime, timedelta

import pytest
from pilotlight_client.file_bars import FileBars
from pilotlight_client.progress import DeploymentProgress
from rich.console import Console

NOON = datetime.fromisoformat("2026-11-20T12:00:00Z")
GB = 1_000_000_000


def a_file(path, staged_gb, left=None):
    return {"path": path, "staged_bytes": int(staged_gb * GB), "total_bytes": 4 * GB, "seconds_left": left}


def staging(*files, **fields):
    staged, total = sum(file["staged_bytes"] for file in files), sum(file["total_bytes"] for file in files)
    progress = {"staged_bytes": staged, "total_bytes": total, "percent": 100 * staged / total, "files": list(files)}
    return {"name": "demo", "status": "STAGING", "updated_at": NOON.isoformat(), "progress": {**progress, **fields}}


@pytest.fixture
def screen():
    return io.StringIO()


@pytest.fixture
def terminal(screen):
    return Console(file=screen, force_terminal=True, color_system=None, width=100)


def lines_of(screen, path):
    return [" ".join(line.split()) for line in screen.getvalue().splitlines() if path in line]


def test_a_staging_at_a_terminal_shows_each_file_under_way_with_the_time_by_its_own_rate(screen, terminal):
    with DeploymentProgress(terminal) as progress:
        for look, (one, two) in enumerate([(0.5, 0.2), (1.0, 0.4), (1.5, 0.6)]):
            view = staging(a_file("one.safetensors", one), a_file("two.safetensors", two), a_file("three", 0))
            progress.show(view, NOON + timedelta(seconds=10 * look))

    assert lines_of(screen, "one.safetensors")[-1] == "one.safetensors 1.5 GB of 4.0 GB 37 % 50 s left"
    assert lines_of(screen, "two.safetensors")[-1] == "two.safetensors 600.0 MB of 4.0 GB 15 % 2 min 50 s left"
    assert not lines_of(screen, "three")


def test_before_a_file_has_a_rate_here_its_time_left_is_what_the_api_tells(screen, terminal):
    view = staging(
        a_file("one", 2, left=40.0), a_file("two", 3, left=20.0), bytes_per_second=GB / 10, seconds_left=100.0
    )

    with DeploymentProgress(terminal) as progress:
        progress.show(view, NOON)

    assert lines_of(screen, "one")[-1].endswith("50 % 40 s left")
    assert lines_of(screen, "two")[-1].endswith("75 % 20 s left")
    assert "100.0 MB/s 1 min 40 s left" in screen.getvalue()


def test_four_files_that_move_most_are_shown_and_the_others_are_counted(screen, terminal):
    names = [f"model-{number}" for number in range(1, 8)]
    with DeploymentProgress(terminal) as progress:
        for look in (1, 2, 3):
            files = [a_file(name, 0.1 * look * number) for number, name in enumerate(names, start=1)]
            progress.show(staging(*files), NOON + timedelta(seconds=10 * look))

    frame = screen.getvalue().rpartition("model-4")[2]
    assert "and 3 more" in frame
    assert [name for name in names if name in frame] == ["model-5", "model-6", "model-7"]


def test_a_pipe_gets_a_line_for_each_tenth_and_none_for_files(screen):
    with DeploymentProgress(Console(file=screen, width=200)) as progress:
        for tenth in range(1, 5):
            view = staging(a_file("one", tenth), a_file("two", 0))
            progress.show(view, NOON + timedelta(seconds=tenth))

    assert "one" not in screen.getvalue()
    assert len([line for line in screen.getvalue().splitlines() if line.startswith("  staged")]) == 4


def test_what_was_counted_of_a_file_makes_its_line_and_the_bar_and_their_rates(screen, terminal, elapsing):
    bars = FileBars("uploading", terminal, get_time=elapsing.monotonic)
    bars.begin(8 * GB)
    bars.show_file("one", 0, 4 * GB)
    for _ in range(3):
        bars.count("one", GB // 2)
        elapsing.sleep(1.0)
    bars.end(files_stay=True)

    assert lines_of(screen, "one")[-1] == "one 1.5 GB of 4.0 GB 37 % 5 s left"
    assert "1.5/8.0 GB 500.0 MB/s 13 s left" in lines_of(screen, "uploading")[-1]


def test_status_tells_a_time_left_for_each_file_where_the_api_does(command, api):
    view = staging(
        a_file("one", 2, left=40.0), a_file("two", 3, left=20.0), bytes_per_second=GB / 10, seconds_left=100.0
    )
    api.has("demo", "STAGING", progress=view["progress"])
    api.has("other", "STAGING", progress=staging(a_file("one", 2))["progress"])

    assert "one  50 %, about 40 s left" in command("status", "demo").stdout
    assert "one  50 %\n" in "\n".join(line.rstrip() for line in command("status", "other").stdout.splitlines()) + "\n"


def test_what_was_there_already_is_no_part_of_a_rate(screen, terminal, elapsing):
    bars = FileBars("uploading", terminal, get_time=elapsing.monotonic)
    bars.begin(8 * GB)
    bars.show_file("one", 0, 4 * GB)
    bars.count("one", GB // 10)
    bars.count("one", 2 * GB, was_there=True)
    elapsing.sleep(1.0)
    bars.count("one", GB // 10)
    bars.end(files_stay=True)

    assert lines_of(screen, "one")[-1] == "one 2.2 GB of 4.0 GB 55 % 18 s left"
    assert "2.2/8.0 GB 100.0 MB/s 58 s left" in lines_of(screen, "uploading")[-1]
