"""What every command does the same way: connect, print a document or its picture, end with a sentence and a code."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from pilotlight_client import rendering, wording
from pilotlight_client.api import Pilotlight
from pilotlight_client.commands.refusals import is_about_terms, spoken
from pilotlight_client.errors import (
    ApiError,
    DeploymentFailed,
    InvalidRequest,
    NotACheckpoint,
    NotConfigured,
    NotReachable,
    PilotlightError,
    TimedOut,
    WrongInput,
)

PREFLIGHT_REFUSED = "preflight-refused"
EXIT_DONE, EXIT_REFUSED, EXIT_WRONG_USAGE, EXIT_PREFLIGHT, EXIT_NOT_REACHABLE, EXIT_TIMED_OUT = range(6)
EXIT_INTERRUPTED = 130
EXIT_CODES = {
    EXIT_DONE: "done",
    EXIT_REFUSED: "refused, or failed: the deployment, the invocation, the upload",
    EXIT_WRONG_USAGE: "wrong usage: an option, an argument, a field that breaks a rule, the URL, credentials",
    EXIT_PREFLIGHT: "the model is refused: by the preflight, or because its folder lacks files",
    EXIT_NOT_REACHABLE: "nobody answers",
    EXIT_TIMED_OUT: "timed out waiting; what was waited for goes on",
    EXIT_INTERRUPTED: "interrupted; what was begun goes on",
}
"""What each code means with which a command ends: the help and docs/command.md say the same."""
PIPE_WIDTH = 200  # a table that is piped somewhere is not folded at 80 columns


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


@dataclass(frozen=True)
class Surroundings:
    """What a command finds around it; tests give their own as the context's `obj`."""

    connect: Callable[[str | None], Pilotlight] = Pilotlight
    can_ask: Callable[[], bool] = _somebody_is_there


def surroundings(ctx: typer.Context) -> Surroundings:
    """Return what is around this command."""
    return ctx.obj if isinstance(ctx.obj, Surroundings) else Surroundings()


class Screen:
    """Where a command writes: documents or pictures to stdout, everything else to stderr.

    With --json one line of JSON is one document, and nothing is written for a person.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = _console(to_stderr=False)
        self.err = _console(to_stderr=True)
        self.if_interrupted = "Interrupted."
        self.s3_endpoint: str | None = None

    def result(self, document: Mapping[str, Any], *picture: RenderableType) -> None:
        """Print a document, or its picture for a person."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
            sys.stdout.flush()
            return
        for part in picture:
            _print(self.out, part)

    def text(self, text: str) -> None:
        """Print the words of a model: exactly to a pipe, without control characters to a terminal."""
        if self.as_json:
            return
        shown = wording.plain(text) if self.out.is_terminal else text
        sys.stdout.write(shown + ("" if shown.endswith("\n") else "\n"))
        sys.stdout.flush()

    def note(self, *picture: RenderableType) -> None:
        """Tell a person something beside the result."""
        if not self.as_json:
            for part in picture:
                _print(self.err, part)

    def fail(self, error: PilotlightError) -> None:
        """Say what went wrong: a sentence, or with --json the problem."""
        self._complain(error.problem(), spoken(error, self.s3_endpoint))

    def interrupted(self) -> None:
        """Say what an interruption did not stop."""
        problem = {"type": "about:blank", "title": "Interrupted", "detail": self.if_interrupted, "code": "interrupted"}
        self._complain(problem, self.if_interrupted)

    def _complain(self, problem: Mapping[str, Any], sentence: str) -> None:
        if self.as_json:
            sys.stderr.write(json.dumps(problem, ensure_ascii=False) + "\n")
        else:
            _print(self.err, rendering.plain(sentence))


@dataclass(frozen=True)
class Session:
    """A connected client and the screen to write to."""

    pilotlight: Pilotlight
    screen: Screen


@contextmanager
def session(ctx: typer.Context, url: str | None, *, as_json: bool) -> Iterator[Session]:
    """Give a command its client and screen; its errors end it with one sentence and the code that says which."""
    screen = Screen(as_json=as_json)
    try:
        with surroundings(ctx).connect(url) as pilotlight:
            try:
                yield Session(pilotlight, screen)
            except PilotlightError as error:
                if is_about_terms(error):  # they lie in S3, which may be simulated
                    screen.s3_endpoint = _s3_endpoint(pilotlight)
                raise
    except PilotlightError as error:
        screen.fail(error)
        raise typer.Exit(exit_code(error)) from None
    except KeyboardInterrupt:
        screen.interrupted()
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _s3_endpoint(pilotlight: Pilotlight) -> str | None:
    try:
        return pilotlight.health().get("s3_endpoint")
    except PilotlightError:
        return None


def exit_code(error: PilotlightError) -> int:
    """Return the code that a command ends with after this error."""
    match error:
        case NotReachable():
            return EXIT_NOT_REACHABLE
        case NotConfigured() | WrongInput():
            return EXIT_WRONG_USAGE
        case InvalidRequest() if error.fields:
            return EXIT_WRONG_USAGE
        case NotACheckpoint():
            return EXIT_PREFLIGHT
        case TimedOut():
            return EXIT_TIMED_OUT
        case ApiError(problem_code=code) | DeploymentFailed(reason_code=code) if code == PREFLIGHT_REFUSED:
            return EXIT_PREFLIGHT
        case _:
            return EXIT_REFUSED


def _print(console: Console, part: RenderableType) -> None:
    """Print a picture; a sentence is never broken into lines, so that a command in it can be copied."""
    console.print(part, soft_wrap=isinstance(part, str | Text))


def _console(*, to_stderr: bool) -> Console:
    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(stderr=to_stderr, highlight=False, soft_wrap=False, width=width)
