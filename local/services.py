"""What the embedded cloud adds to moto, put together in the order in which the parts need each other."""

from __future__ import annotations

from contextlib import ExitStack

from local import (
    authorization,
    autoscaling,
    bedrock,
    notifications,
    object_events,
    object_store,
    sagemaker,
    step_functions,
    tables,
)
from local.clock import ScaledClock
from local.delivery import deliveries
from local.events import EventBus
from local.queues import QueuePollers
from local.sagemaker import Ticker
from local.schedules import Scheduler


def start_services(clock: ScaledClock, endpoint_url: str, closing: ExitStack) -> None:
    """Install every seam and start what has threads; `closing` ends it all, last first."""
    authorization.install(closing)
    for seam in (step_functions, object_store, bedrock, sagemaker):
        seam.install(clock)
    autoscaling.install()
    tables.install()
    notifications.install(clock)
    object_events.install()
    closing.callback(deliveries.close)
    bus = EventBus(endpoint_url, clock)
    for service in (bus, QueuePollers(endpoint_url, clock), Scheduler(endpoint_url, clock, bus), Ticker(clock)):
        service.start()
        closing.callback(service.stop)
