"""Would the backend take this model? A verdict from the small files alone, before any byte of weights moves."""

from enum import StrEnum

from pilotlight.domain.artifact import ModelFacts, SkippedFile
from pilotlight.domain.values import Model, Moment


class Holder(Model):
    """Somebody who holds a place of a quota."""

    name: str
    arn: str
    created_at: Moment | None = None


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


class Verdict(Model):
    """Every check, what the checkpoint is, and what would be staged and skipped."""

    accepted: bool
    checks: tuple[Check, ...]
    facts: ModelFacts
    staged: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    total_bytes: int = 0

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that refused."""
        return tuple(check for check in self.checks if check.outcome is Outcome.REFUSED)
