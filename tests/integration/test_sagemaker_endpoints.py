"""What SageMaker is asked, and what its answers are taken for: the adapter against the simulated hosting.

The simulation holds every request to the service's own model, as the service does.
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from moto.logs.models import logs_backends
from pilotlight.adapters.container_logs import EndpointLogs
from pilotlight.adapters.sagemaker_endpoints import HostingRules, SageMakerEndpoints
from pilotlight.adapters.sagemaker_errors import judged, sagemaker_errors
from pilotlight.domain import names
from pilotlight.domain.endpoint import Mount, Revision, Strategy
from pilotlight.domain.errors import (
    AccessDenied,
    ConcurrentChange,
    Conflict,
    InvalidInput,
    NotFound,
    PilotlightError,
    QuotaExceeded,
    Retryable,
    Terminal,
    Throttled,
    Unavailable,
)
from pilotlight.domain.hosting import Hosting, ScalingSettings
from pilotlight.domain.place import Place
from pilotlight.domain.values import Backend

from tests.factories import NOON
from tests.integration.local.hosting_cloud import FOREIGN, LMI, REGION, ROLE, HostingCloud, arn

ASYNC, REALTIME = Backend.SAGEMAKER_ASYNC, Backend.SAGEMAKER_REALTIME
ENDPOINT = "pilotlight-llama-g1"
STACK = "pilotlight"
TOPICS = {
    "success_topic_arn": "arn:aws:sns:us-east-1:123456789012:done",
    "error_topic_arn": "arn:aws:sns:us-east-1:123456789012:bad",
}
KEY = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"


@pytest.fixture
def cloud(hosting: HostingCloud) -> HostingCloud:
    return hosting


@pytest.fixture
def endpoints(cloud: HostingCloud) -> SageMakerEndpoints:
    return adapter(cloud)


def adapter(cloud: HostingCloud, *, place: dict[str, Any] | None = None, **rules: str) -> SageMakerEndpoints:
    held = HostingRules(role_arn=ROLE, bucket="data", **rules)
    return SageMakerEndpoints(cloud.sagemaker, held, Place(region=REGION, **(place or {})))


def a_revision(number: int = 1, backend: Backend = ASYNC, **fields: Any) -> Revision:
    scaling = fields.pop("scaling", {})
    sound: dict[str, Any] = {
        "deployment": "llama",
        "generation": 1,
        "number": number,
        "model_name": f"{ENDPOINT}-v{number}",
        "config_name": f"{ENDPOINT}-v{number}",
        "instance_type": "ml.g5.xlarge",
        "usd_per_hour": 1.408,
        "scaling": ScalingSettings.model_validate(scaling).for_backend(backend),
        "hosting": Hosting(),
        "image": FOREIGN,
        "mounts": (Mount(uri="s3://weights/little/"),),
        "digest": f"digest-{number}",
        "created_at": NOON,
    }
    return Revision(**{**sound, **fields})


def tags(number: int = 1) -> dict[str, str]:
    return {**names.revision_tags(STACK, "llama", 1, number, f"digest-{number}"), "team": "search"}


def prepare(
    endpoints: SageMakerEndpoints, revision: Revision, backend: Backend = ASYNC, instances: int = 1
) -> Revision:
    endpoints.create_model(revision, tags(revision.number))
    endpoints.create_config(revision, backend, instances=instances, tags=tags(revision.number))
    return revision


def make(
    endpoints: SageMakerEndpoints, cloud: HostingCloud, backend: Backend = ASYNC, *, wait: bool = True, **revision: Any
) -> Revision:
    made = prepare(endpoints, a_revision(backend=backend, **revision), backend)
    endpoints.create_endpoint(ENDPOINT, made.config_name, names.ownership_tags(STACK, "llama", 1))
    if wait:
        cloud.clock.sleep(1200)
    return made


def described(cloud: HostingCloud, kind: str, name: str) -> dict[str, Any]:
    calls = {
        "model": (cloud.sagemaker.describe_model, "ModelName"),
        "config": (cloud.sagemaker.describe_endpoint_config, "EndpointConfigName"),
        "endpoint": (cloud.sagemaker.describe_endpoint, "EndpointName"),
        "component": (cloud.sagemaker.describe_inference_component, "InferenceComponentName"),
    }
    call, key = calls[kind]
    return call(**{key: name})


# ---- models ------------------------------------------------------------------------------------------------------


def test_weights_are_mounted_uncompressed_from_below_a_prefix_and_the_container_reaches_no_network(cloud, endpoints):
    endpoints.create_model(a_revision(environment={"OPTION_DTYPE": "bf16"}), tags())

    told = described(cloud, "model", f"{ENDPOINT}-v1")
    assert told["PrimaryContainer"] == {
        "Image": FOREIGN,
        "Environment": {"OPTION_DTYPE": "bf16"},
        "ModelDataSource": {
            "S3DataSource": {"S3Uri": "s3://weights/little/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        },
    }
    assert (told["EnableNetworkIsolation"], told["ExecutionRoleArn"]) == (True, ROLE)
    assert "VpcConfig" not in told


def test_a_bundle_is_one_object_that_is_unpacked_with_the_weights_in_a_channel_beside_it(cloud, endpoints):
    mounts = (
        Mount(uri="s3://data/bundles/llama-g1/v1/model.tar.gz", compressed=True),
        Mount(uri="s3://weights/little/", channel="weights"),
    )

    endpoints.create_model(a_revision(mounts=mounts, image=LMI), tags())

    container = described(cloud, "model", f"{ENDPOINT}-v1")["PrimaryContainer"]
    bundle = container["ModelDataSource"]["S3DataSource"]
    (channel,) = container["AdditionalModelDataSources"]
    assert (bundle["S3DataType"], bundle["CompressionType"]) == ("S3Object", "Gzip")
    assert (channel["ChannelName"], channel["S3DataSource"]["S3DataType"]) == ("weights", "S3Prefix")


def test_terms_are_accepted_where_somebody_did_and_nowhere_else(cloud, endpoints):
    endpoints.create_model(a_revision(mounts=(Mount(uri="s3://weights/little/", gated=True),)), tags())
    endpoints.create_model(a_revision(2), tags(2))

    def access(number: int) -> Any:
        told = described(cloud, "model", f"{ENDPOINT}-v{number}")
        return told["PrimaryContainer"]["ModelDataSource"]["S3DataSource"].get("ModelAccessConfig")

    assert (access(1), access(2)) == ({"AcceptEula": True}, None)


def test_in_a_network_of_the_users_containers_run_in_it(cloud):
    place = {"subnet_ids": ("subnet-1",), "security_group_ids": ("sg-1",)}

    adapter(cloud, place=place).create_model(a_revision(), tags())

    network = described(cloud, "model", f"{ENDPOINT}-v1")["VpcConfig"]
    assert network == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}


def test_a_model_is_found_with_its_tags_and_one_that_there_is_not_is_none(endpoints):
    endpoints.create_model(a_revision(), tags())

    found = endpoints.model(f"{ENDPOINT}-v1")

    assert (found.arn, found.tags) == (arn("model", f"{ENDPOINT}-v1"), tags())
    assert endpoints.model("nobody") is None


def test_as_many_tags_as_a_user_may_give_come_back_whole(endpoints):
    many = {**tags(), **{f"key-{number}": "x" for number in range(20)}}

    endpoints.create_model(a_revision(), many)

    assert endpoints.model(f"{ENDPOINT}-v1").tags == many


# ---- configs -----------------------------------------------------------------------------------------------------


def test_a_config_gives_the_container_its_time_and_its_host(cloud, endpoints):
    revision = a_revision(
        inference_ami_version="al2023-ami-sagemaker-inference-gpu-4-1",
        volume_gib=64,
        download_timeout_seconds=1800,
        health_check_timeout_seconds=3600,
    )
    prepare(endpoints, revision, instances=2)

    (variant,) = described(cloud, "config", f"{ENDPOINT}-v1")["ProductionVariants"]
    assert variant == {
        "VariantName": "main",
        "ModelName": f"{ENDPOINT}-v1",
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 2,
        "InferenceAmiVersion": "al2023-ami-sagemaker-inference-gpu-4-1",
        "VolumeSizeInGB": 64,
        "ModelDataDownloadTimeoutInSeconds": 1800,
        "ContainerStartupHealthCheckTimeoutInSeconds": 3600,
    }


def test_an_endpoint_config_begins_with_one_instance_because_sagemaker_knows_no_less(cloud, endpoints):
    prepare(endpoints, a_revision(), instances=0)

    assert described(cloud, "config", f"{ENDPOINT}-v1")["ProductionVariants"][0]["InitialInstanceCount"] == 1


def test_results_failures_topics_and_keys_of_an_asynchronous_config_are_this_generations(cloud):
    endpoints = adapter(cloud, place={"kms_key_arn": KEY}, **TOPICS)
    prepare(endpoints, a_revision(scaling={"concurrent_invocations": 4}))

    told = described(cloud, "config", f"{ENDPOINT}-v1")
    assert told["AsyncInferenceConfig"] == {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
        "OutputConfig": {
            "S3OutputPath": "s3://data/results/llama-g1/done",
            "S3FailurePath": "s3://data/results/llama-g1/failed",
            "KmsKeyId": KEY,
            "NotificationConfig": {
                "SuccessTopic": TOPICS["success_topic_arn"],
                "ErrorTopic": TOPICS["error_topic_arn"],
            },
        },
    }
    assert "KmsKeyId" not in told, "accelerated instances have storage of their own, and SageMaker refuses a key"


def test_a_real_time_config_is_not_asynchronous_and_one_that_nobody_bounds_leaves_it_to_sagemaker(cloud, endpoints):
    prepare(endpoints, a_revision(1, REALTIME), REALTIME)
    prepare(endpoints, a_revision(2))

    assert "AsyncInferenceConfig" not in described(cloud, "config", f"{ENDPOINT}-v1")
    assert "ClientConfig" not in described(cloud, "config", f"{ENDPOINT}-v2")["AsyncInferenceConfig"]


def test_instances_of_components_follow_their_copies_to_nothing_whatever_the_least_of_these_is(cloud, endpoints):
    """A least of instances in the config would bill on when the copies are gone, and nothing could stop it."""
    prepare(endpoints, a_revision(1, REALTIME, scaling={"components": True, "min": 1, "max": 4}), REALTIME)

    told = described(cloud, "config", f"{ENDPOINT}-v1")
    (variant,) = told["ProductionVariants"]
    assert variant["ManagedInstanceScaling"] == {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 4}
    assert variant["RoutingConfig"] == {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    assert "ModelName" not in variant
    assert (told["ExecutionRoleArn"], told["EnableNetworkIsolation"]) == (ROLE, True)


# ---- endpoints ---------------------------------------------------------------------------------------------------


def test_an_endpoint_is_seen_on_its_way_and_in_service(cloud, endpoints):
    make(endpoints, cloud, wait=False)
    early = endpoints.see(ENDPOINT)
    cloud.clock.sleep(1200)
    late = endpoints.see(ENDPOINT)

    assert (early.status, early.instances, early.has_capacity) == ("Creating", 0, False)
    assert (late.status, late.instances, late.desired, late.has_capacity) == ("InService", 1, 1, True)
    assert (late.config_name, late.arn) == (f"{ENDPOINT}-v1", arn("endpoint", ENDPOINT))
    assert (late.failure_reason, late.created_at is not None) == (None, True)
    assert endpoints.see("nobody") is None


def test_why_an_endpoint_failed_is_seen_and_what_its_container_said_is_read(cloud, endpoints):
    mounts = (Mount(uri="s3://weights/little/"),)
    made = prepare(endpoints, a_revision(image=LMI, mounts=mounts, environment={"OPTION_DTYPE": "fp64"}))
    cloud.simulation.knobs.never_healthy = True
    endpoints.create_endpoint(ENDPOINT, made.config_name, {})
    cloud.clock.sleep(6000)

    seen = endpoints.see(ENDPOINT)

    assert (seen.status, seen.is_settled) == ("Failed", True)
    assert "did not pass the ping health check" in seen.failure_reason
    assert list(EndpointLogs(cloud.logs).last_lines(ENDPOINT, None)) == cloud.log(ENDPOINT)[-20:] != []


def test_of_an_endpoint_without_a_log_nothing_is_read(cloud):
    assert list(EndpointLogs(cloud.logs).last_lines("nobody", None)) == []
    assert list(EndpointLogs(cloud.logs).last_lines("nobody", "no-component")) == []


def test_of_a_long_log_the_end_of_the_newest_stream_is_read(cloud):
    group = f"/aws/sagemaker/Endpoints/{ENDPOINT}"
    cloud.logs.create_log_group(logGroupName=group)
    now = 1_800_000_000_000
    for stream, begins in (("main/old", now - 3_600_000), ("main/new", now)):
        cloud.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = [{"timestamp": begins + number, "message": f"{stream} {number}"} for number in range(60)]
        _put(group, stream, events)

    lines = EndpointLogs(cloud.logs).last_lines(ENDPOINT, None)

    assert (len(lines), lines[0], lines[-1]) == (20, "main/new 40", "main/new 59")


def test_the_instances_of_both_fleets_are_seen_while_an_update_runs(cloud, endpoints):
    make(endpoints, cloud, REALTIME)
    prepare(endpoints, a_revision(2, REALTIME), REALTIME)

    endpoints.update(ENDPOINT, f"{ENDPOINT}-v2", Strategy.BLUE_GREEN, ())
    counts = set()
    for _ in range(60):
        cloud.clock.sleep(10)
        seen = endpoints.see(ENDPOINT)
        counts.add((seen.status, seen.instances, seen.pending, seen.config_name[-2:], seen.pending_config_name))

    assert ("Updating", 1, 1, "v1", f"{ENDPOINT}-v2") in counts, "both are paid for"
    assert ("InService", 1, 0, "v2", None) in counts


def test_what_exists_already_is_a_conflict_and_nothing_is_overwritten(cloud, endpoints):
    revision = make(endpoints, cloud)

    for again in (
        lambda: endpoints.create_model(revision, {}),
        lambda: endpoints.create_config(revision, ASYNC, instances=1, tags={}),
        lambda: endpoints.create_endpoint(ENDPOINT, revision.config_name, {}),
    ):
        with pytest.raises(Conflict, match="already existing"):
            again()
    assert endpoints.model(revision.model_name).tags == tags()


def test_what_changes_just_now_is_refused_every_other_change(cloud, endpoints):
    make(endpoints, cloud, wait=False)

    for change in (
        lambda: endpoints.delete_endpoint(ENDPOINT),
        lambda: endpoints.set_instances(ENDPOINT, 0),
        lambda: endpoints.update(ENDPOINT, f"{ENDPOINT}-v1", Strategy.BLUE_GREEN, ()),
    ):
        with pytest.raises(ConcurrentChange):
            change()


def test_an_asynchronous_endpoint_is_set_to_nothing_and_back_and_a_real_time_one_is_not(cloud, endpoints):
    make(endpoints, cloud)
    endpoints.set_instances(ENDPOINT, 0)
    cloud.clock.sleep(60)
    at_zero = endpoints.see(ENDPOINT)
    endpoints.set_instances(ENDPOINT, 1)
    cloud.clock.sleep(600)

    assert (at_zero.status, at_zero.instances, at_zero.has_capacity) == ("InService", 0, False)
    assert endpoints.see(ENDPOINT).has_capacity


def test_a_real_time_endpoint_cannot_be_set_to_nothing(cloud, endpoints):
    make(endpoints, cloud, REALTIME)

    with pytest.raises(InvalidInput):
        endpoints.set_instances(ENDPOINT, 0)


@pytest.mark.parametrize("strategy", list(Strategy))
def test_an_update_keeps_the_count_that_there_was_and_not_the_configs_first_one(cloud, endpoints, strategy):
    make(endpoints, cloud)
    endpoints.set_instances(ENDPOINT, 2)
    cloud.clock.sleep(900)
    prepare(endpoints, a_revision(2))
    cloud.simulation.settings.quotas["ml.g5.xlarge"] = 10

    endpoints.update(ENDPOINT, f"{ENDPOINT}-v2", strategy, ())
    cloud.clock.sleep(7000)

    seen = endpoints.see(ENDPOINT)
    assert (seen.status, seen.config_name, seen.instances) == ("InService", f"{ENDPOINT}-v2", 2)


def test_an_endpoint_without_an_instance_is_updated_without_starting_one(cloud, endpoints):
    make(endpoints, cloud)
    endpoints.set_instances(ENDPOINT, 0)
    cloud.clock.sleep(60)
    prepare(endpoints, a_revision(2))

    endpoints.update(ENDPOINT, f"{ENDPOINT}-v2", Strategy.BLUE_GREEN, ())
    cloud.clock.sleep(600)

    seen = endpoints.see(ENDPOINT)
    assert (seen.status, seen.config_name, seen.instances, seen.desired) == ("InService", f"{ENDPOINT}-v2", 0, 0)


def test_an_update_that_does_not_come_into_service_goes_back_by_itself(cloud, endpoints):
    make(endpoints, cloud, REALTIME)
    prepare(endpoints, a_revision(2, REALTIME), REALTIME)
    cloud.simulation.knobs.update_fails = 1

    endpoints.update(ENDPOINT, f"{ENDPOINT}-v2", Strategy.BLUE_GREEN, ())
    cloud.clock.sleep(9000)

    seen = endpoints.see(ENDPOINT)
    assert (seen.status, seen.config_name, seen.has_capacity) == ("InService", f"{ENDPOINT}-v1", True)


def test_an_update_goes_back_when_its_alarm_rings(cloud, endpoints):
    make(endpoints, cloud, REALTIME)
    prepare(endpoints, a_revision(2, REALTIME), REALTIME)
    cloud.cloudwatch.put_metric_alarm(
        AlarmName="calls-fail",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        EvaluationPeriods=1,
        Period=60,
        Threshold=1,
        Statistic="Sum",
    )
    endpoints.update(ENDPOINT, f"{ENDPOINT}-v2", Strategy.BLUE_GREEN, ["calls-fail"])
    cloud.cloudwatch.set_alarm_state(AlarmName="calls-fail", StateValue="ALARM", StateReason="a test")
    cloud.clock.sleep(3600)

    assert endpoints.see(ENDPOINT).config_name == f"{ENDPOINT}-v1"


def test_a_rollback_that_fails_too_is_seen_and_can_but_be_deleted(cloud, endpoints):
    make(endpoints, cloud, REALTIME)
    prepare(endpoints, a_revision(2, REALTIME), REALTIME)
    cloud.simulation.knobs.update_fails, cloud.simulation.knobs.rollback_fails = 1, True
    endpoints.update(ENDPOINT, f"{ENDPOINT}-v2", Strategy.BLUE_GREEN, ())
    cloud.clock.sleep(9000)

    seen = endpoints.see(ENDPOINT)
    assert (seen.status, seen.is_settled, seen.has_capacity) == ("UpdateRollbackFailed", True, False)
    with pytest.raises(InvalidInput):
        endpoints.set_instances(ENDPOINT, 2)
    endpoints.delete_endpoint(ENDPOINT)
    cloud.clock.sleep(60)
    assert endpoints.see(ENDPOINT) is None


def test_what_is_gone_already_is_deleted_with_success(endpoints):
    endpoints.delete_endpoint("nobody")
    endpoints.delete_config("nobody")
    endpoints.delete_model("nobody")
    endpoints.delete_component("nobody")


def test_deleting_an_endpoint_leaves_its_config_its_model_and_its_component(cloud, endpoints):
    revision = make(endpoints, cloud, REALTIME, scaling={"components": True}, tensor_parallel_degree=1)
    endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())
    cloud.clock.sleep(1200)

    endpoints.delete_endpoint(ENDPOINT)
    cloud.clock.sleep(600)

    assert endpoints.see(ENDPOINT) is None
    assert endpoints.config(revision.config_name)
    assert endpoints.model(revision.model_name)
    assert endpoints.component(revision.model_name).copies == 0


def test_a_quota_of_instances_is_told_with_what_to_ask_for(cloud, endpoints):
    cloud.simulation.settings.quotas["ml.g5.xlarge"] = 0
    prepare(endpoints, a_revision())

    with pytest.raises(QuotaExceeded, match=r"ml\.g5\.xlarge for endpoint usage.*Service Quotas"):
        endpoints.create_endpoint(ENDPOINT, f"{ENDPOINT}-v1", {})


def test_a_config_or_a_model_that_somebody_deleted_is_told_as_missing(cloud, endpoints):
    prepare(endpoints, a_revision())
    endpoints.delete_config(f"{ENDPOINT}-v1")

    with pytest.raises(NotFound, match="Could not find"):
        endpoints.create_endpoint(ENDPOINT, f"{ENDPOINT}-v1", {})


def test_a_call_that_is_throttled_may_be_made_again(cloud, endpoints):
    cloud.simulation.knobs.throttle_calls = 1

    with pytest.raises(Throttled):
        endpoints.see(ENDPOINT)
    assert endpoints.see(ENDPOINT) is None


def test_a_role_that_is_not_known_yet_is_worth_another_try(cloud):
    held = HostingRules(role_arn="arn:aws:iam::123456789012:role/of-a-moment-ago", bucket="data")
    endpoints = SageMakerEndpoints(cloud.sagemaker, held, Place(region=REGION))

    with pytest.raises(Unavailable, match="takes some seconds to be known"):
        endpoints.create_model(a_revision(), tags())


# ---- inference components ------------------------------------------------------------------------------------------


def test_a_component_comes_with_its_copies_goes_to_none_and_back(cloud, endpoints):
    scaling = {"components": True, "max": 2}
    revision = make(endpoints, cloud, REALTIME, scaling=scaling, tensor_parallel_degree=1)
    endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())
    early = endpoints.component(revision.model_name)
    cloud.clock.sleep(1200)
    late = endpoints.component(revision.model_name)
    endpoints.set_copies(revision.model_name, 0)
    cloud.clock.sleep(600)
    at_zero = endpoints.component(revision.model_name)

    assert (early.status, early.copies) == ("Creating", 0)
    assert (late.status, late.copies) == ("InService", 1)
    assert (at_zero.status, at_zero.copies) == ("InService", 0)
    assert endpoints.see(ENDPOINT).instances == 0, "an instance without a copy goes, too"
    endpoints.set_copies(revision.model_name, 1)
    cloud.clock.sleep(1800)
    assert endpoints.component(revision.model_name).copies == 1


def test_a_component_has_the_accelerators_its_tensors_are_spread_over_and_its_containers_time(cloud, endpoints):
    scaling = {"components": True}
    revision = make(
        endpoints,
        cloud,
        REALTIME,
        scaling=scaling,
        tensor_parallel_degree=4,
        instance_type="ml.g5.12xlarge",
        download_timeout_seconds=1800,
        health_check_timeout_seconds=3600,
    )

    endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())

    spec = described(cloud, "component", revision.model_name)["Specification"]
    assert spec["ComputeResourceRequirements"]["NumberOfAcceleratorDevicesRequired"] == 4
    assert spec["StartupParameters"] == {
        "ModelDataDownloadTimeoutInSeconds": 1800,
        "ContainerStartupHealthCheckTimeoutInSeconds": 3600,
    }


def test_a_model_without_accelerators_asks_for_a_core(cloud, endpoints):
    revision = make(endpoints, cloud, REALTIME, scaling={"components": True}, instance_type="ml.m5.xlarge")

    endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())

    needs = described(cloud, "component", revision.model_name)["Specification"]["ComputeResourceRequirements"]
    assert needs == {"NumberOfCpuCoresRequired": 1, "MinMemoryRequiredInMb": 1024}


def test_a_component_needs_an_endpoint_in_service_and_is_made_once(cloud, endpoints):
    revision = make(endpoints, cloud, REALTIME, wait=False, scaling={"components": True}, tensor_parallel_degree=1)
    with pytest.raises(ConcurrentChange):
        endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())
    cloud.clock.sleep(1200)
    endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())

    with pytest.raises(Conflict):
        endpoints.create_component(ENDPOINT, revision, copies=1, tags=tags())
    with pytest.raises(ConcurrentChange):
        endpoints.set_copies(revision.model_name, 0)
    endpoints.delete_component(revision.model_name)
    with pytest.raises(ConcurrentChange):
        endpoints.delete_component(revision.model_name)
    cloud.clock.sleep(600)
    assert endpoints.component(revision.model_name) is None


# ---- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("ValidationException", 'Cannot create already existing endpoint "arn".', Conflict),
        ("ValidationException", 'Could not find endpoint "arn".', NotFound),
        ("ValidationException", "Model arn does not exist.", NotFound),
        ("ResourceNotFound", "gone", NotFound),
        ("ObjectNotFoundException", "No scalable target found", NotFound),
        ("ValidationException", 'Cannot update in-progress endpoint "arn".', ConcurrentChange),
        ("ValidationException", "Cannot delete the endpoint while it is updating.", ConcurrentChange),
        ("ResourceInUse", "in use", ConcurrentChange),
        ("ConcurrentUpdateException", "another update runs", ConcurrentChange),
        ("ConflictException", "conflict", ConcurrentChange),
        ("ResourceLimitExceeded", "limit is 0 Instances", QuotaExceeded),
        ("LimitExceededException", "too many targets", QuotaExceeded),
        ("ValidationException", "Could not assume role arn.", Unavailable),
        ("ValidationException", "The role arn is invalid.", Unavailable),
        ("ValidationException", 'Cannot update endpoint "arn" with status Failed.', InvalidInput),
        ("ValidationException", "1 validation error detected", InvalidInput),
        ("AccessDeniedException", "not authorized", AccessDenied),
        ("ThrottlingException", "Rate exceeded", Throttled),
        ("InternalFailure", "oops", Unavailable),
        ("SomethingNew", "what is that", Terminal),
    ],
)
def test_what_sagemaker_says_is_told_apart_by_code_and_where_it_must_by_text(code, text, kind):
    status = 500 if code == "InternalFailure" else 400
    error = ClientError({"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}}, "X")

    told = judged(error, "creating endpoint x")

    assert type(told) is kind
    assert told.message.startswith(f"creating endpoint x: {text}")
    assert isinstance(told, Retryable) == issubclass(kind, Retryable)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ParamValidationError(report="the request"), Terminal),
        (EndpointConnectionError(endpoint_url="https://api.sagemaker"), Unavailable),
    ],
)
def test_a_request_that_never_left_and_one_that_never_arrived_are_told_apart(raised, kind):
    with pytest.raises(PilotlightError) as told, sagemaker_errors("creating model x"):
        raise raised

    assert type(told.value) is kind
    assert "the request is not" in told.value.message or kind is Unavailable


def _put(group: str, stream: str, events: list[dict[str, Any]]) -> None:
    logs_backends["123456789012"][REGION].groups[group].put_log_events(stream, events)
