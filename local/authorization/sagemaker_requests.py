"""SageMaker's and Application Auto Scaling's requests as IAM sees them.

Source: Service Authorization Reference of both; Application Auto Scaling user guide, "Permissions validation for
Application Auto Scaling API calls" (which calls it tries on SageMaker: SageMaker developer guide, "Auto scaling
prerequisites"). Names are written in small letters in the ARNs of SageMaker.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.applicationautoscaling.models import applicationautoscaling_backends
from moto.iam.models import iam_backends

from local.authorization.requests import Asked, Needed, arn, resolves
from local.identity import ACCOUNT_ID, REGION

SCALING_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
_HOSTING = "sagemaker.amazonaws.com"
_ENDPOINT_PATH = re.compile(r"/endpoints/([^/]+)/(?:async-)?invocations$")
_COMPONENT_HEADER = "X-Amzn-SageMaker-Inference-Component"
_KINDS: Mapping[str, str] = {
    "Model": "model",
    "EndpointConfig": "endpoint-config",
    "EndpointWeightsAndCapacities": "endpoint",
    "Endpoint": "endpoint",
    "InferenceComponentRuntimeConfig": "inference-component",
    "InferenceComponent": "inference-component",
}
_NAMES: Mapping[str, str] = {
    "model": "ModelName",
    "endpoint-config": "EndpointConfigName",
    "endpoint": "EndpointName",
    "inference-component": "InferenceComponentName",
}
_VERB = re.compile(r"^(Create|Describe|Update|Delete)")

Tags = Callable[[str], Mapping[str, str]]


def install(tags_of: Tags) -> None:
    """Judge these services' requests; `tags_of` tells what a resource of SageMaker is tagged with."""
    resolves("sagemaker", lambda asked: _sagemaker(asked, tags_of))
    resolves("application-autoscaling", _scaling)


def _sagemaker(asked: Asked, tags_of: Tags) -> Iterator[Needed]:
    action, told = f"sagemaker:{asked.action}", asked.told
    if found := _ENDPOINT_PATH.search(asked.path):
        yield _on(action, _named("endpoint", found[1]), tags_of)
        if component := asked.headers.get(_COMPONENT_HEADER):
            yield _on(action, _named("inference-component", component), tags_of)
    elif asked.action in ("AddTags", "DeleteTags", "ListTags"):
        resource = str(told["ResourceArn"])
        keys = {"aws:TagKeys": tuple(told["TagKeys"])} if told.get("TagKeys") else {}
        yield action, resource, {**_requested(told), **keys, **_held(tags_of(resource))}
    elif asked.action == "DescribeHubContent":
        hub, owner = str(told["HubName"]).rpartition("/")[2], "aws"
        kind, name = told["HubContentType"], told["HubContentName"]
        yield action, f"arn:aws:sagemaker:{REGION}:{owner}:hub-content/{hub}/{kind}/{name}/*", {}
    elif kind := _KINDS.get(_VERB.sub("", asked.action), ""):
        yield from _of_kind(asked, kind, tags_of)
    else:
        yield action, "*", {}


def _of_kind(asked: Asked, kind: str, tags_of: Tags) -> Iterator[Needed]:
    """Give what a call about one resource needs: others that it names, its tags, and a role that it hands on."""
    action, told = f"sagemaker:{asked.action}", asked.told
    resource = _named(kind, told[_NAMES[kind]])
    facts = {**_requested(told), **_held(tags_of(resource))}
    if types := tuple(each["InstanceType"] for each in told.get("ProductionVariants") or () if "InstanceType" in each):
        facts["sagemaker:InstanceTypes"] = types
    yield action, resource, facts
    if asked.action == "DeleteEndpoint":
        yield from _ends_scaling(str(told["EndpointName"]))
    if asked.action in ("CreateEndpoint", "UpdateEndpoint"):
        yield _on(action, _named("endpoint-config", told["EndpointConfigName"]), tags_of)
    if asked.action == "CreateInferenceComponent":
        yield _on(action, _named("endpoint", told["EndpointName"]), tags_of)
    if told.get("Tags") and asked.action.startswith("Create"):
        yield "sagemaker:AddTags", resource, _requested(told)
    if role := told.get("ExecutionRoleArn"):
        yield "iam:PassRole", str(role), {"iam:PassedToService": _HOSTING}


