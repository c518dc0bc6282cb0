"""Commands that ask a model: invoke, and answer for what was asked before."""

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pilotlight_client.commands.answers import (
    NoReasoning,
    OnWait,
    Output,
    keeping_the_record,
    require_writable,
    show,
    telling,
)
from pilotlight_client.commands.options import AsJson, Name, Timeout, Url, read_messages
from pilotlight_client.commands.session import Session, session
from pilotlight_client.payloads import JSON
from pilotlight_client.views import InvocationView, Message, Parameters
from pilotlight_client.waiting import require_answer

DEFAULT_WAIT_SECONDS = 600.0
STDIN = "-"

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
    payload: Annotated[
        Path | None,
        typer.Option(allow_dash=True, metavar="FILE", help="What the container is sent as it is; - reads stdin."),
    ] = None,
    content_type: Annotated[
        str | None, typer.Option(help="What the payload or input is.", show_default="from the file's name")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--input", metavar="S3-URI", help="A payload that is in a bucket: s3://bucket/key.")
    ] = None,
    accept: Annotated[str | None, typer.Option(help="The content type that the answer shall have.")] = None,
    output: Output = None,
    webhook: Annotated[str | None, typer.Option(metavar="URL", help="Who is told, by POST, when it is over.")] = None,
    wait: Wait = DEFAULT_WAIT_SECONDS,
    no_reasoning: NoReasoning = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model; a cold one is loaded first, which takes minutes."""
    sampling = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "stop": stop or None,
        "seed": seed,
        "repetition_penalty": repetition_penalty,
    }
    question = Question(
        prompt=prompt,
        messages=read_messages(message or []),
        parameters=cast(Parameters, {key: value for key, value in sampling.items() if value is not None}),
        raw=raw,
        payload=payload,
        address=address,
        content_type=content_type,
        accept=accept,
        webhook=webhook,
    )
    question.require_one_thing()
    require_writable(output)
    with session(ctx, url, as_json=as_json) as work, keeping_the_record(work.screen):
        with telling(work.screen, name) as tell:
            view = question.ask(work, name, wait, tell)
        show(work, view, output=output, reasoning=not no_reasoning)


def answer(
    ctx: typer.Context,
    invocation: Annotated[str, typer.Argument(help="Id of the invocation.", show_default=False)],
    wait: Wait = 0.0,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show its phases until it is over.")] = False,
    timeout: Timeout = None,
    output: Output = None,
    no_reasoning: NoReasoning = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the answer to a question that was asked before."""
    if watch and wait:
        raise typer.BadParameter("--wait waits in silence, and --watch shows the phases: leave one out.")
    if timeout is not None and not watch:
        raise typer.BadParameter("--timeout bounds --watch; --wait has its own.")
    require_writable(output)
    if watch:
        wait = math.inf if timeout is None else timeout
    with session(ctx, url, as_json=as_json) as work, keeping_the_record(work.screen):
        with telling(work.screen, invocation, every_phase=watch) as tell:
            view = work.pilotlight.answer(invocation, wait_seconds=wait, on_wait=tell)
        show(work, view, output=output, reasoning=not no_reasoning)


@dataclass(frozen=True)
class Question:
    """What is asked: a prompt with its conversation, or a payload, or what lies in a bucket."""

    prompt: str | None
    messages: list[Message]
    parameters: Parameters
    raw: bool
    payload: Path | None
    address: str | None
    content_type: str | None
    accept: str | None
    webhook: str | None

    def require_one_thing(self) -> None:
        """Let a question pass that asks one thing, and in one way.

        Raises: BadParameter.
        """
        is_text = self.prompt is not None or bool(self.messages)
        if [is_text, self.payload is not None, self.address is not None].count(True) != 1:
            raise typer.BadParameter(
                "give one of: a prompt (- reads it from stdin, --message role=text adds turns), --payload FILE, "
                "--input s3://bucket/key."
            )
        if self.raw and (self.messages or not is_text):
            raise typer.BadParameter("--raw goes with a prompt alone: messages are rendered through the chat template.")
        if not is_text and self.parameters:
            named = ", ".join(f"--{name.replace('_', '-')}" for name in self.parameters)
            raise typer.BadParameter(f"{named}: how to sample goes with a prompt; write it into the payload.")
        if is_text and (self.content_type or self.accept):
            raise typer.BadParameter("--content-type and --accept go with --payload or --input: a prompt is text.")
        self._require_addresses()

    def _require_addresses(self) -> None:
        if self.address and not re.match(r"s3://[^/]+/.+", self.address):
            raise typer.BadParameter(f"--input {self.address}: write s3://bucket/key.")
        if self.webhook and not self.webhook.startswith("https://"):
            raise typer.BadParameter("--webhook takes an https:// address: what is sent tells what a model said.")
        if self.payload and str(self.payload) != STDIN and not self.payload.is_file():
            raise typer.BadParameter(f"--payload {self.payload}: there is no such file.")

    def ask(self, work: Session, name: str, wait_seconds: float, on_wait: OnWait) -> InvocationView:
        """Ask a deployment, and return the invocation once it has its answer or the time is over.

        Raises: PilotlightError.
        """
        pilotlight = work.pilotlight
        if self.payload is None and self.address is None:
            said = sys.stdin.read() if self.prompt == STDIN else self.prompt
            return pilotlight.invoke(
                name,
                None if self.messages else said,
                messages=_with_prompt(self.messages, said),
                parameters=self.parameters,
                raw=self.raw,
                webhook=self.webhook,
                wait_seconds=wait_seconds,
                on_wait=on_wait,
            )
        hook, accept = self.webhook, self.accept
        if self.address is not None:
            view = pilotlight.submit_input(name, self.address, self.content_type, webhook=hook, accept=accept)
            if wait_seconds:
                return pilotlight.get_result(view["id"], wait_seconds, on_wait=on_wait).view
        elif wait_seconds:
            payload, content_type = self._payload()
            return pilotlight.predict(
                name, payload, content_type, wait_seconds, on_wait=on_wait, webhook=hook, accept=accept
            ).view
        else:
            view = pilotlight.submit(name, *self._payload(), webhook=hook, accept=accept)
        require_answer(view)
        return view

    def _payload(self) -> tuple[Any, str | None]:
        """Return what to send and its type: a file, or what stdin holds, which is JSON where nothing else is said."""
        if str(self.payload) == STDIN:
            return sys.stdin.buffer.read(), self.content_type or JSON
        return self.payload, self.content_type


def _with_prompt(messages: list[Message], prompt: str | None) -> list[Message] | None:
    """Return the conversation with the prompt as the user's last turn, or None where there is only a prompt."""
    if not messages:
        return None
    return messages if prompt is None else [*messages, {"role": "user", "content": prompt}]
