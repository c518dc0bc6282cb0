"""What the product is wired to: clients on first use, and over them the adapters that implement its ports."""

from functools import cached_property
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from pilotlight.adapters.artifact_bucket import S3ArtifactBucket
from pilotlight.adapters.artifact_table import ArtifactTable
from pilotlight.adapters.backlog import CloudWatchBacklog
from pilotlight.adapters.bedrock_imports import BedrockImports
from pilotlight.adapters.bedrock_inference import BedrockInference, client_config
from pilotlight.adapters.bucket_source import BucketSource
from pilotlight.adapters.capacity_table import CapacityTable
from pilotlight.adapters.clock import SystemClock
from pilotlight.adapters.container_logs import EndpointLogs
from pilotlight.adapters.content_table import ContentTable
from pilotlight.adapters.deployment_table import DeploymentTable
from pilotlight.adapters.endpoint_scaling import EndpointScaling
from pilotlight.adapters.executions import StepFunctionsExecutions
from pilotlight.adapters.file_list import FileListSource
from pilotlight.adapters.hub import HubSource
from pilotlight.adapters.hub_memory import SharedMemory
from pilotlight.adapters.in_flight_table import InFlightTable
from pilotlight.adapters.invocation_bodies import SIGNING, S3InvocationBodies
from pilotlight.adapters.invocation_queue import SqsInvocationQueue
from pilotlight.adapters.invocation_table import InvocationTable
from pilotlight.adapters.journal import PowertoolsJournal
from pilotlight.adapters.jumpstart import S3JumpStartCatalogue
from pilotlight.adapters.kill_switch import ParameterSwitch, SwitchMirror
from pilotlight.adapters.modelscope import ModelScopeSource
from pilotlight.adapters.notice_table import NoticeTable
from pilotlight.adapters.pass_table import PassTable
from pilotlight.adapters.revision_table import RevisionTable
from pilotlight.adapters.sagemaker_async import AsyncInference
from pilotlight.adapters.sagemaker_calls import call_config
from pilotlight.adapters.sagemaker_endpoints import HostingRules, SageMakerEndpoints
from pilotlight.adapters.sagemaker_realtime import RealtimeInference
from pilotlight.adapters.secrets import FIRST_TOKEN, MODELSCOPE_TOKEN, HubToken, SigningSecret
from pilotlight.adapters.sources import Sources
from pilotlight.adapters.speed_table import SpeedTable
from pilotlight.adapters.table import Table
from pilotlight.adapters.task_tokens import StepFunctionsTokens
from pilotlight.adapters.topic import SnsTopic
from pilotlight.adapters.upload_bucket import S3UploadBucket
from pilotlight.adapters.upload_table import UploadTable
from pilotlight.adapters.webhook import HttpsWebhooks
from pilotlight.domain.source import SourceKind
from pilotlight.domain.spans import FILES_AT_ONCE
from pilotlight.domain.values import Backend
from pilotlight.ports import Clock, InferenceBackend
from pilotlight.settings import Settings

# All attempts are shorter than the shortest Lambda: one that hangs would else take its retries along.
CONTROL = Config(retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=3, read_timeout=8)
# What is only looked at before something else must not use up its time.
QUICK = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=1, read_timeout=2)
# Whole parts of weights, and the joining of thousands of them, take longer; so may whoever moves them.
TRANSFER = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=3,
    read_timeout=60,
    max_pool_connections=FILES_AT_ONCE,
)
# A part that is still coming can be sent but once, and brings its own checksum.
ONCE = TRANSFER.merge(
    Config(retries={"mode": "standard", "total_max_attempts": 1}, request_checksum_calculation="when_required")
)


