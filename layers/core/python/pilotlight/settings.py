"""The environment, as small models: the only place that reads it. The template sets what is named here."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field

from pilotlight.domain.capacity import Caps
from pilotlight.domain.place import Place
from pilotlight.domain.reconciliation import MOST_REMOVALS, Rules
from pilotlight.domain.spans import MIB, SpanLimits
from pilotlight.domain.spending import SpendingRules
from pilotlight.domain.values import Model
from pilotlight.domain.warmth import WakeBudget, WakeBudgets


class Settings(Model):
    """Everything that differs between stacks; what is absent has the default of the product."""

    stack: str = Field(default="pilotlight", alias="STACK_NAME")
    region: str = Field(default="us-east-1", alias="AWS_REGION")
    table: str = Field(default="", alias="TABLE_NAME")
    artifact_bucket: str = Field(default="", alias="ARTIFACT_BUCKET")
    upload_bucket: str = Field(default="", alias="UPLOAD_BUCKET")
    queue_url: str = Field(default="", alias="INVOCATION_QUEUE_URL")
    topic_arn: str = Field(default="", alias="NOTIFICATION_TOPIC_ARN")
    import_role_arn: str = Field(default="", alias="IMPORT_ROLE_ARN")
    hosting_role_arn: str = Field(default="", alias="HOSTING_ROLE_ARN")
    success_topic_arn: str = Field(default="", alias="SUCCESS_TOPIC_ARN")
    error_topic_arn: str = Field(default="", alias="ERROR_TOPIC_ARN")
    kms_key_arn: str | None = Field(default=None, alias="KMS_KEY_ARN")
    subnet_ids: str = Field(default="", alias="VPC_SUBNET_IDS")
    security_group_ids: str = Field(default="", alias="VPC_SECURITY_GROUP_IDS")
    state_machine_arn_prefix: str = Field(default="", alias="STATE_MACHINE_ARN_PREFIX")
    service: str = Field(default="pilotlight", alias="POWERTOOLS_SERVICE_NAME")
    metrics_namespace: str = Field(default="Pilotlight", alias="POWERTOOLS_METRICS_NAMESPACE")

    hub_endpoint: str = Field(default="https://huggingface.co", alias="HF_ENDPOINT")
    hub_token: str | None = Field(default=None, alias="HF_TOKEN", repr=False)
    modelscope_endpoint: str = Field(default="https://modelscope.cn", alias="MODELSCOPE_ENDPOINT")
    modelscope_token: str | None = Field(default=None, alias="MODELSCOPE_API_TOKEN", repr=False)
    hub_token_secret_arn: str | None = Field(default=None, alias="HUB_TOKEN_SECRET_ARN")

    part_mib: int = Field(default=128, ge=5, le=1024, alias="PART_MIB")
    span_seconds: int = Field(default=150, ge=1, alias="SPAN_SECONDS")
    worst_bytes_per_second: int = Field(default=25_000_000, ge=1, alias="WORST_BYTES_PER_SECOND")
    copiers: int = Field(default=8, ge=1, alias="COPIERS")
    copy_streams: int = Field(default=4, ge=1, alias="COPY_STREAMS")

    import_poll_seconds: int = Field(default=60, ge=1, alias="IMPORT_POLL_SECONDS")
    import_deadline_seconds: int = Field(default=10_800, ge=60, alias="IMPORT_DEADLINE_SECONDS")
    idle_seconds: int = Field(default=300, ge=60, alias="IDLE_SECONDS")
    idle_window_is_billed: bool = Field(default=True, alias="IDLE_WINDOW_IS_BILLED")
    wake_max_attempts: int = Field(default=120, ge=1, alias="WAKE_MAX_ATTEMPTS")
    wake_max_seconds: int = Field(default=1500, ge=10, alias="WAKE_MAX_SECONDS")
    endpoint_wake_max_seconds: int = Field(default=5400, ge=10, alias="ENDPOINT_WAKE_MAX_SECONDS")
    wake_max_usd: float = Field(default=25.0, ge=0, alias="WAKE_MAX_USD")
    keep_warm_days: int = Field(default=90, ge=1, alias="KEEP_WARM_DAYS")
    wakes_per_hour: int = Field(default=60, ge=1, alias="WAKES_PER_HOUR")
    max_custom_model_units: int = Field(default=32, ge=1, alias="MAX_CUSTOM_MODEL_UNITS")
    max_instances: int = Field(default=4, ge=0, alias="MAX_INSTANCES")
    kill_switch_parameter: str = Field(default="", alias="KILL_SWITCH_PARAMETER")
    default_spend_ceiling_usd: float = Field(default=500.0, gt=0, alias="DEFAULT_SPEND_CEILING_USD")
    settle_seconds: int = Field(default=60, ge=1, alias="UPLOAD_SETTLE_SECONDS")
    held_requests: int = Field(default=3, ge=0, alias="HELD_REQUESTS")
    queue_depth: int = Field(default=10_000, ge=1, alias="QUEUE_DEPTH")

    reconcile_dry_run: bool = Field(default=False, alias="RECONCILE_DRY_RUN")
    reconcile_most_removals: int = Field(default=MOST_REMOVALS, ge=0, alias="RECONCILE_MOST_REMOVALS")
    reconcile_smallest_age_seconds: int = Field(default=3600, ge=900, alias="RECONCILE_SMALLEST_AGE_SECONDS")

    source_buckets: str = Field(default="", alias="SOURCE_BUCKETS")
    webhook_queue_url: str = Field(default="", alias="WEBHOOK_QUEUE_URL")
    webhook_secret_arn: str = Field(default="", alias="WEBHOOK_SECRET_ARN")
    file_list_allows_loopback: bool = Field(default=False, alias="FILE_LIST_ALLOWS_LOOPBACK")
    webhook_allows_loopback: bool = Field(default=False, alias="WEBHOOK_ALLOWS_LOOPBACK")

    aws_endpoint: str | None = Field(default=None, alias="AWS_ENDPOINT_URL")
    clock_speed: float = Field(default=1.0, gt=0, alias="PILOTLIGHT_CLOCK_SPEED")
    clock_epoch: float = Field(default=0.0, alias="PILOTLIGHT_CLOCK_EPOCH")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Return the settings of an environment; an empty variable counts as absent.

        Raises: ValueError, naming the variable that breaks a rule.
        """
        given: dict[str, Any] = {name: value for name, value in environment.items() if value != ""}
        return cls.model_validate(given)

    @property
    def place(self) -> Place:
        """Where import jobs run and what their models are encrypted with."""
        return Place(
            kms_key_arn=self.kms_key_arn,
            subnet_ids=self.subnet_ids.split(",") if self.subnet_ids else [],
            security_group_ids=self.security_group_ids.split(",") if self.security_group_ids else [],
        )

    @property
    def span_limits(self) -> SpanLimits:
        """How files are cut."""
        return SpanLimits(
            part_bytes=self.part_mib * MIB,
            span_seconds=self.span_seconds,
            worst_bytes_per_second=self.worst_bytes_per_second,
            copiers=self.copiers,
            streams=self.copy_streams,
        )

    @property
    def reconcile_rules(self) -> Rules:
        """What a reconciliation may remove."""
        return Rules(
            stack=self.stack,
            smallest_age=timedelta(seconds=self.reconcile_smallest_age_seconds),
            most_removals=self.reconcile_most_removals,
            dry_run=self.reconcile_dry_run,
        )

    @property
    def wake_budgets(self) -> WakeBudgets:
        """What one warm-up may use."""
        windows = WakeBudget(
            max_attempts=self.wake_max_attempts,
            max_seconds=self.wake_max_seconds,
            max_usd=self.wake_max_usd,
            max_per_hour=self.wakes_per_hour,
        )
        return WakeBudgets(windows=windows, instances=windows.changed(max_seconds=self.endpoint_wake_max_seconds))

    @property
    def caps(self) -> Caps:
        """What may be warm at once over all deployments."""
        return Caps(model_units=self.max_custom_model_units, instances=self.max_instances)

    @property
    def spending_rules(self) -> SpendingRules:
        """What holds for money where a deployment says nothing."""
        return SpendingRules(
            default_ceiling_usd=self.default_spend_ceiling_usd,
            idle=timedelta(seconds=self.idle_seconds),
            clock_speed=self.clock_speed,
        )
