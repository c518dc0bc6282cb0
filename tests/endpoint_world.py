"""The part of the world that hosts models on instances: its services over fakes, and what SageMaker does next."""

from typing import Any

from pilotlight.contracts import DeploymentTask, UpdateFailureTask, UpdateTask
from pilotlight.domain.deployment import Deployment
from pilotlight.domain.endpoint import Awaited, Endpoint
from pilotlight.services.creating import Creating
from pilotlight.services.judging import Judging
from pilotlight.services.metering import Metering
from pilotlight.services.observing import Observing
from pilotlight.services.removing import Removing
from pilotlight.services.revising import Revising
from pilotlight.services.scaling import InstanceScaling
from pilotlight.services.tending import Tending
from pilotlight.services.updating import Updating

from tests import fakes
from tests.fakes.hosting import FakeAutoscaling, FakeEndpoints, FakeLogs, FakeRevisions, FakeTokens

REGION = "us-east-1"
ARTIFACT_BUCKET = "artifacts-bucket"


class EndpointWorld:
    """Endpoints, and the steps that state machines and SageMaker would take with them."""

    clock: fakes.ManualClock
    deployments: fakes.FakeDeployments
    spending: Any
    accounting: Any
    async_results: Any
    preflight: Any
    notifying: Any
    executions: Any
    bucket: Any

    def make_hosting_ports(self) -> None:
        self.endpoints = FakeEndpoints()
        self.autoscaling = FakeAutoscaling()
        self.logs = FakeLogs()
        self.tokens = FakeTokens()
        self.revisions = FakeRevisions()
        self.jumpstart = fakes.FakeJumpStart()

    def build_hosting(self, stack: str) -> None:
        self.metering = Metering(self.deployments)
        self.judging = Judging(self.preflight, self.jumpstart, region=REGION)
        self.revising = Revising(
            self.revisions, self.bucket, self.jumpstart, self.clock, region=REGION, bucket_name=ARTIFACT_BUCKET
        )
        self.creating = Creating(
            self.deployments,
            self.endpoints,
            self.revisions,
            self.revising,
            self.spending,
            self.clock,
            stack=stack,
        )
        self.scaling = InstanceScaling(
            self.deployments,
            self.endpoints,
            self.autoscaling,
            self.creating,
            self.accounting,
            self.spending,
            self.async_results,
            self.clock,
        )
        self.observing = Observing(
            self.deployments,
            self.creating,
            self.logs,
            self.tokens,
            self.metering,
            self.scaling,
            self.spending,
            self.async_results,
            self.clock,
        )
        self.removing = Removing(
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
            stack=stack,
        )
        self.updating = Updating(
            self.deployments,
            self.endpoints,
            self.executions,
            self.revising,
            self.creating,
            self.removing,
            self.judging,
            self.spending,
            self.notifying,
            self.clock,
        )

        self.tending = Tending(self.observing, self.removing, self.updating)

    # ---- what there is -------------------------------------------------------------------------------------

    def endpoint(self, name: str = "llama") -> Endpoint:
        found = self.deployments.get(name).endpoint
        assert found is not None, "it has no endpoint"
        return found

    def update_task(self, name: str = "llama") -> UpdateTask:
        deployment = self.deployments.get(name)
        update = self.endpoint(name).update
        assert update is not None, "no update is under way"
        return UpdateTask(
            deployment=name, generation=deployment.generation, update=update.number, correlation_id="c-update"
        )

    # ---- what state machines do, and SageMaker --------------------------------------------------------------

    def create_endpoint(self, task: DeploymentTask) -> Deployment:
        """Do what `deploy` does until the endpoint is in service."""
        assert self.creating.start(task).done
        return self.come_into_service(task.deployment) if self.endpoint(task.deployment).exists else self.look()

    def come_into_service(self, name: str = "llama", *, token: str = "token-created") -> Deployment:
        generation = self.deployments.get(name).generation
        self.observing.await_endpoint(name, generation, token, Awaited.CREATED)
        self.clock.advance(seconds=240)
        self.endpoints.settle(self.endpoint(name).name)
        return self.look(name)

    def look(self, name: str = "llama") -> Deployment:
        """Do what the sweep does for one endpoint."""
        return self.observing.look_and_scale(name)

    def run_update(self, name: str = "llama") -> Deployment:
        """Do what `update` does, where SageMaker brings the new instances in."""
        task = self.update_task(name)
        started = self.updating.start(task)
        if started.done:
            self.clock.advance(seconds=300)
            self.endpoints.settle(self.endpoint(name).name)
            self.look(name)
        return self.updating.finish(task)

    def fail_update(self, error: Any, name: str = "llama") -> Deployment:
        task = self.update_task(name)
        return self.updating.fail(UpdateFailureTask(**dict(task), error=error))
