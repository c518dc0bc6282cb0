"""What containers log, put into moto's CloudWatch Logs in the execution role's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from moto.logs.models import logs_backends

from local.sagemaker.places import Place
from local.sagemaker.roles import may_log

OF_ENDPOINTS = "/aws/sagemaker/Endpoints/"
OF_COMPONENTS = "/aws/sagemaker/InferenceComponents/"


def write(place: Place, role_arn: str, group: str, stream: str, at: float, lines: Iterable[str]) -> None:
    """Write lines of one moment; a role that may not log leaves no trace, and nobody is told."""
    events = [{"timestamp": int(at * 1000), "message": line} for line in lines]
    backend = logs_backends[place.account][place.region]
    if not events or not may_log(role_arn, place, group, stream, is_new=group not in backend.groups):
        return
    if group not in backend.groups:
        backend.create_log_group(group, {})
    if stream not in backend.groups[group].streams:
        backend.create_log_stream(group, stream)
    # not by way of the backend: that goes by the wall's time and refuses what the simulated clock is far from
    backend.groups[group].put_log_events(stream, events)


def snapshot(place: Place) -> Callable[[], None]:
    """Give what takes away whatever containers log from now on, as often as one likes."""
    groups = logs_backends[place.account][place.region].groups
    kept = {name: {key: len(each.events) for key, each in group.streams.items()} for name, group in groups.items()}

    def put_back() -> None:
        for name in [name for name in groups if name.startswith("/aws/sagemaker/") and name not in kept]:
            del groups[name]
        for name, streams in kept.items():
            if name in groups and name.startswith("/aws/sagemaker/"):
                held = groups[name].streams
                for key in [key for key in held if key not in streams]:
                    del held[key]
                for key, length in streams.items():
                    del held[key].events[length:]

    return put_back
