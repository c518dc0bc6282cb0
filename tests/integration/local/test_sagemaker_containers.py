"""What becomes of containers of the simulated hosting: by their data, their settings, their instance and their log."""

import pytest

from tests.integration.local.hosting_cloud import FOREIGN, LMI, LMI_CU130, refusal

AMI = "al2023-ami-sagemaker-inference-gpu-4-1"
WEIGHTS = "/opt/ml/additional-model-data-sources/weights"


@pytest.fixture
def cloud(hosting):
    return hosting


def bundled(cloud, *, isolated=False, image=LMI, environment=None, **files):
    """Make a model of a bundle, with the weights beside it."""
    cloud.bundle(**files)
    bundle = {"S3Uri": "s3://weights/bundle/model.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
    weights = {"S3Uri": "s3://weights/little/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    cloud.model(
        isolated=isolated,
        Image=image,
        ModelDataSource={"S3DataSource": bundle},
        AdditionalModelDataSources=[{"ChannelName": "weights", "S3DataSource": weights}],
        Environment=environment or {},
    )


def ill(cloud, name="little"):
    """Say whether an endpoint failed its health check."""
    return (
        cloud.status(name) == "Failed"
        and "The primary container for production variant main did not pass the ping health check" in cloud.reason(name)
    )


# ── Model data ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prefix", ["s3://weights/lost/", "s3://nowhere/lost/"])
def test_model_data_that_is_not_there_fails_the_endpoint(cloud, prefix):
    source = {"S3Uri": prefix, "S3DataType": "S3Prefix", "CompressionType": "None"}
    cloud.model(ModelDataSource={"S3DataSource": source})

    cloud.endpoint()

    assert cloud.status() == "Failed"
    assert f'Failed to download model data for container "container_1" from URL: "{prefix}"' in cloud.reason()


def test_what_is_no_archive_is_not_downloaded(cloud):
    cloud.put("bundle/model.tar.gz", b"not a tar")
    cloud.model(ModelDataSource=None, ModelDataUrl="s3://weights/bundle/model.tar.gz")

    cloud.endpoint()

    assert "Failed to download model data" in cloud.reason()


def test_a_prefix_must_end_with_a_slash_and_be_uncompressed(cloud):
    source = {"S3Uri": "s3://weights/little", "S3DataType": "S3Prefix", "CompressionType": "None"}
    packed = {"S3Uri": "s3://weights/little/", "S3DataType": "S3Prefix", "CompressionType": "Gzip"}

    assert "must end with a forward slash" in refusal(cloud.model, ModelDataSource={"S3DataSource": source})[1]
    assert "Gzip is not supported" in refusal(cloud.model, ModelDataSource={"S3DataSource": packed})[1]


def test_a_gated_model_needs_its_terms_accepted(cloud):
    uri = "s3://jumpstart-private-cache-prod-us-east-1/some/"
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}

    refused = refusal(cloud.model, ModelDataSource={"S3DataSource": source})
    accepted = {**source, "ModelAccessConfig": {"AcceptEula": True}}

    assert "must accept its EULA" in refused[1]
    assert cloud.model(ModelDataSource={"S3DataSource": accepted})


def test_an_image_from_elsewhere_needs_a_network_of_the_account(cloud):
    assert refusal(cloud.model, Image="docker.io/vllm/vllm-openai:latest")[1] == (
        'Using non-ECR image "docker.io/vllm/vllm-openai:latest" without Vpc repository access mode is not supported.'
    )


def test_more_weights_take_longer_to_come(cloud):
    def seconds_of(name, scale):
        cloud.simulation.settings.weights_scale = scale
        began = cloud.clock.timestamp()
        cloud.endpoint(name, wait=False)
        while cloud.status(name) == "Creating":
            cloud.clock.sleep(1)
        return cloud.clock.timestamp() - began

    little, large = seconds_of("one", 1.0), seconds_of("two", 4e6)  # 4 KB that count as 16 GB

    assert little == pytest.approx(195, abs=2)
    assert large == pytest.approx(195 + 16.4e9 / 400e6 + 16.4e9 / 800e6, abs=2)


