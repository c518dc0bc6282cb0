"""What there is of endpoints as the reconciliation lists it, and a pass over it, on the simulated hosting."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pilotlight.adapters import endpoint_inventory as adapter
from pilotlight.adapters.artifact_bucket import S3ArtifactBucket
from pilotlight.adapters.endpoint_inventory import SageMakerInventory
from pilotlight.adapters.inventory import S3Inventory
from pilotlight.adapters.sagemaker_endpoints import HostingRules, SageMakerEndpoints
from pilotlight.domain import names
from pilotlight.domain.deployment import Status
from pilotlight.domain.endpoint_orphans import FoundTarget
from pilotlight.domain.errors import Throttled
from pilotlight.domain.place import Place
from pilotlight.domain.reconciliation import Kind, Pass, Rules
from pilotlight.domain.values import Backend
from pilotlight.services.inspecting_endpoints import endpoint_inspectors
from pilotlight.services.reconciling import Reconciling

from local import authorization
from local.authorization import sessions
from tests import fakes
from tests.factories import a_deployment, an_endpoint, an_event
from tests.fakes.hosting import FakeRevisions
from tests.integration.local.hosting_cloud import ACCOUNT, REGION, ROLE, TRUST, HostingCloud
from tools import cloudformation

STACK, BUCKET = "pilotlight", "data"
ENDPOINT = "pilotlight-llama-g1"
REVISION = f"{ENDPOINT}-v1"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{ENDPOINT}/variant/main",
    "ScalableDimension": DIMENSION,
}
Client = Callable[[str], Any]
YEARS_LATER = datetime(2040, 1, 1, tzinfo=UTC)


@pytest.fixture
def cloud(hosting: HostingCloud) -> HostingCloud:
    return hosting


@pytest.fixture
def inventory(cloud: HostingCloud) -> SageMakerInventory:
    return an_inventory(clients(cloud))


def clients(cloud: HostingCloud, **session: Any) -> Client:
    """Return what makes clients that send nothing that the services' own models do not know."""
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", **session}
    return lambda service: boto3.client(service, endpoint_url=cloud.url, region_name=REGION, config=config, **keys)


def an_inventory(client: Client) -> SageMakerInventory:
    services = ("sagemaker", "application-autoscaling", "cloudwatch", "s3")
    return SageMakerInventory(*map(client, services), BUCKET)


def tagged(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def an_endpoint_of(cloud: HostingCloud, stack: str = STACK) -> None:
    """Make an endpoint in service with its model and its config, all tagged as ours."""
    cloud.model(REVISION)
    cloud.config(REVISION)
    cloud.sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=REVISION)
    for kind, name in (("model", REVISION), ("endpoint-config", REVISION), ("endpoint", ENDPOINT)):
        arn = f"arn:aws:sagemaker:{REGION}:123456789012:{kind}/{name}"
        tags = names.revision_tags(stack, "llama", 1, 1, "digest")
        cloud.sagemaker.add_tags(ResourceArn=arn, Tags=tagged(tags))
    cloud.clock.sleep(1200)


def scale(cloud: HostingCloud) -> None:
    """Register an endpoint's bounds, with a policy."""
    cloud.scaling.register_scalable_target(**TARGET, MinCapacity=0, MaxCapacity=2)
    cloud.scaling.put_scaling_policy(
        **TARGET,
        PolicyName=f"{ENDPOINT}-from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )


def put_alarm(cloud: HostingCloud, name: str, **tags: str) -> None:
    cloud.cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/SageMaker",
        MetricName="InvocationFailures",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        Tags=tagged(tags),
    )


# ---- the lists -----------------------------------------------------------------------------------------------


def test_what_has_names_like_ours_is_listed_to_the_end_the_oldest_first(
    cloud: HostingCloud, inventory: SageMakerInventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "PAGE", 2)
    ours = [f"pilotlight-llama-g{generation}-v1" for generation in range(1, 6)]
    for name in (*ours, "their-own", "my-pilotlight-llama-g1-v1"):
        cloud.model(name)
        cloud.config(name)
        cloud.clock.sleep(1)
    cloud.sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=ours[0])
    cloud.sagemaker.create_endpoint(EndpointName="my-pilotlight", EndpointConfigName=ours[0])

    models, configs, (endpoint,) = inventory.models(), inventory.configs(), inventory.endpoints()

    assert [each.name for each in models] == [each.name for each in configs] == ours
    assert models[0].arn == f"arn:aws:sagemaker:{REGION}:123456789012:model/{ours[0]}"
    assert (endpoint.name, endpoint.arn.rpartition(":")[2]) == (ENDPOINT, f"endpoint/{ENDPOINT}")
    assert endpoint.created_at
    assert models[0].created_at
    assert endpoint.created_at - models[0].created_at == timedelta(seconds=7)
    assert inventory.components() == []


