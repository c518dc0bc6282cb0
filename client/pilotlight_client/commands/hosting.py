"""The options about instances that several commands share, how their texts are read, and which do not go together.

What is wrong with them is told before anything is sent, as far as that needs no API to know: whether an instance
exists, or a model fits it, is for the preflight.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast, get_type_hints

import typer

from pilotlight_client.commands.options import read_pairs
from pilotlight_client.endpoint_views import Container, Instance, Scaling, Sections, Serving
from pilotlight_client.errors import WrongInput
from pilotlight_client.handler_folder import REQUIREMENTS_FILE, read_handler
from pilotlight_client.invoking import given

PANEL = "Instances (sagemaker-async, sagemaker-realtime)"
NEEDS_ISOLATION_OFF = (
    "a container in network isolation cannot install requirements.txt: add --serving network_isolation=false, or put "
    "the modules' own .py files into the folder instead."
)


class Backend(StrEnum):
    """Where a model runs."""

    BEDROCK = "bedrock"
    SAGEMAKER_ASYNC = "sagemaker-async"
    SAGEMAKER_REALTIME = "sagemaker-realtime"


class OptimizeFor(StrEnum):
    """What the proposed instance is best at."""

    COST = "cost"
    LATENCY = "latency"
    THROUGHPUT = "throughput"


class ScaleIn(StrEnum):
    """When instances that nobody needs go."""

    COOLDOWN = "cooldown"
    IMMEDIATE = "immediate"


class Strategy(StrEnum):
    """How an update replaces instances."""

    BLUE_GREEN = "blue-green"
    ROLLING = "rolling"


def _option(*names: str, **settings: Any) -> Any:
    return typer.Option(*names, rich_help_panel=PANEL, **settings)


@dataclass(frozen=True)
class HostingOptions:
    """Everything that may be said of instances; each field is an option of the command."""

    instance_type: Annotated[
        str | None, _option(help="Such as ml.g5.2xlarge.", show_default="the one that the preflight proposes")
    ] = None
    optimize_for: Annotated[
        OptimizeFor | None, _option(help="What the proposed instance shall be best at.", show_default="cost")
    ] = None
    context_tokens: Annotated[int | None, _option(min=1, help="The longest text that it shall hold.")] = None
    concurrency: Annotated[int | None, _option(min=1, help="How many texts at once.")] = None
    min: Annotated[int | None, _option(min=0, help="The fewest instances.")] = None
    max: Annotated[int | None, _option(min=1, help="The most instances.")] = None
    initial: Annotated[int | None, _option(min=0, help="How many it begins with.")] = None
    scale_in: Annotated[
        ScaleIn | None, _option(help="When instances that nobody needs go.", show_default="cooldown")
    ] = None
    disable_scale_in: Annotated[bool, _option("--disable-scale-in", help="They never go by themselves.")] = False
    backlog_per_instance: Annotated[float | None, _option(help="Waiting requests that one more instance is for.")] = (
        None
    )
    invocations_per_instance: Annotated[float | None, _option(help="Calls a minute that one more is for.")] = None
    scale_in_cooldown: Annotated[int | None, _option(min=0, metavar="SECONDS", help="Between two steps in.")] = None
    scale_out_cooldown: Annotated[int | None, _option(min=0, metavar="SECONDS", help="Between two steps out.")] = None
    components: Annotated[bool, _option("--components", help="Inference components: real-time, and down to zero.")] = (
        False
    )
    serving: Annotated[
        list[str] | None,
        _option(metavar="KEY=VALUE", help="A key of the serving section, several times for several: dtype=bf16."),
    ] = None
    option: Annotated[
        list[str] | None, _option(metavar="KEY=VALUE", help="An option.KEY of serving.properties: max_model_len=8192.")
    ] = None
    handler: Annotated[
        Path | None,
        _option(exists=True, file_okay=False, metavar="DIR", help="A folder with model.py, requirements.txt, ..."),
    ] = None
    image: Annotated[str | None, _option(help="A container image of your own.")] = None
    lmi_version: Annotated[str | None, _option(help="A version of the LMI image: 0.36.0.")] = None
    env: Annotated[list[str] | None, _option(metavar="KEY=VALUE", help="The container's environment.")] = None

    def said(self) -> list[str]:
        """Return the options that were given, as they are typed."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        said = [name for name, value in values.items() if value is not None and value is not False and value != []]
        return [f"--{name.replace('_', '-')}" for name in said]

    def sections(self) -> Sections:
        """Return the sections of a request.

        Raises: BadParameter.
        """
        sections: dict[str, Any] = {
            "instance": self._instance(),
            "scaling": self._scaling(),
            "serving": self._serving(),
            "container": self._container(),
        }
        return cast(Sections, {name: section for name, section in sections.items() if section})

    def _instance(self) -> Instance:
        if self.instance_type and self.optimize_for:
            raise typer.BadParameter(
                "--optimize-for proposes an instance, and --instance-type names one: leave one out."
            )
        wanted = {
            "type": self.instance_type,
            "optimize_for": self.optimize_for.value if self.optimize_for else None,
            "context_tokens": self.context_tokens,
            "concurrency": self.concurrency,
        }
        return cast(Instance, given(wanted))

    def _scaling(self) -> Scaling:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise typer.BadParameter(f"--min {self.min} is more than --max {self.max}.")
        if self.initial is not None and self.max is not None and self.initial > self.max:
            raise typer.BadParameter(f"--initial {self.initial} is more than --max {self.max}.")
        if self.disable_scale_in and self.scale_in is ScaleIn.IMMEDIATE:
            raise typer.BadParameter("--disable-scale-in contradicts --scale-in immediate: leave one out.")
        wanted = {
            "min": self.min,
            "max": self.max,
            "initial": self.initial,
            "scale_in": self.scale_in.value if self.scale_in else None,
            "disable_scale_in": self.disable_scale_in or None,
            "backlog_per_instance": self.backlog_per_instance,
            "invocations_per_instance": self.invocations_per_instance,
            "scale_in_cooldown_seconds": self.scale_in_cooldown,
            "scale_out_cooldown_seconds": self.scale_out_cooldown,
            "components": self.components or None,
        }
        return cast(Scaling, given(wanted))

    def _serving(self) -> Serving:
        section: Serving = {key: _scalar(value) for key, value in read_pairs(self.serving or [], "--serving").items()}
        for key in section:
            _require_serving_key(key)
        options = read_pairs(self.option or [], "--option")
        for key in options:
            if key.startswith("option."):
                raise typer.BadParameter(f"--option {key}: leave option. out, and write {key.removeprefix('option.')}.")
        try:
            files = read_handler(self.handler) if self.handler else {}
        except WrongInput as error:
            raise typer.BadParameter(str(error)) from error
        if REQUIREMENTS_FILE in files and section.get("network_isolation", True) is not False:
            raise typer.BadParameter(f"--handler {self.handler}: {NEEDS_ISOLATION_OFF}")
        return section | ({"options": options} if options else {}) | ({"files": files} if files else {})

    def _container(self) -> Container:
        if self.image and self.lmi_version:
            raise typer.BadParameter(
                "--image is yours, and --lmi-version is of the image that it replaces: leave one out."
            )
        wanted = {
            "image": self.image,
            "version": self.lmi_version,
            "environment": read_pairs(self.env or [], "--env") or None,
        }
        return cast(Container, given(wanted))


