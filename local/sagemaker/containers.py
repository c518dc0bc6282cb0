"""What becomes of a container when its instance has come: how long it takes, what it logs, and what it serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.sagemaker import lmi
from local.sagemaker.instances import InstanceType, instance_type
from local.sagemaker.model_data import NoDataError, mounts_of
from local.sagemaker.places import Place
from local.sagemaker.resources import NOTHING, Container
from local.sagemaker.roles import may_pull
from local.sagemaker.settings import Settings


@dataclass(frozen=True)
class Order:
    """A container that is to run: its definition, and where."""

    definition: Mapping[str, Any]
    role_arn: str
    is_isolated: bool
    place: Place
    variant: str
    instance_type: str
    ami: str | None = None
    gpus: int | None = None  # None for all that the instance has
    download_timeout_seconds: float | None = None
    health_check_timeout_seconds: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What becomes of it. It runs after `seconds`, or `fault` is known then."""

    seconds: float
    log: tuple[str, ...] = ()
    container: Container = NOTHING
    fault: str | None = None


def outcome_of(order: Order, settings: Settings, *, never_healthy: bool = False) -> Outcome:
    """Give what becomes of a container that starts now, by what lies in S3 and what its role may do now."""
    image = order.definition.get("Image") or ""
    if settings.judges_image_pulls and not may_pull(order.role_arn, order.place, image):
        return Outcome(
            settings.verdict_seconds,
            fault=f"Failed to pull the image {image}. Please ensure that the role passed to CreateModel has "
            "permissions to pull it from Amazon ECR.",
        )
    try:
        mounts = mounts_of(order.definition, order.role_arn, order.place)
    except NoDataError as exc:
        return Outcome(
            settings.verdict_seconds,
            fault='Failed to download model data for container "container_1" from URL: '
            f'"{exc}". Please ensure that there is an object located at the URL and that the role passed to '
            "CreateModel has permissions to download the object.",
        )
    size = sum(files.size_bytes for files in mounts.values()) * settings.weights_scale
    download, most = size / settings.download_bytes_per_second, _download_timeout(order, settings)
    if download > most:
        return Outcome(most, fault=f"Downloading model data timed out: {size / 1e9:.1f} GB in {most:.0f} seconds.")
    return _started(order, settings, mounts, download, never_healthy=never_healthy)


def _started(
    order: Order, settings: Settings, mounts: Mapping[str, Any], download: float, *, never_healthy: bool
) -> Outcome:
    """Give what becomes of a container that has its data."""
    most = order.health_check_timeout_seconds or settings.health_check_timeout_seconds
    ill = Outcome(download + most, fault=_unhealthy(order.variant))
    if lmi.is_lmi(order.definition.get("Image") or ""):
        try:
            loaded = lmi.start(_surroundings(order, settings, mounts))
        except lmi.IllError as exc:
            return Outcome(ill.seconds, log=exc.log, fault=ill.fault)
    else:
        size = sum(files.size_bytes for files in mounts.values()) * settings.weights_scale
        loaded = lmi.Loaded(NOTHING, 0.0, size, ("Started.",))
    fetch = loaded.bytes_fetched / settings.download_bytes_per_second
    load = settings.load_seconds + fetch + loaded.weights_bytes / settings.load_bytes_per_second
    if never_healthy or load > most:
        return Outcome(ill.seconds, log=loaded.log[:1], fault=ill.fault)
    return Outcome(download + load, log=loaded.log, container=loaded.container)


def _surroundings(order: Order, settings: Settings, mounts: Mapping[str, Any]) -> lmi.Surroundings:
    kind: InstanceType = instance_type(order.instance_type)
    return lmi.Surroundings(
        image=order.definition["Image"],
        environment=order.definition.get("Environment") or {},
        mounts=mounts,
        instance=kind,
        gpus=kind.gpus if order.gpus is None else min(order.gpus, kind.gpus),
        ami=order.ami,
        is_isolated=order.is_isolated,
        role_arn=order.role_arn,
        place=order.place,
        weights_scale=settings.weights_scale,
        hub_model_bytes=settings.hub_model_bytes,
    )


def _download_timeout(order: Order, settings: Settings) -> float:
    return order.download_timeout_seconds or settings.download_timeout_seconds


def _unhealthy(variant: str) -> str:
    return (
        f"The primary container for production variant {variant} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
