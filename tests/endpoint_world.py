"""The part of the world that hosts models on instances: its services over fakes, and what SageMaker does next."""

import json
from typing import Any

from pilotlight.contracts import TaskError, UpdateFailureTask, UpdateStarted, UpdateTask, WakeStarted, WarmUpTask
from pilotlight.domain import names
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.endpoint import Awaited, Endpoint
from pilotlight.domain.errors import PilotlightError
from pilotlight.domain.values import Backend
from pilotlight.services.creating import Creating
from pilotlight.services.judging import Judging
from pilotlight.services.metering import Metering
from pilotlight.services.moving import Moving
from pilotlight.services.observing import Observing
from pilotlight.services.removing import Removing
from pilotlight.services.revising import Revising
from pilotlight.services.scaling import InstanceScaling
from pilotlight.services.tending import Tending
from pilotlight.services.updating import Updating

from tests import fakes
from tests.factories import a_request
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
    requesting: Any
    deploying: Any
    first_warm_up: Any
    warming: Any
    probing: Any
    task: Any
    fail: Any
    run_staging: Any
    run_wake: Any
    probe_task: Any

    def make_hosting_ports(self) -> None:
        self.autoscaling = FakeAutoscaling()
        self.endpoints = FakeEndpoints(bound=self.autoscaling.bounds)
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
            self.metering,
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
            self.executions,
            self.revising,
            self.creating,
            self.judging,
            self.spending,
            self.clock,
        )
        self.moving = Moving(
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
        self.tending = Tending(self.observing, self.removing, self.moving)

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

    @staticmethod
    def task_error(error: PilotlightError) -> TaskError:
        """Return an error as Step Functions hands it on."""
        cause = json.dumps({"errorType": "Terminal", "errorMessage": error.to_message()})
        return TaskError.model_validate({"Error": "Terminal", "Cause": cause})

    # ---- what state machines do, and SageMaker --------------------------------------------------------------

    def host(
        self,
        to: Status = Status.SERVING,
        name: str = "llama",
        *,
        backend: Backend = Backend.SAGEMAKER_ASYNC,
        **request: Any,
    ) -> Deployment:
        """Ask for a deployment on instances, and take it on its way until it has that status."""
        asked = a_request(name, **{"backend": backend, "artifact": "delete", **request})
        self.requesting.request(asked, correlation_id=f"c-{name}")
        if to is not Status.REQUESTED:
            self.stage(name)
        if to in (Status.CREATING, Status.WARMING, Status.SERVING):
            assert self.creating.start(self.task(name)).done
        if to in (Status.WARMING, Status.SERVING):
            if self.endpoint(name).exists:
                self.come_into_service(name)
            self.begin_warm_up(name)
        if to is Status.SERVING:
            self.warm_up(name)
        return self.deployments.get(name)

    def stage(self, name: str = "llama") -> None:
        """Bring a request to where its weights lie ready."""
        if not self.deploying.start_staging(self.task(name)).done:
            self.run_staging(name)

    def come_into_service(self, name: str = "llama", *, token: str = "token-created") -> Deployment:
        """Wait for an endpoint that was asked for, and let SageMaker bring it into service."""
        generation = self.deployments.get(name).generation
        self.observing.await_endpoint(name, generation, token, Awaited.CREATED)
        self.settle(name, seconds=240)
        if self.endpoint(name).scaling.components:
            self.settle_component(name)
        return self.deployments.get(name)

    def settle(self, name: str = "llama", *, seconds: float = 60, **how: Any) -> Deployment:
        """Let SageMaker end what it is at, in that time, and look."""
        self.clock.advance(seconds=seconds)
        self.endpoints.settle(self.endpoint(name).name, **how)
        return self.look(name)

    def settle_component(self, name: str = "llama") -> Deployment:
        """Let SageMaker end what it is at with the newest component, and look."""
        self.clock.advance(seconds=60)
        self.endpoints.settle_component(self.component_name(name))
        return self.look(name)

    def component_name(self, name: str = "llama") -> str:
        deployment = self.deployments.get(name)
        return names.component_name(name, deployment.generation, self.endpoint(name).revision)

    def begin_warm_up(self, name: str = "llama") -> WakeStarted:
        return self.first_warm_up.start(self.task(name))

    def warm_up(self, name: str = "llama") -> Deployment:
        """Do what `deploy` does after its endpoint is in service."""
        deployment = self.deployments.get(name)
        if deployment.wake:
            wake_id = deployment.wake.id
            self.run_wake(name)
            task = WarmUpTask(**dict(self.task(name)), warm_up=WakeStarted(wake_id=wake_id))
            assert self.first_warm_up.check(task).done
        served = self.deploying.mark_serving(self.task(name))
        run = names.run_name(name, served.generation, served.attempt, served.created_at)
        self.executions.end_if_running("deploy", run)
        return self.look(name)

    def fail_deploy(self, reason: str = "it broke", name: str = "llama") -> Deployment:
        """Do what `deploy` does when a step of it has failed: what bills is stopped, and the record told."""
        task = self.task(name)
        self.removing.stop_billing(name, task.generation, task.attempt)
        return self.fail(name, reason)

    def look(self, name: str = "llama") -> Deployment:
        """Do what the sweep does for one endpoint."""
        return self.tending.look(self.deployments.get(name))

    def wake_up(self, name: str = "llama", *, token: str = "token-capacity") -> Deployment:
        """Wake a model until it waits for its instance."""
        self.warming.wake(name, reason="somebody calls", correlation_id="c-wake")
        decision = self.probing.probe(self.probe_task(name))
        assert decision.awaits, decision
        return self.observing.await_endpoint(name, self.deployments.get(name).generation, token, Awaited.CAPACITY)

    def begin_update(self, name: str = "llama", *, token: str = "token-updated") -> UpdateStarted:
        """Do what `update` does until it waits for SageMaker."""
        started = self.moving.start(self.update_task(name))
        if started.done:
            generation = self.deployments.get(name).generation
            self.observing.await_endpoint(name, generation, token, Awaited.UPDATED)
        return started

    def run_update(self, name: str = "llama") -> Deployment:
        """Do what `update` does, where SageMaker brings the new instances in."""
        task = self.update_task(name)
        if self.begin_update(name).done:
            self.settle(name, seconds=300)
        done = self.moving.finish(task)
        self.executions.end_if_running("update", self.update_run(name, task.update))
        return done

    def update_run(self, name: str, number: int) -> str:
        deployment = self.deployments.get(name)
        return names.update_name(name, deployment.generation, number, deployment.created_at)

    def fail_update(self, error: PilotlightError, name: str = "llama") -> Deployment:
        """Do what `update` does when a step of it has failed."""
        task = self.update_task(name)
        self.executions.end_if_running("update", self.update_run(name, task.update))
        return self.moving.fail(UpdateFailureTask(**dict(task), error=self.task_error(error)))
