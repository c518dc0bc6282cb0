"""The composition root: services over the ports to which they are wired, and the runtime that handlers work with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import cache, cached_property

from pilotlight.adapters.invocation_table import IdempotencyTable
from pilotlight.endpoint_runtime import EndpointRuntime
from pilotlight.services.deploying import Deploying
from pilotlight.services.discarding import Discarding
from pilotlight.services.erasing import Erasing
from pilotlight.services.first_warm_up import FirstWarmUp
from pilotlight.services.importing import Importing, ImportRules
from pilotlight.services.invoking import InvocationLimits, Invoking
from pilotlight.services.placing import Placing
from pilotlight.services.probing import Probing
from pilotlight.services.queue_work import QueueWork, WorkerLimits
from pilotlight.services.requesting import Requesting
from pilotlight.services.reusing import Reusing
from pilotlight.services.span_copying import SpanCopying
from pilotlight.services.staging import Staging
from pilotlight.services.staging_runs import StagingRuns
from pilotlight.services.submitting import Submitting
from pilotlight.services.sweeping import Sweeping
from pilotlight.services.tearing_down import TearingDown
from pilotlight.services.uploading import Uploading
from pilotlight.services.verifying import Verifying
from pilotlight.services.viewing import Viewing
from pilotlight.services.warming import Warming
from pilotlight.services.watching_switch import WatchingSwitch
from pilotlight.settings import Settings

VERSION = "0.1.0"


class Runtime(EndpointRuntime):
    """Everything that a Lambda may need, built when it is first asked for."""

    @cached_property
    def requesting(self) -> Requesting:
        """Taking requests."""
        keys = IdempotencyTable(self.table)
        keep_warm_for = timedelta(days=self.settings.keep_warm_days)
        return Requesting(
            self.deployments,
            self.executions,
            keys,
            self.viewing,
            self.spending,
            self.judging,
            self.clock,
            keep_warm_for,
        )

    @cached_property
    def staging(self) -> Staging:
        """What is copied, and whether all of it is there."""
        name, limits = self.settings.artifact_bucket, self.settings.span_limits
        return Staging(
            self.artifacts,
            self.bucket,
            self.source,
            self.preflight,
            self.reusing,
            self.clock,
            bucket_name=name,
            limits=limits,
        )

    @cached_property
    def span_copying(self) -> SpanCopying:
        """Copying weights."""
        streams = self.settings.copy_streams
        return SpanCopying(self.artifacts, self.bucket, self.source, self.clock, streams=streams)

    @cached_property
    def reusing(self) -> Reusing:
        """What artifacts hold, by content."""
        at_once = self.settings.span_limits.files_at_once
        return Reusing(self.contents, self.artifacts, self.bucket, at_once=at_once)

    @cached_property
    def verifying(self) -> Verifying:
        """Reading sealed weights back."""
        streams = self.settings.copy_streams
        return Verifying(self.artifacts, self.bucket, self.reusing, self.clock, streams=streams)

    @cached_property
    def staging_runs(self) -> StagingRuns:
        """Executions that copy weights and verify them."""
        copiers = self.settings.span_limits.copiers
        return StagingRuns(self.artifacts, self.executions, self.spending, self.clock, copiers=copiers)

    @cached_property
    def deploying(self) -> Deploying:
        """From a request to SERVING."""
        return Deploying(
            self.deployments,
            self.artifacts,
            self.preflight,
            self.jumpstart,
            self.staging_runs,
            self.notifying,
            self.spending,
            self.clock,
        )

    @cached_property
    def importing(self) -> Importing:
        """Importing into Bedrock."""
        rules = ImportRules(
            stack=self.settings.stack,
            bucket=self.settings.artifact_bucket,
            role_arn=self.settings.import_role_arn,
            poll_seconds=self.settings.import_poll_seconds,
            deadline_seconds=self.settings.import_deadline_seconds,
            slot_poll_seconds=self.settings.import_poll_seconds,
        )
        return Importing(self.deployments, self.imports, self.spending, self.clock, rules)

    @cached_property
    def warming(self) -> Warming:
        """Waking models and keeping them warm."""
        return Warming(
            self.deployments,
            self.executions,
            self.accounting,
            self.spending,
            self.clock,
            self.scaling,
            self.settings.wake_budgets,
        )

    @cached_property
    def probing(self) -> Probing:
        """Probing models that are woken."""
        return Probing(
            self.deployments,
            self.backends,
            self.accounting,
            self.spending,
            self.clock,
            self.scaling,
            self.settings.wake_budgets,
        )

    @cached_property
    def first_warm_up(self) -> FirstWarmUp:
        """The first wake of a deployment."""
        return FirstWarmUp(self.deployments, self.artifacts, self.staging_runs, self.warming, self.clock)

    @cached_property
    def discarding(self) -> Discarding:
        """Weights that shall go before their time."""
        return Discarding(self.artifacts)

    @cached_property
    def tearing_down(self) -> TearingDown:
        """Taking deployments down."""
        return TearingDown(
            self.deployments,
            self.artifacts,
            self.uploads,
            Erasing(self.artifacts, self.bucket, self.clock),
            self.imports,
            self.executions,
            self.notifying,
            self.clock,
            stack=self.settings.stack,
        )

    @cached_property
    def invoking(self) -> Invoking:
        """Invocations as the API takes them."""
        return Invoking(
            self.deployments,
            self.invocations,
            self.queueing,
            self.inputs,
            self.answering,
            self.ending,
            self.invocation_views,
            self.accounting,
            self.spending,
            self.warming,
            self.clock,
            InvocationLimits(held_requests=self.settings.held_requests),
        )

    @cached_property
    def submitting(self) -> Submitting:
        """Handing invocations to asynchronous endpoints."""
        return Submitting(
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

    @cached_property
    def queue_work(self) -> QueueWork:
        """Invocations as the queue's worker makes them."""
        return QueueWork(
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

    @cached_property
    def placing(self) -> Placing:
        """Folders that are uploaded at signed addresses."""
        return Placing(self.upload_bucket, self.settings.span_limits)

    @cached_property
    def uploading(self) -> Uploading:
        """Folders that start their own import."""
        return Uploading(
            self.uploads,
            self.deployments,
            self.source,
            self.requesting,
            self.preflight,
            self.clock,
            self.upload_bucket,
            settle_seconds=self.settings.settle_seconds,
        )

    @cached_property
    def sweeping(self) -> Sweeping:
        """What is due."""
        return Sweeping(
            self.deployments,
            self.uploads,
            self.requesting,
            self.warming,
            self.tearing_down,
            self.tending,
            self.uploading,
            self.executions,
            WatchingSwitch(self.kill_switch, self.notices, self.notifying, self.journal),
            self.notifying,
            self.journal,
            self.clock,
        )

    @cached_property
    def viewing(self) -> Viewing:
        """Everything at a glance."""
        return Viewing(
            self.deployments,
            self.artifacts,
            self.uploads,
            self.passes,
            self.revisions,
            self.accounting,
            self.spending,
            self.clock,
            region=self.settings.region,
            upload_bucket=self.settings.upload_bucket,
        )


_in_use: ContextVar[Runtime] = ContextVar("runtime in use")


def runtime() -> Runtime:
    """Return the runtime at hand: that of this process, from its environment, where `using` names no other."""
    return _in_use.get(None) or _of_this_process()


@cache
def _of_this_process() -> Runtime:
    return Runtime(Settings.from_environment(os.environ))


@contextmanager
def using(other: Runtime) -> Iterator[None]:
    """Within, let handlers work with that runtime: several functions can then live in one process."""
    token = _in_use.set(other)
    try:
        yield
    finally:
        _in_use.reset(token)
