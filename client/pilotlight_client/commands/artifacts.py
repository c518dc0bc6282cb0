"""Commands about the weights in the stack's bucket: artifacts, and artifacts delete."""

from typing import Annotated

import typer

from pilotlight_client import stack_rendering
from pilotlight_client.commands.options import AsJson, Url
from pilotlight_client.commands.session import session


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    group = typer.Typer(help="List the weights in the stack's bucket; delete some that nobody uses.")
    group.callback(invoke_without_command=True)(artifacts)
    group.command()(delete)
    app.add_typer(group, name="artifacts")


def artifacts(ctx: typer.Context, url: Url = None, as_json: AsJson = False) -> None:
    """List the weights in the stack's bucket: how large, used by whom, kept for how long, and what they cost."""
    if ctx.invoked_subcommand:
        return
    with session(ctx, url, as_json=as_json) as work:
        items = list(work.pilotlight.iterate(work.pilotlight.artifacts))
        work.screen.result({"items": items}, stack_rendering.artifacts(items, work.pilotlight.now))


def delete(
    ctx: typer.Context,
    artifact_id: Annotated[str, typer.Argument(metavar="ID", help="As `pilotlight artifacts` shows it.")],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have weights deleted that nobody uses, however long they were to be kept."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.delete_artifact(artifact_id)
        work.screen.result(view, stack_rendering.artifacts([view], work.pilotlight.now))
        work.screen.note("The next reconciliation collects it, within a quarter of an hour, unless it is used by then.")
