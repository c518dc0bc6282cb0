"""The `pilotlight` command."""

import io
import sys

import typer

from pilotlight_client.commands import changes, deployments, invocations, money, sources

EXIT_CODES = """Exit codes: 0 done · 1 the API refused, or the deployment or invocation failed · 2 wrong usage ·
3 preflight refused · 4 no Pilotlight reachable · 5 timed out waiting · 130 interrupted."""

app = typer.Typer(
    name="pilotlight",
    help="Run your own LLMs on AWS: deploy, invoke, keep warm, take down.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for theme in (deployments, invocations, changes, money, sources):
    theme.add_to(app)


def main() -> None:
    """Run the command; a character that a terminal's encoding lacks is escaped and never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
