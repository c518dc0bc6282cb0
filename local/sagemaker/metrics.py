"""The metrics that the service publishes: kept compactly, and given to moto's CloudWatch when somebody asks."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple

from moto.cloudwatch.models import MetricDatum
from moto.core.common_models import CloudWatchMetricProvider

from local.sagemaker.places import Place

NAMESPACE = "AWS/SageMaker"
_UNITS = {
    "ModelLatency": "Microseconds",
    "ApproximateAgeOfOldestRequest": "Seconds",
    "TotalProcessingTime": "Milliseconds",
}

Dimensions = tuple[tuple[str, str], ...]


class Metric(NamedTuple):
    """A metric of something."""

    place: Place
    name: str
    dimensions: Dimensions


@dataclass
class Series:
    """What was measured: (when, how much), oldest first."""

    _points: defaultdict[Metric, deque[tuple[float, float]]] = field(default_factory=lambda: defaultdict(deque))

    def put(self, place: Place, at: float, values: Mapping[str, float], dimensions: Dimensions, *, keep: float) -> None:
        """Enter values of one moment, and forget what is older than `keep` seconds."""
        for name, value in values.items():
            points = self._points[Metric(place, name, tuple(sorted(dimensions)))]
            points.append((at, value))
            while points[0][0] < at - keep:
                points.popleft()

    def between(self, metric: Metric, start: float, end: float) -> list[float]:
        """Give the values from `start` on and before `end`."""
        found: list[float] = []
        for at, value in reversed(self._points.get(metric, ())):
            if at < start:
                break
            if at < end:
                found.append(value)
        return found[::-1]

    def of(self, place: Place) -> Iterator[tuple[Metric, float, float]]:
        """Give every value of a place."""
        for metric, points in list(self._points.items()):
            if metric.place == place:
                yield from ((metric, at, value) for at, value in list(points))


class HostingMetrics(CloudWatchMetricProvider):  # type: ignore[misc] # moto's classes have no types
    """What moto's CloudWatch asks for the service's metrics: it finds every subclass by itself."""

    series: ClassVar[Callable[[], Series]] = Series

    @staticmethod
    def get_cloudwatch_metrics(account_id: str, region: str) -> list[MetricDatum]:
        """Give all values of an account in a region."""
        return [
            MetricDatum(
                namespace=NAMESPACE,
                name=metric.name,
                value=value,
                dimensions=[{"Name": name, "Value": of} for name, of in metric.dimensions],
                timestamp=datetime.fromtimestamp(at, UTC).replace(tzinfo=None),  # moto compares naive times, in UTC
                unit=_UNITS.get(metric.name, "Count"),
            )
            for metric, at, value in HostingMetrics.series().of(Place(account_id, region))
        ]
