"""The services over fakes, and the steps that the state machines would take, in their order.

A test says how far a deployment has come (`bring`), lets something happen, and looks at what is left.
"""

import json
from datetime import timedelta
from typing import Any

from pilotlight.adapters.template_vetting import TemplateVetting
from pilotlight.contracts import (
    DeploymentTask,
    FailureTask,
    ProbeTask,
    Sealed,
    SpanTask,
    StagingFailureTask,
    StagingTask,
    TaskError,
    VerifyTask,
    Wait,
    WakeFailureTask,
    WakeStarted,
    WarmUpTask,
)
from pilotlight.domain import names
from pilotlight.domain.artifact import Artifact, unverified_key
from pilotlight.domain.capacity import Caps
from pilotlight.domain.deployment import Deployment, Status
from pilotlight.domain.errors import PilotlightError
from pilotlight.domain.pricing import rate_in
from pilotlight.domain.reconciliation import Pass, Rules
from pilotlight.domain.spending import SpendingRules
from pilotlight.domain.values import Backend
from pilotlight.domain.warmth import ProbeDecision, Wake, WakeBudget, WakeBudgets
from pilotlight.services.accounting import Accounting
from pilotlight.services.answering import Answering
from pilotlight.services.async_results import AsyncResults
from pilotlight.services.claiming import Claiming
from pilotlight.services.deploying import Deploying
from pilotlight.services.ending import Ending
from pilotlight.services.erasing import Erasing
from pilotlight.services.first_warm_up import FirstWarmUp
from pilotlight.services.importing import Importing, ImportRules
from pilotlight.services.inputs import Inputs
from pilotlight.services.inspecting import (
    InspectingDeployments,
    InspectingExecutions,
    InspectingFolders,
    InspectingModels,
)
from pilotlight.services.inspecting_bytes import InspectingArtifacts, InspectingInvocations, InspectingUploadsInParts
from pilotlight.services.inspecting_endpoints import endpoint_inspectors
from pilotlight.services.invocation_views import InvocationViews
from pilotlight.services.invoking import InvocationLimits, Invoking
from pilotlight.services.notifying import Notifying
from pilotlight.services.preflight import Preflight
from pilotlight.services.probing import Probing
from pilotlight.services.queue_work import QueueWork, WorkerLimits
from pilotlight.services.queueing import Queueing
from pilotlight.services.reconciling import Reconciling
from pilotlight.services.requesting import Requesting
from pilotlight.services.reusing import Reusing
from pilotlight.services.span_copying import SpanCopying
from pilotlight.services.spending import Spending
from pilotlight.services.staging import Staging
from pilotlight.services.staging_runs import StagingRuns
from pilotlight.services.submitting import Submitting
from pilotlight.services.sweeping import Sweeping, SweepReport
from pilotlight.services.tearing_down import TearingDown
from pilotlight.services.uploading import Uploading
from pilotlight.services.verifying import Verifying
from pilotlight.services.viewing import Viewing
from pilotlight.services.warming import Warming
from pilotlight.services.watching_switch import WatchingSwitch
from pilotlight.services.webhooks import Webhooks
from pydantic import TypeAdapter

from tests import fakes
from tests.endpoint_world import EndpointWorld
from tests.factories import FIVE_MIB_PARTS, HUB_SOURCE, a_checkpoint, a_request
from tests.fakes.hosting_inventory import FakeEndpointInventory

STACK = "pilotlight"
ARTIFACT_BUCKET = "artifacts-bucket"
UPLOAD_BUCKET = "uploads-bucket"
ROLE = "arn:aws:iam::123456789012:role/import"
IDLE = timedelta(minutes=5)
REGION = "us-east-1"
SETTLE = timedelta(seconds=60)
PASS = timedelta(minutes=5)
LIMITS = InvocationLimits(held_requests=2)
QUEUE_DEPTH = 5
SOURCE_BUCKETS = "ours-*"
_SPANS = TypeAdapter(list[SpanTask])
_CAUSE = TypeAdapter(dict[str, Any])
WAY = (Status.REQUESTED, Status.STAGING, Status.IMPORTING, Status.WARMING, Status.SERVING)


