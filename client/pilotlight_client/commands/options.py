"""The arguments and options that several commands share, and how their texts are read."""

import re
from typing import Annotated

import typer

from pilotlight_client.views import KeepWarm, Message, Window

Name = Annotated[str, typer.Argument(help="Name of the deployment.", show_default=False)]
Source = Annotated[
    str,
    typer.Argument(
        help="hf://org/model, hf://org/model@revision, ms:// likewise, s3://bucket/prefix/, https://host/list.json or "
        "jumpstart://model@version"
    ),
]
AcceptEula = Annotated[
    bool, typer.Option("--accept-eula", help="Accept the licence of a gated jumpstart:// model, which you have read.")
]
Url = Annotated[
    str | None,
    typer.Option("--url", envvar="PILOTLIGHT_URL", help="Where the API is.", show_default="http://127.0.0.1:8000"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON documents to stdout, one a line, and nothing else.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Stay and show progress until it is done.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=0, metavar="SECONDS", help="How long to watch.", show_default="as long as it takes"),
]

_WINDOW = re.compile(r"^(?P<days>\S+)\s+(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(\s+(?P<timezone>\S+))?$")
_FORM = 'none, always, or windows such as "MON-FRI 09:00-18:00 Europe/Berlin"'


def read_keep_warm(texts: list[str]) -> KeepWarm | None:
    """Return when to keep warm, or None where nothing was said.

    Raises: BadParameter, naming the form.
    """
    if not texts:
        return None
    if texts in (["none"], ["always"]):
        return {"policy": texts[0]}
    return {"policy": "window", "windows": [_window(text) for text in texts]}


def _window(text: str) -> Window:
    match = _WINDOW.match(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} does not say when to keep warm: write {_FORM}.")
    window: Window = {"days": match["days"], "start": match["start"], "end": match["end"]}
    if match["timezone"]:
        window["timezone"] = match["timezone"]
    return window


def read_tags(texts: list[str]) -> dict[str, str]:
    """Return the tags that were given as key=value.

    Raises: BadParameter.
    """
    return dict(_pair(text, "a tag: write key=value") for text in texts)


def read_pairs(texts: list[str], option: str) -> dict[str, str]:
    """Return what was given as KEY=VALUE, several times for several.

    Raises: BadParameter, also for a key that is given twice.
    """
    pairs = [_pair(text, f"of the form {option} KEY=VALUE") for text in texts]
    keys = [key for key, _ in pairs]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise typer.BadParameter(f"{option} {twice[0]} is given twice: say it once.")
    return dict(pairs)


def require_eula_fits(source: str, *, accept_eula: bool) -> None:
    """Let an accepted licence pass where there may be one.

    Raises: BadParameter.
    """
    if accept_eula and not source.startswith("jumpstart://"):
        raise typer.BadParameter(
            "--accept-eula is for jumpstart:// models: what others ask for is accepted at the hub."
        )


def read_messages(texts: list[str]) -> list[Message]:
    """Return the turns of a conversation that were given as role=text, in their order.

    Raises: BadParameter.
    """
    pairs = [
        _pair(text, "a message: write role=text, the role being system, user, assistant or tool") for text in texts
    ]
    return [{"role": role, "content": content} for role, content in pairs]


def _pair(text: str, form: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not (key and separator):
        raise typer.BadParameter(f"{text!r} is not {form}.")
    return key, value
