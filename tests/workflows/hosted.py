"""What the tests of endpoints have in common: how they are asked for, and what the cloud holds of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from boto3.dynamodb.types import TypeDeserializer

from tests.workflows.world import SMALL, STACK, World, eventually

ASYNC = "sagemaker-async"
REALTIME = "sagemaker-realtime"
BACKENDS = (ASYNC, REALTIME)
LONG = "72h"  # of leases that must outlive a module on a busy machine


def hosted(world: World, backend: str = ASYNC, source: str = SMALL, **fields: Any) -> str:
    """Give the name of a deployment on instances that serves."""
    return world.serving(source=source, backend=backend, **{"lease": LONG, **fields})


def endpoint(world: World, name: str) -> dict[str, Any]:
    """Give the endpoint of a deployment as the API shows it."""
    return dict(world.deployment(name)["endpoint"])


def kept(world: World, name: str) -> dict[str, Any]:
    """Give the endpoint as its record has it: asking the table costs no Lambda, and can be done again and again."""
    table, key = world.cloud.outputs["TableName"], {"pk": {"S": f"DEPLOYMENT#{name}"}, "sk": {"S": "META"}}
    item = world.cloud.client("dynamodb").get_item(TableName=table, Key=key).get("Item", {})
    return dict(TypeDeserializer().deserialize(item["endpoint"])) if "endpoint" in item else {}


def until(world: World, name: str, what: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Give the endpoint as its record has it, once that holds."""
    look = lambda: (record := kept(world, name)) and holds(record) and record  # noqa: E731
    return eventually(look, f"{name}: {what}", but=lambda: f"{world.reasons(name)[-8:]} {kept(world, name)}")


def until_at_zero(world: World, name: str) -> None:
    """Return once no instance is there, none is on its way, and the product knows."""
    none = lambda record: not record["instances"] and not record["desired"] and not running(world, name)  # noqa: E731
    until(world, name, "no instance", none)
    cold = lambda: world.deployment(name)["warmth"]["state"] == "COLD"  # noqa: E731
    eventually(cold, f"{name} to be cold", but=lambda: f"{world.reasons(name)[-8:]} {endpoint(world, name)}")


def until_warm(world: World, name: str) -> None:
    """Return once an instance takes calls, and the product knows."""
    until(world, name, "an instance", lambda record: record["instances"])
    warm = lambda: world.deployment(name)["warmth"]["state"] == "WARM"  # noqa: E731
    eventually(warm, f"{name} to be warm", but=lambda: f"{world.reasons(name)[-8:]} {endpoint(world, name)}")


def until_parked(world: World, name: str) -> None:
    """Return once the endpoint is gone, and the record kept for who calls."""
    until(world, name, "parked", lambda record: record["parked"])


def until_updated(world: World, name: str) -> dict[str, Any]:
    """Give the endpoint as its record has it, once no update of it is under way."""
    return until(world, name, "no update", lambda record: "update" not in record)


def told(world: World, name: str, **fields: Any) -> dict[str, Any]:
    """Ask, and give the invocation once it has succeeded: at once, or when its answer has come."""
    answer = _ask(world, name, fields)
    view = answer.json() if answer.status_code == 200 else world.answered(answer.json()["id"])
    assert view["status"] == "SUCCEEDED", view
    return dict(view)


def asked(world: World, name: str, **fields: Any) -> str:
    """Ask, and give the invocation's id without waiting for an answer."""
    return str(_ask(world, name, fields).json()["id"])


def _ask(world: World, name: str, fields: dict[str, Any]) -> httpx.Response:
    """Ask a question, or what the fields say."""
    body = fields if {"payload", "input"} & set(fields) else {"prompt": "Why is the sky blue?", **fields}
    answer = world.http.post(f"/deployments/{name}/invocations", json=body)
    assert answer.status_code in (200, 202), answer.text
    return answer


def running(world: World, name: str) -> int:
    """Give how many instances of a deployment are paid for just now, as AWS would count them."""
    return sum(each.end is None for each in world.hosting.uptimes() if _is_of(each.endpoint, name))


def left_of(world: World, name: str) -> list[str]:
    """Give what the cloud holds that was made for endpoints of a deployment, found by listing the cloud."""
    return [*_made_at_sagemaker(world, name), *_made_for_scaling(world, name), *_kept_by_us(world, name)]


def _made_at_sagemaker(world: World, name: str) -> Iterator[str]:
    client = world.cloud.client("sagemaker")
    for operation, items, key in (
        ("list_endpoints", "Endpoints", "EndpointName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_models", "Models", "ModelName"),
        ("list_inference_components", "InferenceComponents", "InferenceComponentName"),
    ):
        for page in client.get_paginator(operation).paginate():
            yield from (f"{key} {each[key]}" for each in page[items] if _is_of(each[key], name))


def _made_for_scaling(world: World, name: str) -> Iterator[str]:
    client = world.cloud.client("application-autoscaling")
    for operation, items in (
        ("describe_scalable_targets", "ScalableTargets"),
        ("describe_scaling_policies", "ScalingPolicies"),
    ):
        for page in client.get_paginator(operation).paginate(ServiceNamespace="sagemaker"):
            yield from (f"{items} {each['ResourceId']}" for each in page[items] if f"-{name}-g" in each["ResourceId"])
    for page in world.cloud.client("cloudwatch").get_paginator("describe_alarms").paginate():
        yield from (f"alarm {each['AlarmName']}" for each in page["MetricAlarms"] if f"-{name}-g" in each["AlarmName"])


def _kept_by_us(world: World, name: str) -> Iterator[str]:
    yield from world.objects(f"bundles/{name}-g")
    pages = (
        world.cloud.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=world.cloud.outputs["TableName"],
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": f"DEPLOYMENT#{name}"}, ":sk": {"S": "REVISION#"}},
        )
    )
    yield from (f"record {item['sk']['S']}" for page in pages for item in page["Items"])


def _is_of(made: str, name: str) -> bool:
    return made.startswith(f"{STACK}-{name}-g")


@contextmanager
def no_endpoint_events(world: World) -> Iterator[None]:
    """Let nobody hear of what SageMaker tells of endpoints, as if each event were lost."""
    events, rule = world.cloud.client("events"), world.cloud.resources["NoteEndpointEndpointChanged"]
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)