def test_inference_components_are_listed_with_their_tags(cloud: HostingCloud, inventory: SageMakerInventory) -> None:
    a_component(cloud)

    (component,) = inventory.components()

    assert (component.name, component.arn.rpartition(":")[2]) == (REVISION, f"inference-component/{REVISION}")
    assert component.created_at
    assert (component.status, inventory.endpoints()[0].status) == ("Creating", "InService")
    assert {each.status for each in (*inventory.configs(), *inventory.models())} == {None}
    assert inventory.tags(component.arn) == names.revision_tags(STACK, "llama", 1, 1, "digest")


def a_component(cloud: HostingCloud) -> None:
    """Make an endpoint without a model of its own, and a component in it."""
    cloud.model(REVISION)
    cloud.sagemaker.create_endpoint_config(
        EndpointConfigName=REVISION,
        ExecutionRoleArn=ROLE,
        ProductionVariants=[
            {
                "VariantName": "main",
                "InstanceType": "ml.g5.xlarge",
                "InitialInstanceCount": 1,
                "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
                "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            }
        ],
    )
    cloud.sagemaker.create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=REVISION)
    cloud.clock.sleep(1200)
    cloud.sagemaker.create_inference_component(
        InferenceComponentName=REVISION,
        EndpointName=ENDPOINT,
        VariantName="main",
        Specification={
            "ModelName": REVISION,
            "ComputeResourceRequirements": {
                "NumberOfAcceleratorDevicesRequired": 1,
                "MinMemoryRequiredInMb": 1024,
            },
        },
        RuntimeConfig={"CopyCount": 1},
        Tags=tagged(names.revision_tags(STACK, "llama", 1, 1, "digest")),
    )


def test_tags_and_types_of_what_is_not_there_are_told_as_such(
    cloud: HostingCloud, inventory: SageMakerInventory
) -> None:
    an_endpoint_of(cloud)
    (endpoint,) = inventory.endpoints()

    assert inventory.tags(endpoint.arn) == names.revision_tags(STACK, "llama", 1, 1, "digest")
    assert inventory.tags(f"{endpoint.arn}0") is None
    assert inventory.instance_type(REVISION) == "ml.g5.xlarge"
    assert inventory.instance_type("pilotlight-llama-g1-v2") is None


def test_what_scales_our_endpoints_is_listed_and_taken_away_with_its_policies(
    cloud: HostingCloud, inventory: SageMakerInventory
) -> None:
    an_endpoint_of(cloud)
    cloud.endpoint("their-own")
    cloud.scaling.register_scalable_target(
        **{**TARGET, "ResourceId": "endpoint/their-own/variant/main"}, MinCapacity=1, MaxCapacity=2
    )
    scale(cloud)

    (found,) = inventory.targets()
    inventory.forget_target(found)
    inventory.forget_target(found)

    assert found == FoundTarget(resource_id=TARGET["ResourceId"], dimension=DIMENSION, created_at=found.created_at)
    assert found.created_at
    assert inventory.targets() == []
    assert cloud.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert len(cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1


def test_alarms_of_our_endpoints_are_listed_and_deleted_one_by_one(
    cloud: HostingCloud, inventory: SageMakerInventory
) -> None:
    put_alarm(cloud, f"{ENDPOINT}-failures", **{names.TAG_STACK: STACK})
    put_alarm(cloud, f"{ENDPOINT}-from-zero")
    put_alarm(cloud, "pilotlight-orphans")
    put_alarm(cloud, "their-own")

    failures, from_zero = inventory.alarms()
    inventory.delete_alarm(from_zero.name)
    inventory.delete_alarm(from_zero.name)

    assert (failures.name, from_zero.name) == (f"{ENDPOINT}-failures", f"{ENDPOINT}-from-zero")
    assert failures.changed_at
    assert inventory.alarm_tags(failures.arn) == {names.TAG_STACK: STACK}
    assert inventory.alarm_tags(f"{failures.arn}0") in (None, {})
    assert inventory.alarms() == [failures]
    assert len(cloud.cloudwatch.describe_alarms()["MetricAlarms"]) == 3


def test_folders_of_bundles_are_listed(cloud: HostingCloud, inventory: SageMakerInventory) -> None:
    for key in ("bundles/llama-g1/v1/model.tar.gz", "bundles/llama-g1/v2/model.tar.gz", "bundles/mine/x"):
        cloud.put(key, b"bundle", bucket=BUCKET)
    cloud.put("bundles/loose", b"x", bucket=BUCKET)
    cloud.put("results/llama-g1/out", b"x", bucket=BUCKET)

    assert inventory.bundle_folders() == ["llama-g1", "mine"]


class Busy:
    """A client whose service asks to be called less often."""

    def __getattr__(self, operation: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)

        return refuse

    def get_paginator(self, operation: str) -> Any:
        class Pages:
            def paginate(self, **_: Any) -> Iterator[Any]:
                yield from ()
                raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation)

        return Pages()


