"""The part of the composition root that hosts models on instances: its services over the ports."""

from functools import cached_property

from pilotlight.adapters.template_vetting import TemplateVetting
from pilotlight.answering_runtime import AnsweringRuntime
from pilotlight.services.creating import Creating
from pilotlight.services.judging import Judging
from pilotlight.services.metering import Metering
from pilotlight.services.moving import Moving
from pilotlight.services.observing import Observing
from pilotlight.services.preflight import Preflight
from pilotlight.services.removing import Removing
from pilotlight.services.revising import Revising
from pilotlight.services.scaling import InstanceScaling
from pilotlight.services.tending import Tending
from pilotlight.services.updating import Updating


class EndpointRuntime(AnsweringRuntime):
    """Services of endpoints, and verdicts, which they share with everything else."""

    @cached_property
    def preflight(self) -> Preflight:
        """Verdicts from small files."""
        templates, region = TemplateVetting(self.clock), self.settings.region
        return Preflight(self.source, templates, self.imports, region, self.speeds)

    @cached_property
    def judging(self) -> Judging:
        """Verdicts, whatever the source."""
        return Judging(self.preflight, self.jumpstart, region=self.settings.region)

    @cached_property
    def metering(self) -> Metering:
        """The meter of instances."""
        return Metering(self.deployments)

    @cached_property
    def revising(self) -> Revising:
        """What endpoints are made of."""
        return Revising(
            self.revisions,
            self.bucket,
            self.jumpstart,
            self.clock,
            region=self.settings.region,
            bucket_name=self.settings.artifact_bucket,
        )

    @cached_property
    def creating(self) -> Creating:
        """Making endpoints."""
        return Creating(
            self.deployments,
            self.endpoints,
            self.revisions,
            self.revising,
            self.spending,
            self.clock,
            stack=self.settings.stack,
        )

    @cached_property
    def scaling(self) -> InstanceScaling:
        """Adding and removing instances."""
        return InstanceScaling(
            self.deployments,
            self.endpoints,
            self.autoscaling,
            self.creating,
            self.accounting,
            self.metering,
            self.spending,
            self.async_results,
            self.clock,
        )

    @cached_property
    def observing(self) -> Observing:
        """Looking at endpoints."""
        return Observing(
            self.deployments,
            self.creating,
            self.container_logs,
            self.task_tokens,
            self.metering,
            self.scaling,
            self.spending,
            self.async_results,
            self.clock,
        )

    @cached_property
    def removing(self) -> Removing:
        """Taking endpoints away."""
        return Removing(
            self.deployments,
            self.endpoints,
            self.revisions,
            self.bucket,
            self.observing,
            self.scaling,
            self.metering,
            self.spending,
            self.async_results,
            self.clock,
            stack=self.settings.stack,
        )

    @cached_property
    def updating(self) -> Updating:
        """Taking updates of endpoints."""
        return Updating(
            self.deployments,
            self.executions,
            self.revising,
            self.creating,
            self.judging,
            self.spending,
            self.clock,
        )

    @cached_property
    def moving(self) -> Moving:
        """Moving endpoints to other revisions."""
        return Moving(
            self.deployments,
            self.endpoints,
            self.autoscaling,
            self.executions,
            self.revising,
            self.creating,
            self.removing,
            self.metering,
            self.spending,
            self.notifying,
            self.clock,
        )

    @cached_property
    def tending(self) -> Tending:
        """What is due at endpoints."""
        return Tending(self.observing, self.removing, self.moving)
