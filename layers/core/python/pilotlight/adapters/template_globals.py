"""The functions that a chat template finds beside Jinja's own: to refuse a conversation, and to tell the date."""

from collections.abc import Callable
from typing import Any, NoReturn

from jinja2 import TemplateError

from pilotlight.adapters.template_meter import Limits, Meter
from pilotlight.ports import Clock

_LONGEST_DATE_FORMAT = 100


class TemplateRefusalError(TemplateError):
    """The template called raise_exception."""


def template_globals(clock: Clock, limits: Limits) -> dict[str, Callable[..., Any]]:
    """Return the functions by the names that templates call them by."""

    def strftime_now(format: str) -> str:  # noqa: A002 - templates may name it
        Meter(limits).require_tame_percent(format)
        return clock.now().strftime(format[:_LONGEST_DATE_FORMAT])

    return {"raise_exception": _refuse, "strftime_now": strftime_now}


def _refuse(message: Any = "") -> NoReturn:
    """End the rendering in the template's own words."""
    raise TemplateRefusalError(str(message))