@pytest.mark.parametrize(
    "call",
    [
        lambda found: found.endpoints(),
        lambda found: found.configs(),
        lambda found: found.models(),
        lambda found: found.components(),
        lambda found: found.tags("arn"),
        lambda found: found.instance_type("config"),
        lambda found: found.targets(),
        lambda found: found.forget_target(FoundTarget(resource_id="endpoint/x", dimension=DIMENSION)),
        lambda found: found.alarms(),
        lambda found: found.alarm_tags("arn"),
        lambda found: found.delete_alarm("name"),
        lambda found: found.bundle_folders(),
    ],
)
def test_a_list_that_breaks_off_is_no_shorter_list(call: Any) -> None:
    busy = Busy()

    with pytest.raises(Throttled):
        call(SageMakerInventory(busy, busy, busy, busy, BUCKET))


# ---- a pass --------------------------------------------------------------------------------------------------


class Account:
    """The reconciliation of endpoints over the real adapters, and records in memory."""

    def __init__(self, cloud: HostingCloud, client: Client | None = None) -> None:
        self.cloud = cloud
        self.clock = fakes.ManualClock()
        self.clock.advance(seconds=(YEARS_LATER - self.clock.now()).total_seconds())
        self.deployments = fakes.FakeDeployments()
        self.passes = fakes.FakePasses()
        by = client or clients(cloud)
        rules = HostingRules(role_arn=ROLE, bucket=BUCKET)
        self._inspectors = endpoint_inspectors(
            an_inventory(by),
            SageMakerEndpoints(by("sagemaker"), rules, Place()),
            FakeRevisions(),
            S3Inventory(by("s3"), BUCKET, "weights"),
            S3ArtifactBucket(by("s3"), by("s3"), BUCKET),
            self.deployments,
            self.clock,
            region=REGION,
        )

    def record(self, status: Status) -> None:
        there = an_endpoint(exists=True)
        fresh = a_deployment(status=status, backend=Backend.SAGEMAKER_REALTIME, endpoint=there)
        self.deployments.reserve(fresh, an_event())

    def reconcile(self) -> Pass:
        journal, rules = fakes.FakeJournal(), Rules(stack=STACK)
        longest, turn = timedelta(minutes=5), timedelta(minutes=10)
        reconciling = Reconciling(self._inspectors, self.passes, journal, self.clock, rules, longest=longest, turn=turn)
        done = reconciling.reconcile()
        self.cloud.clock.sleep(1200)
        return done

    def left(self) -> dict[str, int]:
        inventory = an_inventory(clients(self.cloud))
        lists = (inventory.endpoints, inventory.configs, inventory.models, inventory.components)
        listed = (*lists, inventory.targets, inventory.alarms, inventory.bundle_folders)
        return {each.__name__: len(found) for each in listed if (found := each())}


def test_all_that_a_deployment_left_is_removed_and_all_that_is_anothers_stays(cloud: HostingCloud) -> None:
    an_endpoint_of(cloud)
    cloud.endpoint("their-own")
    scale(cloud)
    put_alarm(cloud, f"{ENDPOINT}-failures", **{names.TAG_STACK: STACK})
    put_alarm(cloud, "pilotlight-other-g1-failures", **{names.TAG_STACK: "another"})
    cloud.put("bundles/llama-g1/v1/model.tar.gz", b"bundle", bucket=BUCKET)
    account = Account(cloud)
    account.record(Status.GONE)

    first = account.reconcile()
    account.reconcile()
    last = account.reconcile()

    (endpoint,) = (each for each in first.findings if each.kind is Kind.ENDPOINT)
    assert endpoint.done
    assert endpoint.usd_per_hour
    assert endpoint.usd_per_hour.usd == 1.408
    assert [each for each in (*first.findings, *last.findings) if each.trouble] == []
    assert account.left() == {"alarms": 1}
    assert cloud.status("their-own") == "InService"
    assert last.findings == ()


