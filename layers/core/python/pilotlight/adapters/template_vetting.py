"""Chat templates before they are staged: read against an allow-list, then tried on a few conversations.

Every template that is accepted here is still rendered in the sandbox, within the meter's bounds: a template may ask
what time it is, or how long a conversation is, before it does harm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import monotonic

from jinja2 import Template, TemplateSyntaxError
from jinja2.exceptions import SecurityError

from pilotlight.adapters.chat_template import BREAKS
from pilotlight.adapters.template_allow_list import forbidden
from pilotlight.adapters.template_globals import TemplateRefusalError, template_globals
from pilotlight.adapters.template_meter import Limits, Meter, TooCostlyError
from pilotlight.adapters.template_nesting import MOST_EFFORT, require_tame_nesting
from pilotlight.adapters.template_sandbox import TemplateSandbox, metered
from pilotlight.ports import Clock

# Of a template: its trials are of a few words, and take some hundred steps. The seconds are those of a checkpoint:
# they, and the compiling, leave most of the API's 29 s to the hub.
TRIALS = Limits(text_chars=400_000, work_chars=8_000_000, steps=20_000, seconds=3.0)
_SYSTEM = {"role": "system", "content": "Be brief."}
_QUESTION = {"role": "user", "content": "Why is the sky blue?"}
_ANSWER = {"role": "assistant", "content": "It scatters light."}
CONVERSATIONS = ((_QUESTION,), (_SYSTEM, _QUESTION), (_QUESTION, _ANSWER, _QUESTION))
# What is refused for whichever conversation it happens in; everything else may be a role that the family lacks.
_HARMFUL = (TooCostlyError, SecurityError, MemoryError, OverflowError, RecursionError)


class TemplateVetting:
    """Judges the templates of a checkpoint."""

    def __init__(self, clock: Clock, limits: Limits = TRIALS) -> None:
        self._limits = limits
        self._environment = TemplateSandbox()
        self._environment.globals |= template_globals(clock, limits)

    def objections(self, templates: Sequence[str], *, bos_token: str, eos_token: str) -> Sequence[str | None]:
        """Return for each template why it may not be staged, or None; all together are bounded as one is."""
        tokens = {"bos_token": bos_token, "eos_token": eos_token}
        effort, deadline = MOST_EFFORT, monotonic() + self._limits.seconds
        found: list[str | None] = []
        for template in templates:
            left = round(deadline - monotonic(), 1)
            if left <= 0:
                found.append(f"was not judged: those before it took all {self._limits.seconds:g} s")
                continue
            with metered(Meter(replace(self._limits, seconds=left))):
                spent, why = self._objection(template, tokens, effort)
            effort -= spent
            found.append(why)
        return found

    def _objection(self, template: str, tokens: dict[str, str], effort: int) -> tuple[int, str | None]:
        """Return what compiling a template took of the effort that is left, and why it may not be staged."""
        if len(template) > self._limits.template_chars:
            return 0, f"is longer than {self._limits.template_chars} characters"
        spent = 0
        try:
            parsed = self._environment.parse(template)
            spent = require_tame_nesting(parsed, effort)
            if found := forbidden(parsed):
                return 0, f"uses {found}"
            return spent, self._trials(self._environment.from_string(parsed), tokens)
        except TemplateSyntaxError as exc:
            return spent, f"is not a template: {_shortened(exc)} in line {exc.lineno}"
        except BREAKS as exc:
            return spent, _told(exc)

    def _trials(self, template: Template, tokens: dict[str, str]) -> str | None:
        """Return what is wrong with the renderings of the conversations; one that a template declines is well."""
        broken: list[str] = []
        done = 0
        for error in self._errors(template, tokens):
            match error:
                case None | TemplateRefusalError():
                    done += 1
                case harm if isinstance(harm, _HARMFUL):
                    return _told(harm)
                case _:
                    broken.append(_told(error))
        return broken[0] if broken and not done else None

    def _errors(self, template: Template, tokens: dict[str, str]) -> Iterator[Exception | None]:
        for conversation in CONVERSATIONS:
            for prompts in (True, False):
                try:
                    template.render(
                        messages=[dict(message) for message in conversation],
                        add_generation_prompt=prompts,
                        tools=None,
                        documents=None,
                        **tokens,
                    )
                except BREAKS as exc:
                    yield exc
                else:
                    yield None


def _told(error: Exception) -> str:
    """Return what a trial ended with; the trial's words are ours, so that an error may be quoted."""
    if isinstance(error, TooCostlyError):
        return f"cannot be rendered: {error}"
    return f"cannot be rendered: it ended with {type(error).__name__} ({_shortened(error)})"


def _shortened(error: Exception) -> str:
    text = " ".join(str(error).split())[:160]
    return "".join(each if each.isprintable() else "?" for each in text)