class World(EndpointWorld):
    """Everything there is: the ports as fakes, the services over them."""

    def __init__(self, budget: WakeBudget | None = None, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self.budget = budget or WakeBudget(max_attempts=20, max_seconds=600, max_usd=5.0)
        self.budgets = WakeBudgets(windows=self.budget, instances=self.budget.changed(max_seconds=3600))
        self.clock = fakes.ManualClock()
        self.deployments = fakes.FakeDeployments()
        self.artifacts = fakes.FakeArtifacts()
        self.uploads = fakes.FakeUploads()
        self.invocations = fakes.FakeInvocations()
        self.keys = fakes.FakeKeys()
        self.source = fakes.FakeSource(self.clock)
        self.bucket = fakes.FakeBucket(self.clock, name=ARTIFACT_BUCKET, elsewhere=self.source.object_at)
        self.contents = fakes.FakeContents()
        self.bodies = fakes.FakeBodies(self.clock)
        self.queue = fakes.FakeQueue()
        self.imports = fakes.FakeImports(self.clock)
        self.backend = fakes.FakeBackend(self.clock)
        self.async_backend = fakes.FakeAsyncBackend(self.bodies)
        self.in_flight = fakes.FakeInFlight()
        self.backlog = fakes.FakeBacklog()
        self.webhook_queue = fakes.FakeQueue()
        self.webhook_sender = fakes.FakeWebhookSender()
        self.executions = fakes.FakeExecutions(self.clock)
        self.topic = fakes.FakeTopic()
        self.passes = fakes.FakePasses()
        self.inventory = fakes.FakeInventory(self.bucket, self.bodies, self.source, f"{UPLOAD_BUCKET}/uploads/")
        self.upload_bucket = fakes.FakeUploadBucket(self.clock, UPLOAD_BUCKET)
        self.journal = fakes.FakeJournal()
        self.switch = fakes.FakeSwitch()
        self.notices = fakes.FakeNotices()
        self.capacity = fakes.FakeCapacity()
        self.make_hosting_ports()
        self.speeds = fakes.FakeSpeeds()
        self.accounting = self.accounting_in(REGION)
        self._build_answering()
        self._build_control()
        self._build_serving()
        self.source.push("acme/llama-8b", a_checkpoint())

    def accounting_in(self, region: str, *, idle_window_is_billed: bool = True) -> Accounting:
        return Accounting(
            self.deployments,
            region=region,
            idle_seconds=int(IDLE.total_seconds()),
            idle_window_is_billed=idle_window_is_billed,
            speeds=self.speeds,
        )

    def _build_control(self) -> None:
        rules = ImportRules(stack=STACK, bucket=ARTIFACT_BUCKET, role_arn=ROLE)
        self.preflight = Preflight(self.source, TemplateVetting(self.clock), self.imports, REGION, self.speeds)
        self.viewing = Viewing(
            self.deployments,
            self.artifacts,
            self.uploads,
            self.passes,
            self.revisions,
            self.accounting,
            self.spending,
            self.clock,
            region=REGION,
            upload_bucket=UPLOAD_BUCKET,
        )
        self.build_hosting(STACK)
        self.requesting = Requesting(
            self.deployments, self.executions, self.keys, self.viewing, self.spending, self.judging, self.clock
        )
        self.reusing = Reusing(self.contents, self.artifacts, self.bucket, at_once=1)
        self.staging = Staging(
            self.artifacts,
            self.bucket,
            self.source,
            self.preflight,
            self.reusing,
            self.clock,
            bucket_name=ARTIFACT_BUCKET,
            limits=FIVE_MIB_PARTS,
        )
        self.span_copying = SpanCopying(self.artifacts, self.bucket, self.source, self.clock, streams=1)
        self.verifying = Verifying(self.artifacts, self.bucket, self.reusing, self.clock, streams=1)
        self.staging_runs = StagingRuns(self.artifacts, self.executions, self.spending, self.clock, copiers=8)
        self.deploying = Deploying(
            self.deployments,
            self.artifacts,
            self.preflight,
            self.jumpstart,
            self.staging_runs,
            self.notifying,
            self.spending,
            self.clock,
        )
        self.importing = Importing(self.deployments, self.imports, self.spending, self.clock, rules)
        self.warming = Warming(
            self.deployments,
            self.executions,
            self.accounting,
            self.spending,
            self.clock,
            self.scaling,
            self.budgets,
        )
        self.probing = Probing(
            self.deployments,
            self.backends,
            self.accounting,
            self.spending,
            self.clock,
            self.scaling,
            self.budgets,
        )
        self.first_warm_up = FirstWarmUp(self.deployments, self.artifacts, self.staging_runs, self.warming, self.clock)
        self.erasing = Erasing(self.artifacts, self.bucket, self.clock)
        self.tearing_down = TearingDown(
            self.deployments,
            self.artifacts,
            self.uploads,
            self.erasing,
            self.imports,
            self.executions,
            self.notifying,
            self.clock,
            stack=STACK,
        )
        self.uploading = Uploading(
            self.uploads,
            self.deployments,
            self.source,
            self.requesting,
            self.preflight,
            self.clock,
            self.upload_bucket,
            settle_seconds=int(SETTLE.total_seconds()),
        )

    def _build_answering(self) -> None:
        self.notifying = Notifying(self.topic, self.journal, self.clock)
        self.spending = Spending(
            self.deployments,
            self.switch,
            self.accounting,
            Claiming(self.capacity, self.clock, self.caps),
            self.notifying,
            self.clock,
            SpendingRules(),
        )
        self.backends = {Backend.BEDROCK: self.backend, Backend.SAGEMAKER_REALTIME: self.backend}
        self.ending = Ending(
            self.invocations, self.bodies, self.in_flight, self.webhook_queue, self.journal, self.clock
        )
        self.answering = Answering(
            self.artifacts,
            self.bodies,
            self.in_flight,
            self.backends,
            fakes.FakeRenderer(),
            self.accounting,
            self.spending,
            self.ending,
            self.clock,
        )
        self.inputs = Inputs(self.deployments, self.bodies, SOURCE_BUCKETS)
        self.invocation_views = InvocationViews(
            self.deployments, self.bodies, self.in_flight, self.backlog, self.accounting, self.clock
        )
        self.async_results = AsyncResults(
            self.deployments,
            self.invocations,
            self.bodies,
            self.in_flight,
            self.answering,
            self.ending,
            self.journal,
            self.clock,
        )
        self.webhooks = Webhooks(
            self.invocations,
            self.bodies,
            self.invocation_views,
            self.webhook_queue,
            self.webhook_sender,
            lambda: "a secret of this stack's own",
            self.clock,
        )

    def _build_serving(self) -> None:
        self.invoking = Invoking(
            self.deployments,
            self.invocations,
            Queueing(self.invocations, self.bodies, self.in_flight, self.queue, self.ending, most_waiting=QUEUE_DEPTH),
            self.inputs,
            self.answering,
            self.ending,
            self.invocation_views,
            self.accounting,
            self.spending,
            self.warming,
            self.clock,
            LIMITS,
        )
        self.submitting = Submitting(
            self.invocations,
            self.bodies,
            self.in_flight,
            self.async_backend,
            self.answering,
            self.ending,
            self.accounting,
            self.spending,
            self.warming,
            self.clock,
        )
        self.queue_work = QueueWork(
            self.deployments,
            self.invocations,
            self.bodies,
            self.queue,
            self.answering,
            self.submitting,
            self.ending,
            self.warming,
            self.clock,
            WorkerLimits(),
        )
        self.sweeping = Sweeping(
            self.deployments,
            self.uploads,
            self.requesting,
            self.warming,
            self.tearing_down,
            self.tending,
            self.uploading,
            self.executions,
            WatchingSwitch(self.switch, self.notices, self.notifying, self.journal),
            self.notifying,
            self.journal,
            self.clock,
        )

    def reconciling(self, **rules: Any) -> Reconciling:
        """Return the reconciliation under these rules."""
        inspectors = (
            InspectingModels(self.imports, self.deployments, self.clock, rate_in(REGION)),
            InspectingExecutions(self.executions, self.deployments, self.artifacts),
            InspectingFolders(self.inventory, self.uploads, self.clock),
            InspectingUploadsInParts(self.inventory, self.artifacts),
            InspectingInvocations(self.inventory, self.invocations, self.queue_work),
            InspectingArtifacts(
                self.inventory, self.artifacts, self.deployments, self.executions, self.erasing, self.clock
            ),
            InspectingDeployments(self.deployments, self.imports, self.clock),
            *endpoint_inspectors(
                FakeEndpointInventory(self.endpoints, self.bucket, self.autoscaling),
                self.endpoints,
                self.revisions,
                self.inventory,
                self.bucket,
                self.deployments,
                self.clock,
                region=REGION,
            ),
        )
        return Reconciling(
            inspectors,
            self.passes,
            self.journal,
            self.clock,
            Rules(stack=STACK, **rules),
            longest=PASS,
            turn=2 * PASS,
        )

    # ---- what there is -------------------------------------------------------------------------------------

    def deployment(self, name: str = "llama") -> Deployment:
        return self.deployments.get(name)

    def status(self, name: str = "llama") -> Status:
        return self.deployment(name).status

    def artifact(self, name: str = "llama") -> Artifact:
        return self.artifacts.get(self.deployment(name).artifact_id or "")

    def wake(self, name: str = "llama") -> Wake:
        wake = self.deployment(name).wake
        assert wake is not None, "no wake is under way"
        return wake

    def task(self, name: str = "llama") -> DeploymentTask:
        found = self.deployment(name)
        return DeploymentTask(
            deployment=name, generation=found.generation, attempt=found.attempt, correlation_id=found.correlation_id
        )

    # ---- what state machines do ----------------------------------------------------------------------------

    def bring(self, to: Status = Status.SERVING, name: str = "llama", **request: Any) -> Deployment:
        """Ask for a deployment unless there is one, and take it on its way until it has that status."""
        found = self.deployments.find(name)
        if found is None or found.status is Status.GONE:
            self.requesting.request(
                a_request(name, **{"source": HUB_SOURCE, "artifact": "delete", **request}), correlation_id=f"c-{name}"
            )
        if to is Status.FAILED:
            self.bring(Status.STAGING, name)
            self.fail(name)
        elif to in (Status.TEARING_DOWN, Status.GONE):
            self.bring(Status.SERVING, name)
            self.tearing_down.begin(name, reason="enough", correlation_id="c-end")
            if to is Status.GONE:
                self.run_teardown(name)
        else:
            for step in WAY[WAY.index(self.status(name)) + 1 : WAY.index(to) + 1]:
                self._next_step(step, name)
        return self.deployment(name)

    def _next_step(self, to: Status, name: str) -> None:
        task = self.task(name)
        match to:
            case Status.STAGING:
                self.deploying.start_staging(task)
            case Status.IMPORTING:
                if not self.deploying.check_staging(task).done:
                    self.run_staging(name)
                self._until_done(lambda: self.importing.start(task))
            case Status.WARMING:
                self._until_done(lambda: self.importing.check(task))
                self.first_warm_up.start(task)
            case _:
                wake_id = self.wake(name).id
                self.run_wake(name)
                warm_up = WarmUpTask(**dict(task), warm_up=WakeStarted(wake_id=wake_id))
                assert self.first_warm_up.check(warm_up).done
                served = self.deploying.mark_serving(task)
                run = names.run_name(name, task.generation, task.attempt, served.created_at)
                self.executions.end_if_running("deploy", run)

    def run_staging(self, name: str = "llama") -> Artifact:
        """Do what `stage_artifact` does."""
        self.seal(name)
        self.verify(name)
        artifact = self.artifact(name)
        run = names.staging_name(artifact.id, artifact.attempt, artifact.created_at)
        self.executions.end_if_running("stage_artifact", run)
        return artifact

    def seal(self, name: str = "llama") -> Sealed:
        """Do what `stage_artifact` does until whoever waits for the weights goes on."""
        task = self.staging_task(name)
        for span in self.plan(task):
            self.span_copying.copy(span)
        return self.staging.seal(task)

    def verify(self, name: str = "llama") -> None:
        """Do what `stage_artifact` does after that."""
        task = self.staging_task(name)
        for file in json.loads(self.bucket.get(unverified_key(task.artifact_id)) or b"[]"):
            self.verifying.verify(VerifyTask(**dict(task), **file))
        self.verifying.mark_verified(task)

    def staging_task(self, name: str = "llama") -> StagingTask:
        artifact = self.artifact(name)
        return StagingTask(artifact_id=artifact.id, attempt=artifact.attempt, correlation_id="c-1")

    def plan(self, task: StagingTask) -> list[SpanTask]:
        """Return the items that the Map of `stage_artifact` would be given."""
        summary = self.staging.plan(task)
        stored = self.bucket.get(summary.spans_key)
        assert stored is not None
        spans = _SPANS.validate_json(stored)
        assert len(spans) == summary.spans
        return spans

    def fail_staging(self, code: str, reason: str, name: str = "llama") -> None:
        task = self.staging_task(name)
        self.staging.mark_failed(StagingFailureTask(**dict(task), error=an_error(PilotlightError(reason), code)))

    def fail(self, name: str = "llama", reason: str = "it broke") -> Deployment:
        """Do what `deploy` does when a step of it has failed."""
        task = self.task(name)
        born = self.deployment(name).created_at
        self.executions.end("deploy", names.run_name(name, task.generation, task.attempt, born), "FAILED")
        return self.deploying.mark_failed(FailureTask(**dict(task), error=an_error(PilotlightError(reason))))

    def run_wake(self, name: str = "llama") -> ProbeDecision:
        """Do what `warm` does, to its end."""
        task = self.probe_task(name)
        while True:
            decision = self.probing.probe(task)
            if decision.ready:
                self.probing.mark_warm(task)
            elif decision.give_up:
                self.probing.mark_wake_failed(WakeFailureTask(**dict(task), probe=decision))
            else:
                self.clock.advance(seconds=decision.wait_seconds)
                continue
            run = names.wake_name(name, task.generation, task.wake_id, self.deployment(name).created_at)
            self.executions.end("warm", run, "SUCCEEDED" if decision.ready else "FAILED")
            return decision

    def probe_task(self, name: str = "llama") -> ProbeTask:
        generation = self.deployment(name).generation
        return ProbeTask(deployment=name, generation=generation, wake_id=self.wake(name).id, correlation_id="c-1")

    def run_teardown(self, name: str = "llama") -> Deployment:
        """Do what `teardown` does."""
        task = self.task(name)
        self.tearing_down.stop_executions(task)
        self._until_done(lambda: self.removing.delete(task))
        self._until_done(lambda: self.tearing_down.delete_model(task))
        self._until_done(lambda: self.tearing_down.release_artifact(task))
        gone = self.tearing_down.mark_gone(task)
        for round_ in range(1, gone.teardown_round + 1):
            run = names.teardown_name(name, task.generation, round_, gone.created_at)
            self.executions.end_if_running("teardown", run)
        return gone

    def reconcile(self, **rules: Any) -> Pass:
        return self.reconciling(**rules).reconcile()

    def sweep(self) -> SweepReport:
        return self.sweeping.sweep(correlation_id="c-sweep")

    def _until_done(self, poll: Any) -> None:
        for _ in range(1000):
            wait: Wait = poll()
            if wait.done:
                return
            self.clock.advance(seconds=wait.wait_seconds)
        raise AssertionError("the poll has no end")

    # ---- what is left --------------------------------------------------------------------------------------

    def traces(self) -> dict[str, Any]:
        """Return what the account still holds that costs money or place."""
        found = {
            "objects": sorted(self.bucket.objects),
            "uploads": sorted(self.bucket.uploads),
            "models": self.imports.models,
            "jobs": [job.name for job in self.imports.running_jobs()],
        }
        return {kind: left for kind, left in found.items() if left}


def an_error(error: PilotlightError, code: str | None = None) -> TaskError:
    """Return an error as Step Functions hands it on after a Lambda raised it."""
    told = error.to_message() if code is None else error.to_message().replace(f'"{error.code}"', f'"{code}"', 1)
    cause = _CAUSE.dump_json({"errorType": "Terminal", "errorMessage": told, "stackTrace": []}).decode()
    return TaskError.model_validate({"Error": "Terminal", "Cause": cause})
