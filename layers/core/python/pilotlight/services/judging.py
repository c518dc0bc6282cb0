"""Judging a model for a backend, whatever its source: of a checkpoint by its files, of a JumpStart model by its spec.

Whoever asks is told at once, before a name is taken and a byte is copied; the first step of `deploy` judges again.
"""

from pilotlight.domain.artifact import ModelFacts
from pilotlight.domain.checks import passed, refused
from pilotlight.domain.containers import place_of_weights, plan_container
from pilotlight.domain.errors import InvalidInput, PreflightRefused
from pilotlight.domain.hosting import Hosting
from pilotlight.domain.instance_rates import rate_of
from pilotlight.domain.jumpstart import JumpStartPlan
from pilotlight.domain.jumpstart import plan as plan_jumpstart
from pilotlight.domain.preflight import Verdict
from pilotlight.domain.proposals import Proposal
from pilotlight.domain.source import Source, SourceKind
from pilotlight.domain.values import Backend
from pilotlight.ports.jumpstart import JumpStartCatalogue
from pilotlight.services.preflight import Preflight


class Judging:
    """Says whether a backend would take a model."""

    def __init__(self, preflight: Preflight, catalogue: JumpStartCatalogue, *, region: str) -> None:
        self._preflight = preflight
        self._catalogue = catalogue
        self._region = region

    def judge(self, source: Source, backend: Backend, hosting: Hosting | None) -> tuple[Source, Verdict]:
        """Return the pinned source and the verdict on it.

        Raises: SourceRefused and its leaves; InvalidInput for a container that there is not; Throttled, Unavailable.
        """
        if source.kind is SourceKind.JUMPSTART:
            return self._of_jumpstart(source, backend, hosting)
        if hosting is not None:
            self._require_container(hosting)
        listing, verdict = self._preflight.judge(source, backend, hosting)
        return listing.source, verdict

    def require(self, source: Source, backend: Backend, hosting: Hosting | None) -> Proposal | None:
        """Return the instance that is proposed for a model that the backend takes; none for a JumpStart model.

        Raises: PreflightRefused with every refusal, and whatever `judge` raises.
        """
        if source.kind is SourceKind.JUMPSTART:
            pinned, verdict = self._of_jumpstart(source, backend, hosting)
            if verdict.refusals:
                reasons = " ".join(str(check) for check in verdict.refusals)
                raise PreflightRefused(f"{backend} in {self._region} would not take {pinned}: {reasons}")
            return None
        if hosting is not None:
            self._require_container(hosting)
        return self._preflight.require(source, backend, hosting).verdict.proposal

    def _require_container(self, hosting: Hosting) -> None:
        """Refuse an image, a version or a host that there is not, or not here. Raises: InvalidInput."""
        plan_container(
            hosting.serving,
            hosting.container,
            region=self._region,
            weights=place_of_weights(hosting.serving),
            facts_options={},
            tensor_parallel_degree=hosting.serving.tensor_parallel_degree,
        )

    def _of_jumpstart(self, source: Source, backend: Backend, hosting: Hosting | None) -> tuple[Source, Verdict]:
        model = self._catalogue.resolve(source)
        facts = ModelFacts(architecture=model.resource_name_base or model.model_id, model_type="jumpstart")
        if hosting is None:
            check = refused(
                "backend",
                found=str(backend),
                supported=f"{Backend.SAGEMAKER_ASYNC}, {Backend.SAGEMAKER_REALTIME}",
                advice="JumpStart's models are hosted on instances: choose one of these backends.",
            )
            return model.source, Verdict(accepted=False, checks=(check,), facts=facts)
        require_nothing_of_the_container(hosting)
        plan = plan_jumpstart(
            model,
            region=self._region,
            instance_type=hosting.instance.type,
            environment=hosting.container.environment,
            accept_eula=hosting.accept_eula,
        )
        found = f"{plan.instance_type}, ${rate_of(plan.instance_type, self._region).usd_per_hour:.2f} an hour"
        checks = (
            passed("instance", found=found, supported=", ".join(model.supported_instance_types) or plan.instance_type),
            passed("terms", found=_terms(plan), supported="accepted with accept_eula, where there are any"),
        )
        return model.source, Verdict(accepted=True, checks=checks, facts=facts)


def require_nothing_of_the_container(hosting: Hosting) -> None:
    """Refuse what a JumpStart model brings itself. Raises: InvalidInput."""
    if hosting.serving.packs_weights:
        rule = (
            "a JumpStart model's weights stay in AWS's bucket, in the form that its container wants: leave "
            "serving.weights out"
        )
        raise InvalidInput(f"serving.weights: {rule}.", field="serving.weights", rule=rule)
    if hosting.container.image or hosting.container.version or hosting.serving.says_how:
        rule = "a JumpStart model comes with its container and its settings: only container.environment can be set"
        raise InvalidInput(f"container, serving: {rule}.", field="container", rule=rule)


def _terms(plan: JumpStartPlan) -> str:
    gated = plan.model_data.gated or any(channel.data.gated for channel in plan.channels)
    return "accepted" if gated else "none to accept"
