"""A token and a prompt go through everything there is, and come out where they belong and nowhere else."""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from pilotlight_client.commands import app
from typer.testing import CliRunner

from tests.workflows.canaries import FORMS, Canary
from tests.workflows.holdings import Heard, Held, everything
from tests.workflows.world import World, eventually

pytestmark = pytest.mark.slow

TOKEN = Canary("hfQ7canaryT0kenW4x9")
PROMPT = Canary("askedQ7canaryPr0mptZ2")
PLANTED = Canary("plantedQ7canaryB5n8")
MODEL_BREAKS = "ModelErrorException"
INPUT_REFUSED = "ValidationException"

Told = list[httpx.Response]


@pytest.fixture(scope="module")
def heard(the_world: World) -> Iterator[Heard]:
    with Heard().listening(the_world) as listening:
        yield listening


@pytest.fixture(scope="module")
def gated(the_world: World, heard: Heard) -> Iterator[str]:
    """Give a deployment of a gated model, staged with the token; a wrong one was tried before."""
    the_world.calm()
    put_token(the_world, f"hf_{TOKEN.core}_wrong")
    source = the_world.publish(gated=True, shards=1)
    the_world.http.post("/preflight", json={"source": source})
    the_world.failed(source=source)
    opened, the_world.hub.token = the_world.hub.token, f"hf_{TOKEN.core}"
    put_token(the_world, the_world.hub.token)
    name = the_world.name()
    eventually(lambda: the_world.http.post("/preflight", json={"source": source}).status_code == 200, "the new token")
    the_world.hub.faults.cut_after(1000)
    yield the_world.serving(name, source)
    the_world.hub.token = opened
    put_token(the_world, "")


@pytest.fixture(scope="module")
def answers(the_world: World, gated: str) -> Told:
    """Give what the API answered to the prompt in all the ways in which it does not answer the prompt."""
    the_world.calm()
    told: Told = []
    ask_in_every_way(the_world, gated, told)
    fail_in_the_queue(the_world, gated, told)
    upload(the_world)
    the_world.tear_down(gated)
    return told


def put_token(world: World, token: str) -> None:
    secret = json.dumps({"token": token}) if token else "{}"
    world.cloud.client("secretsmanager").put_secret_value(
        SecretId=world.cloud.outputs["HubTokenArn"], SecretString=secret
    )


def ask_in_every_way(world: World, name: str, told: Told) -> None:
    url = f"/deployments/{name}/invocations"
    eventually(lambda: world.invoke(name, PROMPT.text, wait=25).json()["was_cold"] is False, "the model to be warm")
    world.invoke(name, PROMPT.text, parameters={"max_tokens": 8})
    for body in (
        {"prompt": {"text": PROMPT.text}},
        {"prompt": PROMPT.text, "messages": [{"role": "user", "content": PROMPT.text}]},
        {"prompt": PROMPT.text, "parameters": {"temperature": PROMPT.text}},
        {"prompt": PROMPT.text, "parameters": {"top_k": 3}},
        {"messages": [{"role": PROMPT.text, "content": "x"}]},
        {"messages": [{"role": "assistant", "content": PROMPT.text}] * 2},
        {PROMPT.text: "x"},
        [PROMPT.text],
    ):
        told.append(world.http.post(url, json=body))
    told.append(world.http.post(url, content=f'{{"prompt": "{PROMPT.core}'.encode()))
    told.append(world.http.post(url, json={"prompt": PROMPT.text + "x" * 6_100_000}))
    told.append(world.http.post("/deployments/nobody-has-this/invocations", json={"prompt": PROMPT.text}))
    told.append(world.http.post("/deployments", json={"name": PROMPT.text, "source": PROMPT.text, PROMPT.text: 1}))
    told.append(world.http.get("/deployments", params={"cursor": PROMPT.core}))
    world.bedrock.knobs.quote_prompts = True
    for error in (MODEL_BREAKS, INPUT_REFUSED, "ModelTimeoutException", "ResourceNotFoundException"):
        world.bedrock.knobs.fail_calls = [error]
        told.append(world.invoke(name, PROMPT.text, parameters={"max_tokens": 8}))
    world.bedrock.knobs.fail_calls = []


