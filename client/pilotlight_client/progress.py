"""What a person sees while a deployment is on its way: bars at a terminal, a line for each change elsewhere."""

from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from pilotlight_client import wording
from pilotlight_client.file_bars import FileBars
from pilotlight_client.rendering import plain, status_text
from pilotlight_client.views import DeploymentView
from pilotlight_client.views import Progress as StagingProgress

STORIES = {
    "REQUESTED": "reads the model's small files, and judges them",
    "STAGING": "copies the weights into the artifact bucket",
    "IMPORTING": "Bedrock imports the weights",
    "CREATING": "creates what the model runs on",
    "WARMING": "waits for the first answer of the model",
    "SERVING": "takes invocations",
    "TEARING_DOWN": "removes everything that it made",
    "GONE": "every trace is removed",
}
"""What a status means for whoever watches; why a deployment FAILED is told at the end, once."""
TYPICAL_IMPORT_SECONDS = 600.0  # of an 8B model on Bedrock; half an hour and more for a 70B one
LINE_EVERY_PERCENT = 10


class _Elapsed(ProgressColumn):
    """How long a step has taken, against how long it usually takes."""

    def render(self, task: Task) -> Text:
        """Return "3 min 10 s, usually about 10 min"."""
        usual = f", usually about {wording.span(task.total)}" if task.total else ""
        return Text(f"{wording.span(task.fields['elapsed_seconds'])}{usual}", style="dim")


class DeploymentProgress:
    """Follows one deployment from view to view, through staging, import and warm-up."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._now = 0.0  # as the API told it last: rates are told in its time
        self._bytes = FileBars("staging", console, get_time=lambda: self._now)
        self._steps = Progress(TextColumn("{task.description:<9}"), BarColumn(), _Elapsed(), console=console)
        self._running: Progress | None = None
        self._task: TaskID | None = None
        self._status: str | None = None
        self._since: datetime | None = None
        self._told_percent = 0
        self._told_wait: str | None = None

    def __enter__(self) -> Self:
        """Return the progress; its bars end with it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the bar that is running."""
        self._end()

    def show(self, view: DeploymentView, now: datetime) -> None:
        """Show where the deployment is."""
        self._now = now.timestamp()
        if view["status"] != self._status:
            self._end()
            self._status, self._since = view["status"], min(now, datetime.fromisoformat(view["updated_at"]))
            self._console.print(
                Text.assemble(status_text(view["status"]), "  ", plain(STORIES.get(view["status"], ""), "dim"))
            )
            self._begin(view)
        self._tell_wait(view.get("waiting_for"))
        elapsed = now - self._since if self._since else timedelta()
        self._advance(view, elapsed.total_seconds())

    def _begin(self, view: DeploymentView) -> None:
        if not self._console.is_terminal:
            return
        match view["status"]:
            case "STAGING":
                self._running = self._bytes
                self._bytes.begin()
            case "IMPORTING":
                self._run(self._steps, "import", TYPICAL_IMPORT_SECONDS)
            case "CREATING":
                self._run(self._steps, "creating", None)
            case "WARMING":
                warmth = view.get("warmth")
                self._run(self._steps, "warm-up", warmth["cold_start_seconds"] if warmth else None)

    def _run(self, progress: Progress, description: str, total: float | None) -> None:
        self._running = progress
        self._task = progress.add_task(description, total=total, elapsed_seconds=0.0)
        progress.start()

    def _advance(self, view: DeploymentView, elapsed_seconds: float) -> None:
        progress = view.get("progress")
        if self._running is self._bytes:
            if progress:
                self._show_bytes(progress)
        elif self._task is None:
            if progress and view["status"] == "STAGING":
                self._tell_percent(progress)
        else:
            total = self._steps.tasks[-1].total
            completed = min(elapsed_seconds, total) if total else 0
            self._steps.update(self._task, completed=completed, elapsed_seconds=elapsed_seconds)

    def _show_bytes(self, progress: StagingProgress) -> None:
        self._bytes.show_whole(
            progress["staged_bytes"],
            progress["total_bytes"],
            bytes_per_second=progress.get("bytes_per_second"),
            seconds_left=progress.get("seconds_left"),
        )
        for file in progress.get("files") or []:
            self._bytes.show_file(
                file["path"],
                file["staged_bytes"],
                file["total_bytes"],
                seconds_left=file.get("seconds_left"),
            )
        self._bytes.refresh()

    def _tell_percent(self, progress: StagingProgress) -> None:
        percent = progress["percent"]
        if percent >= self._told_percent + LINE_EVERY_PERCENT:
            self._told_percent = int(percent // LINE_EVERY_PERCENT * LINE_EVERY_PERCENT)
            self._console.print(f"  staged {wording.staged(progress)}")

    def _tell_wait(self, waits: str | None) -> None:
        if waits and waits != self._told_wait:
            self._console.print(plain(f"  waits: {waits}", "yellow"))
        self._told_wait = waits

    def _end(self) -> None:
        if self._running is self._bytes:
            self._bytes.end(files_stay=False)
        elif self._running is not None:
            self._running.stop()
            for task in self._running.task_ids:
                self._running.remove_task(task)
        self._running = self._task = None
