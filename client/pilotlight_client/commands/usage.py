"""Wrong usage told in words: the command line's parser speaks of validators and of input."""

from typing import Any

import typer
from typer.core import TyperGroup

_SPOKEN = (("Value error, ", ""), ("Input should be a valid ", "it must be a "), ("Input should be ", "it must be "))


class PlainUsage(TyperGroup):
    """The `pilotlight` command itself, through which every complaint about an argument passes."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what it complains of is said in words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            for words, plain in _SPOKEN:
                error.message = error.message.replace(words, plain)
            raise
