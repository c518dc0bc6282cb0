"""Would the backend take this model? A verdict from the small files alone, before any byte of weights moves."""

from collections.abc import Sequence

from pilotlight.domain.artifact import ModelFacts, SkippedFile
from pilotlight.domain.checkpoint import Checkpoint
from pilotlight.domain.checks import Check, Holder, Outcome, Places
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.preflight_bedrock import bedrock_checks
from pilotlight.domain.preflight_sagemaker import judge_sagemaker
from pilotlight.domain.proposals import Proposal
from pilotlight.domain.throughput import Measurement
from pilotlight.domain.values import Backend, Model

__all__ = ["Check", "Holder", "Outcome", "Places", "Verdict", "judge"]


class Verdict(Model):
    """Every check, what the checkpoint is, what would be staged and skipped, and the instance that it would run on.

    Bedrock proposes none: it has no instances. Where the verdict refuses the instance that was asked for, `proposal` is
    what would do instead.
    """

    accepted: bool
    checks: tuple[Check, ...]
    facts: ModelFacts
    staged: tuple[str, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    total_bytes: int = 0
    proposal: Proposal | None = None

    @property
    def refusals(self) -> tuple[Check, ...]:
        """The checks that refused."""
        return tuple(check for check in self.checks if check.outcome is Outcome.REFUSED)


def judge(
    checkpoint: Checkpoint,
    backend: Backend,
    *,
    region: str,
    places: Places | None = None,
    own_model_name: str | None = None,
    hosting: Hosting | None = None,
    measurements: Sequence[Measurement] = (),
) -> Verdict:
    """Return the verdict on a checkpoint: every check is made, and all refusals are told at once.

    `places` is None where nobody could be asked; a model named `own_model_name` takes no further place. `hosting` is
    what the user wants of an endpoint, `measurements` what deployments of the same model have found.
    """
    if backend is Backend.BEDROCK:
        checks, proposal = tuple(bedrock_checks(checkpoint, region, places, own_model_name)), None
    else:
        checks, proposal = judge_sagemaker(checkpoint, region, hosting or Hosting(), measurements)
    plan = checkpoint.plan
    return Verdict(
        accepted=all(check.outcome is not Outcome.REFUSED for check in checks),
        checks=checks,
        facts=plan.facts,
        staged=plan.paths,
        skipped=plan.skipped,
        total_bytes=plan.total_bytes,
        proposal=proposal,
    )