def test_a_download_that_takes_too_long_fails(cloud):
    cloud.simulation.settings.weights_scale = 2e7

    cloud.endpoint(ModelDataDownloadTimeoutInSeconds=60)

    assert "Downloading model data timed out" in cloud.reason()


def test_a_model_that_loads_longer_than_the_health_check_waits_fails_although_nothing_is_wrong(cloud):
    cloud.simulation.settings.load_bytes_per_second = 10.0  # seven minutes for 4 KB

    cloud.endpoint(ContainerStartupHealthCheckTimeoutInSeconds=60)
    cloud.endpoint("patient", ContainerStartupHealthCheckTimeoutInSeconds=3600)

    assert ill(cloud)
    assert cloud.status("patient") == "InService"


# ── LMI's settings ───────────────────────────────────────────────────────────────────────────────────────


def test_weights_beside_a_bundle_are_found_where_they_are_mounted(cloud):
    bundled(cloud, isolated=True, serving__properties=f"engine=Python\noption.model_id={WEIGHTS}\n")

    cloud.endpoint()

    assert cloud.status() == "InService"
    assert cloud.invoke({"inputs": "x"})["generated_text"].startswith("[simulated]")
    assert any(f"Loading model {WEIGHTS}" in line for line in cloud.log())


def test_a_path_that_holds_no_model_is_logged_and_the_container_is_ill(cloud):
    bundled(cloud, serving__properties="engine=Python\noption.model_id=/opt/ml/model/lost\n")

    cloud.endpoint()

    assert ill(cloud)
    assert "/opt/ml/model/lost does not appear to have a file named config.json" in cloud.log()[-1]


@pytest.mark.parametrize(
    "text", ["engine=Python\nmodel_id={}", "engine=Python\noption.engine=Python\noption.batch_size=4", "# nothing"]
)
def test_keys_that_are_not_where_they_belong_are_ignored(cloud, text):
    bundled(cloud, serving__properties=text.format(WEIGHTS))

    cloud.endpoint()

    assert ill(cloud)  # since nothing said where the model is
    assert "No model found" in cloud.log()[-1]


def test_the_file_wins_over_the_environment(cloud):
    bundled(
        cloud,
        environment={"HF_MODEL_ID": "/opt/ml/lost", "OPTION_TENSOR_PARALLEL_DEGREE": "8"},
        serving__properties=f"option.model_id={WEIGHTS}\noption.tensor_parallel_degree=1",
    )

    cloud.endpoint()

    assert cloud.status() == "InService"


def test_the_environment_alone_is_enough(cloud):
    cloud.model(Environment={"HF_MODEL_ID": "/opt/ml/model", "OPTION_TENSOR_PARALLEL_DEGREE": "1"})

    cloud.endpoint()

    assert cloud.status() == "InService"


def test_more_partitions_than_gpus_are_an_error_of_the_container(cloud):
    cloud.model(Environment={"OPTION_TENSOR_PARALLEL_DEGREE": "2"})

    cloud.endpoint()

    assert ill(cloud)
    assert "GPU devices are not enough to run 2 partitions" in cloud.log()[-1]


@pytest.mark.parametrize(
    ("kind", "degree", "fits"),
    [("ml.g5.xlarge", "1", False), ("ml.g5.12xlarge", "1", False), ("ml.g5.12xlarge", "max", True)],
)
def test_weights_that_are_larger_than_the_memory_of_the_gpus_run_out_of_it(cloud, kind, degree, fits):
    cloud.simulation.settings.weights_scale = 9e6  # 37 GB
    cloud.model(Environment={"OPTION_TENSOR_PARALLEL_DEGREE": degree})

    cloud.endpoint(InstanceType=kind)

    assert (cloud.status() == "InService") is fits
    assert any("CUDA out of memory" in line for line in cloud.log()) is not fits


def test_requirements_cannot_be_installed_without_a_network(cloud):
    files = {"serving__properties": f"option.model_id={WEIGHTS}", "requirements__txt": "einops"}
    bundled(cloud, isolated=True, **files)

    cloud.endpoint()

    assert ill(cloud)
    assert "pip install failed" in cloud.log()[-1]