def _scaling(asked: Asked) -> Iterator[Needed]:
    """Give what a call needs. The first target of an account needs the role that the service then acts by."""
    told, action = asked.told, f"application-autoscaling:{asked.action}"
    if asked.action.startswith("Describe"):
        yield action, "*", {}
        return
    if "ResourceARN" in told:
        yield action, str(told["ResourceARN"]), {}
        return
    facts: dict[str, Any] = {
        "application-autoscaling:service-namespace": str(told["ServiceNamespace"]),
        "application-autoscaling:scalable-dimension": str(told["ScalableDimension"]),
    }
    tags = told.get("Tags") or {}
    facts |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    held = applicationautoscaling_backends[ACCOUNT_ID][REGION].targets.get(told["ScalableDimension"], {})
    target = held.get(told["ResourceId"])
    yield action, target.arn if target else arn("application-autoscaling", "scalable-target/new"), facts
    if asked.action not in ("TagResource", "UntagResource"):
        yield from _tried(str(told["ScalableDimension"]))
    if asked.action == "RegisterScalableTarget" and not _has_role():
        role = f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/{SCALING_SERVICE}/{SCALING_ROLE}"
        yield "iam:CreateServiceLinkedRole", role, {"iam:AWSServiceName": SCALING_SERVICE}


def _ends_scaling(endpoint: str) -> Iterator[Needed]:
    """Give what deleting an endpoint needs besides, where it has scalable targets: they end with it."""
    for targets in applicationautoscaling_backends[ACCOUNT_ID][REGION].targets.values():
        for target in targets.values():
            if target.resource_id.startswith(f"endpoint/{endpoint}/"):
                facts = {"application-autoscaling:service-namespace": "sagemaker"}
                yield "application-autoscaling:DeregisterScalableTarget", target.arn, facts


def _tried(dimension: str) -> Iterator[Needed]:
    """Give what the service tries in its caller's name beforehand, with names that it makes up."""
    made_up = str(uuid.uuid4())
    if dimension.startswith("sagemaker:inference-component:"):
        yield "sagemaker:DescribeInferenceComponent", _named("inference-component", made_up), {}
        yield "sagemaker:UpdateInferenceComponentRuntimeConfig", _named("inference-component", made_up), {}
    else:
        yield "sagemaker:DescribeEndpoint", _named("endpoint", made_up), {}
        yield "sagemaker:DescribeEndpointConfig", _named("endpoint-config", made_up), {}
        yield "sagemaker:UpdateEndpointWeightsAndCapacities", _named("endpoint", made_up), {}
    for action in ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms"):
        yield f"cloudwatch:{action}", arn("cloudwatch", f"alarm:{made_up}"), {}


def _has_role() -> bool:
    return any(role.name == SCALING_ROLE for role in iam_backends[ACCOUNT_ID]["aws"].roles.values())


def _named(kind: str, name: Any) -> str:
    return arn("sagemaker", f"{kind}/{str(name).lower()}")


def _on(action: str, resource: str, tags_of: Tags) -> Needed:
    return action, resource, _held(tags_of(resource))


def _requested(told: Mapping[str, Any]) -> dict[str, Any]:
    known = {tag["Key"]: tag["Value"] for tag in told.get("Tags") or ()}
    facts: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in known.items()}
    return facts | ({"aws:TagKeys": tuple(known)} if known else {})


def _held(tags: Mapping[str, str]) -> dict[str, Any]:
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
