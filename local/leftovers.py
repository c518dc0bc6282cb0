"""What a stack leaves in the embedded cloud, found by listing the cloud itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.cloud import Cloud

_ENTERED = "StateEntered"
# What an endpoint leaves behind when it alone is deleted.
_HOSTED = (
    ("endpoint", "list_endpoints", "Endpoints", "EndpointName"),
    ("endpoint configuration", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("model", "list_models", "Models", "ModelName"),
    ("inference component", "list_inference_components", "InferenceComponents", "InferenceComponentName"),
)


def left_behind(cloud: Cloud) -> list[str]:
    """Return everything that a deployment may have made and that is still there.

    Invocations' bodies are not in it: they are kept for a week on purpose, and the bucket's lifecycle removes them.
    """
    looks = (_models, _weights, _executions, _messages, _endpoints, _records)
    return [each for look in looks for each in look(cloud)]


def transitions(cloud: Cloud) -> int:
    """Return how many state transitions all executions took so far, those of finished ones included."""
    return sum(
        event["type"].endswith(_ENTERED)
        for execution in _all_executions(cloud)
        for page in cloud.client("stepfunctions")
        .get_paginator("get_execution_history")
        .paginate(executionArn=execution["executionArn"])
        for event in page["events"]
    )


def _models(cloud: Cloud) -> Iterator[str]:
    bedrock = cloud.client("bedrock")
    for page in bedrock.get_paginator("list_imported_models").paginate():
        yield from (f"imported model {each['modelName']}" for each in page["modelSummaries"])
    for page in bedrock.get_paginator("list_model_import_jobs").paginate(statusEquals="InProgress"):
        yield from (f"import job {each['jobName']}" for each in page["modelImportJobSummaries"])


def _weights(cloud: Cloud) -> Iterator[str]:
    s3, bucket = cloud.client("s3"), cloud.resources["ArtifactBucket"]
    for prefix in ("artifacts/", "bundles/"):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (f"object {each['Key']}" for each in page.get("Contents", []))
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        yield from (f"unfinished upload of {each['Key']}" for each in page.get("Uploads", []))


def _executions(cloud: Cloud) -> Iterator[str]:
    running = (each for each in _all_executions(cloud) if each["status"] == "RUNNING")
    yield from (f"running execution {each['name']}" for each in running)


def _all_executions(cloud: Cloud) -> Iterator[dict[str, Any]]:
    steps = cloud.client("stepfunctions")
    for machine in steps.list_state_machines()["stateMachines"]:
        for page in steps.get_paginator("list_executions").paginate(stateMachineArn=machine["stateMachineArn"]):
            yield from page["executions"]


def _messages(cloud: Cloud) -> Iterator[str]:
    sqs = cloud.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for logical in ("InvocationQueue", "DeadInvocations", "WebhookQueue", "LostEvents"):
        told = sqs.get_queue_attributes(QueueUrl=cloud.resources[logical], AttributeNames=names)["Attributes"]
        if waiting := sum(int(told[name]) for name in names):
            yield f"{waiting} message(s) in {logical}"


def _endpoints(cloud: Cloud) -> Iterator[str]:
    sagemaker = cloud.client("sagemaker")
    for kind, operation, listed, name in _HOSTED:
        for page in sagemaker.get_paginator(operation).paginate():
            yield from (f"{kind} {each[name]}" for each in page[listed])
    scaling = cloud.client("application-autoscaling")
    for page in scaling.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="sagemaker"):
        yield from (f"scalable target {each['ResourceId']}" for each in page["ScalableTargets"])
    for page in scaling.get_paginator("describe_scaling_policies").paginate(ServiceNamespace="sagemaker"):
        yield from (f"scaling policy {each['PolicyName']}" for each in page["ScalingPolicies"])
    for page in cloud.client("cloudwatch").get_paginator("describe_alarms").paginate():
        ours = (each for each in page["MetricAlarms"] if each.get("Namespace") == "AWS/SageMaker")
        yield from (f"alarm {each['AlarmName']}" for each in ours)


def _records(cloud: Cloud) -> Iterator[str]:
    """Yield what must not outlive an endpoint in the table: its revisions, and calls that nobody answered."""
    table = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=cloud.outputs["TableName"])
    for page in table:
        keys = (f"{item['pk']['S']} {item['sk']['S']}" for item in page["Items"])
        yield from (f"record {key}" for key in keys if " REVISION#" in key or " PENDING#" in key)
