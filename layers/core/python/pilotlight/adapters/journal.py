"""Structured logs and metrics through Powertools: CloudWatch's embedded metric format."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from pilotlight.domain.reconciliation import Pass

METRICS_OF_INVOCATION = {
    "input_length": MetricUnit.Count,
    "output_length": MetricUnit.Count,
    "inference_time": MetricUnit.Seconds,
}


class PowertoolsJournal:
    """Implements `ports.Journal`. Nothing here may be given a prompt, a completion, a token or a credential."""

    def __init__(self, logger: Logger, namespace: str, stack: str) -> None:
        self._logger = logger
        self._namespace = namespace
        self._stack = stack

    def invocation(self, record: dict[str, Any]) -> None:
        """Write the one record of an invocation, and its metrics by deployment and status."""
        self._logger.info("invocation", extra=record)
        metrics = self._metrics(deployment=record["deployment"], status=record["status"])
        metrics.add_metric("invocations", MetricUnit.Count, 1)
        metrics.add_metric("cold_invocations", MetricUnit.Count, int(record["was_cold"]))
        for name, unit in METRICS_OF_INVOCATION.items():
            metrics.add_metric(name, unit, record[name])
        metrics.flush_metrics()

    def reconciled(self, done: Pass) -> None:
        """Write the metrics of a reconciliation, by stack."""
        metrics = self._metrics(stack=self._stack)
        metrics.add_metric("orphans", MetricUnit.Count, done.orphans_left)
        metrics.add_metric("orphans_removed", MetricUnit.Count, done.removed)
        metrics.add_metric("reconcile_incomplete", MetricUnit.Count, len(done.incomplete))
        metrics.flush_metrics()

    def fact(self, message: str, **values: Any) -> None:
        """Log a fact: a constant message, values as keys."""
        self._logger.info(message, extra=values)

    def surprise(self, message: str, **values: Any) -> None:
        """Log a surprise survived."""
        self._logger.warning(message, extra=values)

    def measure(self, name: str, count: float) -> None:
        """Write one value of a metric of the stack."""
        metrics = self._metrics()
        metrics.add_metric(name, MetricUnit.Count, count)
        metrics.flush_metrics()

    def _metrics(self, **dimensions: str) -> EphemeralMetrics:
        """Return a record of metrics of its own: dimensions of two records never mix."""
        metrics = EphemeralMetrics(namespace=self._namespace)
        for name, value in dimensions.items():
            metrics.add_dimension(name, value)
        return metrics
