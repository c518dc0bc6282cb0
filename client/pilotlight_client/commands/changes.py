"""Commands that change a deployment: warm-up, scale-down, retry, lease, keep-warm, teardown."""

from typing import Annotated

import typer
from rich.text import Text

from pilotlight_client import rendering, wording
from pilotlight_client.commands.options import AsJson, Name, Timeout, Url, Watch, read_keep_warm
from pilotlight_client.commands.session import EXIT_REFUSED, Session, session, surroundings
from pilotlight_client.commands.watching import follow, follow_wake
from pilotlight_client.errors import ApiError
from pilotlight_client.views import DeploymentView


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("warm-up")(warm_up)
    app.command("scale-down")(scale_down)
    app.command()(retry)
    app.command()(lease)
    app.command("keep-warm")(keep_warm)
    app.command()(teardown)


def warm_up(
    ctx: typer.Context,
    name: Name,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Load a model now, before anybody calls it."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.warm_up(name)
        if watch:
            follow_wake(work, view, timeout_seconds=timeout)
        else:
            _show(work, view)


def scale_down(ctx: typer.Context, name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """Stop keeping a model warm until its next window; it is cold when the backend lets it go."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.scale_down(name)
        _show(work, view)
        if (warmth := view.get("warmth")) and (until := warmth.get("warm_until")):
            work.screen.note(f"Cold {wording.moment(until, work.pilotlight.now)} unless somebody calls.")


def retry(
    ctx: typer.Context,
    name: Name,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Let a failed deployment go on from what it already has."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.retry(name)
        if watch:
            follow(work, view, until="SERVING", timeout_seconds=timeout)
        else:
            _show(work, view)


def lease(
    ctx: typer.Context,
    name: Name,
    term: Annotated[str, typer.Argument(help='From now on: "90m", "8h", "3d" or "permanent".')],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Give a deployment a new lease, counted from now."""
    with session(ctx, url, as_json=as_json) as work:
        _show(work, work.pilotlight.set_lease(name, term))


def keep_warm(
    ctx: typer.Context,
    name: Name,
    when: Annotated[
        list[str], typer.Argument(help='none, always, or windows such as "MON-FRI 09:00-18:00 Europe/Berlin".')
    ],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set when a model is kept warm though nobody calls it."""
    wanted = read_keep_warm(when)
    assert wanted is not None  # noqa: S101 (the argument is required)
    with session(ctx, url, as_json=as_json) as work:
        _show(work, work.pilotlight.set_keep_warm(name, wanted))


def teardown(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(help="Names of the deployments.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Remove deployments with everything that they made."""
    if not yes:
        _ask(ctx, names)
    with session(ctx, url, as_json=as_json) as work:
        views, refusals = _begin_teardowns(work, names)
        if watch:
            for view in views:
                follow(work, view, until="GONE", timeout_seconds=timeout)
        elif len(names) == 1 and views:
            _show(work, views[0])
        elif views:
            work.screen.result({"items": views}, *(_line(view) for view in views))
        for refusal in refusals:
            work.screen.fail(refusal)
        if refusals:
            raise typer.Exit(EXIT_REFUSED)


def _ask(ctx: typer.Context, names: list[str]) -> None:
    if not surroundings(ctx).can_ask():
        raise typer.BadParameter("nobody can be asked here: say --yes to remove without a question.")
    if not typer.confirm(f"Remove {', '.join(names)} with everything that belongs to it?", err=True):
        typer.echo("Nothing was removed.", err=True)
        raise typer.Exit(EXIT_REFUSED)


def _begin_teardowns(work: Session, names: list[str]) -> tuple[list[DeploymentView], list[ApiError]]:
    """Return what is being removed and what was refused: one refusal does not keep the others."""
    views: list[DeploymentView] = []
    refusals: list[ApiError] = []
    for name in names:
        try:
            views.append(work.pilotlight.teardown(name))
        except ApiError as refusal:
            refusals.append(refusal)
    return views, refusals


def _show(work: Session, view: DeploymentView) -> None:
    work.screen.result(view, _line(view))
    if step := view.get("next"):
        work.screen.note(rendering.plain(f"Next: {step['what']}, {wording.due(step['at'], work.pilotlight.now)}"))


def _line(view: DeploymentView) -> Text:
    """Return a deployment in one line: what a change made of it."""
    warmth = view.get("warmth")
    parts = [
        *([warmth["state"].lower()] if warmth else []),
        f"lease {view['lease']}",
        f"keep warm {wording.keep_warm(view['keep_warm'])}",
    ]
    return Text.assemble(
        (view["name"], "bold"),
        " is ",
        rendering.status_text(view["status"]),
        rendering.plain(f" · {' · '.join(parts)}"),
    )
