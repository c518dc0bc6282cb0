"""How an invocation is waited for, and how its result is shown: words and JSON to stdout, bytes into a file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pilotlight_client import endpoint_rendering, rendering, wording
from pilotlight_client.commands.session import Screen, Session
from pilotlight_client.errors import InvocationFailed, ResultNotReadable, TimedOut
from pilotlight_client.payloads import JSON, media_type
from pilotlight_client.results import Result
from pilotlight_client.views import InvocationView

OnWait = Callable[[InvocationView], None]

NoReasoning = Annotated[bool, typer.Option("--no-reasoning", help="Do not show what the model thought.")]
Output = Annotated[
    Path | None, typer.Option("--output", dir_okay=False, metavar="FILE", help="Where to write what it gives.")
]


def require_writable(output: Path | None) -> None:
    """Let a file pass that can be written when the answer is there.

    Raises: BadParameter.
    """
    if output and not output.parent.is_dir():
        raise typer.BadParameter(f"--output {output}: there is no folder {output.parent}.")


@contextmanager
def telling(screen: Screen, name: str, *, every_phase: bool = False) -> Iterator[OnWait]:
    """Give what tells a person how the waiting goes; an interruption then says how to get the answer later.

    With `every_phase` a program is told, too: a document for each phase, before the invocation's own.
    """

    def story(view: InvocationView) -> str:
        screen.if_interrupted = f"Stopped waiting; invocation {view['id']} goes on: pilotlight answer {view['id']}"
        return f"{name}: {endpoint_rendering.progress(view)}"

    if screen.as_json or not screen.err.is_terminal:
        told: set[tuple[str, str | None]] = set()

        def tell(view: InvocationView) -> None:
            where = view["status"], view.get("phase")
            words = story(view)
            if where in told:
                return
            told.add(where)
            screen.note(rendering.plain(words, "dim"))
            if every_phase and screen.as_json:
                step = {"id": view["id"], "status": where[0], "phase": where[1], "estimate": view.get("estimate")}
                screen.result({key: value for key, value in step.items() if value is not None})

        yield tell
        return
    with screen.err.status(f"asking {name} …") as spinner:
        yield lambda view: spinner.update(rendering.plain(story(view)))


@contextmanager
def keeping_the_record(screen: Screen) -> Iterator[None]:
    """Print the record of an invocation also where it has no answer, with how to ask for it again."""
    try:
        yield
    except InvocationFailed as error:
        screen.result(error.view)
        raise
    except TimedOut as error:
        if error.view:
            screen.result(error.view)
            raise TimedOut(
                f"{error} Ask for it with: pilotlight answer {error.view['id']} --watch", error.view
            ) from error
        raise


def show(work: Session, view: InvocationView, *, output: Path | None, reasoning: bool) -> None:
    """Print an invocation: its record for a program, what it gave for a person, or into a file.

    Raises: ResultNotReadable, NotReachable.
    """
    screen = work.screen
    if view["status"] != "SUCCEEDED":
        screen.result(view)
        screen.note(f"Invocation {view['id']} is {view['status']}. Ask for its answer: pilotlight answer {view['id']}")
        return
    result = work.pilotlight.result_of(view)
    said = view.get("output")
    if reasoning and said and (thought := said.get("reasoning")):
        screen.note(rendering.plain(thought, "dim italic"), "")
    if output:
        _write(screen, result, output)
    elif not screen.as_json:
        _print(screen, result)
    screen.result(view)
    screen.note(rendering.footer(view))


def _write(screen: Screen, result: Result, output: Path) -> None:
    try:
        written = result.save(output)
    except OSError as exc:
        raise ResultNotReadable(
            f"{output} cannot be written ({exc.strerror or exc}). "
            f"Ask again: pilotlight answer {result.id} --output FILE"
        ) from exc
    screen.note(rendering.plain(f"{wording.size(written)} of {result.content_type} in {output}"))


def _print(screen: Screen, result: Result) -> None:
    """Print what a person can read; bytes go to a pipe alone."""
    kind = media_type(result.content_type)
    if result.view.get("output") or kind.startswith("text/") or kind == JSON or kind.endswith("+json"):
        screen.text(result.text)
    elif screen.out.is_terminal:
        screen.note(
            rendering.plain(
                f"It gave {result.content_type}, which is not for a terminal: "
                f"pilotlight answer {result.id} --output FILE writes it.",
                "yellow",
            )
        )
    else:
        sys.stdout.buffer.write(result.content)
        sys.stdout.buffer.flush()
