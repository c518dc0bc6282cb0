"""The simulated hosting runs by any clock: one that a thread follows, and one that jumps from moment to moment."""

import json
import threading
import time

import boto3
import pytest
from moto import mock_aws
from moto.server import ThreadedMotoServer

from local import autoscaling, events, notifications, sagemaker
from local.clock import ScaledClock
from local.delivery import Deliveries
from local.sagemaker import Following, Ticker, logs, simulation
from local.sagemaker.places import Place
from tests.faults.agenda import Clock
from tests.faults.replacing import put_back, replace
from tests.integration.local.hosting_cloud import ACCOUNT, ASYNC, CONFIG, LMI, REGION, ROLE, TRUST
from tests.integration.local.moto_cloud import eventually

MINUTES = 60.0


def client(service, **more):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, region_name=REGION, **keys, **more)


def furnish(**more):
    """Make what an endpoint needs."""
    client("iam", **more).create_role(RoleName="execution", AssumeRolePolicyDocument=json.dumps(TRUST))
    s3, hosting = client("s3", **more), client("sagemaker", **more)
    for bucket in ("weights", "data"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="weights", Key="little/config.json", Body=CONFIG)
    source = {"S3Uri": "s3://weights/little/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": LMI, "ModelDataSource": {"S3DataSource": source}}
    hosting.create_model(ModelName="little", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "main", "ModelName": "little", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    hosting.create_endpoint_config(
        EndpointConfigName="little", ProductionVariants=[variant], AsyncInferenceConfig=ASYNC
    )
    return hosting


def test_a_thread_follows_a_fast_clock_and_nobody_has_to_ask():
    clock = ScaledClock(speed=3000)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        sagemaker.install(clock)
        autoscaling.install()
        ticker = Ticker(clock)
        ticker.start()
        hosting = furnish(endpoint_url=url)
        before = threading.active_count()
        bus = events.EventBus(url, clock)
        bus.start()
        queue = told(url)

        hosting.create_endpoint(EndpointName="little", EndpointConfigName="little")
        endpoint = eventually(lambda: next(iter(simulation().state.endpoints.values()), None))
        eventually(lambda: endpoint.status.value == "InService", within=10)
        accepted = client("sagemaker-runtime", endpoint_url=url).invoke_endpoint_async(
            EndpointName="little", Body=b'{"inputs": "x"}', ContentType="application/json"
        )
        key = accepted["OutputLocation"].removeprefix("s3://data/")
        s3 = client("s3", endpoint_url=url)
        eventually(lambda: s3.list_objects_v2(Bucket="data", Prefix=key).get("Contents"), within=10)

        sqs = client("sqs", endpoint_url=url)
        event = eventually(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"), within=20)
        assert json.loads(event[0]["Body"])["detail"]["EndpointName"] == "little"
        bus.stop()
        ticker.stop()
        assert not any(thread.name == "sagemaker" for thread in threading.enumerate())
        assert threading.active_count() <= before
    finally:
        server.stop()


def told(url):
    """Let a rule tell a queue when an endpoint is in service; give the queue."""
    sqs, bus = client("sqs", endpoint_url=url), client("events", endpoint_url=url)
    queue = sqs.create_queue(QueueName="in-service")["QueueUrl"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Endpoint State Change"],
        "detail": {"EndpointStatus": ["IN_SERVICE"]},
    }
    bus.put_rule(Name="in-service", EventPattern=json.dumps(pattern))
    target = f"arn:aws:sqs:{REGION}:{ACCOUNT}:in-service"
    bus.put_targets(Rule="in-service", Targets=[{"Id": "queue", "Arn": target}])
    return queue


@pytest.fixture
def jumping():
    """Give a clock whose agenda drives the simulation: nothing sleeps, and nothing runs beside anything else."""
    clock = Clock(1_800_000_000.0)
    with mock_aws():
        events._running[:] = []
        notifications.install(clock)
        sagemaker.install(clock)
        autoscaling.install()
        replace(Deliveries, "send", lambda _: lambda _deliveries, work: clock.agenda.spawn("delivery", work))
        following = Following(lambda at, act: book(clock, at, act))
        following.begin()
        clock.following = following
        yield clock
        clock.agenda.clear()
        put_back()


def book(clock, at, act):
    """Let the agenda do something at a moment; nobody waits for it."""
    clock.agenda.spawn("sagemaker", act, after=max(at - clock.moment, 0.0), idle=True)


def test_a_clock_that_jumps_meets_everything_at_its_moment(jumping):
    seen = []
    events._running[:] = [Recorder(seen, jumping)]
    hosting = furnish()
    hosting.create_endpoint(EndpointName="little", EndpointConfigName="little")

    began = time.monotonic()
    jumping.sleep(8 * 3600)
    took = time.monotonic() - began

    assert [(status, round(moment) - 1_800_000_000) for status, moment in seen] == [
        ("CREATING", 0),
        ("IN_SERVICE", 195),
    ]
    assert took < 20
    assert jumping.agenda.turns < 8 * 60 + 20  # a turn a minute, and what happened between
    events._running.clear()


def test_a_run_begins_again_where_it_was_kept(jumping):
    hosting = furnish()
    hosting.create_endpoint(EndpointName="little", EndpointConfigName="little")
    jumping.sleep(10 * MINUTES)
    runtime = client("sagemaker-runtime")
    place = Place(ACCOUNT, REGION)
    kept = [simulation().snapshot(), autoscaling.snapshot(ACCOUNT, REGION), logs.snapshot(place)]
    moment = jumping.moment

    def run():
        """Work and scale, and give everything that can be seen of it."""
        what = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": "endpoint/little/variant/main",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }
        scaling = client("application-autoscaling")
        scaling.register_scalable_target(**what, MinCapacity=0, MaxCapacity=2)
        metric = {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": "little"}],
            "Statistic": "Average",
        }
        config = {"TargetValue": 5.0, "CustomizedMetricSpecification": metric}
        scaling.put_scaling_policy(
            **what,
            PolicyName="track",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=config,
        )
        runtime.invoke_endpoint_async(EndpointName="little", Body=b'{"inputs": "x"}', ContentType="application/json")
        jumping.sleep(30 * MINUTES)
        described = hosting.describe_endpoint(EndpointName="little")
        uptimes = [(each.start, each.end) for each in simulation().uptimes()]
        alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
        return described["ProductionVariants"][0]["DesiredInstanceCount"], uptimes, len(alarms)

    first = run()
    jumping.agenda.clear()
    for put in kept:
        put()
    jumping.moment = moment
    jumping.following.begin_again()
    held = client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    second = run()

    assert held["ScalableTargets"] == []
    assert first == second
    assert first[0] == 0


class Recorder:
    def __init__(self, seen, clock):
        self._seen = seen
        self._clock = clock

    def publish(self, *, detail, **_):
        self._seen.append((detail["EndpointStatus"], self._clock.moment))
