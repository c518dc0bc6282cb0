"""What an asynchronous endpoint has been handed and not answered, from CloudWatch: an optional look, kept a while."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from pilotlight.adapters.aws_errors import translated
from pilotlight.domain.backlog import BacklogSizes
from pilotlight.domain.errors import PilotlightError

KEPT = timedelta(seconds=20)
LOOKED_BACK = timedelta(minutes=5)
PERIOD_SECONDS = 60
MOST_KEPT = 100
_METRICS = {"size": "ApproximateBacklogSize", "oldest": "ApproximateAgeOfOldestRequest"}


class CloudWatchBacklog:
    """Implements `ports.Backlog`. Where it may not look, or cannot, nothing was measured."""

    def __init__(self, client: Callable[[], Any], now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._kept: dict[str, tuple[datetime, BacklogSizes | None]] = {}

    def sizes(self, endpoint_name: str) -> BacklogSizes | None:
        """Return what was measured in the last minutes, asked for at most every so often."""
        now = self._now()
        known = self._kept.get(endpoint_name)
        if known and now - known[0] < KEPT:
            return known[1]
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        try:
            found = self._measured(endpoint_name, now)
        except PilotlightError:
            found = None
        self._kept[endpoint_name] = (now, found)
        return found

    def _measured(self, endpoint_name: str, now: datetime) -> BacklogSizes | None:
        with translated(f"reading the backlog of {endpoint_name}"):
            told = self._client().get_metric_data(
                MetricDataQueries=[_query(name, metric, endpoint_name) for name, metric in _METRICS.items()],
                StartTime=now - LOOKED_BACK,
                EndTime=now,
                ScanBy="TimestampDescending",
            )
        newest = {
            each["Id"]: (each["Timestamps"][0], each["Values"][0])
            for each in told.get("MetricDataResults", [])
            if each.get("Values")
        }
        if "size" not in newest:
            return None
        measured_at, size = newest["size"]
        return BacklogSizes(
            size=max(round(size), 0),
            oldest_age_seconds=newest["oldest"][1] if "oldest" in newest else None,
            measured_at=measured_at,
        )


def _query(name: str, metric: str, endpoint_name: str) -> dict[str, Any]:
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/SageMaker",
                "MetricName": metric,
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint_name}],
            },
            "Period": PERIOD_SECONDS,
            "Stat": "Maximum",
        },
    }
