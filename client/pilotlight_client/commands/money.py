"""Commands that keep money from running away: spend-ceiling, kill-switch."""

from enum import StrEnum
from typing import Annotated

import typer

from pilotlight_client import rendering, stack_rendering
from pilotlight_client.commands.options import AsJson, Name, Url
from pilotlight_client.commands.session import Session, session
from pilotlight_client.errors import ApiError


class Per(StrEnum):
    """What a ceiling is counted over."""

    MONTH = "month"
    DEPLOYMENT = "deployment"


class Wanted(StrEnum):
    """What is to become of the switch."""

    ON = "on"
    OFF = "off"
    STATUS = "status"


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command("spend-ceiling")(spend_ceiling)
    app.command("kill-switch")(kill_switch)


def spend_ceiling(
    ctx: typer.Context,
    name: Name,
    usd: Annotated[float, typer.Argument(min=0.01, help="So many dollars.")],
    per: Annotated[Per, typer.Option(help="A calendar month (UTC), or the whole life of the deployment.")] = Per.MONTH,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Set how much a deployment may spend; at the ceiling it is neither woken nor kept warm."""
    with session(ctx, url, as_json=as_json) as work:
        view = work.pilotlight.set_spend_ceiling(name, usd, per.value)
        work.screen.result(view, rendering.deployment(view, work.pilotlight.now))


def kill_switch(
    ctx: typer.Context,
    wanted: Annotated[Wanted, typer.Argument(help="on stops what costs money, off lets it go on.")] = Wanted.STATUS,
    reason: Annotated[str | None, typer.Option(help="Why, for everybody who looks.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stop everything that costs money: nothing is created, woken or kept warm while the switch is on."""
    with session(ctx, url, as_json=as_json) as work:
        if wanted is Wanted.STATUS:
            view = work.pilotlight.kill_switch()
        else:
            view = work.pilotlight.turn_kill_switch(on=wanted is Wanted.ON, reason=reason)
        work.screen.result(view, stack_rendering.kill_switch(view, work.pilotlight.now))


def warn(work: Session) -> None:
    """Tell a person that the kill switch is on, where it is; an API that knows none has none."""
    if work.screen.as_json:
        return
    try:
        view = work.pilotlight.kill_switch()
    except ApiError:
        return
    if view["on"] or not view["readable"]:
        work.screen.note(stack_rendering.kill_switch(view, work.pilotlight.now))