def fail_in_the_queue(world: World, name: str, told: Told) -> None:
    world.go_cold(name)
    world.bedrock.knobs.never_ready = True  # or the last of them would find the model awake
    with world.unreachable("run_invocation"):
        dead, late, broken = (world.invoke(name, PROMPT.text).json() for _ in range(3))
        send(world, "DeadInvocations", dead)
        world.answered(dead["id"])
        world.cloud.client("dynamodb").update_item(
            TableName=world.cloud.outputs["TableName"],
            Key={"pk": {"S": f"INVOCATION#{late['id']}"}, "sk": {"S": "META"}},
            UpdateExpression="SET expires_at = :past",
            ExpressionAttributeValues={":past": {"S": "2020-01-01T00:00:00.000000+00:00"}},
        )
        world.cloud.client("s3").put_object(
            Bucket=world.artifact_bucket,
            Key=f"invocations/{broken['id']}/request.json",
            Body=json.dumps({"prompt": {"no": PROMPT.text}}).encode(),
        )
    for each in (late, broken):
        send(world, "InvocationQueue", each)  # what was delivered to nobody stays hidden for long
    for each in (dead, late, broken):
        assert world.answered(each["id"])["status"] == "FAILED"
        told.append(world.http.get(f"/invocations/{each['id']}"))

    world.bedrock.knobs.never_ready = False
    queued = world.invoke(name, PROMPT.text).json()
    assert world.answered(queued["id"])["status"] == "SUCCEEDED"


def send(world: World, queue: str, invocation: dict[str, Any]) -> None:
    letter = json.dumps({"invocation_id": invocation["id"], "correlation_id": invocation["correlation_id"]})
    world.cloud.client("sqs").send_message(QueueUrl=world.cloud.resources[queue], MessageBody=letter)


def upload(world: World) -> None:
    """Upload a whole folder whose settings are no settings: only of a whole one they are read."""
    body = json.dumps({"backend": PROMPT.text, "tags": {PROMPT.text: PROMPT.core}, PROMPT.text: 1}).encode()
    s3, name = world.cloud.client("s3"), world.name()
    for file in (path for path in world.checkpoint.rglob("*") if path.is_file()):
        key = f"uploads/{name}/{file.relative_to(world.checkpoint).as_posix()}"
        s3.put_object(Bucket=world.upload_bucket, Key=key, Body=file.read_bytes())
    s3.put_object(Bucket=world.upload_bucket, Key=f"uploads/{name}/pilotlight.json", Body=body)
    s3.put_object(Bucket=world.upload_bucket, Key=f"uploads/{name}/_COMPLETE", Body=b"")
    eventually(lambda: world.record(f"UPLOAD#{name}").get("status") == "REFUSED", f"the folder {name} to be refused")
    s3.delete_object(Bucket=world.upload_bucket, Key=f"uploads/{name}/pilotlight.json")


def plant(world: World) -> None:
    """Leave a canary in every kind of place that there is, each time in another form."""
    client, text = world.cloud.client, PLANTED.text
    client("dynamodb").put_item(
        TableName=world.cloud.outputs["TableName"],
        Item={"pk": {"S": "PLANTED#1"}, "sk": {"S": "META"}, "packed": {"B": gzip.compress(text.encode())}},
    )
    client("sqs").create_queue(QueueName="planted")
    client("sqs").send_message(QueueUrl=f"{world.cloud.endpoint_url}/123456789012/planted", MessageBody=text)
    client("logs").create_log_stream(logGroupName="/pilotlight/pilotlight", logStreamName="planted")
    client("logs").put_log_events(
        logGroupName="/pilotlight/pilotlight",
        logStreamName="planted",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": FORMS["base64"](text)}],
    )
    client("cloudwatch").put_metric_data(
        Namespace="Planted", MetricData=[{"MetricName": "m", "Value": 1, "Dimensions": [{"Name": "d", "Value": text}]}]
    )
    client("ssm").put_parameter(Name="planted", Value=FORMS["hex"](text), Type="String")
    client("stepfunctions").start_execution(
        stateMachineArn=world.machine_arn("warm"), name="planted", input=json.dumps({"planted": text})
    )
    plant_objects(world)
    plant_model(world)


def plant_objects(world: World) -> None:
    """Leave a canary in an object, in the tags of one, and in a part of an upload that nobody finishes."""
    s3, where = world.cloud.client("s3"), {"Bucket": world.artifact_bucket}
    s3.put_object(**where, Key="planted", Body=gzip.compress(PLANTED.text.encode()))
    s3.put_object(**where, Key="tagged", Body=b"", Tagging=f"planted={PLANTED.core}")
    upload = s3.create_multipart_upload(**where, Key="unfinished")["UploadId"]
    s3.upload_part(**where, Key="unfinished", UploadId=upload, PartNumber=1, Body=PLANTED.text.encode())


def plant_model(world: World) -> None:
    """Leave a canary in the tags of an import job, and so of the model that it makes."""
    job = world.bedrock.jobs[0]
    name = "planted"
    world.cloud.client("bedrock").create_model_import_job(
        jobName=name,
        importedModelName=name,
        roleArn=job.request["roleArn"],
        importedModelKmsKeyId=job.request["importedModelKmsKeyId"],
        modelDataSource={"s3DataSource": {"s3Uri": f"s3://{world.upload_bucket}/uploads/{name}/"}},
        jobTags=[{"key": name, "value": PLANTED.core}],
    )


