"""Commands about the configurations of a deployment: update, rollback, revisions."""

from typing import Annotated

import typer

from pilotlight_client import endpoint_rendering, rendering
from pilotlight_client.changing import changed_sections
from pilotlight_client.commands.hosting import HostingOptions, Strategy, with_hosting
from pilotlight_client.commands.options import AsJson, Name, Timeout, Url, Watch
from pilotlight_client.commands.session import Session, session
from pilotlight_client.commands.watching import follow_update
from pilotlight_client.endpoint_views import Sections
from pilotlight_client.views import DeploymentView

HowReplaced = Annotated[Strategy | None, typer.Option(help="How instances are replaced.", show_default="blue-green")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(with_hosting(update))
    app.command()(rollback)
    app.command()(revisions)


def update(
    ctx: typer.Context,
    name: Name,
    hosting: HostingOptions,
    strategy: HowReplaced = None,
    reason: Annotated[str | None, typer.Option(help="Why, for everybody who looks at the revisions.")] = None,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Bring another configuration into service; what is not said stays as it is, and calls are answered meanwhile."""
    change = hosting.sections()
    if not change:
        raise typer.BadParameter("say what is to change, such as --instance-type, --max or --option KEY=VALUE.")
    with session(ctx, url, as_json=as_json) as work:
        sections = _over(work, work.pilotlight.deployment(name), change)
        view = work.pilotlight.update(name, strategy=strategy.value if strategy else None, reason=reason, **sections)
        _show(work, view, watch=watch, timeout_seconds=timeout)


def rollback(
    ctx: typer.Context,
    name: Name,
    revision: Annotated[
        int | None, typer.Option(min=1, help="Which configuration.", show_default="the one before")
    ] = None,
    strategy: HowReplaced = None,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Bring an earlier configuration into service again."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.rollback(name, revision, strategy=strategy.value if strategy else None)
        _show(work, view, watch=watch, timeout_seconds=timeout)


def revisions(ctx: typer.Context, name: Name, url: Url = None, as_json: AsJson = False) -> None:
    """List the configurations that a deployment has had, and what became of them."""
    with session(ctx, url, as_json=as_json) as work:
        items = list(work.pilotlight.iterate(lambda cursor: work.pilotlight.revisions(name, cursor)))
        if as_json:
            work.screen.result({"items": items})
            return
        endpoint = work.pilotlight.deployment(name).get("endpoint")
        current = endpoint["revision"] if endpoint else None
        work.screen.result({}, endpoint_rendering.revisions(items, current, work.pilotlight.now))


def _over(work: Session, view: DeploymentView, change: Sections) -> Sections:
    """Return a change of the revision in service, or as it is where there is none to begin from."""
    endpoint = view.get("endpoint")
    if not endpoint:
        return change
    pages = work.pilotlight.iterate(lambda cursor: work.pilotlight.revisions(view["name"], cursor))
    current = next((revision for revision in pages if revision["number"] == endpoint["revision"]), None)
    return changed_sections(current, change) if current else change


def _show(work: Session, view: DeploymentView, *, watch: bool, timeout_seconds: float | None) -> None:
    if watch:
        follow_update(work, view, timeout_seconds=timeout_seconds)
        return
    work.screen.result(view, rendering.deployment(view, work.pilotlight.now))
    work.screen.note(f"Follow it with: pilotlight status {view['name']}, and see pilotlight revisions {view['name']}")
