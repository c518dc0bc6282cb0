"""`python -m local`: `up` runs the stack on this machine until Ctrl-C, `demo` shows everything once."""

from __future__ import annotations

import signal
import threading
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local.server import PortTakenError
from local.stage import MODEL, TEMPLATE, hub_address, start_cloud, start_hub

if TYPE_CHECKING:
    from local.cloud import Cloud


class Backend(StrEnum):
    """What `demo` can show."""

    BEDROCK = "bedrock"
    SAGEMAKER_ASYNC = "sagemaker-async"
    SAGEMAKER_REALTIME = "sagemaker-realtime"


app = typer.Typer(add_completion=False, no_args_is_help=True, help="The embedded cloud: AWS on one machine.")


@app.command()
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's port; 0 takes a free one.")] = 8000,
    speed: Annotated[float, typer.Option(min=0.01, help="How much faster than the wall's the clock runs.")] = 1.0,
    hub: Annotated[bool, typer.Option(help="Serve a small made-up model; --no-hub reads HF_ENDPOINT.")] = True,
    template: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The SAM template.")] = TEMPLATE,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A parameter of the template; may be repeated.")
    ] = None,
) -> None:
    """Start the cloud with its API and stay; Ctrl-C ends it with nothing left running."""
    from local import stack_parameters  # noqa: PLC0415 - brings the translator along

    try:
        parameters = stack_parameters.read(parameter or (), template)
    except stack_parameters.ParameterError as exc:
        raise typer.BadParameter(str(exc), param_hint="--parameter") from exc
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as closing:
        endpoint = start_hub(closing) if hub else hub_address()
        try:
            cloud = start_cloud(closing, hub=endpoint, speed=speed, port=port, template=template, parameters=parameters)
        except PortTakenError as exc:
            typer.echo(str(exc), err=True)
            raise typer.Exit(code=1) from exc
        typer.echo(_what_to_try(cloud, endpoint, MODEL if hub else "org/name", speed))
        ended.wait()
        typer.echo("\nStopping …")
    typer.echo("Stopped; nothing was kept.")


@app.command()
def demo(
    model: Annotated[
        str | None, typer.Option(help="A model of the hub that HF_ENDPOINT names, as org/name; else a made-up one.")
    ] = None,
    backend: Annotated[Backend, typer.Option(help="Where the model runs.")] = Backend.BEDROCK,
    speed: Annotated[float, typer.Option(min=1, max=600, help="How much faster than the wall's the clock runs.")] = 90,
    json: Annotated[bool, typer.Option("--json", help="End with one line of JSON; the story goes to stderr.")] = False,
) -> None:
    """Take a model from a hub to an answered prompt and down again, and show each step."""
    from local.demo import show  # noqa: PLC0415 - brings the client and moto along

    raise typer.Exit(code=show(model=model, backend=backend.value, speed=speed, as_json=json))


def _what_to_try(cloud: Cloud, hub: str, model: str, speed: float) -> str:
    pace = "as fast as the wall's" if speed == 1 else f"{speed:g} times as fast as the wall's"
    lines = [
        f"The embedded cloud is ready; its clock runs {pace}. What generates text in it is simulated.",
        "",
        f"  API            {cloud.api_url}",
        f"  AWS endpoint   {cloud.endpoint_url}",
        f"  hub            {hub}",
        "",
        "Try, in another terminal:",
        "",
        f"  export PILOTLIGHT_URL={cloud.api_url} PATH=$PWD/.venv/bin:$PATH",
        f"  pilotlight preflight hf://{model}",
        f"  pilotlight deploy hf://{model} --name first --watch",
        '  pilotlight invoke first "What keeps a model warm?"',
        "  pilotlight status first",
        "  pilotlight teardown first --yes --watch",
        f"  curl {cloud.api_url}/deployments",
        "",
        "Ctrl-C ends it; nothing is kept.",
    ]
    if speed == 1:
        lines.insert(-1, "An import takes ten minutes and a cold start two, as they do on AWS: ARGS='--speed 60' makes")
        lines.insert(-1, "a minute of it a second.")
        lines.insert(-1, "")
    return "\n".join(lines)


if __name__ == "__main__":
    app()