@pytest.fixture(scope="module")
def held(the_world: World, heard: Heard, answers: Told) -> Sequence[Held]:
    """Give all that the cloud holds in the end, collected once: also what was planted, to be found there."""
    plant(the_world)
    return tuple(everything(the_world, heard))


def places(held: Sequence[Held], canary: Canary) -> set[str]:
    """Give the kinds of places that hold the canary."""
    return {place.split()[0] for place, blob in held if canary.is_in(blob)}


@pytest.mark.parametrize("canary", [TOKEN, PROMPT], ids=["token", "prompt"])
def test_nothing_that_the_cloud_holds_tells_a_token_or_a_prompt(held: Sequence[Held], canary: Canary) -> None:
    assert places(held, canary) == set()


def test_a_canary_is_found_wherever_it_is_left(held: Sequence[Held]) -> None:
    assert places(held, PLANTED) >= {
        *("table", "queue", "log", "execution", "metric", "parameter"),
        *("object", "object's", "part", "job"),
    }


def test_no_error_of_the_api_repeats_what_was_asked(answers: Told) -> None:
    assert len(answers) >= 20
    told = [f"{answer.request.method} {answer.request.url}: {answer.text}" for answer in answers]
    assert [text for text, answer in zip(told, answers, strict=True) if PROMPT.is_in(answer.content)] == []
    assert [
        text for text, answer in zip(told, answers, strict=True) if PROMPT.is_in(str(answer.headers).encode())
    ] == []


def test_the_token_went_to_the_hub_alone(world: World, answers: Told) -> None:
    carried = [request for request in world.hub.requests if TOKEN.is_in(repr(request).encode())]

    assert world.hub.leaks == []
    assert carried == []  # requests are kept without their headers: what is left is the path and the query


def test_bodies_of_invocations_are_kept_encrypted_and_for_a_while(world: World, answers: Told) -> None:
    s3 = world.cloud.client("s3")
    kept = world.objects("invocations/")
    bodies = {key: s3.get_object(Bucket=world.artifact_bucket, Key=key) for key in kept}
    rules = s3.get_bucket_lifecycle_configuration(Bucket=world.artifact_bucket)["Rules"]

    assert any(PROMPT.is_in(body["Body"].read()) for body in bodies.values())
    assert {body["SSEKMSKeyId"] for body in bodies.values()} == {world.cloud.outputs["KeyArn"]}
    assert {"invocations/": 7}.items() <= {
        rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule
    }.items()
    records = [world.record(f"INVOCATION#{key.split('/')[1]}") for key in kept]
    assert all(int(record["ttl"]) > 0 for record in records)


def test_models_are_imported_under_the_stack_s_key(world: World, answers: Told) -> None:
    jobs = [job.request for job in world.bedrock.jobs]

    assert {job["importedModelKmsKeyId"] for job in jobs} == {world.cloud.outputs["KeyArn"]}


@pytest.mark.parametrize("asked", [("--top-k", "3"), ("--max-tokens", "0"), ("--temperature", "warm")])
def test_a_command_that_fails_does_not_repeat_what_was_asked(
    world: World, a_deployment: str, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, str]
) -> None:
    monkeypatch.setenv("PILOTLIGHT_URL", world.cloud.api_url)

    for form in ([], ["--json"]):
        told = CliRunner().invoke(app, ["invoke", a_deployment, PROMPT.text, *asked, *form])

        assert told.exit_code != 0
        assert not PROMPT.is_in(f"{told.output} {told.stderr} {told.exception!r}".encode())


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_a_canary_is_found_in_whatever_form_it_is_left(form: Callable[[str], str]) -> None:
    assert PLANTED.is_in(f"before {form(PLANTED.text)} behind".encode())
    assert not PLANTED.is_in(f"before {form(PROMPT.text)} behind".encode())


def test_a_canary_is_found_in_what_is_packed() -> None:
    assert PLANTED.is_in(b"head" + gzip.compress(gzip.compress(PLANTED.text.encode())))


@pytest.mark.parametrize("service", ["events", "sns"])
def test_a_canary_is_found_in_what_is_told(world: World, heard: Heard, service: str) -> None:
    canary = Canary(f"told{service}Q7canaryK3m6")
    if service == "events":
        entry = {"Source": "planted", "DetailType": "x", "Detail": json.dumps({"a": canary.text})}
        world.cloud.client("events").put_events(Entries=[entry])
    else:
        topic = world.cloud.outputs["NotificationTopicArn"]
        world.cloud.client("sns").publish(TopicArn=topic, Message=FORMS["gzip, as base64"](canary.text))

    eventually(lambda: any(canary.is_in(blob) for _, blob in heard.messages), f"{service} to be heard")
