"""What asynchronous endpoints answer: told once, twice or never, each call ends once, and its caller is told."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.workflows.hooks import Hook, listening
from tests.workflows.hosted import ASYNC, asked, hosted, told
from tests.workflows.world import World, eventually

pytestmark = pytest.mark.slow

CANARY = "no-shape-7f3e1b"
STALLED_SECONDS = 600  # for which a call is allowed to keep the one place that there is
UNTIL_EXPIRED = timedelta(minutes=4)


@pytest.fixture(scope="module")
def live(the_world: World, staged: str) -> Iterator[str]:
    """Give an asynchronous deployment that has an instance all the time, and one call at a time."""
    the_world.calm()
    yield (name := hosted(the_world, ASYNC, scaling={"min": 1, "max": 1, "concurrent_invocations": 1}))
    the_world.let_go([name])


@pytest.fixture
def hook(world: World) -> Iterator[Hook]:
    with listening(world.certificate) as hook:
        yield hook


def test_an_answer_that_no_topic_tells_of_is_found_in_the_bucket(world: World, live: str) -> None:
    world.hosting.knobs.lose_sns = 1

    answer = told(world, live)

    assert world.hosting.knobs.lose_sns == 0
    assert answer["output"]["text"].startswith("[simulated]")
    assert answer["usage"]["output_tokens"] > 0


def test_an_answer_that_is_told_twice_ends_its_call_once(world: World, live: str, hook: Hook) -> None:
    world.hosting.knobs.duplicate_sns = 1

    doubled = told(world, live, webhook=hook.url)["id"]
    another = told(world, live, webhook=hook.url)["id"]

    ends = lambda: {(notice.told["id"], notice.told["ended_at"]) for notice in hook.notices}  # noqa: E731
    eventually(lambda: {doubled, another} == {each for each, _ in ends()}, "the notices of both")
    assert world.hosting.knobs.duplicate_sns == 0
    assert len(ends()) == 2  # a notice itself may come twice: the queue gives each at least once


def test_a_server_that_is_named_is_told_the_answer_and_can_prove_who_told(world: World, live: str, hook: Hook) -> None:
    hook.statuses = [503]

    answer = told(world, live, webhook=hook.url)
    delivered = eventually(lambda: delivery(world, answer["id"]), "the notice to be delivered")

    notice = hook.notices[-1]
    assert hook.statuses == []
    assert delivered["status"] == "delivered"
    assert len(hook.notices) >= delivered["attempts"] >= 2
    assert (notice.told["id"], notice.told["status"]) == (answer["id"], "SUCCEEDED")
    assert notice.told["output"] == answer["output"]
    moment, proof = (part.partition("=")[2] for part in notice.headers["Pilotlight-Signature"].split(","))
    signed = hmac.new(secret(world), f"{moment}.".encode() + notice.body, hashlib.sha256)
    assert proof == signed.hexdigest()


def delivery(world: World, invocation: str) -> dict[str, Any] | None:
    """Give what became of telling a server, once it is not pending any more."""
    webhook = world.http.get(f"/invocations/{invocation}").json()["webhook"]
    return dict(webhook) if webhook["status"] != "pending" else None


def secret(world: World) -> bytes:
    secrets, arn = world.cloud.client("secretsmanager"), world.cloud.resources["WebhookSecret"]
    return str(secrets.get_secret_value(SecretId=arn)["SecretString"]).encode()


def test_what_a_container_fails_with_is_told_to_the_caller_and_to_no_log(world: World, live: str) -> None:
    world.hosting.knobs.fail_calls = [f"a tensor of {CANARY}"]

    view = world.answered(asked(world, live))

    assert (view["status"], view["phase"]) == ("FAILED", "failed")
    assert CANARY in json.dumps(view["error"])
    assert not [line for line in world.log_lines() if CANARY in line]


def test_a_call_that_waits_for_too_long_expires_and_one_that_runs_for_too_long_fails(world: World, live: str) -> None:
    world.hosting.knobs.stall_calls = 1
    stalled = asked(world, live, timeout_seconds=STALLED_SECONDS)
    eventually(lambda: not world.hosting.knobs.stall_calls, "the call that keeps the place")
    with world.unreachable("run_invocation"):
        waiting = world.invoke(live).json()
        expires_at = world.cloud.clock.now() + UNTIL_EXPIRED
        world.cloud.client("dynamodb").update_item(
            TableName=world.cloud.outputs["TableName"],
            Key={"pk": {"S": f"INVOCATION#{waiting['id']}"}, "sk": {"S": "META"}},
            UpdateExpression="SET expires_at = :then",
            ExpressionAttributeValues={":then": {"S": f"{expires_at:%Y-%m-%dT%H:%M:%S.%f}+00:00"}},
        )
    letter = json.dumps({"invocation_id": waiting["id"], "correlation_id": waiting["correlation_id"]})
    world.cloud.client("sqs").send_message(QueueUrl=world.cloud.resources["InvocationQueue"], MessageBody=letter)

    expired, failed = world.answered(waiting["id"]), world.answered(stalled)

    assert (expired["status"], expired["phase"]) == ("FAILED", "expired")
    assert (failed["status"], failed["phase"]) == ("FAILED", "failed")
    assert "timed out" in json.dumps(failed["error"])
    assert told(world, live)["status"] == "SUCCEEDED"


def test_a_body_that_was_uploaded_is_read_where_it_lies(world: World, live: str) -> None:
    body = json.dumps({"inputs": "Why?", "parameters": {"max_new_tokens": 8}}).encode()
    place = world.http.post(
        f"/deployments/{live}/inputs", json={"content_type": "application/json", "size_bytes": len(body)}
    ).json()

    upload = place["upload"]
    put = world.http.put(upload["url"], content=body, headers=upload["headers"])
    answer = told(world, live, input=place["input"], content_type="application/json")

    assert put.status_code == 200, put.text
    assert answer["body"]["generated_text"].startswith("[simulated]")
