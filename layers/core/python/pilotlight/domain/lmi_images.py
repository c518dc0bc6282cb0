"""AWS's images of LMI (DJL Serving with vLLM): which exist, in whose registry each region has them, on which host.

Sources, looked up 2026-11-28:
- releases: AWS Deep Learning Containers, "Available images: DJL Inference"; the pull request that releases LMI 29;
- registries: the SageMaker Python SDK's table of LMI images, and "Region availability" of Deep Learning Containers;
- hosts: botocore's service model, ProductionVariant.InferenceAmiVersion, for drivers; the constants of Deep Learning
  Containers' own tests for which host goes with which CUDA. It matters both ways: a container of CUDA 13 on an older
  host ends before it writes a line of log, and so did one of CUDA 12.9 on the host of CUDA 13.

What could not be looked up twice is marked: `confirmed` is False. The registries of the isolated partitions are left
out: nobody can look them up from outside.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from pilotlight.domain.errors import InvalidInput
from pilotlight.domain.values import Model

LOOKED_UP = "2026-11-28"
REPOSITORY = "djl-inference"
NVIDIA = "nvidia"
NO_ACCELERATOR = "none"

HOST_OF_CUDA_12 = "al2-ami-sagemaker-inference-gpu-3-1"  # driver 550
HOST_OF_CUDA_13 = "al2023-ami-sagemaker-inference-gpu-4-1"  # driver 580
INFERENCE_AMI_VERSIONS = (
    "al2-ami-sagemaker-inference-gpu-2",
    "al2-ami-sagemaker-inference-gpu-2-1",
    HOST_OF_CUDA_12,
    "al2-ami-sagemaker-inference-neuron-2",
    HOST_OF_CUDA_13,
)
"""Every host that SageMaker lets one choose. Source: botocore's service model, ProductionVariantInferenceAmiVersion."""


class Release(NamedTuple):
    """One image by its tag, which is its version, and the vLLM in it.

    It is confirmed where AWS's list of images and the SDK's table both name it; the others are in the list alone.
    """

    version: str
    vllm: str | None
    confirmed: bool = False


RELEASES = (
    Release("0.33.0-lmi15.0.0-cu128", "0.8.4", confirmed=True),
    Release("0.34.0-lmi16.0.0-cu128", "0.10.2", confirmed=True),
    Release("0.35.0-cpu-full", None),
    Release("0.35.0-lmi17.0.0-cu128", "0.11.1", confirmed=True),
    Release("0.36.0-cpu-full", None),
    Release("0.36.0-lmi18.0.0-cu128", "0.12.0"),
    Release("0.36.0-lmi19.0.0-cu128", "0.14.0"),
    Release("0.36.0-lmi20.0.0-cu128", "0.15.1"),
    Release("0.36.0-lmi21.0.0-cu129", "0.16.0"),
    Release("0.36.0-lmi22.0.0-cu129", "0.17.0"),
    Release("0.36.0-lmi23.0.0-cu129", "0.18.0"),
    Release("0.36.0-lmi24.0.0-cu129", "0.19.0"),
    Release("0.36.0-lmi25.0.0-cu130", "0.20.1"),
    Release("0.36.0-lmi26.0.0-cu130", "0.22.1"),
    Release("0.36.0-lmi27.0.0-cu130", "0.23.1", confirmed=True),
    Release("0.36.0-lmi28.0.0-cu130", "0.26.0"),
    Release("0.38.0-lmi29.0.0-cu130", "0.28.0"),  # the change that releases it is all that was found
)
"""Oldest first. The images without CUDA (cpu-full) hold PyTorch, and neither vLLM nor transformers."""

_MAIN_ACCOUNT = "763104351884"
ACCOUNTS: Mapping[str, str] = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-1": _MAIN_ACCOUNT,
    "ap-northeast-2": _MAIN_ACCOUNT,
    "ap-northeast-3": "364406365360",
    "ap-south-1": _MAIN_ACCOUNT,
    "ap-south-2": "772153158452",
    "ap-southeast-1": _MAIN_ACCOUNT,
    "ap-southeast-2": _MAIN_ACCOUNT,
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-central-1": _MAIN_ACCOUNT,
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-1": _MAIN_ACCOUNT,
    "eu-central-2": "380420809688",
    "eu-north-1": _MAIN_ACCOUNT,
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "eu-west-1": _MAIN_ACCOUNT,
    "eu-west-2": _MAIN_ACCOUNT,
    "eu-west-3": _MAIN_ACCOUNT,
    "eusc-de-east-1": "204133271717",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "sa-east-1": _MAIN_ACCOUNT,
    "us-east-1": _MAIN_ACCOUNT,
    "us-east-2": _MAIN_ACCOUNT,
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
    "us-west-1": _MAIN_ACCOUNT,
    "us-west-2": _MAIN_ACCOUNT,
}
REGIONS = tuple(ACCOUNTS)
UNCONFIRMED_REGIONS = frozenset({"eusc-de-east-1", "us-gov-east-1", "us-gov-west-1"})  # in the SDK's table alone

