"""A bar of bytes at a terminal, and under it a line for each of the files that move most."""

from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from pilotlight_client import wording

MOST_FILES = 4  # that have a line of their own
RATED_OVER_SECONDS = 120.0


class _Rate(ProgressColumn):
    """Bytes a second: as somebody told them, else as they came here."""

    def render(self, task: Task) -> Text:
        """Return "118.2 MB/s", or nothing where it is not known."""
        rate = task.fields.get("bytes_per_second") or task.finished_speed or task.speed
        return Text(f"{wording.size(rate)}/s" if rate else "", style="progress.data.speed")


class _TimeLeft(ProgressColumn):
    """How long the rest takes."""

    def render(self, task: Task) -> Text:
        """Return "57 s left", or nothing where it is not known."""
        return Text(_left(task.fields.get("seconds_left"), task.time_remaining), style="progress.remaining")


class FileBars(Progress):
    """The bar of the whole is its first task; each other task is a file, by its path."""

    def __init__(self, what: str, console: Console, get_time: Callable[[], float] | None = None) -> None:
        """Take what goes on, such as "uploading", and the time in seconds that rates are told in."""
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), _Rate(), _TimeLeft())
        super().__init__(*columns, console=console, get_time=get_time, speed_estimate_period=RATED_OVER_SECONDS)
        self._what = what
        self._whole: TaskID | None = None
        self._files: dict[str, TaskID] = {}

    def begin(self, total_bytes: float | None = None) -> None:
        """Show the bar of the whole."""
        self._whole = self.add_task(self._what, total=total_bytes)
        self.start()

    def end(self, *, files_stay: bool) -> None:
        """Leave the bar of the whole as it stands, with the files under way or without, and forget it."""
        if not files_stay:
            self._forget_files()
        self.stop()
        self._forget_files()
        if self._whole is not None:
            self.remove_task(self._whole)
        self._whole = None

    def _forget_files(self) -> None:
        for task in self._files.values():
            self.remove_task(task)
        self._files.clear()

    def show_whole(
        self, done_bytes: int, total_bytes: int, *, bytes_per_second: float | None, seconds_left: float | None
    ) -> None:
        """Show how far the whole is; the rate and the time left as they were told, or None for those seen here."""
        if self._whole is not None:
            self.update(
                self._whole,
                total=total_bytes,
                completed=done_bytes,
                bytes_per_second=bytes_per_second,
                seconds_left=seconds_left,
            )

    def show_file(self, path: str, done_bytes: int, total_bytes: int, *, seconds_left: float | None = None) -> None:
        """Show how far a file is; the time left counts where its own rate is not known yet."""
        if path not in self._files:
            self._files[path] = self.add_task(path, total=total_bytes)
        self.update(self._files[path], total=total_bytes, completed=done_bytes, seconds_left=seconds_left)

    def count(self, path: str, size_bytes: int, *, was_there: bool = False) -> None:
        """Count bytes of a file that went just now, or are taken back; they make the rate, unless they were there."""
        counting = (self._whole, self._files.get(path))
        for task in self.tasks:
            if task.id not in counting:
                continue
            if was_there:
                task.completed += size_bytes
                self.update(task.id)  # which may be whole by that
            else:
                self.advance(task.id, size_bytes)

    def get_renderables(self) -> Iterable[RenderableType]:
        """Give the bar, the lines of the files under way, and how many there are of the others."""
        tasks = self.tasks
        yield self.make_tasks_table([task for task in tasks if task.id == self._whole])
        moving = [task for task in tasks if task.id != self._whole and 0 < task.completed < (task.total or 0)]
        most_active = sorted(moving, key=lambda task: task.speed or 0, reverse=True)[:MOST_FILES]
        if most_active:
            yield _lines(sorted(most_active, key=lambda task: task.id))  # so that they do not change places
        if len(moving) > MOST_FILES:
            yield Text(f"  and {len(moving) - MOST_FILES} more", style="dim")


def _lines(tasks: Iterable[Task]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis")
    for _ in range(3):
        table.add_column(no_wrap=True, justify="right")
    for task in tasks:
        sizes = f"{wording.size(task.completed)} of {wording.size(task.total or 0)}"
        left = _left(task.time_remaining, task.fields.get("seconds_left"))
        cells = (f"  {wording.plain(task.description)}", sizes, f"{int(task.percentage)} %", left)
        table.add_row(*(Text(cell, style="dim") for cell in cells))
    return table


def _left(*seconds: float | None) -> str:
    """Return the first of these that is known as a time left; nothing where nothing is left."""
    known = next((each for each in seconds if each is not None), None)
    return f"{wording.span(known)} left" if known else ""
