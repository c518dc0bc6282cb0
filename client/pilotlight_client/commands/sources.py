"""Commands about where models come from, and about the API itself: preflight, upload, uploads, orphans,
health."""

import shlex
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.text import Text

from pilotlight_client import rendering, stack_rendering, wording
from pilotlight_client.checkpoint import require_checkpoint
from pilotlight_client.commands.hosting import Backend, HostingOptions, require_fit, with_hosting
from pilotlight_client.commands.options import AcceptEula, AsJson, Source, Timeout, Url, Watch, require_eula_fits
from pilotlight_client.commands.session import EXIT_PREFLIGHT, Screen, Session, session
from pilotlight_client.commands.watching import follow
from pilotlight_client.endpoint_views import Hosting
from pilotlight_client.errors import UploadFailed
from pilotlight_client.file_bars import FileBars
from pilotlight_client.folder_upload import PARALLEL, FolderUpload, Plan
from pilotlight_client.upload_views import UploadSummary
from pilotlight_client.uploading import Folder, read_folder, require_name
from pilotlight_client.views import UploadView


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(with_hosting(preflight))
    app.command()(upload)
    app.command()(uploads)
    app.command()(orphans)
    app.command()(health)


def preflight(
    ctx: typer.Context,
    source: Source,
    hosting: HostingOptions,
    backend: Annotated[Backend, typer.Option(help="Where the model would run.")] = Backend.BEDROCK,
    accept_eula: AcceptEula = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a backend would take a model, before any byte of it moves."""
    require_fit(hosting, backend)
    require_eula_fits(source, accept_eula=accept_eula)
    wanted = cast(Hosting, hosting.sections())
    if accept_eula:
        wanted["accept_eula"] = True
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.preflight(source, backend.value, wanted)
        work.screen.result(view, rendering.preflight(view))
        if not view["verdict"]["accepted"]:
            raise typer.Exit(EXIT_PREFLIGHT)


def upload(
    ctx: typer.Context,
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A folder with a checkpoint.", show_default=False)
    ],
    name: Annotated[str, typer.Option(help="Name of the deployment that it becomes.")],
    parallel: Annotated[int, typer.Option(min=1, max=64, help="How many parts are on their way at once.")] = PARALLEL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Upload a folder with a checkpoint; its import starts by itself. One that lacks files is not sent."""
    with session(ctx, url, as_json=as_json) as work:
        require_name(name)
        found = read_folder(folder)
        before = work.pilotlight.upload(name)
        with work.pilotlight.folder_upload(name, parallel=parallel) as sending:
            plan = sending.plan(found)
            require_checkpoint(found, plan.strangers)
            _warn(work.screen, found, plan)
            if dry_run:
                held_bytes = sending.held_bytes(plan)
            else:
                work.screen.if_interrupted = (
                    f"Stopped; what S3 holds of {plan.location} stays for three days. Go on from there: "
                    f"pilotlight upload {shlex.quote(str(folder))} --name {name}"
                )
                held_bytes = _send(work.screen, sending, plan)
        summary = plan.summary(name, found, held_bytes)
        work.screen.result(
            {**summary, **({"dry_run": True} if dry_run else {})},
            rendering.plain(f"{plan.location}: {_amounts(summary, dry_run=dry_run)}"),
        )
        if dry_run:
            return
        if watch:
            _follow_upload(work, name, before, timeout)
        elif not as_json:
            work.screen.note(
                rendering.plain(
                    f"{_what_comes(work, name, plan, before)}: pilotlight uploads. To deploy it otherwise: "
                    f"pilotlight deploy {plan.location} --name ANOTHER-NAME"
                )
            )


def uploads(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """List uploaded folders and what became of them."""
    with session(ctx, url, as_json=as_json) as work:
        page = work.pilotlight.uploads()
        items = list(page["items"])
        bucket, prefix = page["bucket"], page["prefix"]
        while cursor := page.get("next"):
            page = work.pilotlight.uploads(cursor)
            items += page["items"]
        picture = rendering.uploads(items, bucket, prefix, work.pilotlight.now)
        work.screen.result({"items": items, "bucket": bucket, "prefix": prefix}, picture)


def orphans(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Show what nobody owns, and what the reconciliation did about it."""
    with session(ctx, url, as_json=as_json) as work:
        page = work.pilotlight.orphans()
        work.screen.result(page, stack_rendering.orphans(page, work.pilotlight.now))
        if not page.get("as_of"):
            work.screen.note("No reconciliation has ended yet: one begins every quarter hour.")
        for kind, why in page["incomplete"].items():
            work.screen.note(f"Not listed whole: {kind}: {why}")
        if page["dry_run"]:
            work.screen.note("This was a dry run: it only tells what it would do.")


def health(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """Say who answers at the URL."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.health()
        work.screen.result(view, stack_rendering.health(view, work.pilotlight.url, work.pilotlight.now))


def _warn(screen: Screen, folder: Folder, plan: Plan) -> None:
    visible = [(path, reason) for path, reason in folder.left_out if reason != "hidden"]
    for path, reason in visible[:5]:
        screen.note(rendering.plain(f"left out: {path} ({reason})", "yellow"))
    if len(visible) > 5:
        screen.note(f"left out: {len(visible) - 5} more")
    if plan.strangers:
        names = ", ".join(plan.strangers[:5])
        screen.note(rendering.plain(f"also in the bucket, and part of the upload if it stays: {names}", "yellow"))


def _amounts(summary: UploadSummary, *, dry_run: bool) -> str:
    """Return what was sent, or is to be sent, and what was there already: files, and parts of those that are sent."""
    done, were = ("to send", "are") if dry_run else ("sent", "were")
    size = wording.size(summary["sent_bytes"])
    if held := summary["parts_already_there_bytes"]:
        size += f"; {wording.size(held)} in parts {were} there already"
    count, there = len(summary["sent"]), len(summary["already_there"])
    return f"{count} {'file' if count == 1 else 'files'} {done} ({size}), {there} {were} there."


def _send(screen: Screen, sending: FolderUpload, plan: Plan) -> int:
    """Send what the plan says, with bars at a terminal; return how many bytes S3 held in parts."""
    if screen.as_json or not screen.err.is_terminal:
        return sending.send(plan)
    bars = FileBars("uploading", screen.err)
    bars.begin(plan.bytes_to_send)
    try:
        for each in plan.in_parts:
            bars.show_file(each.file.path, 0, each.file.size_bytes)
        return sending.send(
            plan, on_moved=lambda moved: bars.count(moved.path, moved.size_bytes, was_there=moved.was_there)
        )
    finally:
        bars.end(files_stay=True)


def _what_comes(work: Session, name: str, plan: Plan, before: UploadView | None) -> str:
    """Return what becomes of a folder by itself; of one that was known before, what the API says it is."""
    if plan.send and (before is None or before["status"] == "RESTING"):
        return "It is imported by itself"
    view = before if plan.send else work.pilotlight.upload(name)
    if view is None:
        return "Nothing was sent. The folder is looked at by itself"
    story = rendering.upload_story(view, work.pilotlight.now).rstrip(".")
    known = "Before this upload the folder was" if plan.send else "Nothing was sent. The folder is"
    again = "" if view["status"] == "RESTING" else ". It is looked at once more by itself"
    return f"{known} {view['status']}: {story}{again}"


def _follow_upload(work: Session, name: str, before: UploadView | None, timeout_seconds: float | None) -> None:
    """Watch until the folder's import has started, then watch the deployment.

    `before` is what was known before anything was sent: the same record is no news yet. There will be news, because
    the mark of completeness is written each time.

    Raises: UploadFailed when it was refused, is held or incomplete; TimedOut.
    """
    work.screen.if_interrupted = f"Stopped watching; the folder is looked at all the same: pilotlight uploads ({name})"
    told: str | None = None
    for _ in work.pilotlight.looks(timeout_seconds, f"the import of {name}"):
        view = work.pilotlight.upload(name)
        if view is None or view == before:
            continue
        if view["status"] != told:
            told = view["status"]
            _tell(work, view)
        if view.get("look_at") or view["status"] == "RESTING":
            continue
        if view["status"] != "STARTED" or not view.get("deployment"):
            story = rendering.upload_story(view, work.pilotlight.now)
            raise UploadFailed(f"The folder {name} is {view['status']}: {story}")
        deployment = work.pilotlight.deployment(view["deployment"] or name)
        follow(work, deployment, until="SERVING", timeout_seconds=timeout_seconds)
        return


def _tell(work: Session, view: UploadView) -> None:
    if work.screen.as_json:
        work.screen.result({"folder": view["folder"], "status": view["status"], "at": view["updated_at"]})
    story = rendering.upload_story(view, work.pilotlight.now)
    work.screen.note(Text.assemble(rendering.status_text(view["status"]), "  ", rendering.plain(story, "dim")))
