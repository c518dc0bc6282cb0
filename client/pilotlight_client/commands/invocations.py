"""Commands that ask a model: invoke, and answer for what was asked before."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, cast

import typer

from pilotlight_client import rendering
from pilotlight_client.commands.options import AsJson, Name, Url, read_messages
from pilotlight_client.commands.session import Screen, session
from pilotlight_client.errors import InvocationFailed, TimedOut
from pilotlight_client.views import InvocationView, Message, Parameters

DEFAULT_WAIT_SECONDS = 600.0

NoReasoning = Annotated[bool, typer.Option("--no-reasoning", help="Do not show what the model thought.")]
Wait = Annotated[
    float, typer.Option("--wait", min=0, metavar="SECONDS", help="How long to wait for the answer; 0 returns at once.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command()(invoke)
    app.command()(answer)


def invoke(  # noqa: PLR0913, PLR0917 (each parameter is an option of the command)
    ctx: typer.Context,
    name: Name,
    prompt: Annotated[str | None, typer.Argument(help="What to ask; - reads it from stdin.")] = None,
    message: Annotated[
        list[str] | None, typer.Option(help="role=text: turns before the prompt, several times for several.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="How long the answer may be.")] = None,
    temperature: Annotated[float | None, typer.Option()] = None,
    top_p: Annotated[float | None, typer.Option()] = None,
    top_k: Annotated[int | None, typer.Option()] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="Text that ends the answer, several times for several.")
    ] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    repetition_penalty: Annotated[float | None, typer.Option()] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Send the prompt as it is, without the chat template.")] = False,
    wait: Wait = DEFAULT_WAIT_SECONDS,
    no_reasoning: NoReasoning = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model; a cold one is loaded first, which takes minutes."""
    messages = read_messages(message or [])
    if prompt is None and not messages:
        raise typer.BadParameter("give a prompt, - to read it from stdin, or --message role=text.")
    if raw and messages:
        raise typer.BadParameter("--raw goes with a prompt alone: messages are rendered through the chat template.")
    said = sys.stdin.read() if prompt == "-" else prompt
    sampling = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "stop": stop or None,
        "seed": seed,
        "repetition_penalty": repetition_penalty,
    }
    parameters = cast(Parameters, {key: value for key, value in sampling.items() if value is not None})

    with session(ctx, url, as_json=as_json) as work, _keeping_the_record(work.screen):
        with _telling(work.screen, name) as tell:
            view = work.pilotlight.invoke(
                name,
                None if messages else said,
                messages=_with_prompt(messages, said),
                parameters=parameters,
                raw=raw,
                wait_seconds=wait,
                on_wait=tell,
            )
        _show(work.screen, view, reasoning=not no_reasoning)


def answer(
    ctx: typer.Context,
    invocation: Annotated[str, typer.Argument(help="Id of the invocation.", show_default=False)],
    wait: Wait = 0.0,
    no_reasoning: NoReasoning = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the answer to a question that was asked before."""
    with session(ctx, url, as_json=as_json) as work, _keeping_the_record(work.screen):
        with _telling(work.screen, invocation) as tell:
            view = work.pilotlight.answer(invocation, wait_seconds=wait, on_wait=tell)
        _show(work.screen, view, reasoning=not no_reasoning)


def _with_prompt(messages: list[Message], prompt: str | None) -> list[Message] | None:
    """Return the conversation with the prompt as the user's last turn, or None where there is only a prompt."""
    if not messages:
        return None
    return messages if prompt is None else [*messages, {"role": "user", "content": prompt}]


@contextmanager
def _telling(screen: Screen, name: str) -> Iterator[Callable[[InvocationView], None]]:
    """Give what tells a person how the waiting goes; an interruption then says how to get the answer later."""

    def story(view: InvocationView) -> str:
        screen.if_interrupted = f"Stopped waiting; invocation {view['id']} goes on: pilotlight answer {view['id']}"
        return f"{name}: {view['status']} – {view.get('waiting_for') or 'a cold model is loaded first'} …"

    if screen.as_json or not screen.err.is_terminal:
        told: set[str] = set()

        def tell(view: InvocationView) -> None:
            if view["status"] not in told:
                told.add(view["status"])
                screen.note(rendering.plain(story(view), "dim"))

        yield tell
        return
    with screen.err.status(f"asking {name} …") as spinner:
        yield lambda view: spinner.update(rendering.plain(story(view)))


@contextmanager
def _keeping_the_record(screen: Screen) -> Iterator[None]:
    """Print the record of an invocation also where it has no answer, with how to ask for it again."""
    try:
        yield
    except InvocationFailed as error:
        screen.result(error.view)
        raise
    except TimedOut as error:
        if error.view:
            screen.result(error.view)
            raise TimedOut(f"{error} Ask for it with: pilotlight answer {error.view['id']} --wait 600") from error
        raise


def _show(screen: Screen, view: InvocationView, *, reasoning: bool) -> None:
    output = view.get("output")
    if output is None:
        screen.result(view)
        screen.note(f"Invocation {view['id']} is {view['status']}. Ask for its answer: pilotlight answer {view['id']}")
        return
    if reasoning and (thought := output.get("reasoning")):
        screen.note(rendering.plain(thought, "dim italic"), "")
    screen.result(view)
    screen.text(output["text"])
    screen.note(rendering.footer(view))
