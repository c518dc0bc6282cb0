"""Wrong usage told in words: the command line's parser speaks of validators and of input."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import Any, cast

import typer
from typer.core import TyperGroup

from pilotlight_client.commands.session import EXIT_WRONG_USAGE, Screen
from pilotlight_client.errors import WrongInput

_SPOKEN = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be a valid "), "it must be a "),
    (re.compile(r"Input should be "), "it must be "),
    (re.compile(r", unable to parse string as .*"), ""),
)


_USAGE_ERROR = cast(type[Exception], typer.BadParameter.__base__)  # which typer itself does not name
_AS_JSON = "pilotlight.as_json"


class PlainUsage(TyperGroup):
    """The `pilotlight` command itself, through which every complaint about an argument passes."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; whether a program typed them is known from here on, whatever is wrong with them."""
        ctx.meta[_AS_JSON] = "--json" in takewhile(lambda argument: argument != "--", args)
        with _complaining(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what it complains of is said in words, or with --json as a problem."""
        with _complaining(ctx):
            return super().invoke(ctx)


@contextmanager
def _complaining(ctx: Any) -> Iterator[None]:
    try:
        yield
    except _USAGE_ERROR as error:
        wrong = cast(typer.BadParameter, error)
        for words, plain in _SPOKEN:
            wrong.message = words.sub(plain, wrong.message)
        if not ctx.meta[_AS_JSON]:
            raise
        Screen(as_json=True).fail(WrongInput(wrong.format_message()))
        raise typer.Exit(EXIT_WRONG_USAGE) from None
