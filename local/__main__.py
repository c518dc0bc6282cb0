"""`python -m local up`: the template of this repository, running on this machine until Ctrl-C."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from local.cloud import Cloud
from local.server import PortTakenError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The embedded cloud: AWS on one machine.")

TEMPLATE = Path("template.yaml")


@app.callback()
def _commands() -> None:
    """Keep `up` a command of its own, also while it is the only one."""


@app.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0 takes a free one.")] = 8000,
    speed: Annotated[float, typer.Option(min=0.01, help="How much faster than the wall's the clock runs.")] = 1.0,
    hub: Annotated[bool, typer.Option(help="Serve made-up models on a hub of our own.")] = True,
    template: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The SAM template.")] = TEMPLATE,
) -> None:
    """Start the cloud with its API and stay; Ctrl-C ends it with nothing left running."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as closing:
        environment = {"HF_ENDPOINT": _start_hub(closing)} if hub else {}
        try:
            cloud = closing.enter_context(Cloud(template, speed=speed, api_port=port, environment=environment))
        except PortTakenError as exc:
            typer.echo(str(exc), err=True)
            raise typer.Exit(code=1) from exc
        cloud.functions.prewarm()
        typer.echo(_what_to_try(cloud, environment.get("HF_ENDPOINT")))
        ended.wait()
        typer.echo("\nStopping …")


def _start_hub(closing: ExitStack) -> str:
    """Give the address of a hub with one model in it."""
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - only with a hub

    from local.checkpoints import write_checkpoint  # noqa: PLC0415 - likewise
    from local.hub import Hub  # noqa: PLC0415 - likewise

    folder = Path(closing.enter_context(TemporaryDirectory(prefix="pilotlight-hub-")))
    model = write_checkpoint(folder / "small-llama")
    hub = closing.enter_context(Hub())
    hub.add("local/small-llama", model)
    return hub.url


def _what_to_try(cloud: Cloud, hub: str | None) -> str:
    source = "hf://local/small-llama" if hub else "hf://org/name"
    lines = [
        f"The embedded cloud is ready. API: {cloud.api_url}   AWS endpoint: {cloud.endpoint_url}",
        *([f"Hub: {hub}"] if hub else []),
        "",
        "Try:",
        f"  export PILOTLIGHT_URL={cloud.api_url}",
        f"  pilotlight deploy {source} --name first --backend bedrock --watch",
        f"  curl {cloud.api_url}/health",
        "",
        "Ctrl-C ends it; nothing is kept.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    app()
