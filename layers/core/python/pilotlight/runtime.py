"""The composition root: clients on first use, adapters over them, services over those.

`task` is the edge of every Lambda but the API: it parses the event, binds the ids to the log, and lets an error
leave as exactly `Retryable` or `Terminal`, which is what the state machines know.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import cache, cached_property, wraps
from typing import Any, TypeVar

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from pydantic import ValidationError

from pilotlight.adapters.artifact_bucket import S3ArtifactBucket
from pilotlight.adapters.artifact_table import ArtifactTable
from pilotlight.adapters.bedrock_imports import BedrockImports
from pilotlight.adapters.bedrock_inference import BedrockInference, client_config
from pilotlight.adapters.bucket_source import BucketSource
from pilotlight.adapters.capacity_table import CapacityTable
from pilotlight.adapters.chat_template import ChatTemplates
from pilotlight.adapters.clock import SystemClock
from pilotlight.adapters.deployment_table import DeploymentTable
from pilotlight.adapters.executions import StepFunctionsExecutions
from pilotlight.adapters.hub import HubSource
from pilotlight.adapters.invocation_queue import S3InvocationBodies, SqsInvocationQueue
from pilotlight.adapters.invocation_table import IdempotencyTable, InvocationTable
from pilotlight.adapters.journal import PowertoolsJournal
from pilotlight.adapters.kill_switch import ParameterSwitch, SwitchMirror
from pilotlight.adapters.notice_table import NoticeTable
from pilotlight.adapters.pass_table import PassTable
from pilotlight.adapters.secrets import HubToken
from pilotlight.adapters.sources import Sources
from pilotlight.adapters.table import Table
from pilotlight.adapters.template_vetting import TemplateVetting
from pilotlight.adapters.topic import SnsTopic
from pilotlight.adapters.upload_table import UploadTable
from pilotlight.domain.errors import PilotlightError, Retryable, Terminal
from pilotlight.domain.source import SourceKind
from pilotlight.domain.values import Model
from pilotlight.ports import Clock
from pilotlight.services.accounting import Accounting
from pilotlight.services.answering import Answering
from pilotlight.services.claiming import Claiming
from pilotlight.services.deploying import Deploying
from pilotlight.services.erasing import Erasing
from pilotlight.services.first_warm_up import FirstWarmUp
from pilotlight.services.importing import Importing, ImportRules
from pilotlight.services.invoking import InvocationLimits, Invoking
from pilotlight.services.notifying import Notifying
from pilotlight.services.preflight import Preflight
from pilotlight.services.probing import Probing
from pilotlight.services.queue_work import QueueWork, WorkerLimits
from pilotlight.services.requesting import Requesting
from pilotlight.services.spending import Spending
from pilotlight.services.staging import Staging
from pilotlight.services.sweeping import Sweeping
from pilotlight.services.tearing_down import TearingDown
from pilotlight.services.uploading import Uploading
from pilotlight.services.viewing import Viewing
from pilotlight.services.warming import Warming
from pilotlight.services.watching_switch import WatchingSwitch
from pilotlight.settings import Settings

VERSION = "0.1.0"
# All attempts are shorter than the shortest Lambda: one that hangs would else take its retries along.
CONTROL = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=3, read_timeout=8)
# What is only looked at before something else must not use up its time.
QUICK = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=1, read_timeout=2)
# Whole parts of weights, and the joining of thousands of them, take longer; so may whoever moves them.
TRANSFER = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=3, read_timeout=60)


class Runtime:
    """Everything that a Lambda may need, built when it is first asked for."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self._given_clock = clock
        self._clients: dict[Any, Any] = {}

    def client(self, service: str, config: Config = CONTROL) -> Any:
        """Return the client of an AWS service."""
        key = (service, config)
        if key not in self._clients:
            make: Any = boto3.client
            self._clients[key] = make(service, region_name=self.settings.region, config=config)
        return self._clients[key]

    # ---- ports ---------------------------------------------------------------------------------------------

    @cached_property
    def logger(self) -> Logger:
        """The one logger."""
        return Logger(service=self.settings.service)

    @cached_property
    def journal(self) -> PowertoolsJournal:
        """Structured records and metrics."""
        return PowertoolsJournal(self.logger, self.settings.metrics_namespace, self.settings.stack)

    @cached_property
    def clock(self) -> Clock:
        """The time: the system's, or the one that was given."""
        return self._given_clock or SystemClock(self.settings.clock_speed, self.settings.clock_epoch)

    @cached_property
    def table(self) -> Table:
        """The one table."""
        return Table(self.client("dynamodb"), self.settings.table)

    @cached_property
    def deployments(self) -> DeploymentTable:
        """Records of deployments."""
        return DeploymentTable(self.table)

    @cached_property
    def artifacts(self) -> ArtifactTable:
        """Records of artifacts."""
        return ArtifactTable(self.table)

    @cached_property
    def uploads(self) -> UploadTable:
        """Records of uploaded folders."""
        return UploadTable(self.table)

    @cached_property
    def passes(self) -> PassTable:
        """The newest reconciliation."""
        return PassTable(self.table)

    @cached_property
    def invocations(self) -> InvocationTable:
        """Records of invocations."""
        return InvocationTable(self.table)

    @cached_property
    def bodies(self) -> S3InvocationBodies:
        """Requests and outputs of invocations."""
        return S3InvocationBodies(self.client("s3"), self.settings.artifact_bucket)

    @cached_property
    def queue(self) -> SqsInvocationQueue:
        """The queue of invocations."""
        return SqsInvocationQueue(self.client("sqs"), self.settings.queue_url)

    @cached_property
    def bucket(self) -> S3ArtifactBucket:
        """The bucket of weights."""
        return S3ArtifactBucket(self.client("s3", TRANSFER), self.settings.artifact_bucket)

    @cached_property
    def executions(self) -> StepFunctionsExecutions:
        """Executions of our state machines."""
        return StepFunctionsExecutions(self.client("stepfunctions"), self.settings.state_machine_arn_prefix)

    @cached_property
    def imports(self) -> BedrockImports:
        """Bedrock's custom model import."""
        return BedrockImports(self.client("bedrock"), self.client("service-quotas"), self.settings.place)

    @cached_property
    def backend(self) -> BedrockInference:
        """Where a model answers."""
        return BedrockInference(lambda seconds: self.client("bedrock-runtime", client_config(seconds)))

    @cached_property
    def source(self) -> Sources:
        """Hubs and buckets that hold checkpoints."""
        token = HubToken(
            local=self.settings.hub_token,
            secret_arn=self.settings.hub_token_secret_arn,
            client=lambda: self.client("secretsmanager"),
            now=self.clock.now,
        )
        return Sources(
            {
                SourceKind.HUB: HubSource(self.settings.hub_endpoint, token),
                SourceKind.BUCKET: BucketSource(
                    self.client("s3", TRANSFER), self.settings.artifact_bucket, self.settings.upload_bucket
                ),
            }
        )

    @cached_property
    def topic(self) -> SnsTopic:
        """The topic that tells people."""
        return SnsTopic(self.client("sns"), self.settings.topic_arn)

    @cached_property
    def kill_switch(self) -> ParameterSwitch:
        """The kill switch."""
        parameter = self.settings.kill_switch_parameter
        return ParameterSwitch(
            lambda: self.client("ssm", QUICK), parameter, lambda: SwitchMirror(self.table), self.clock.now
        )

    @cached_property
    def capacity(self) -> CapacityTable:
        """What may be warm at once."""
        return CapacityTable(self.table)

    @cached_property
    def notices(self) -> NoticeTable:
        """What people have been told."""
        return NoticeTable(self.table)

    # ---- services ------------------------------------------------------------------------------------------

    @cached_property
    def accounting(self) -> Accounting:
        """The ledger."""
        return Accounting(
            self.deployments,
            region=self.settings.region,
            idle_seconds=self.settings.idle_seconds,
            idle_window_is_billed=self.settings.idle_window_is_billed,
        )

    @cached_property
    def notifying(self) -> Notifying:
        """Telling people."""
        return Notifying(self.topic, self.journal, self.clock)

    @cached_property
    def spending(self) -> Spending:
        """Asking for money where it is spent."""
        claiming = Claiming(self.capacity, self.clock, self.settings.caps)
        rules = self.settings.spending_rules
        return Spending(
            self.deployments, self.kill_switch, self.accounting, claiming, self.notifying, self.clock, rules
        )

    @cached_property
    def preflight(self) -> Preflight:
        """Verdicts from small files."""
        return Preflight(self.source, TemplateVetting(self.clock), self.imports, self.settings.region)

    @cached_property
    def requesting(self) -> Requesting:
        """Taking requests."""
        keys = IdempotencyTable(self.table)
        keep_warm_for = timedelta(days=self.settings.keep_warm_days)
        return Requesting(
            self.deployments, self.executions, keys, self.viewing, self.spending, self.clock, keep_warm_for
        )

    @cached_property
    def staging(self) -> Staging:
        """Copying weights."""
        name, limits = self.settings.artifact_bucket, self.settings.span_limits
        return Staging(
            self.artifacts, self.bucket, self.source, self.preflight, self.clock, bucket_name=name, limits=limits
        )

    @cached_property
    def deploying(self) -> Deploying:
        """From a request to SERVING."""
        return Deploying(
            self.deployments, self.artifacts, self.preflight, self.executions, self.notifying, self.spending, self.clock
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
        budget = self.settings.wake_budget
        return Warming(self.deployments, self.executions, self.accounting, self.spending, self.clock, budget)

    @cached_property
    def probing(self) -> Probing:
        """Probing models that are woken."""
        budget = self.settings.wake_budget
        return Probing(self.deployments, self.backend, self.accounting, self.spending, self.clock, budget)

    @cached_property
    def first_warm_up(self) -> FirstWarmUp:
        """The first wake of a deployment."""
        return FirstWarmUp(self.deployments, self.warming, self.clock)

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
    def answering(self) -> Answering:
        """Calling a model."""
        return Answering(
            self.artifacts,
            self.invocations,
            self.backend,
            ChatTemplates(self.clock),
            self.accounting,
            self.spending,
            self.journal,
            self.clock,
        )

    @cached_property
    def invoking(self) -> Invoking:
        """Invocations as the API takes them."""
        return Invoking(
            self.deployments,
            self.invocations,
            self.bodies,
            self.queue,
            self.answering,
            self.accounting,
            self.spending,
            self.warming,
            self.clock,
            InvocationLimits(
                held_requests=self.settings.held_requests,
                queue_depth=self.settings.queue_depth,
                clock_speed=self.settings.clock_speed,
            ),
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
            self.warming,
            self.clock,
            WorkerLimits(),
        )

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
            bucket=self.settings.upload_bucket,
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


Work = TypeVar("Work", bound=Model)
IDS = ("deployment", "generation", "artifact_id", "wake_id", "correlation_id")


def task(model: type[Work]) -> Callable[[Callable[[Work], Any]], Callable[[Any, Any], Any]]:
    """Return the decorator of a handler of such tasks.

    The handler gets the parsed task; what it returns must be JSON. Raises: Retryable, Terminal; nothing else of ours.
    """

    def decorate(handle: Callable[[Work], Any]) -> Callable[[Any, Any], Any]:
        @wraps(handle)
        def handler(event: Any, context: Any) -> Any:
            logger = runtime().logger
            logger.clear_state()
            try:
                work = model.model_validate(event)
            except ValidationError as exc:
                problems = exc.errors(include_input=False, include_context=False, include_url=False)
                logger.error("a task was not understood", extra={"problems": problems})  # noqa: TRY400 (the input may be a prompt)
                raise Terminal(f"The task is not a {model.__name__}.", problems=problems) from exc
            told = {name: value for name in IDS if (value := getattr(work, name, None)) is not None}
            logger.append_keys(function_request_id=context.aws_request_id, **told)
            return _guarded(logger, handle, work)

        return handler

    return decorate


def _guarded(logger: Logger, handle: Callable[[Work], Any], work: Work) -> Any:
    try:
        return handle(work)
    except Retryable as exc:
        logger.warning("a task may be tried again", extra={"code": exc.code, "reason": exc.message})
        raise Retryable(exc.to_message()) from exc
    except PilotlightError as exc:
        logger.error("a task failed", extra={"code": exc.code, "reason": exc.message})  # noqa: TRY400 (said once, without locals)
        raise Terminal(exc.to_message()) from exc