class Wiring:
    """The clients and the ports, each made when it is first asked for."""

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
    def speeds(self) -> SpeedTable:
        """What was measured of models."""
        return SpeedTable(self.table)

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
        return S3InvocationBodies(
            self.client("s3"), self.settings.artifact_bucket, lambda: self.client("s3", SIGNING), self.clock.now
        )

    @cached_property
    def queue(self) -> SqsInvocationQueue:
        """The queue of invocations."""
        return SqsInvocationQueue(self.client("sqs"), self.settings.queue_url)

    @cached_property
    def bucket(self) -> S3ArtifactBucket:
        """The bucket of weights."""
        return S3ArtifactBucket(self.client("s3", TRANSFER), self.client("s3", ONCE), self.settings.artifact_bucket)

    @cached_property
    def contents(self) -> ContentTable:
        """Which artifact holds a content."""
        return ContentTable(self.table)

    @cached_property
    def upload_bucket(self) -> S3UploadBucket:
        """The bucket of uploaded folders."""
        return S3UploadBucket(
            self.client("s3"), self.settings.upload_bucket, lambda: self.client("s3", SIGNING), self.clock.now
        )

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
    def endpoints(self) -> SageMakerEndpoints:
        """Models, configs and endpoints at SageMaker."""
        rules = HostingRules(
            role_arn=self.settings.hosting_role_arn,
            bucket=self.settings.artifact_bucket,
            success_topic_arn=self.settings.success_topic_arn,
            error_topic_arn=self.settings.error_topic_arn,
        )
        return SageMakerEndpoints(self.client("sagemaker"), rules, self.settings.place)

    @cached_property
    def autoscaling(self) -> EndpointScaling:
        """What adds and removes instances by itself."""
        return EndpointScaling(self.client("application-autoscaling"), self.client("cloudwatch"), self.settings.stack)

    @cached_property
    def container_logs(self) -> EndpointLogs:
        """What containers wrote."""
        return EndpointLogs(self.client("logs"))

    @cached_property
    def task_tokens(self) -> StepFunctionsTokens:
        """Tasks that wait."""
        return StepFunctionsTokens(self.client("stepfunctions"))

    @cached_property
    def revisions(self) -> RevisionTable:
        """Records of revisions."""
        return RevisionTable(self.table)

    @cached_property
    def jumpstart(self) -> S3JumpStartCatalogue:
        """JumpStart's models."""
        return S3JumpStartCatalogue(self.client("s3"), self.settings.region)

    @cached_property
    def source(self) -> Sources:
        """Hubs, buckets and lists of files that hold checkpoints."""
        settings, memory = self.settings, SharedMemory(self.table)
        return Sources(
            {
                SourceKind.HUB: HubSource(settings.hub_endpoint, self._token(settings.hub_token), memory=memory),
                SourceKind.MODELSCOPE: ModelScopeSource(
                    settings.modelscope_endpoint,
                    self._token(settings.modelscope_token, MODELSCOPE_TOKEN),
                    memory=memory,
                ),
                SourceKind.BUCKET: BucketSource(
                    self.client("s3", TRANSFER), settings.artifact_bucket, settings.upload_bucket
                ),
                SourceKind.FILE_LIST: FileListSource(memory=memory, allows_loopback=settings.file_list_allows_loopback),
            }
        )

    def _token(self, local: str | None, name: str = FIRST_TOKEN) -> HubToken:
        """Return a hub's token, where it is first asked for."""
        return HubToken(
            local=local,
            secret_arn=self.settings.hub_token_secret_arn,
            client=lambda: self.client("secretsmanager"),
            now=self.clock.now,
            name=name,
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

    def _runtime_of_endpoints(self, seconds: float) -> Any:
        """Return the client that calls endpoints, with that read timeout."""
        return self.client("sagemaker-runtime", call_config(seconds))

    @cached_property
    def backends(self) -> dict[Backend, InferenceBackend]:
        """Where models answer a call at once."""
        return {
            Backend.BEDROCK: self.backend,
            Backend.SAGEMAKER_REALTIME: RealtimeInference(self._runtime_of_endpoints),
        }

    @cached_property
    def async_backend(self) -> AsyncInference:
        """Where calls are taken and answered later."""
        return AsyncInference(self._runtime_of_endpoints)

    @cached_property
    def in_flight(self) -> InFlightTable:
        """Calls that are not answered yet."""
        return InFlightTable(self.table)

    @cached_property
    def backlog(self) -> CloudWatchBacklog:
        """What asynchronous endpoints measure of themselves."""
        return CloudWatchBacklog(lambda: self.client("cloudwatch", QUICK), self.clock.now)

    @cached_property
    def webhook_queue(self) -> SqsInvocationQueue:
        """The queue of notices to servers of our users'."""
        return SqsInvocationQueue(self.client("sqs"), self.settings.webhook_queue_url)

    @cached_property
    def webhook_sender(self) -> HttpsWebhooks:
        """Requests to servers of our users'."""
        return HttpsWebhooks(allows_loopback=self.settings.webhook_allows_loopback)

    @cached_property
    def webhook_secret(self) -> SigningSecret:
        """What notices are signed with."""
        secret_arn = self.settings.webhook_secret_arn
        return SigningSecret(secret_arn=secret_arn, client=lambda: self.client("secretsmanager"), now=self.clock.now)
