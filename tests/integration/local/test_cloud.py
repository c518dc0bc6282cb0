"""What a whole embedded cloud promises: it starts complete, it is alone, and nothing is left of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.cloud import Cloud
from local.cloudformation import DeploymentError
from local.sam import TemplateError
from local.server import PortTakenError

SAMPLE = Path(__file__).with_name("sample") / "template.yaml"
ROOT = Path(__file__).parents[3]

TINY = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: news}}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(TINY)
    return path


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has waited for yet is dead all the same.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc").is_dir() else True


def test_a_second_cloud_in_the_same_process_starts_empty(tiny: Path) -> None:
    with Cloud(tiny) as first:
        first.client("sqs").create_queue(QueueName="left-over")

    with Cloud(tiny) as second:
        topics = second.client("sns").list_topics()["Topics"]
        queues = second.client("sqs").list_queues().get("QueueUrls", [])

    assert len(topics) == 1
    assert queues == []


def test_two_clouds_at_once_are_refused_because_they_would_share_their_state(tiny: Path) -> None:
    with Cloud(tiny), pytest.raises(RuntimeError, match="Another embedded cloud"):
        Cloud(tiny).start()


def test_the_environment_and_the_default_session_are_afterwards_as_before(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-the-developer")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-developer")
    before, session = dict(os.environ), boto3.DEFAULT_SESSION

    with Cloud(tiny) as cloud:
        arn = cloud.client("sns").list_topics()["Topics"][0]["TopicArn"]

    assert arn == "arn:aws:sns:us-east-1:123456789012:news"
    assert dict(os.environ) == before
    assert boto3.DEFAULT_SESSION is session


def test_no_thread_and_no_worker_outlives_the_cloud() -> None:
    before = set(threading.enumerate())

    with Cloud(SAMPLE, stack_name="sample") as cloud:
        cloud.client("lambda").invoke(FunctionName="sample-work", Payload=b"{}")["Payload"].read()
        workers = cloud.functions.pids()

    assert workers
    assert not [pid for pid in workers if is_alive(pid)]
    deadline = time.monotonic() + 3
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def test_a_taken_port_is_named_and_nothing_stays_behind(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        cloud = Cloud(SAMPLE, api_port=other.getsockname()[1])

        with pytest.raises(PortTakenError, match=str(other.getsockname()[1])):
            cloud.start()

    with Cloud(SAMPLE) as again:
        assert again.api_url


def test_a_template_that_cannot_be_deployed_leaves_nothing_running(tiny: Path) -> None:
    tiny.write_text(TINY.replace("AWS::SNS::Topic", "AWS::EC2::VPC"))

    with pytest.raises(TemplateError, match=r"Topic: type AWS::EC2::VPC"):
        Cloud(tiny).start()

    tiny.write_text(TINY)
    with Cloud(tiny) as again:
        assert again.resources["Topic"]


def test_a_killed_cloud_takes_its_workers_along(eventually: Callable[..., Any]) -> None:
    program = (
        "import json, sys, time; from pathlib import Path; from local.cloud import Cloud\n"
        f"cloud = Cloud(Path({str(SAMPLE)!r}), stack_name='sample'); cloud.start()\n"
        "cloud.client('lambda').invoke(FunctionName='sample-work', InvocationType='Event',"
        " Payload=json.dumps({'do': 'sleep', 'seconds': 600}))\n"
        "while not cloud.functions.pids(): time.sleep(0.01)\n"
        "time.sleep(0.5)\n"
        "print(json.dumps(cloud.functions.pids()), flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    workers = json.loads(parent.stdout.readline())

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert workers
    eventually(lambda: not [pid for pid in workers if is_alive(pid)])


def test_a_prewarmed_cloud_has_a_worker_for_each_function(eventually: Callable[..., Any]) -> None:
    with Cloud(SAMPLE, stack_name="sample", prewarm=True) as cloud:
        eventually(lambda: len(cloud.functions.pids()) == 2)


def test_a_resource_that_its_service_refuses_is_named(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(
        TINY.replace(
            "AWS::SNS::Topic, Properties: {TopicName: news}", "AWS::SQS::Queue, Properties: {QueueName: not a name!}"
        )
    )

    with pytest.raises(DeploymentError, match=r"Topic \(AWS::SQS::Queue\)"):
        Cloud(template).start()
