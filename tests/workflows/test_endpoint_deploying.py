"""`deploy` on instances: an endpoint of either kind serves, however long it takes, or fails and nothing of it bills."""

import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from local.authorization import Decision, watching
from local.checkpoints import write_checkpoint
from tests.workflows.hosted import (
    ASYNC,
    BACKENDS,
    LONG,
    REALTIME,
    endpoint,
    hosted,
    left_of,
    no_endpoint_events,
    running,
    told,
    until,
    until_updated,
)
from tests.workflows.world import ROOT, SMALL, World, eventually

pytestmark = pytest.mark.slow

TO_THE_ENDPOINT = (
    *("StartStaging", "Staged?", "OnInstances?", "CreateEndpoint", "EndpointCreated?", "AwaitEndpoint"),
    *("StartWarmUp", "MayWarmUp?"),
)
OWN_IMAGE = "210987654321.dkr.ecr.us-east-1.amazonaws.com/our/server:7"
# SageMaker's least: a container that is ill is told of after it
SOON = {"container": {"health_check_timeout_seconds": 60}, "serving": {"model_loading_timeout": 60}}
FIVE_MINUTES, FIFTY_MINUTES = 300, 3000


@pytest.fixture(scope="module", autouse=True)
def slow(the_world: World, staged: str) -> Iterator[str]:
    """Give a deployment whose endpoint takes fifty minutes: it comes while the other tests run."""
    the_world.calm()
    yield (name := starting_after(the_world, FIFTY_MINUTES))
    the_world.let_go([name])


@pytest.fixture
def watch() -> Iterator[list[Decision]]:
    with watching() as seen:
        yield seen


def starting_after(world: World, seconds: float) -> str:
    """Ask for a deployment whose instance comes after so long, and give its name once the endpoint is asked for.

    What is ill by its weights in another test must not be here: it has an image that knows nothing of them.
    """
    world.hosting.settings.start_seconds = seconds
    own = {"container": {"image": OWN_IMAGE}, "instance": {"type": "ml.g5.xlarge"}}
    name = world.deploy(backend=ASYNC, source=SMALL, lease=LONG, **own)
    until(world, name, "the endpoint to be asked for", lambda record: record.get("status") == "Creating")
    return name


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_staged_model_becomes_an_endpoint_that_answers(world: World, backend: str) -> None:
    name = hosted(world, backend)

    execution = world.execution("deploy", f"{name}-g1")
    assert execution.status == "SUCCEEDED"
    assert execution.path[: len(TO_THE_ENDPOINT)] == TO_THE_ENDPOINT
    assert execution.path[-2:] == ("MarkServing", "Serving")
    statuses = [event["after"] for event in world.events(name) if "after" in event]
    assert statuses == ["REQUESTED", "STAGING", "CREATING", "WARMING", "SERVING"]
    view = world.deployment(name)
    assert running(world, name) == view["endpoint"]["instances"] == 1
    assert view["cost_per_hour"] == {"usd": view["endpoint"]["usd_per_instance_hour"], "basis": "estimated"}
    assert "cheapest by the hour" in view["proposal"]["why"]
    assert told(world, name)["output"]["text"].startswith("[simulated]")


@pytest.mark.parametrize("silent", ["events", "sweep"])
def test_an_event_or_the_sweep_alone_ends_the_wait_for_an_endpoint(world: World, silent: str) -> None:
    without: AbstractContextManager[None]
    without = no_endpoint_events(world) if silent == "events" else world.unreachable("sweep")

    with without:
        name = hosted(world)

    assert world.execution("deploy", f"{name}-g1").path.count("AwaitEndpoint") == 1


def test_a_container_that_does_not_start_fails_the_deployment_with_its_last_words(world: World) -> None:
    world.hosting.settings.weights_scale = 10_000  # 120 GB, to SageMaker alone

    view = world.failed(backend=REALTIME, source=SMALL, **SOON)

    assert view["failure"]["code"] == "endpoint-failed"
    assert "did not pass the ping health check" in view["failure"]["reason"]
    assert view["failure"]["during"] == "CREATING"
    assert "CUDA out of memory" in " ".join(view["endpoint"]["failure"]["log_lines"])
    assert "CUDA out of memory" in str([event.get("detail") for event in world.events(view["name"])])
    execution = world.execution("deploy", f"{view['name']}-g1")
    assert execution.path[-4:] == ("AwaitEndpoint", "StopBilling", "MarkFailed", "DeploymentFailed")
    nothing_bills(world, view["name"])


