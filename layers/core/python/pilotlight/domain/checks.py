"""What a preflight is made of: a check with its outcome, and those that every backend makes."""

from collections.abc import Iterator
from enum import StrEnum

from pilotlight.domain.checkpoint import Checkpoint
from pilotlight.domain.checkpoint_files import NEVER
from pilotlight.domain.problems import Problem, some_of
from pilotlight.domain.values import Model, Moment


class Holder(Model):
    """Somebody who holds a place of a quota."""

    name: str
    arn: str
    created_at: Moment | None = None


class Places(Model):
    """The places for imported models in an account and region, and who holds them."""

    quota: int
    holders: tuple[Holder, ...] = ()


class Outcome(StrEnum):
    """What one check found."""

    PASSED = "passed"
    WARNED = "warned"
    REFUSED = "refused"


class Check(Model):
    """One check: what was found, what is supported, and what to do where it is refused."""

    name: str
    outcome: Outcome
    found: str
    supported: str
    advice: str | None = None

    def __str__(self) -> str:
        """Return the check as one sentence or two."""
        return f"{self.name}: found {self.found}; supported: {self.supported}." + (
            f" {self.advice}" if self.advice else ""
        )


def passed(name: str, found: str, supported: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name=name, outcome=Outcome.PASSED, found=found, supported=supported)


def warned(name: str, found: str, supported: str, advice: str) -> Check:
    """Return a check that found something to know, and refuses nothing."""
    return Check(name=name, outcome=Outcome.WARNED, found=found, supported=supported, advice=advice)


def refused(name: str, found: str, supported: str, advice: str) -> Check:
    """Return a check that refuses."""
    return Check(name=name, outcome=Outcome.REFUSED, found=found, supported=supported, advice=advice)


def of_problem(problem: Problem) -> Check:
    """Return the refusal that a problem makes."""
    return refused(problem.subject, problem.found, problem.supported, problem.advice)


def chat_template(checkpoint: Checkpoint) -> Check:
    """Say where the chat template is: without one, messages cannot be rendered."""
    supported = "chat_template inside tokenizer_config.json"
    if not checkpoint.facts.chat_template:
        advice = "Invoke it with raw prompts, or add the model's chat template: messages cannot be rendered."
        return warned("chat template", "none", supported, advice)
    if folded := checkpoint.plan.derived:
        found = f"a separate {folded[0].derived_from[-1]}"
        return warned("chat template", found, supported, "It is folded into a derived tokenizer_config.json.")
    return passed("chat template", "one inside tokenizer_config.json", supported)


def left_out(checkpoint: Checkpoint, done: str) -> Iterator[Check]:
    """Say what is not staged although somebody may believe that it is part of the model, which is `done` without it."""
    left = [file for file in checkpoint.plan.skipped if file.reason.startswith(NEVER)]
    if left:
        supported = "safetensors, tokenizer and configuration files of known names"
        found = f"{some_of([file.path for file in left])} ({left[0].reason})"
        yield warned("left out", found, supported, f"The model is {done} without them; see skipped for each reason.")
