"""The end of each minute: what the service measures then, and who acts on it.

Source: SageMaker developer guide, "Monitor an asynchronous endpoint": metrics of the queue, by endpoint.
"""

from __future__ import annotations

from local.sagemaker.async_requests import waiting
from local.sagemaker.resources import Endpoint
from local.sagemaker.simulation import Simulation

MINUTE = 60.0


def keep_looking(simulation: Simulation) -> None:
    """Have each minute looked at from now on, as long as there is anything to see."""
    if not simulation.state.minutes_run:
        simulation.state.minutes_run = True
        _book(simulation)


def _book(simulation: Simulation) -> None:
    ends = (simulation.moment // MINUTE + 1) * MINUTE
    simulation.later(ends - simulation.moment, _end_minute)


def _end_minute(simulation: Simulation) -> None:
    state = simulation.state
    for endpoint in list(state.endpoints.values()):
        if endpoint.config.asynchronous is not None and endpoint.is_serving:
            _measure_queue(simulation, endpoint)
    for act in simulation.minutely:
        act(simulation)
    if state.endpoints or state.components:
        _book(simulation)
    else:
        state.minutes_run = False


def _measure_queue(simulation: Simulation, endpoint: Endpoint) -> None:
    """Publish what waits. Of no instances there is no backlog per instance: that metric then has no value at all."""
    instances = sum(len(fleet.ready) for fleet in endpoint.fleets)
    waits = waiting(endpoint)
    values = {
        "ApproximateBacklogSize": float(len(endpoint.requests)),
        "ApproximateAgeOfOldestRequest": simulation.moment - waits[0].received if waits else 0.0,
        "HasBacklogWithoutCapacity": 1.0 if endpoint.requests and not instances else 0.0,
    }
    if instances:
        values["ApproximateBacklogSizePerInstance"] = len(endpoint.requests) / instances
    dimensions = (("EndpointName", endpoint.name),)
    keep = simulation.settings.metrics_kept_seconds
    simulation.state.series.put(endpoint.place, simulation.moment - MINUTE, values, dimensions, keep=keep)
