"""An image is of a version, in the registry of its region, on a host whose driver knows its CUDA."""

import botocore.session
import pytest
from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.lmi_images import (
    ACCOUNTS,
    HOST_OF_CUDA_12,
    HOST_OF_CUDA_13,
    INFERENCE_AMI_VERSIONS,
    NO_ACCELERATOR,
    REGIONS,
    RELEASES,
    UNCONFIRMED_REGIONS,
    cuda_of,
    domain_of,
    host_of,
    image_of,
    versions,
)


@pytest.fixture(scope="module")
def session():
    return botocore.session.get_session()


def test_the_default_is_the_newest_image_that_was_looked_up_twice():
    image = image_of(None, "us-west-2")

    assert image.uri == "763104351884.dkr.ecr.us-west-2.amazonaws.com/djl-inference:0.36.0-lmi27.0.0-cu130"
    assert (image.version, image.cuda, image.vllm) == ("0.36.0-lmi27.0.0-cu130", "13.0", "0.23.1")
    assert image.confirmed


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("0.36.0", "0.36.0-lmi27.0.0-cu130"),
        ("0.36.0-lmi28.0.0", "0.36.0-lmi28.0.0-cu130"),
        ("0.36.0-lmi20.0.0-cu128", "0.36.0-lmi20.0.0-cu128"),
        ("0.33.0", "0.33.0-lmi15.0.0-cu128"),
        ("0.35.0", "0.35.0-lmi17.0.0-cu128"),
        ("0.38.0", "0.38.0-lmi29.0.0-cu130"),
    ],
)
def test_a_version_may_be_whole_or_its_first_part(version, found):
    assert image_of(version, "eu-west-1").version == found


@pytest.mark.parametrize(
    "version", ["0.36", "0.99.0", "lmi27.0.0", "0.36.0-lmi2", "latest", "", "0.36.0-lmi27.0.0-cu1"]
)
def test_an_unknown_version_is_refused_with_those_that_exist(version):
    with pytest.raises(InvalidInput, match=r"0\.36\.0-lmi27\.0\.0-cu130") as caught:
        image_of(version, "us-east-1")

    assert caught.value.detail["field"] == "container.version"
    assert all(each in caught.value.message for each in versions())


@pytest.mark.parametrize("region", ["us-west-9", "us-iso-east-1", "", "eu-central-1 "])
def test_a_region_without_a_known_registry_is_refused_with_those_that_have_one(region):
    with pytest.raises(InvalidInput, match="us-west-2") as caught:
        image_of(None, region)

    assert caught.value.detail["field"] == "region"
    assert all(each in caught.value.message for each in REGIONS)


@pytest.mark.parametrize(
    ("region", "registry"),
    [
        ("us-east-1", "763104351884.dkr.ecr.us-east-1.amazonaws.com/"),
        ("eu-south-1", "692866216735.dkr.ecr.eu-south-1.amazonaws.com/"),
        ("cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/"),
        ("us-gov-west-1", "442386744353.dkr.ecr.us-gov-west-1.amazonaws.com/"),
        ("eusc-de-east-1", "204133271717.dkr.ecr.eusc-de-east-1.amazonaws.eu/"),
    ],
)
def test_each_region_has_a_registry_of_its_own_account_and_domain(region, registry):
    assert image_of(None, region).uri.startswith(registry)


def test_every_region_lies_in_the_domain_that_the_sdk_knows_for_it(session):
    partitions = session.get_data("endpoints")["partitions"]
    known = {region: each["dnsSuffix"] for each in partitions for region in each["regions"]}

    assert {region: domain_of(region) for region in REGIONS} == {region: known[region] for region in REGIONS}


def test_every_account_has_twelve_digits():
    assert all(len(account) == 12 and account.isdigit() for account in ACCOUNTS.values())


def test_what_was_looked_up_once_is_marked():
    assert not image_of(None, "us-gov-west-1").confirmed
    assert not image_of("0.38.0", "us-east-1").confirmed
    assert set(REGIONS) > UNCONFIRMED_REGIONS


def test_the_hosts_are_those_that_the_service_takes(session):
    shape = session.get_service_model("sagemaker").shape_for("ProductionVariantInferenceAmiVersion")

    assert set(INFERENCE_AMI_VERSIONS) == set(shape.enum)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
def test_every_image_with_cuda_has_the_host_of_its_cuda(release):
    cuda = cuda_of(release.version)

    if cuda is None:
        assert image_of(release.version, "us-east-1", NO_ACCELERATOR).inference_ami_version is None
    else:
        host = HOST_OF_CUDA_13 if cuda.startswith("13.") else HOST_OF_CUDA_12
        assert image_of(release.version, "us-east-1").inference_ami_version == host


@pytest.mark.parametrize(
    ("tag", "cuda", "host"),
    [
        ("0.36.0-lmi27.0.0-cu130", "13.0", HOST_OF_CUDA_13),
        (":0.26.0-gpu-py312-cu130-ubuntu22.04-sagemaker-v1.1", "13.0", HOST_OF_CUDA_13),
        ("0.33.0-tensorrtllm0.21.0-cu128", "12.8", HOST_OF_CUDA_12),
        ("cu129", "12.9", HOST_OF_CUDA_12),
        ("2.0-cu118-ubuntu20.04", "11.8", None),
        ("0.36.0-cpu-full", None, None),
        ("accu130", None, None),
        ("cu1300", None, None),
    ],
)
def test_the_host_follows_the_cuda_that_a_tag_tells(tag, cuda, host):
    assert cuda_of(tag) == cuda
    assert host_of(cuda) == host


def test_without_an_accelerator_the_host_is_the_service_s_own():
    assert image_of(None, "us-east-1", NO_ACCELERATOR).inference_ami_version is None
    assert image_of(None, "us-east-1", NO_ACCELERATOR).version == image_of(None, "us-east-1").version


def test_the_image_without_cuda_is_chosen_by_its_whole_name_alone():
    assert image_of("0.36.0-cpu-full", "us-east-1", NO_ACCELERATOR).cuda is None
    with pytest.raises(InvalidInput, match="cannot use a GPU"):
        image_of("0.36.0-cpu-full", "us-east-1")


def test_an_accelerator_without_an_image_is_refused_with_what_would_work():
    with pytest.raises(InvalidInput, match=r"container\.image") as caught:
        image_of(None, "us-east-1", "neuron")

    assert caught.value.detail["field"] == "container.image"


def test_versions_are_told_newest_first_and_once():
    numbers = [tuple(map(int, each.partition("-")[0].split("."))) for each in versions()]

    assert numbers == sorted(numbers, reverse=True)
    assert len(set(versions())) == len(RELEASES)
