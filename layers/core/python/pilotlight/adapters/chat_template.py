"""The model's own chat template, rendered in a sandbox: it comes with the weights, from whoever made them.

Bounded for each rendering are the template's length, every text it makes, all texts together, its steps (loop
iterations, calls, filters, pieces of output), the size of numbers, and the time from step to step. Not bounded
exactly is memory: many texts may be held at once, up to the bound on all texts together; and one operation on a
text of the greatest length (a search, a split, a sort) is not interrupted, which takes at most a few seconds more.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from jinja2 import Template, TemplateError, TemplateSyntaxError

from pilotlight.adapters.template_globals import TemplateRefusalError, template_globals
from pilotlight.adapters.template_meter import Limits, Meter, TooCostlyError
from pilotlight.adapters.template_nesting import require_tame_nesting
from pilotlight.adapters.template_sandbox import TemplateSandbox, metered
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.invocation import ChatMessage
from pilotlight.ports import Clock

KEPT_TEMPLATES = 32
_LONGEST_REASON = 300
# What a template that does not fit its messages, or means harm, can raise. The text of such an error may quote the
# prompt, so that only its kind is told.
BREAKS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
)


class ChatTemplates:
    """Renders conversations; compiled templates are kept."""

    def __init__(self, clock: Clock, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._environment = TemplateSandbox()
        self._environment.globals |= template_globals(clock, self._limits)
        self._compiled = lru_cache(maxsize=KEPT_TEMPLATES)(self._compile)

    def render(self, template: str, messages: Sequence[ChatMessage], *, bos_token: str, eos_token: str) -> str:
        """Return the prompt that asks for the next answer.

        Raises: InvalidInput when the template refuses the messages (`told`: its words, where it has them ready),
        breaks, or costs too much.
        """
        conversation = [{"role": message.role, "content": message.content} for message in messages]
        return self._guarded(
            template,
            lambda: self._compiled(template).render(
                messages=conversation,
                add_generation_prompt=True,
                bos_token=bos_token,
                eos_token=eos_token,
                tools=None,
                documents=None,
            ),
        )

    def _compile(self, template: str) -> Template:
        if len(template) > self._limits.template_chars:
            raise _broken(f"it is longer than {self._limits.template_chars} characters")
        parsed = self._environment.parse(template)
        require_tame_nesting(parsed)
        return self._environment.from_string(parsed)

    def _guarded(self, template: str, rendering: Callable[[], str]) -> str:
        try:
            with metered(Meter(self._limits)):
                return rendering()
        except TemplateRefusalError as exc:
            raise InvalidInput(
                "The model's chat template refuses these messages.",
                field="messages",
                rule="what the model's chat template takes",
                **_written_in(template, exc),
            ) from exc
        except TemplateSyntaxError as exc:
            raise _broken("it is not a template", told=_shortened(exc)) from exc
        except TooCostlyError as exc:
            raise _broken(str(exc)) from exc
        except BREAKS as exc:
            raise _broken(f"it ended with {type(exc).__name__}") from exc


def _written_in(template: str, error: TemplateError) -> dict[str, str]:
    """Return the template's words where they stand in it as they are: composed ones may quote a message."""
    words = str(error).strip()
    return {"told": words[:_LONGEST_REASON]} if words and words in template else {}


def _shortened(error: TemplateError) -> str:
    return str(error)[:_LONGEST_REASON]


def _broken(why: str, **told: str) -> InvalidInput:
    return InvalidInput(
        f"The model's chat template cannot be used: {why}. Send a prompt with raw set instead.",
        field="messages",
        rule="a chat template that renders",
        **told,
    )