def nothing_bills(world: World, name: str) -> None:
    """Assert that the endpoint of a failed deployment goes, and with it all that costs by the hour."""
    eventually(lambda: not running(world, name), f"the instances of {name} to stop")
    bills = ("EndpointName", "Scal", "alarm")
    eventually(lambda: not [each for each in left_of(world, name) if each.startswith(bills)], "the endpoint to go")
    eventually(lambda: "cost_per_hour" not in world.deployment(name), f"{name} to cost nothing")


def test_an_instance_that_is_not_to_be_had_fails_the_deployment_and_a_retry_tries_again(world: World) -> None:
    world.hosting.knobs.capacity_fails = 1
    view = world.failed(backend=ASYNC, source=SMALL, lease=LONG)
    name = view["name"]

    assert "Unable to provision requested ML compute capacity" in view["failure"]["reason"]
    nothing_bills(world, name)

    assert world.http.post(f"/deployments/{name}/retry").status_code == 202
    view = world.until(name, "SERVING")
    assert (view["attempt"], view["endpoint"]["revision"]) == (2, 1)
    assert "failure" not in view["endpoint"]
    assert world.execution("deploy", f"{name}-g1-r2").status == "SUCCEEDED"


def test_a_quota_that_is_used_up_is_told_with_its_name_and_makes_nothing(world: World) -> None:
    world.hosting.settings.quotas["ml.g6.xlarge"] = 0

    view = world.failed(backend=REALTIME, source=SMALL, instance={"type": "ml.g6.xlarge"})

    assert view["failure"]["code"] == "quota-exceeded"
    assert "ml.g6.xlarge for endpoint usage" in view["failure"]["reason"]
    nothing_bills(world, view["name"])


def test_an_endpoint_that_shall_begin_without_an_instance_is_made_for_the_first_call(world: World) -> None:
    name = hosted(world, scaling={"min": 0, "max": 1, "initial": 0})

    assert endpoint(world, name)["status"] == "Parked"
    assert not [each for each in left_of(world, name) if each.startswith("EndpointName")]
    assert world.deployment(name)["cost_so_far"]["usd"] == 0
    assert told(world, name)["was_cold"] is True


def test_an_image_of_ones_own_gets_bytes_and_gives_bytes(world: World) -> None:
    name = hosted(world, REALTIME, container={"image": OWN_IMAGE}, instance={"type": "ml.g5.xlarge"})

    answer = world.http.post(
        f"/deployments/{name}/invocations", content=b"\x89PNG\xff\x00", headers={"Content-Type": "image/png"}
    )

    assert answer.status_code == 200, answer.text
    fetched = world.http.get(answer.json()["output_url"])
    assert (fetched.content, fetched.headers["Content-Type"]) == (b"\x89PNG\xff\x00", "image/png")
    described = world.cloud.client("sagemaker").describe_model(ModelName=f"pilotlight-{name}-g1-v1")
    assert described["PrimaryContainer"]["Image"] == OWN_IMAGE
    assert described["EnableNetworkIsolation"] is True


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_handler_of_ones_own_turns_payloads_into_vectors(world: World, backend: str) -> None:
    handler = (ROOT / "examples/bart-feature-extraction/model.py").read_text()
    name = hosted(
        world,
        backend,
        bart(world),
        instance={"type": "ml.g5.xlarge"},
        serving={"task": "feature-extraction", "dtype": "fp16", "batch_size": 8, "files": {"model.py": handler}},
    )

    vectors = told(world, name, payload={"inputs": ["a text", "another"]})["body"]

    assert [len(vector) for vector in vectors] == [16, 16]
    assert all(isinstance(number, float) for vector in vectors for number in vector)
    assert world.objects(f"bundles/{name}-g1/") == [f"bundles/{name}-g1/v1/model.tar.gz"]


def bart(world: World) -> str:
    """Give the source of an encoder, published once: its class is all that tells it from the small model."""
    folder = world.checkpoint.parent / "bart"
    if not folder.exists():
        write_checkpoint(folder, shards=1, shard_bytes=300_000)
        config = json.loads((folder / "config.json").read_text())
        told = {**config, "model_type": "bart", "architectures": ["BartModel"], "is_encoder_decoder": True}
        (folder / "config.json").write_text(json.dumps(told))
        world.hub.add("acme/bart", folder)
    return "hf://acme/bart"


