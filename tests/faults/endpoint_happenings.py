"""What users, strangers and misfortune do to deployments on instances: occasions are made of them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from moto.iam.models import iam_backends

from local.authorization.sagemaker_requests import SCALING_ROLE
from local.identity import ACCOUNT_ID
from local.jumpstart import stock
from local.sagemaker.resources import Component, ComponentStatus, Endpoint, Status
from local.sagemaker.status_events import set_status
from tests.faults.endpoint_changes import ANOTHER, COMPONENTS
from tests.faults.endpoints import ASYNC, QUICK, REALTIME, endpoint_of, is_quiet, on, parked, recorded, watch
from tests.faults.happenings import Act, asked, deploys, in_turn, stops_executions
from tests.faults.product import STACK
from tests.faults.stack import SOURCE_BUCKET, Stack
from tests.faults.strangers import PLACE, VARIANT, plant_endpoint, scale
from tests.faults.workflows import NAME, Visit, deploy, insist, tear_down

ENDPOINT, COMPONENT = f"{STACK}-{NAME}-g1", f"{STACK}-{NAME}-g1-v1"
OURS = {"pilotlight:stack": STACK, "pilotlight:deployment": NAME, "pilotlight:generation": "1"}
PAYLOAD = {"payload": {"inputs": "Why?"}}
LARGE_PAYLOAD = {"payload": {"inputs": "Why? " * 30_000}}  # too large for the call itself
HOOK = {"webhook": "https://127.0.0.1/told"}  # an address that is never called
UNTOLD_SECONDS = 180.0  # after which what no topic told of is looked for
REGISTERED_SECONDS = 180.0
SECOND_TYPE = {"instance": {"type": "ml.g5.2xlarge"}}
KEPT_REVISIONS = 10


def on_instances(backend: str, **fields: Any) -> Act:
    """Deploy on instances, wherever that leads."""
    return deploys(backend=backend, **{**QUICK, **fields})


def invokes(body: dict[str, Any], wait: int = 0, after: float = 60.0) -> Act:
    """Call the model, let time pass, and ask what became of it."""

    def invoke(stack: Stack) -> None:
        told = stack.ask("POST", "/deployments/{name}/invocations", body, name=NAME, wait=wait)
        stack.clock.sleep(after)
        if "id" in told.body:
            stack.ask("GET", "/invocations/{invocation_id}", invocation_id=told.body["id"])

    return invoke


def turned(**knobs: Any) -> Act:
    """Let the simulated hosting be at its worst in some way from now on."""

    def turn(stack: Stack) -> None:
        for name, value in knobs.items():
            setattr(stack.hosting.service.knobs, name, value)

    return turn


def passes(seconds: float) -> Act:
    """Let time pass, without a sweep."""
    return lambda stack: stack.clock.sleep(seconds)


def looked_at(stack: Stack) -> None:
    """Let the sweep look every minute from now on."""
    stack.hosting.look()


def nobody_looks(stack: Stack) -> None:
    """Let the sweep look no more."""
    stack.agenda.clear()


def untold(stack: Stack) -> None:
    """Let no event of an endpoint come from now on."""
    stack.lambdas.unreached.add("note_endpoint")


def unnoticed(stack: Stack) -> None:
    """Let the sweep alone see what becomes of endpoints."""
    untold(stack)
    looked_at(stack)


def _mine(stack: Stack) -> Endpoint:
    endpoint = endpoint_of(stack)
    assert endpoint is not None, stack.deployment(NAME)
    return endpoint


def changes(stack: Stack) -> None:
    """Let SageMaker tell of an endpoint as it is."""
    endpoint = _mine(stack)
    set_status(stack.hosting.service, endpoint, endpoint.status)
    stack.clock.sleep(20)


def breaks(stack: Stack) -> None:
    """Let an endpoint fail that was in service, and be told of it or not."""
    set_status(stack.hosting.service, _mine(stack), Status.FAILED, "out of luck")
    stack.clock.sleep(60)


def component_breaks(stack: Stack) -> None:
    """Let a component fail that was in service; SageMaker tells nobody of components."""
    component = stack.hosting.service.state.components[PLACE.arn("inference-component", COMPONENT)]
    component.status, component.failure_reason = ComponentStatus.FAILED, "out of luck"


scaled_down = asked("POST", "/deployments/{name}/scale-down")


def never_scaled(stack: Stack) -> None:
    """Let the account be one in which nobody has scaled an endpoint."""
    roles = iam_backends[ACCOUNT_ID]["aws"].roles
    for each in [key for key, role in roles.items() if role.name == SCALING_ROLE]:
        del roles[each]


# ---- what is asked ---------------------------------------------------------------------------------------------------


def reads_an_input(stack: Stack) -> None:
    """Call with bodies that lie in buckets: one that was uploaded for it, and one in a bucket of the user's own."""
    given = stack.ask("POST", "/deployments/{name}/inputs", {"content_type": "application/json"}, name=NAME).body
    bucket, _, key = given["input"].removeprefix("s3://").partition("/")
    stack.client("s3").put_object(Bucket=bucket, Key=key, Body=b'{"inputs": "Why?"}')
    for location in (given["input"], f"s3://{SOURCE_BUCKET}/models/small/config.json"):
        invokes({"input": location, "content_type": "application/json"})(stack)


