"""Wrong usage told in words: the command line's parser speaks of validators and of input."""

import re
from typing import Any

import typer
from typer.core import TyperGroup

_SPOKEN = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be a valid "), "it must be a "),
    (re.compile(r"Input should be "), "it must be "),
    (re.compile(r", unable to parse string as .*"), ""),
)


class PlainUsage(TyperGroup):
    """The `pilotlight` command itself, through which every complaint about an argument passes."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what it complains of is said in words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            for words, plain in _SPOKEN:
                error.message = words.sub(plain, error.message)
            raise