def with_hosting(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each field of HostingOptions; it gets them as its `hosting`."""
    signature = inspect.signature(command)
    hints = get_type_hints(HostingOptions, include_extras=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "hosting"]
    added = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(HostingOptions)
    ]

    @functools.wraps(command)
    def gathered(**arguments: Any) -> None:
        told = {field.name: arguments.pop(field.name) for field in fields(HostingOptions)}
        command(**arguments, hosting=HostingOptions(**told))

    gathered.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    return gathered


def require_fit(hosting: HostingOptions, backend: Backend) -> None:
    """Let options pass that a backend may have.

    Raises: BadParameter, saying which do not go with it and what does.
    """
    said = hosting.said()
    if backend is Backend.BEDROCK:
        if said:
            raise typer.BadParameter(
                f"Bedrock chooses its instances itself: with {_listed(said)} say --backend sagemaker-async or "
                "sagemaker-realtime."
            )
        return
    for option, problem in _unfit(hosting, backend):
        if option in said:
            raise typer.BadParameter(f"{option} does not go with --backend {backend}: {problem}.")
    if backend is Backend.SAGEMAKER_REALTIME and hosting.min == 0 and not hosting.components:
        raise typer.BadParameter("--min 0 needs --components for a real-time endpoint, which else keeps one instance.")


def _unfit(hosting: HostingOptions, backend: Backend) -> list[tuple[str, str]]:
    """Return the options that a backend lacks, with what it has instead."""
    if backend is Backend.SAGEMAKER_ASYNC:
        return [
            ("--invocations-per-instance", "it scales by what waits: --backlog-per-instance"),
            ("--components", "it comes down to zero without them"),
        ]
    unfit = [("--backlog-per-instance", "nothing waits at it: --invocations-per-instance")]
    if hosting.scale_in is ScaleIn.IMMEDIATE and not hosting.components:
        unfit.append(("--scale-in", "immediate needs --components, because it else keeps one instance"))
    return unfit


def _require_serving_key(key: str) -> None:
    if key in ("options", "files"):
        raise typer.BadParameter(
            f"--serving {key}: write {'--option KEY=VALUE' if key == 'options' else '--handler DIR'}."
        )
    if key.startswith("option."):
        raise typer.BadParameter(f"--serving {key}: write --option {key.removeprefix('option.')}=VALUE.")


def _scalar(text: str) -> str | int | bool:
    """Return a value as it is meant: true and false, whole numbers, and words."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.removeprefix("-").isdecimal() else text


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
