"""What there is of endpoints in the account and region, listed page by page to the end, the oldest first.

What is made while a list goes on comes at its end, so that nothing slips from one page to another.
"""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from pilotlight.adapters.aws_errors import code_of, translated
from pilotlight.adapters.sagemaker_errors import is_absent, sagemaker_errors
from pilotlight.domain import names
from pilotlight.domain.endpoint_orphans import BUNDLES, FoundAlarm, FoundHosted, FoundTarget, alarm_owner, target_owner

SERVICE = "sagemaker"
OURS = f"{names.PREFIX}-"
PAGE = 100
NO_TARGET = "ObjectNotFoundException"
NO_ALARM = frozenset({"ResourceNotFound", "ResourceNotFoundException"})


class SageMakerInventory:
    """Implements `ports.endpoints.EndpointInventory`."""

    def __init__(self, sagemaker: Any, autoscaling: Any, cloudwatch: Any, s3: Any, bucket: str) -> None:
        self._sagemaker = sagemaker
        self._autoscaling = autoscaling
        self._cloudwatch = cloudwatch
        self._s3 = s3
        self._bucket = bucket

    def endpoints(self) -> list[FoundHosted]:
        """Return the endpoints."""
        return self._hosted("list_endpoints", "Endpoint")

    def configs(self) -> list[FoundHosted]:
        """Return the endpoint configs."""
        return self._hosted("list_endpoint_configs", "EndpointConfig")

    def models(self) -> list[FoundHosted]:
        """Return the models."""
        return self._hosted("list_models", "Model")

    def components(self) -> list[FoundHosted]:
        """Return the inference components."""
        return self._hosted("list_inference_components", "InferenceComponent")

    def tags(self, arn: str) -> dict[str, str] | None:
        """Return the tags of any of these, or None."""
        with sagemaker_errors(f"reading the tags of {arn}"):
            try:
                pages = self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
                return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
            except ClientError as exc:
                if is_absent(exc):
                    return None
                raise

    def instance_type(self, config_name: str) -> str | None:
        """Return what the instances of an endpoint config are; None where nobody tells."""
        with sagemaker_errors(f"reading endpoint config {config_name}"):
            try:
                config = self._sagemaker.describe_endpoint_config(EndpointConfigName=config_name)
            except ClientError as exc:
                if is_absent(exc):
                    return None
                raise
        types: Iterator[str | None] = (each.get("InstanceType") for each in config["ProductionVariants"])
        return next(types, None)

    def targets(self) -> list[FoundTarget]:
        """Return what is registered to be scaled."""
        pages = self._autoscaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace=SERVICE)
        with translated("listing scalable targets"):
            return [
                FoundTarget(
                    resource_id=each["ResourceId"],
                    dimension=each["ScalableDimension"],
                    created_at=each.get("CreationTime"),
                )
                for page in pages
                for each in page["ScalableTargets"]
                if target_owner(each["ResourceId"])
            ]

    def forget_target(self, target: FoundTarget) -> None:
        """Take away what scales something; its policies go with it. What is not there is not missed.

        Source: Application Auto Scaling API reference, DeregisterScalableTarget.
        """
        with translated(f"removing the scaling of {target.resource_id}"):
            try:
                self._autoscaling.deregister_scalable_target(
                    ServiceNamespace=SERVICE, ResourceId=target.resource_id, ScalableDimension=target.dimension
                )
            except ClientError as exc:
                if code_of(exc) != NO_TARGET:
                    raise

    def alarms(self) -> list[FoundAlarm]:
        """Return the alarms."""
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=OURS, AlarmTypes=["MetricAlarm"]
        )
        with translated("listing the alarms of endpoints"):
            return [
                FoundAlarm(
                    name=each["AlarmName"],
                    arn=each["AlarmArn"],
                    changed_at=each.get("AlarmConfigurationUpdatedTimestamp"),
                )
                for page in pages
                for each in page["MetricAlarms"]
                if alarm_owner(each["AlarmName"])
            ]

    def alarm_tags(self, arn: str) -> dict[str, str] | None:
        """Return the tags of an alarm, or None."""
        with translated(f"reading the tags of {arn}"):
            try:
                tags = self._cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
            except ClientError as exc:
                if code_of(exc) in NO_ALARM:
                    return None
                raise
        return {tag["Key"]: tag["Value"] for tag in tags}

    def delete_alarm(self, name: str) -> None:
        """Delete an alarm; one that is not there is not missed."""
        with translated(f"deleting alarm {name}"):
            try:
                self._cloudwatch.delete_alarms(AlarmNames=[name])
            except ClientError as exc:
                if code_of(exc) not in NO_ALARM:
                    raise

    def bundle_folders(self) -> list[str]:
        """Return the folders below `bundles/` in which there are objects."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=BUNDLES, Delimiter="/")
        with translated(f"listing {BUNDLES}"):
            found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        return [prefix.removeprefix(BUNDLES).removesuffix("/") for prefix in found]

    def _hosted(self, operation: str, noun: str) -> list[FoundHosted]:
        """Return what a list of SageMaker's holds under names like ours. `NameContains` only makes it shorter."""
        pages = self._sagemaker.get_paginator(operation).paginate(
            NameContains=OURS,
            SortBy="CreationTime",
            SortOrder="Ascending",
            PaginationConfig={"PageSize": PAGE},
        )
        with sagemaker_errors(f"listing {noun}s"):
            return [
                FoundHosted(
                    name=each[f"{noun}Name"],
                    arn=each[f"{noun}Arn"],
                    created_at=each.get("CreationTime"),
                    status=each.get(f"{noun}Status"),
                )
                for page in pages
                for each in page[f"{noun}s"]
                if each[f"{noun}Name"].startswith(OURS)
            ]