def one_of_each_kind(cloud: HostingCloud) -> None:
    """Make whatever a deployment can leave."""
    a_component(cloud)
    for kind, name in (("model", REVISION), ("endpoint-config", REVISION), ("endpoint", ENDPOINT)):
        arn = f"arn:aws:sagemaker:{REGION}:123456789012:{kind}/{name}"
        cloud.sagemaker.add_tags(ResourceArn=arn, Tags=tagged(names.ownership_tags(STACK, "llama", 1)))
    cloud.clock.sleep(1200)
    cloud.scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"inference-component/{REVISION}",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=0,
        MaxCapacity=2,
    )
    scale(cloud)
    put_alarm(cloud, f"{ENDPOINT}-from-zero", **{names.TAG_STACK: STACK})
    cloud.put("bundles/llama-g1/v1/model.tar.gz", b"bundle", bucket=BUCKET)


def test_a_component_goes_with_its_endpoint_and_all_the_rest_after_it(cloud: HostingCloud) -> None:
    one_of_each_kind(cloud)
    account = Account(cloud)
    account.record(Status.GONE)

    for _ in range(4):
        account.reconcile()

    assert account.left() == {}


def test_nothing_of_another_stack_or_of_a_live_deployment_is_touched(cloud: HostingCloud) -> None:
    an_endpoint_of(cloud, stack="another")
    scale(cloud)
    account = Account(cloud)
    account.record(Status.GONE)
    before = account.left()

    done = account.reconcile()

    assert done.findings == ()
    assert account.left() == before
    assert cloud.status(ENDPOINT) == "InService"


# ---- the role ------------------------------------------------------------------------------------------------

KINDS = ("sagemaker:", "application-autoscaling:", "cloudwatch:")


def granted() -> list[dict[str, Any]]:
    """Return what the template allows the reconciliation, by its own policy and by shared ones, with names of here."""
    template = cloudformation.load()
    shared = cloudformation.of_type(template, "AWS::IAM::ManagedPolicy")
    own = cloudformation.of_type(template, cloudformation.FUNCTION)["Reconcile"]["Policies"]
    documents = (shared[each["Ref"]]["PolicyDocument"] if "Ref" in each else each for each in own)
    found: list[dict[str, Any]] = _resolved([statement for each in documents for statement in each["Statement"]])
    return found


def _resolved(value: Any) -> Any:
    """Resolve what the statements ask of CloudFormation."""
    match value:
        case {"Ref": "AWS::StackName"}:
            return STACK
        case {"Fn::GetAtt": [resource, "Arn"]}:
            return _resolved(f"${{{resource}.Arn}}")
        case {"Fn::Sub": text} | {"Fn::If": [_, text, _]}:
            return _resolved(text)
        case dict():
            return {key: _resolved(each) for key, each in value.items()}
        case list():
            return [_resolved(each) for each in value]
        case str():
            known = {"AWS::Partition": "aws", "AWS::Region": REGION, "AWS::AccountId": ACCOUNT, "AWS::StackName": STACK}
            for name, text in (*known.items(), ("ArtifactBucket.Arn", f"arn:aws:s3:::{BUCKET}")):
                value = value.replace(f"${{{name}}}", text)
            return re.sub(r"\$\{\w+\.Arn\}", "arn:aws:none:::none", value)
        case _:
            return value


def actions() -> list[str]:
    listed = (each["Action"] for each in granted())
    every = {action for each in listed for action in (each if isinstance(each, list) else [each])}
    return sorted(action for action in every if action.startswith(KINDS))


def as_the_reconciliation(cloud: HostingCloud, *, without: str = "") -> Client:
    """Return what makes clients that may do what the template allows, but for one action."""
    statements = []
    for each in granted():
        kept = [action for action in each["Action"] if action != without] if isinstance(each["Action"], list) else None
        if kept != [] and each["Action"] != without:
            statements.append({**each, "Action": kept or each["Action"]})
    trust = json.dumps(
        {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"Service": "lambda.amazonaws.com"}}]}
    )
    cloud.iam.create_role(RoleName="reconcile", AssumeRolePolicyDocument=trust)
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    cloud.iam.put_role_policy(RoleName="reconcile", PolicyName="own", PolicyDocument=document)
    keys = sessions.of_role(f"arn:aws:iam::{ACCOUNT}:role/reconcile", "test").credentials
    return clients(
        cloud,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
    )


@pytest.mark.parametrize("without", ["", *actions()])
def test_its_role_is_allowed_what_a_pass_does_and_no_more(cloud: HostingCloud, without: str) -> None:
    one_of_each_kind(cloud)
    with ExitStack() as closing:
        authorization.install(closing)
        account = Account(cloud, as_the_reconciliation(cloud, without=without))
        account.record(Status.GONE)
        done = [account.reconcile() for _ in range(3)]

    refused = [str(each.incomplete) for each in done if each.incomplete]
    refused += [each.trouble for one in done for each in one.findings if each.trouble]
    assert bool(refused) == bool(without)
    assert (account.left() == {}) == (not without)
    assert all(without in each for each in refused)
