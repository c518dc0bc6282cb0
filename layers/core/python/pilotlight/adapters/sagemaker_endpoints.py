"""SageMaker hosting: models, endpoint configs, endpoints and inference components."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.sagemaker_errors import is_absent, sagemaker_errors
from pilotlight.domain.endpoint import VARIANT, Mount, Revision, Seen, Strategy
from pilotlight.domain.errors import NotFound
from pilotlight.domain.place import Place
from pilotlight.domain.spending import LONGEST_UPDATE
from pilotlight.domain.values import Backend, Model
from pilotlight.ports.endpoints import Component, Found

DRAIN_SECONDS = 30  # in which the former fleet ends what it has begun
BATCH_PERCENT = 25  # of the fleet that a rolling update replaces at once
UPDATE_SECONDS = int(LONGEST_UPDATE.total_seconds())  # an update that is not over by then is rolled back


class HostingRules(Model):
    """As whom containers run, and where asynchronous results and failures go."""

    role_arn: str
    bucket: str
    success_topic_arn: str = ""
    error_topic_arn: str = ""


class SageMakerEndpoints:
    """Implements `ports.Endpoints`."""

    def __init__(self, client: Any, rules: HostingRules, place: Place) -> None:
        self._client = client
        self._rules = rules
        self._place = place

    def create_model(self, revision: Revision, tags: Mapping[str, str]) -> None:
        """Create the model of a revision. Raises: Conflict where one of its name exists."""
        with sagemaker_errors(f"creating model {revision.model_name}"):
            self._client.create_model(
                ModelName=revision.model_name,
                PrimaryContainer=_container(revision),
                ExecutionRoleArn=self._rules.role_arn,
                EnableNetworkIsolation=revision.network_isolation,
                Tags=_listed(tags),
                **self._network(),
            )

    def create_config(self, revision: Revision, backend: Backend, *, instances: int, tags: Mapping[str, str]) -> None:
        """Create the endpoint config of a revision. Raises: Conflict where one of its name exists."""
        request: dict[str, Any] = {
            "EndpointConfigName": revision.config_name,
            "ProductionVariants": [_variant(revision, instances)],
            "Tags": _listed(tags),
        }
        # No KmsKeyId: it is for instances without storage of their own, and refused with any other, which accelerated
        # ones are. Source: Amazon SageMaker API reference, CreateEndpointConfig.
        if backend is Backend.SAGEMAKER_ASYNC:
            request["AsyncInferenceConfig"] = self._asynchronous(revision)
        if revision.scaling.components:
            request |= {"ExecutionRoleArn": self._rules.role_arn, "EnableNetworkIsolation": revision.network_isolation}
            request |= self._network()
        with sagemaker_errors(f"creating endpoint config {revision.config_name}"):
            self._client.create_endpoint_config(**request)

    def create_endpoint(self, name: str, config_name: str, tags: Mapping[str, str]) -> str:
        """Create an endpoint and return its ARN. Raises: Conflict where one of its name exists."""
        with sagemaker_errors(f"creating endpoint {name}"):
            made = self._client.create_endpoint(EndpointName=name, EndpointConfigName=config_name, Tags=_listed(tags))
        return str(made["EndpointArn"])

    def see(self, name: str) -> Seen | None:
        """Return an endpoint as it is now, or None."""
        told = self._told(f"reading endpoint {name}", self._client.describe_endpoint, EndpointName=name)
        if told is None:
            return None
        variants = told.get("ProductionVariants") or [{}]
        deployment = told.get("PendingDeploymentSummary") or {}
        pending = deployment.get("ProductionVariants") or []
        return Seen(
            name=told["EndpointName"],
            arn=told["EndpointArn"],
            status=told["EndpointStatus"],
            config_name=told["EndpointConfigName"],
            pending_config_name=deployment.get("EndpointConfigName"),
            instances=sum(each.get("CurrentInstanceCount") or 0 for each in variants),
            pending=sum(
                max(each.get("CurrentInstanceCount") or 0, each.get("DesiredInstanceCount") or 0) for each in pending
            ),
            desired=sum(each.get("DesiredInstanceCount") or 0 for each in variants),
            failure_reason=told.get("FailureReason"),
            created_at=told.get("CreationTime"),
        )

    def endpoint(self, name: str) -> Found | None:
        """Return an endpoint with its tags, or None."""
        return self._found(name, "endpoint", "EndpointArn", self._client.describe_endpoint, EndpointName=name)

    def model(self, name: str) -> Found | None:
        """Return a model with its tags, or None."""
        return self._found(name, "model", "ModelArn", self._client.describe_model, ModelName=name)

    def config(self, name: str) -> Found | None:
        """Return an endpoint config with its tags, or None."""
        describe = self._client.describe_endpoint_config
        return self._found(name, "endpoint config", "EndpointConfigArn", describe, EndpointConfigName=name)

    def update(self, name: str, config_name: str, strategy: Strategy, alarms: Sequence[str]) -> None:
        """Begin to move an endpoint to another config; it rolls back by itself where that fails or an alarm rings."""
        with sagemaker_errors(f"updating endpoint {name}"):
            self._client.update_endpoint(
                EndpointName=name,
                EndpointConfigName=config_name,
                RetainAllVariantProperties=True,
                DeploymentConfig=_deployment(strategy, alarms),
            )

    def set_instances(self, name: str, instances: int) -> None:
        """Set how many instances an endpoint shall have now."""
        with sagemaker_errors(f"scaling endpoint {name} to {instances}"):
            self._client.update_endpoint_weights_and_capacities(
                EndpointName=name,
                DesiredWeightsAndCapacities=[{"VariantName": VARIANT, "DesiredInstanceCount": instances}],
            )

    def delete_endpoint(self, name: str) -> None:
        """Begin to delete an endpoint; one already gone is a success."""
        self._delete(f"deleting endpoint {name}", self._client.delete_endpoint, EndpointName=name)

    def delete_config(self, name: str) -> None:
        """Delete a config; one already gone is a success."""
        delete = self._client.delete_endpoint_config
        self._delete(f"deleting endpoint config {name}", delete, EndpointConfigName=name)

    def delete_model(self, name: str) -> None:
        """Delete a model; one already gone is a success."""
        self._delete(f"deleting model {name}", self._client.delete_model, ModelName=name)

    def create_component(self, endpoint: str, revision: Revision, *, copies: int, tags: Mapping[str, str]) -> None:
        """Create the inference component of a revision: a copy takes a whole instance's accelerators."""
        with sagemaker_errors(f"creating inference component {revision.model_name}"):
            self._client.create_inference_component(
                InferenceComponentName=revision.model_name,
                EndpointName=endpoint,
                VariantName=VARIANT,
                Specification={
                    "ModelName": revision.model_name,
                    "StartupParameters": {
                        "ModelDataDownloadTimeoutInSeconds": revision.download_timeout_seconds,
                        "ContainerStartupHealthCheckTimeoutInSeconds": revision.health_check_timeout_seconds,
                    },
                    "ComputeResourceRequirements": _needs(revision),
                },
                RuntimeConfig={"CopyCount": copies},
                Tags=_listed(tags),
            )

    def component(self, name: str) -> Component | None:
        """Return an inference component, or None."""
        describe = self._client.describe_inference_component
        told = self._told(f"reading inference component {name}", describe, InferenceComponentName=name)
        if told is None:
            return None
        return Component(
            name=told["InferenceComponentName"],
            arn=told["InferenceComponentArn"],
            status=told["InferenceComponentStatus"],
            copies=(told.get("RuntimeConfig") or {}).get("CurrentCopyCount") or 0,
            failure_reason=told.get("FailureReason"),
        )

    def set_copies(self, name: str, copies: int) -> None:
        """Set how many copies a component shall have."""
        with sagemaker_errors(f"scaling inference component {name} to {copies}"):
            self._client.update_inference_component_runtime_config(
                InferenceComponentName=name, DesiredRuntimeConfig={"CopyCount": copies}
            )

    def delete_component(self, name: str) -> None:
        """Begin to delete a component; one already gone is a success."""
        delete = self._client.delete_inference_component
        self._delete(f"deleting inference component {name}", delete, InferenceComponentName=name)

    def _asynchronous(self, revision: Revision) -> dict[str, Any]:
        results = f"s3://{self._rules.bucket}/results/{revision.deployment}-g{revision.generation}"
        output: dict[str, Any] = {"S3OutputPath": f"{results}/done", "S3FailurePath": f"{results}/failed"}
        if self._place.kms_key_arn:
            output["KmsKeyId"] = self._place.kms_key_arn
        if self._rules.success_topic_arn:
            output["NotificationConfig"] = {
                "SuccessTopic": self._rules.success_topic_arn,
                "ErrorTopic": self._rules.error_topic_arn,
            }
        concurrent = revision.scaling.concurrent_invocations
        client = {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": concurrent}} if concurrent else {}
        return {"OutputConfig": output, **client}

    def _network(self) -> dict[str, Any]:
        if not self._place.subnet_ids:
            return {}
        groups = self._place.security_group_ids
        return {"VpcConfig": {"Subnets": self._place.subnet_ids, "SecurityGroupIds": groups}}

    def _found(
        self, name: str, kind: str, arn_key: str, describe: Callable[..., Any], **identifier: str
    ) -> Found | None:
        told = self._told(f"reading {kind} {name}", describe, **identifier)
        if told is None:
            return None
        arn = str(told[arn_key])
        try:
            with sagemaker_errors(f"reading the tags of {kind} {name}"):
                pages = self._client.get_paginator("list_tags").paginate(ResourceArn=arn)
                tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        except NotFound:
            return None
        return Found(name=name, arn=arn, tags=tags, created_at=told.get("CreationTime"))

    @staticmethod
    def _told(what: str, describe: Callable[..., Any], **identifier: str) -> dict[str, Any] | None:
        with sagemaker_errors(what):
            try:
                return dict(describe(**identifier))
            except ClientError as exc:
                if is_absent(exc):
                    return None
                raise

    @staticmethod
    def _delete(what: str, delete: Callable[..., Any], **identifier: str) -> None:
        with sagemaker_errors(what):
            try:
                delete(**identifier)
            except ClientError as exc:
                if not is_absent(exc):
                    raise


def _container(revision: Revision) -> dict[str, Any]:
    """Return the container: its image, its variables, and what is mounted in it."""
    container: dict[str, Any] = {"Image": revision.image, "Environment": revision.environment}
    for mount in revision.mounts:
        source = {"S3DataSource": _data(mount)}
        if mount.channel is None:
            container["ModelDataSource"] = source
        else:
            container.setdefault("AdditionalModelDataSources", []).append({"ChannelName": mount.channel, **source})
    return container


def _data(mount: Mount) -> dict[str, Any]:
    data: dict[str, Any] = {
        "S3Uri": mount.uri,
        "S3DataType": "S3Prefix" if mount.uri.endswith("/") else "S3Object",
        "CompressionType": "Gzip" if mount.compressed else "None",
    }
    return data | ({"ModelAccessConfig": {"AcceptEula": True}} if mount.gated else {})


def _variant(revision: Revision, instances: int) -> dict[str, Any]:
    variant: dict[str, Any] = {
        "VariantName": VARIANT,
        "InstanceType": revision.instance_type,
        "InitialInstanceCount": max(1, instances),  # SageMaker's least: see docs/decisions
    }
    if revision.inference_ami_version:
        variant["InferenceAmiVersion"] = revision.inference_ami_version
    if revision.volume_gib:
        variant["VolumeSizeInGB"] = revision.volume_gib
    if revision.scaling.components:
        # Instances follow the copies, whose least is their scaling's: a least of its own here could never be stopped.
        bounds = {"MinInstanceCount": 0, "MaxInstanceCount": revision.scaling.max}
        variant["ManagedInstanceScaling"] = {"Status": "ENABLED", **bounds}
        variant["RoutingConfig"] = {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
        return variant
    return variant | {
        "ModelName": revision.model_name,
        "ModelDataDownloadTimeoutInSeconds": revision.download_timeout_seconds,
        "ContainerStartupHealthCheckTimeoutInSeconds": revision.health_check_timeout_seconds,
    }


def _needs(revision: Revision) -> dict[str, Any]:
    """Return what one copy of a component needs: all accelerators that its tensors are spread over."""
    accelerators = revision.tensor_parallel_degree or 0
    needs: dict[str, Any] = {"MinMemoryRequiredInMb": 1024}
    if accelerators:
        return needs | {"NumberOfAcceleratorDevicesRequired": accelerators}
    return needs | {"NumberOfCpuCoresRequired": 1}


def _deployment(strategy: Strategy, alarms: Sequence[str]) -> dict[str, Any]:
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}
    if strategy is Strategy.ROLLING:
        return {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": BATCH_PERCENT},
                "WaitIntervalInSeconds": DRAIN_SECONDS,
                "MaximumExecutionTimeoutInSeconds": UPDATE_SECONDS,
            },
            **rollback,
        }
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": DRAIN_SECONDS},
            "TerminationWaitInSeconds": DRAIN_SECONDS,
            "MaximumExecutionTimeoutInSeconds": UPDATE_SECONDS,
        },
        **rollback,
    }


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