DOMAINS: Mapping[str, str] = {"cn-": "amazonaws.com.cn", "eusc-": "amazonaws.eu"}
_DOMAIN = "amazonaws.com"
_CUDA = re.compile(r"(?:^|[-:])cu(?P<major>\d\d)(?P<minor>\d)(?=$|[-.])")


class LmiImage(Model):
    """An image in a region's registry, and the host that it wants; None is SageMaker's default host."""

    uri: str
    version: str
    cuda: str | None = None
    inference_ami_version: str | None = None
    vllm: str | None = None
    confirmed: bool = True


def image_of(version: str | None, region: str, accelerator: str = NVIDIA) -> LmiImage:
    """Return the image of a version in a region: whole ("0.36.0-lmi27.0.0-cu130"), short ("0.36.0"), or the default.

    Without an accelerator the host is SageMaker's own: the others are of GPUs.
    Raises: InvalidInput for a version, a region or an accelerator without an image, naming those that have one.
    """
    if region not in ACCOUNTS:
        rule = f"one of {', '.join(REGIONS)}"
        raise InvalidInput(
            f"No registry of LMI images is known for the region {region[:40]}; there is one in {', '.join(REGIONS)}. "
            "Name an image of your own in container.image.",
            field="region",
            rule=rule,
        )
    release = _release(version, accelerator)
    cuda = cuda_of(release.version)
    return LmiImage(
        uri=f"{ACCOUNTS[region]}.dkr.ecr.{region}.{domain_of(region)}/{REPOSITORY}:{release.version}",
        version=release.version,
        cuda=cuda,
        inference_ami_version=host_of(cuda) if accelerator == NVIDIA else None,
        vllm=release.vllm,
        confirmed=release.confirmed and region not in UNCONFIRMED_REGIONS,
    )


def versions() -> tuple[str, ...]:
    """Return every version that there is an image of, newest first."""
    return tuple(release.version for release in reversed(RELEASES))


def domain_of(region: str) -> str:
    """Return the domain of the registries of a region."""
    return next((domain for start, domain in DOMAINS.items() if region.startswith(start)), _DOMAIN)


def cuda_of(tag: str) -> str | None:
    """Return the version of CUDA that the tag of an image tells ("cu130" is 13.0), or None."""
    found = _CUDA.search(tag)
    return f"{found['major']}.{found['minor']}" if found else None


def host_of(cuda: str | None) -> str | None:
    """Return the InferenceAmiVersion that containers of a version of CUDA want; None is SageMaker's default."""
    major = (cuda or "").partition(".")[0]
    return {"12": HOST_OF_CUDA_12, "13": HOST_OF_CUDA_13}.get(major)


def _release(version: str | None, accelerator: str) -> Release:
    """Return the release that a version names; of several the newest confirmed one, or else the newest."""
    if accelerator not in (NVIDIA, NO_ACCELERATOR):
        rule = "an instance with NVIDIA GPUs or without an accelerator"
        raise InvalidInput(
            f"There is no LMI image for the accelerator {accelerator[:40]}: choose {rule}, or name an image of your "
            "own in container.image.",
            field="container.image",
            rule=rule,
        )
    named = [each for each in RELEASES if version is None or _is(each, version)]
    if version is None or version not in versions():
        named = [each for each in named if cuda_of(each.version)]
    if not named:
        raise _no_such(version or "")
    chosen = next((each for each in reversed(named) if each.confirmed), named[-1])
    if accelerator == NVIDIA and not cuda_of(chosen.version):
        rule = "an image with CUDA for an instance with GPUs"
        raise InvalidInput(
            f"LMI {chosen.version} cannot use a GPU: leave container.version out, or choose an instance without GPUs.",
            field="container.version",
            rule=rule,
        )
    return chosen


def _is(release: Release, version: str) -> bool:
    return release.version == version or release.version.startswith(f"{version}-")


def _no_such(version: str) -> InvalidInput:
    rule = f"one of {', '.join(versions())}, or its first part alone"
    return InvalidInput(
        f"No LMI image of version {version[:60]!r} is known; there are {', '.join(versions())}, and the newest of each "
        "by its first part alone. Name any other image whole in container.image.",
        field="container.version",
        rule=rule,
    )
