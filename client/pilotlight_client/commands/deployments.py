"""Commands about deployments: deploy, list, status, events."""

from typing import Annotated

import typer

from pilotlight_client import rendering
from pilotlight_client.api import Pilotlight
from pilotlight_client.commands import money
from pilotlight_client.commands.hosting import Backend, HostingOptions, require_fit, with_hosting
from pilotlight_client.commands.options import (
    AcceptEula,
    AsJson,
    Name,
    Source,
    Timeout,
    Url,
    Watch,
    read_keep_warm,
    read_tags,
    require_eula_fits,
)
from pilotlight_client.commands.session import Screen, session
from pilotlight_client.commands.watching import follow
from pilotlight_client.views import EventView


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(with_hosting(deploy))
    app.command("list")(list_deployments)
    app.command()(status)
    app.command()(events)


def deploy(  # noqa: PLR0913, PLR0917 (a command has as many options as the request has fields)
    ctx: typer.Context,
    source: Source,
    name: Annotated[str, typer.Option(help="Name of the deployment: lower-case words joined by hyphens.")],
    hosting: HostingOptions,
    backend: Annotated[Backend, typer.Option(help="Where the model runs.")] = Backend.BEDROCK,
    lease: Annotated[
        str | None, typer.Option(help='How long it may live: "90m", "8h", "3d" or "permanent".', show_default="72h")
    ] = None,
    keep_warm: Annotated[
        list[str] | None,
        typer.Option(help='none, always, or a window "MON-FRI 09:00-18:00 Europe/Berlin" (several times for several).'),
    ] = None,
    spend_ceiling_usd: Annotated[
        float | None, typer.Option(min=0.01, help="How many dollars it may spend a month.", show_default="the stack's")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="key=value, several times for several.")] = None,
    artifact: Annotated[
        str | None,
        typer.Option(
            help='How long unused weights are kept: "retain", "delete", or "collect_after:3d" since their last use.',
            show_default="collect_after:7d",
        ),
    ] = None,
    import_role_arn: Annotated[str | None, typer.Option(help="A role of your own that Bedrock reads with.")] = None,
    accept_eula: AcceptEula = False,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Deploy a model from a hub or a bucket."""
    windows, tags = read_keep_warm(keep_warm or []), read_tags(tag or [])
    require_fit(hosting, backend)
    require_eula_fits(source, accept_eula=accept_eula)
    if import_role_arn and backend is not Backend.BEDROCK:
        raise typer.BadParameter("--import-role-arn is what Bedrock reads with: leave it out for an endpoint.")
    sections = hosting.sections()
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.deploy(
            source,
            name=name,
            backend=backend.value,
            lease=lease,
            keep_warm=windows,
            spend_ceiling=None if spend_ceiling_usd is None else {"usd": spend_ceiling_usd},
            tags=tags,
            artifact=artifact,
            import_role_arn=import_role_arn,
            accept_eula=accept_eula,
            **sections,
        )
        if watch:
            follow(work, view, until="SERVING", timeout_seconds=timeout)
        else:
            work.screen.result(view, rendering.deployment(view, work.pilotlight.now))
            work.screen.note(f"Follow it with: pilotlight status {view['name']} --watch")


def list_deployments(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are GONE.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List deployments."""
    with session(ctx, url, as_json=as_json) as work:
        money.warn(work)
        found = work.pilotlight.iterate(work.pilotlight.deployments)
        views = [view for view in found if everything or view["status"] != "GONE"]
        work.screen.result({"items": views}, rendering.deployments(views, work.pilotlight.now))


def status(
    ctx: typer.Context,
    name: Name,
    watch: Watch = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show everything about a deployment at a glance."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.deployment(name)
        if watch:
            goal = "GONE" if view["status"] in ("TEARING_DOWN", "GONE") else "SERVING"
            follow(work, view, until=goal, timeout_seconds=timeout)
        else:
            money.warn(work)
            work.screen.result(view, rendering.deployment(view, work.pilotlight.now))


def events(
    ctx: typer.Context,
    name: Name,
    follow_on: Annotated[bool, typer.Option("--follow", "-f", help="Stay and print what comes.")] = False,
    timeout: Timeout = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show a deployment's timeline with its reasons; with --follow until it is GONE."""
    with session(ctx, url, as_json=as_json) as work:
        if follow_on:
            work.screen.if_interrupted = f"Stopped following; deployment {name} goes on."
            _follow_events(work.pilotlight, work.screen, name, timeout)
            return
        items = list(work.pilotlight.iterate(lambda cursor: work.pilotlight.events(name, cursor)))
        work.screen.result({"items": items}, *(rendering.event(event) for event in items))


def _follow_events(pilotlight: Pilotlight, screen: Screen, name: str, timeout_seconds: float | None) -> None:
    """Print each event once, as it comes. The last page is read again: it grows until it has a page after it."""
    cursor: str | None = None
    told = 0
    latest: EventView | None = None
    for _ in pilotlight.looks(timeout_seconds, f"events of {name}"):
        while True:
            page = pilotlight.events(name, cursor)
            for latest in page["items"][told:]:
                screen.result(latest, rendering.event(latest))
            told = len(page["items"])
            following = page.get("next")
            if not following:
                break
            cursor, told = following, 0
        if latest and latest.get("after") == "GONE":
            return
