"""What in the account is not ours: endpoints and all that belongs to them, with our kind of names, and with others'."""

from __future__ import annotations

from typing import Any

from local.identity import ACCOUNT_ID, REGION
from local.sagemaker.agenda import Agenda
from local.sagemaker.places import Place
from local.sagemaker.resources import Config, Endpoint, Fleet, Model, Status
from tests.faults.product import STACK
from tests.faults.stack import Stack

PLACE = Place(ACCOUNT_ID, REGION)
OF_ANOTHER = {"pilotlight:stack": "another", "pilotlight:deployment": "other", "pilotlight:generation": "1"}
STRANGERS: dict[str, dict[str, str]] = {"stranger": {}, f"{STACK}-other-g1": OF_ANOTHER}
VARIANT: dict[str, Any] = {"VariantName": "main", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}


def plant(stack: Stack) -> None:
    """Put strangers' endpoints into the account, with what they are made of, what scales them and watches them."""
    state = stack.hosting.service.state
    for name, tags in STRANGERS.items():
        plant_endpoint(stack, name, **tags)
        scale(stack, name, **tags)
    state.agenda, state.minutes_run = Agenda(), False  # they are at rest: each minute would cost every run some time


def plant_endpoint(stack: Stack, name: str, revision: str = "-v1", **tags: str) -> Endpoint:
    """Put an endpoint into the account that is in service, its config and its model: no instance of it is billed."""
    model, config = plant_model(stack, f"{name}{revision}", **tags), plant_config(stack, f"{name}{revision}", **tags)
    fleet, now = Fleet(VARIANT, model, 1, 1.0), stack.clock.moment
    arn = PLACE.arn("endpoint", name)
    endpoint = Endpoint(PLACE, name, arn, now, now, tags, config, [fleet], status=Status.IN_SERVICE)
    stack.hosting.service.state.endpoints[arn] = endpoint
    return endpoint


def plant_config(stack: Stack, name: str, **tags: str) -> Config:
    """Put an endpoint config into the account."""
    arn, now = PLACE.arn("endpoint-config", name), stack.clock.moment
    request = {"EndpointConfigName": name, "ProductionVariants": [{**VARIANT, "ModelName": name}]}
    made = stack.hosting.service.state.configs[arn] = Config(PLACE, name, arn, now, now, tags, request)
    return made


def plant_model(stack: Stack, name: str, **tags: str) -> Model:
    """Put a model into the account."""
    arn, now = PLACE.arn("model", name), stack.clock.moment
    request = {"ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/theirs", "PrimaryContainer": {"Image": "theirs:1"}}
    made = stack.hosting.service.state.models[arn] = Model(PLACE, name, arn, now, now, tags, request)
    return made


def scale(stack: Stack, name: str, **tags: str) -> None:
    """Let something scale and watch an endpoint."""
    stack.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{name}/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=1,
    )
    for suffix in ("-from-zero", "-failures"):
        stack.client("cloudwatch").put_metric_alarm(
            AlarmName=f"{name}{suffix}",
            Namespace="AWS/SageMaker",
            MetricName="InvocationFailures",
            Statistic="Sum",
            Dimensions=[{"Name": "EndpointName", "Value": name}],
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