def test_packed_weights_are_one_archive_that_answers_is_made_again_by_an_update_and_goes(
    world: World, watch: list[Decision]
) -> None:
    packed = {"weights": "packed", "files": {"labels.json": "[]"}}
    name = hosted(world, REALTIME, bart(world), instance={"type": "ml.g5.xlarge"}, serving=packed)

    (data,) = model_data(world, f"pilotlight-{name}-g1-v1")
    key = f"bundles/{name}-g1/v1/model.tar.gz"
    uri = f"s3://{world.artifact_bucket}/{key}"
    assert data == {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}}
    held = unpacked(world, key)
    assert b"option.model_id=/opt/ml/model\n" in held["serving.properties"]
    assert {path: body for path, body in held.items() if path not in ("serving.properties", "labels.json")} == sealed(
        world, name
    )
    assert told(world, name, payload={"inputs": "a text"})["body"]

    world.http.patch(f"/deployments/{name}", json={"serving": {"files": {"labels.json": "[1]"}}})
    until_updated(world, name)
    assert unpacked(world, f"bundles/{name}-g1/v2/model.tar.gz") == {**held, "labels.json": b"[1]"}
    assert told(world, name, payload={"inputs": "a text"})["body"]

    world.tear_down(name)
    assert left_of(world, name) == []
    assert world.unfinished_uploads(f"bundles/{name}") == []
    assert {(each.call.caller.name, each.call.action) for each in watch if not each.allowed} == set()


def model_data(world: World, model: str) -> list[dict[str, Any]]:
    """Give the sources of a model's data: its own, and those beside it."""
    container = world.cloud.client("sagemaker").describe_model(ModelName=model)["PrimaryContainer"]
    return [container["ModelDataSource"], *container.get("AdditionalModelDataSources", ())]


def unpacked(world: World, key: str) -> dict[str, bytes]:
    """Give what an archive in the artifact bucket holds."""
    body = world.cloud.client("s3").get_object(Bucket=world.artifact_bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member))}


def sealed(world: World, name: str) -> dict[str, bytes]:
    """Give the weights of a deployment's artifact."""
    prefix, s3 = f"artifacts/{world.deployment(name)['artifact_id']}/weights/", world.cloud.client("s3")
    bodies = {key: s3.get_object(Bucket=world.artifact_bucket, Key=key)["Body"].read() for key in world.objects(prefix)}
    return {key.removeprefix(prefix): body for key, body in bodies.items()}


def test_an_uploaded_folder_says_by_its_settings_that_it_is_hosted(world: World) -> None:
    folder, s3 = world.name(), world.cloud.client("s3")
    settings = {"backend": ASYNC, "lease": LONG, "scaling": {"min": 0, "max": 1}, "instance": {"type": "ml.g5.xlarge"}}
    files = {path.name: path.read_bytes() for path in world.checkpoint.iterdir() if path.is_file()}

    for key, body in {**files, "pilotlight.json": json.dumps(settings).encode(), "_COMPLETE": b""}.items():
        s3.put_object(Bucket=world.upload_bucket, Key=f"uploads/{folder}/{key}", Body=body)
    eventually(lambda: world.record(f"UPLOAD#{folder}").get("status") == "STARTED", "the folder to start")
    view = world.until(folder, "SERVING")

    assert (view["backend"], view["endpoint"]["instance_type"]) == (ASYNC, "ml.g5.xlarge")
    assert told(world, folder)["output"]["text"]
    world.let_go([folder])


def test_waiting_costs_the_same_transitions_however_long_an_endpoint_takes(world: World, slow: str) -> None:
    quick = starting_after(world, FIVE_MINUTES)
    world.until(quick, "SERVING")

    world.until(slow, "SERVING")

    paths = {name: world.execution("deploy", f"{name}-g1").path for name in (quick, slow)}
    before_the_warm_up = {path[: path.index("CheckWarmUp")] for path in paths.values()}
    assert before_the_warm_up == {TO_THE_ENDPOINT}
    took = {name: seconds_to_come(world, name) for name in paths}
    assert took == {quick: FIVE_MINUTES, slow: FIFTY_MINUTES}


def seconds_to_come(world: World, name: str) -> int:
    """Give how long the instance of an endpoint took to come."""
    made = world.hosting.endpoint(f"pilotlight-{name}-g1")
    (uptime,) = [each for each in world.hosting.uptimes() if each.endpoint == made.name][:1]
    return round(uptime.start - made.created)
