"""The `pilotlight` command."""

import io
import sys

import typer

from pilotlight_client.commands import artifacts, changes, deployments, invocations, money, revisions, sources
from pilotlight_client.commands.session import EXIT_CODES
from pilotlight_client.commands.usage import PlainUsage

app = typer.Typer(
    name="pilotlight",
    cls=PlainUsage,
    help="Run your own LLMs on AWS: deploy, invoke, keep warm, take down.",
    epilog=f"Exit codes: {' · '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for theme in (deployments, invocations, changes, revisions, money, sources, artifacts):
    theme.add_to(app)


def main() -> None:
    """Run the command; a character that a terminal's encoding lacks is escaped and never an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