def test_a_model_of_a_hub_cannot_be_fetched_without_a_network(cloud):
    cloud.model("open", ModelDataSource=None, Environment={"HF_MODEL_ID": "org/model"})
    cloud.model("cut-off", isolated=True, ModelDataSource=None, Environment={"HF_MODEL_ID": "org/model"})

    cloud.endpoint("open")
    cloud.endpoint("cut-off")

    assert cloud.status("open") == "InService"
    assert ill(cloud, "cut-off")
    assert "We couldn't connect to 'https://huggingface.co'" in cloud.log("cut-off")[-1]


def test_the_newest_cuda_on_the_usual_machine_image_dies_without_a_word(cloud):
    cloud.model("bad", Image=LMI_CU130)
    cloud.model("good", Image=LMI_CU130)

    cloud.endpoint("bad")
    cloud.endpoint("good", InferenceAmiVersion=AMI)

    assert ill(cloud, "bad")
    assert cloud.log("bad") == []
    assert cloud.status("good") == "InService"


def test_a_container_for_gpus_needs_one(cloud):
    cloud.endpoint(InstanceType="ml.m5.xlarge")

    assert ill(cloud)
    assert "No CUDA GPUs are available" in cloud.log()[-1]


def test_a_knob_makes_containers_ill(cloud):
    cloud.simulation.knobs.never_healthy = True

    cloud.endpoint()

    assert ill(cloud)


def test_instances_that_never_come_leave_the_endpoint_creating(cloud):
    cloud.simulation.knobs.never_ready = True

    cloud.endpoint()
    cloud.clock.sleep(86_400)

    assert cloud.status() == "Creating"
    assert cloud.simulation.uptimes() == []


def test_an_ill_container_is_waited_for_as_long_as_its_health_check_may_take(cloud):
    cloud.model(Environment={"OPTION_TENSOR_PARALLEL_DEGREE": "2"})
    cloud.endpoint(wait=False, ContainerStartupHealthCheckTimeoutInSeconds=900)

    cloud.clock.sleep(150 + 890)
    before = cloud.status()
    cloud.clock.sleep(20)

    assert (before, cloud.status()) == ("Creating", "Failed")
    (uptime,) = cloud.simulation.uptimes()
    assert uptime.end - uptime.start == pytest.approx(900, abs=1)  # and all of it is paid for


# ── Logs, quotas, hub ────────────────────────────────────────────────────────────────────────────────────


def test_each_instance_logs_into_a_stream_of_its_own(cloud):
    cloud.endpoint(InitialInstanceCount=2)

    group = "/aws/sagemaker/Endpoints/little"
    streams = cloud.logs.describe_log_streams(logGroupName=group)["logStreams"]
    first = cloud.logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"])["events"]

    assert len(streams) == 2
    assert all(each["logStreamName"].startswith("main/i-") for each in streams)
    assert first[0]["timestamp"] == 1_800_000_150_000


def test_quotas_are_listed_by_the_name_that_refusals_quote(cloud):
    cloud.simulation.settings.quotas["ml.g5.12xlarge"] = 3

    pages = cloud.quotas.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    (found,) = [
        each for page in pages for each in page["Quotas"] if each["QuotaName"] == "ml.g5.12xlarge for endpoint usage"
    ]
    got = cloud.quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=found["QuotaCode"])["Quota"]

    assert (found["Value"], got["Value"], got["Adjustable"]) == (3.0, 3.0, True)


def test_the_public_hub_has_what_the_settings_say(cloud):
    request = {"HubName": "SageMakerPublicHub", "HubContentType": "Model", "HubContentName": "some-model"}

    lost = refusal(cloud.sagemaker.describe_hub_content, **request)
    cloud.simulation.settings.hub_contents["some-model"] = '{"HostingEcrUri": "x"}'

    assert lost[0] == "ResourceNotFound"
    assert "does not exist" in lost[1]
    assert cloud.sagemaker.describe_hub_content(**request)["HubContentDocument"] == '{"HostingEcrUri": "x"}'


def test_a_foreign_container_only_needs_its_data(cloud):
    cloud.model(Image=FOREIGN)

    cloud.endpoint(InstanceType="ml.m5.xlarge")

    assert cloud.status() == "InService"