def told_in(queue: str, seconds: float) -> Act:
    """Let a queue tell of an invocation while it is under way: of its end, or that no endpoint ever took it."""

    def act(stack: Stack) -> None:
        turned(never_ready=True)(stack)
        told = stack.ask("POST", "/deployments/{name}/invocations", {**PAYLOAD, **HOOK}, name=NAME).body
        letter = f'{{"invocation_id": "{told["id"]}", "correlation_id": "early"}}'
        stack.client("sqs").send_message(QueueUrl=stack.resources[queue], MessageBody=letter)
        stack.clock.sleep(seconds)

    return act


def of_jumpstart(model: str) -> Act:
    """Deploy a model of JumpStart's."""

    def deploy_it(stack: Stack) -> None:
        with TemporaryDirectory() as folder:
            stock(stack.client("s3"), Path(folder))
        deploy(stack, Visit(), "small", source=f"jumpstart://{model}", backend=ASYNC, accept_eula=True)

    return deploy_it


# ---- what is changed, and what is left -------------------------------------------------------------------------------


def updates(wanted: dict[str, Any]) -> Act:
    """Ask for other settings, and see it through."""

    def update(stack: Stack) -> None:
        insist(stack, Visit(), "PATCH", "/deployments/{name}", wanted, name=NAME)
        watch(stack, lambda: is_quiet(stack) and not recorded(stack).get("update"))

    return update


def has_had_many_revisions(stack: Stack) -> None:
    """Begin with records of as many revisions as are kept, of which the first is what the endpoint is made of."""
    on(REALTIME)(stack)
    client, table = stack.client("dynamodb"), stack.outputs["TableName"]
    key = {"pk": {"S": f"DEPLOYMENT#{NAME}"}, "sk": {"S": "REVISION#000001#000001"}}
    first = client.get_item(TableName=table, Key=key)["Item"]
    for number in range(2, KEPT_REVISIONS + 1):
        name = {"S": f"{ENDPOINT}-v{number}"}
        item = {**first, "sk": {"S": f"REVISION#000001#{number:06d}"}, "number": {"N": str(number)}}
        client.put_item(TableName=table, Item={**item, "model_name": name, "config_name": name})


def failed_and_left(stack: Stack) -> None:
    """Begin with a deployment whose endpoint failed and is there yet, with bounds."""
    turned(fail_next_endpoint="out of luck")(stack)
    on_instances(ASYNC)(stack)
    stack.clock.sleep(60)
    endpoint = plant_endpoint(stack, ENDPOINT, revision="-left", **OURS)
    scale(stack, ENDPOINT, **OURS)
    set_status(stack.hosting.service, endpoint, Status.FAILED, "out of luck")


def tries_again(stack: Stack) -> None:
    """Retry, and see it to its end."""
    insist(stack, Visit(), "POST", "/deployments/{name}/retry", name=NAME)
    stack.settle(lambda: stack.status(NAME) in ("SERVING", "FAILED"))


def component_left(stack: Stack) -> None:
    """Begin with an endpoint and its component, which came after their deployment was GONE."""
    looked_at(stack)
    on(REALTIME, **COMPONENTS)(stack)
    tear_down(stack, Visit())
    endpoint, now = plant_endpoint(stack, ENDPOINT, **OURS), stack.clock.moment
    arn = PLACE.arn("inference-component", COMPONENT)
    request = {"EndpointName": ENDPOINT, "Specification": {"ModelName": COMPONENT}}
    stack.hosting.service.state.components[arn] = Component(
        PLACE, COMPONENT, arn, now, now, OURS, request, endpoint.arn, VARIANT["VariantName"], 0
    )
    stack.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"inference-component/{COMPONENT}",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=0,
        MaxCapacity=1,
    )
    stack.agenda.clear()


def update_dies(stack: Stack) -> None:
    """Let the execution of an update be stopped, and the word of it be lost, until the sweep asks for it."""
    insist(stack, Visit(), "PATCH", "/deployments/{name}", ANOTHER, name=NAME)
    stops_executions("update")(stack)
    stack.agenda.clear()
    stack.clock.sleep(86_400)
    stack.sweep()


componented = in_turn(looked_at, on(REALTIME, **COMPONENTS))
asleep = in_turn(looked_at, parked)
